import type { HeartbeatTiming } from '../liveness/time-to-live.ts';
import type { Condition } from './condition.ts';

/**
 * What may be done to the Pods of a policy.
 *
 * - `Observe`: nothing is written to them.
 * - `Annotate`: the verdict is written where it is harmless.
 * - `Gate`: the verdict is written, and withdraws a Pod that declares the gate.
 */
export type Enforcement = 'Observe' | 'Annotate' | 'Gate';

/** The rules for a Pod: those of the policy that selects it, else the defaults. */
export interface PodRules {
  readonly enforcement: Enforcement;
  /** What a gated Pod shows before it was ever heard. */
  readonly initial: 'Open' | 'Closed';
  /** How long after its creation a gated Pod that was never heard is opened all the same, in seconds. */
  readonly openAfterSeconds: number;
  /** How many Pods of a workload must stay ready when one is withdrawn; 0 allows that none is. */
  readonly minHealthy: number;
  readonly storm: StormThreshold;
  /** The part of a workload, in percent and rounded up, that may be withdrawn in a minute. */
  readonly withdrawalPercentPerMinute: number;
}

/** When the silence of a workload is taken for a common fault. */
export interface StormThreshold {
  /** The share of the live Pods, in percent, that must have fallen silent within one time to live. */
  readonly percent: number;
  /** And at least so many Pods. */
  readonly minimum: number;
  /** After so many seconds the storm is over for the workload, whatever its share. */
  readonly maxDurationSeconds: number;
}

/** A HeartbeatPolicy as the cache holds it. */
export interface ObservedPolicy extends PodRules {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  readonly generation: number;
  /** Seconds since the Unix epoch. */
  readonly createdSeconds: number;
  /** Of several policies that select a Pod the highest wins, then the oldest, then the first by name. */
  readonly priority: number;
  readonly selector: LabelSelector;
  /** Timing of the instances in its Pods for which no person and no registration says otherwise. */
  readonly timing: HeartbeatTiming | undefined;
  /** Absent until the first status is written. */
  readonly status: PolicyStatus | undefined;
}

/** `metav1.LabelSelector`: all of it must match; an empty one selects every Pod of the namespace. */
export interface LabelSelector {
  readonly matchLabels: Readonly<Record<string, string>>;
  readonly matchExpressions: readonly LabelExpression[];
}

export interface LabelExpression {
  readonly key: string;
  /** `In`, `NotIn`, `Exists` or `DoesNotExist`; another one makes the policy select nothing. */
  readonly operator: string;
  readonly values: readonly string[];
}

/** The status of a HeartbeatPolicy in the shape that is compared before it is written. */
export interface PolicyStatus {
  readonly observedGeneration: number | undefined;
  /** Pods that the policy rules. */
  readonly pods: number;
  readonly counts: PolicyCounts;
  /** Whether the policy can be used as it is written. */
  readonly accepted: Condition | undefined;
  /** Whether another policy rules Pods that this one selects. */
  readonly conflicted: Condition | undefined;
  readonly listening: Condition | undefined;
  readonly stormActive: Condition | undefined;
}

/** Instances in the Pods of a policy. */
export interface PolicyCounts {
  readonly live: number;
  readonly fresh: number;
  readonly stale: number;
  readonly unknown: number;
  /** Pods that fell silent and are not withdrawn, because of a brake. */
  readonly held: number;
}

/** What holds for a Pod that no policy selects. The readiness gate itself is the wish to be gated. */
export const DEFAULT_RULES: PodRules = {
  enforcement: 'Gate',
  initial: 'Closed',
  openAfterSeconds: 600,
  minHealthy: 1,
  // Half of a workload, as the node controller calls a zone disrupted at 55 %; fewer than five have no "most".
  storm: { percent: 50, minimum: 5, maxDurationSeconds: 600 },
  // Eureka's share of a registry that one pass may evict.
  withdrawalPercentPerMinute: 15,
};
