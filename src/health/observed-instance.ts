import type { HeartbeatTiming } from '../liveness/time-to-live.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { Condition, ConditionStatus } from './condition.ts';

/** Where the timing in force comes from. */
export type TimingSource = 'Spec' | 'Default';

/** The timing in force for one instance. */
export interface EffectiveTiming extends HeartbeatTiming {
  readonly ttlSeconds: number;
  readonly source: TimingSource;
}

/** The status of a HeartbeatInstance in the shape the plan compares. Absent parts are not yet written. */
export interface InstanceStatus {
  readonly fresh: Condition | undefined;
  readonly healthy: Condition | undefined;
  readonly podSynced: Condition | undefined;
  /** The status of `Healthy` once more, as the scalar that field selectors can reach. */
  readonly healthySummary: ConditionStatus | undefined;
  /** Milliseconds since the Unix epoch; coarse, exact whenever a condition changes. */
  readonly lastHeartbeatWallMs: number | undefined;
  /** Milliseconds since the Unix epoch of the deadline that passed; only while stale. */
  readonly expiredWallMs: number | undefined;
  readonly effective: EffectiveTiming | undefined;
  readonly observedGeneration: number | undefined;
}

/** A HeartbeatInstance as the caches hold it: decoded, and no larger than what decisions need. */
export interface ObservedInstance {
  readonly key: InstanceKey;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** Seconds since the Unix epoch; of several objects with one identity the oldest counts. */
  readonly createdSeconds: number;
  /** Whether the object carries our `managed-by` label; only then it is ours to delete. */
  readonly managed: boolean;
  /** A person's wish for the timing. */
  readonly heartbeat: HeartbeatTiming | undefined;
  /** A person's decision that the instance is out of service. */
  readonly outOfService: boolean;
  /** A person's decision that the instance is not judged. */
  readonly paused: boolean;
  /** Absent until the first status is written. */
  readonly status: InstanceStatus | undefined;
}
