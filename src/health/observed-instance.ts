import type { HeartbeatTiming } from '../liveness/time-to-live.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { Condition, ConditionStatus } from './condition.ts';

/** Where the timing in force comes from. */
export type TimingSource = 'Spec' | 'Policy' | 'Default';

/** The timing in force for one instance. */
export interface EffectiveTiming extends HeartbeatTiming {
  readonly ttlSeconds: number;
  readonly source: TimingSource;
}

/**
 * By which evidence the Pod of an instance was found.
 *
 * - `Token`, `PodIP`: the sender proved to be that Pod. Only these lead to a write to the Pod.
 * - `InstanceId`: of the Pods on the sender's address it is the one that is named like the instance. For people to see.
 */
export type MatchedBy = 'Token' | 'PodIP' | 'InstanceId';

/** The Pod that an instance runs in. */
export interface PodRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly matchedBy: MatchedBy;
}

/** The Pod with which the object of an instance ends. */
export type PodOwner = Pick<PodRef, 'name' | 'uid'>;

/** What an application can say of itself, in service-center's words. */
export const REPORTED_VALUES = ['UP', 'DOWN', 'OUTOFSERVICE', 'STARTING', 'TESTING'] as const;

export type ReportedValue = (typeof REPORTED_VALUES)[number];

/** What the application last said of itself. */
export interface StatusReport {
  readonly value: ReportedValue;
  /** Milliseconds since the Unix epoch at which it was received. */
  readonly wallMs: number;
  /** The Pod that proved to be the one that said it. Without it the report counts for no Pod. */
  readonly podUid: string | undefined;
}

/** The status of a HeartbeatInstance in the shape the plan compares. Absent parts are not yet written. */
export interface InstanceStatus {
  readonly fresh: Condition | undefined;
  readonly healthy: Condition | undefined;
  readonly podSynced: Condition | undefined;
  /** Whether heartbeats come from elsewhere than the bound Pod; absent until it was ever so. */
  readonly identityConflict: Condition | undefined;
  /** The status of `Healthy` once more, as the scalar that field selectors can reach. */
  readonly healthySummary: ConditionStatus | undefined;
  /** Milliseconds since the Unix epoch; coarse, exact whenever a condition changes. */
  readonly lastHeartbeatWallMs: number | undefined;
  /** Milliseconds since the Unix epoch of the deadline that passed; only while stale. */
  readonly expiredWallMs: number | undefined;
  readonly effective: EffectiveTiming | undefined;
  readonly podRef: PodRef | undefined;
  readonly observedGeneration: number | undefined;
}

/** A HeartbeatInstance as the caches hold it: decoded, and no larger than what decisions need. */
export interface ObservedInstance {
  readonly key: InstanceKey;
  readonly uid: string;
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
  /** The uid of the Pod that owns the object. */
  readonly ownerUid: string | undefined;
  /** What the application last said of itself. Stored when it is said, not with the rest of the status. */
  readonly reported: StatusReport | undefined;
  /** Absent until the first status is written. */
  readonly status: InstanceStatus | undefined;
}
