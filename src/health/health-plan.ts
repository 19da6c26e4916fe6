import type { Belief } from '../liveness/liveness-engine.ts';
import { timeToLiveSeconds, type HeartbeatTiming } from '../liveness/time-to-live.ts';
import { nextCondition, sameCondition, type Verdict } from './condition.ts';
import {
  duplicateVerdict,
  freshVerdict,
  type HealthFacts,
  healthyVerdict,
  identityConflictVerdict,
} from './instance-health.ts';
import type { EffectiveTiming, InstanceStatus, ObservedInstance, PodRef, TimingSource } from './observed-instance.ts';
import type { SilenceEvidence } from './silence-evidence.ts';

/**
 * From what is observed and what is believed to the one write that is due, if any.
 *
 * Pure: the moments come in, monotonic for decisions and wall time for what people read.
 */
export interface PlanInput {
  readonly belief: Belief;
  readonly observed: ObservedInstance;
  readonly timing: EffectiveTiming;
  readonly pod: PodFacts;
  readonly nowMs: number;
  readonly wallMs: number;
  /** How old the stored time of the last heartbeat may become before it is written anew, in milliseconds. */
  readonly refreshMs: number;
  /** How long a stale object of ours is kept, in milliseconds. */
  readonly retentionMs: number;
  /** When this process began to judge: before it has listened for a time to live, nothing is removed. */
  readonly judgingSinceMs: number;
}

/** What an instance has to do with a Pod. */
export interface PodFacts {
  /** The Pod it runs in, proved or likely. */
  readonly ref: PodRef | undefined;
  /** Whether the Pod shows the verdict, and why not. */
  readonly synced: Verdict;
  /** Whether the evidence is proof. Then the object ends with the Pod and not by its age. */
  readonly isBound: boolean;
  readonly isSuperseded: boolean;
  /** Whether what the object holds as reported was not said by this Pod, so that it does not count. */
  readonly isReportForeign: boolean;
  /** Whether heartbeats come from elsewhere than the bound Pod; undefined if the question does not arise. */
  readonly hasConflict: boolean | undefined;
  /** What the Pod's own state says about a silence. */
  readonly evidence: SilenceEvidence | undefined;
}

export type HealthPlan =
  | { readonly kind: 'nothing'; readonly lookAgainMs: number | undefined }
  | { readonly kind: 'writeStatus'; readonly status: InstanceStatus; readonly purpose: WritePurpose }
  | { readonly kind: 'remove' };

/**
 * - `transition`: `Healthy` changes its status.
 * - `correction`: something else is to be said: a reason, a message, a timing.
 * - `refresh`: only the time of the last heartbeat has become old; this one may wait.
 */
export type WritePurpose = 'transition' | 'correction' | 'refresh';

export function planHealth(input: PlanInput): HealthPlan {
  const { belief, observed } = input;
  const removeInMs = timeUntilRemoval(input);
  if (removeInMs !== undefined && removeInMs <= 0) return { kind: 'remove' };

  const before = observed.status;
  const { timing, pod } = input;
  const wallMsOf = (momentMs: number): number => Math.round(input.wallMs - (input.nowMs - momentMs));
  const heardWallMs = belief.lastHeardMs === undefined ? undefined : wallMsOf(belief.lastHeardMs);
  // It came back and fell silent again while nothing could be written.
  const isNewSilence = heardWallMs !== undefined && heardWallMs > (before?.expiredWallMs ?? Number.POSITIVE_INFINITY);
  const fresh = freshVerdict(belief, timing, before?.fresh, wallMsOf, isNewSilence);
  const facts: HealthFacts = {
    wish: observed,
    reported: pod.isReportForeign ? undefined : observed.reported,
    isSuperseded: pod.isSuperseded,
    evidence: pod.evidence,
  };
  const healthy = healthyVerdict(fresh, facts, isNewSilence ? undefined : before?.healthy);
  const status: InstanceStatus = {
    ...conditions(observed, { fresh, healthy, podSynced: pod.synced, hasConflict: pod.hasConflict }, input.wallMs),
    podRef: pod.ref,
    lastHeartbeatWallMs: heardWallMs ?? before?.lastHeartbeatWallMs,
    expiredWallMs: expiredWallMs(belief, isNewSilence ? undefined : before, wallMsOf),
    effective: timing,
  };
  if (before === undefined || before.healthySummary !== status.healthySummary) {
    return { kind: 'writeStatus', status, purpose: 'transition' };
  }
  if (!sameButForLastHeartbeat(before, status)) return { kind: 'writeStatus', status, purpose: 'correction' };
  if (isRefreshDue(input, heardWallMs)) return { kind: 'writeStatus', status, purpose: 'refresh' };
  return { kind: 'nothing', lookAgainMs: removeInMs };
}

/** The plan for an object whose identity an older object has: it says so, and is not judged. */
export function planDuplicate(
  observed: ObservedInstance,
  winner: ObservedInstance,
  defaultTiming: HeartbeatTiming,
  wallMs: number,
): HealthPlan {
  const verdict = duplicateVerdict(winner);
  const healthy = healthyVerdict(
    verdict,
    { wish: observed, reported: undefined, isSuperseded: false, evidence: undefined },
    observed.status?.healthy,
  );
  const status: InstanceStatus = {
    ...conditions(observed, { fresh: verdict, healthy, podSynced: verdict, hasConflict: undefined }, wallMs),
    podRef: undefined,
    lastHeartbeatWallMs: undefined,
    expiredWallMs: undefined,
    effective: effectiveTiming(observed.heartbeat, undefined, defaultTiming),
  };
  if (observed.status !== undefined && sameButForLastHeartbeat(observed.status, status)) {
    return { kind: 'nothing', lookAgainMs: undefined };
  }
  return { kind: 'writeStatus', status, purpose: 'correction' };
}

/** The timing in force: a person's wish, else that of the Pod's policy, else the default. */
export function effectiveTiming(
  wish: HeartbeatTiming | undefined,
  policyTiming: HeartbeatTiming | undefined,
  defaultTiming: HeartbeatTiming,
): EffectiveTiming {
  if (wish !== undefined) return timingFrom(wish, 'Spec');
  return policyTiming === undefined ? timingFrom(defaultTiming, 'Default') : timingFrom(policyTiming, 'Policy');
}

function timingFrom({ intervalSeconds, times }: HeartbeatTiming, source: TimingSource): EffectiveTiming {
  return { intervalSeconds, times, ttlSeconds: timeToLiveSeconds({ intervalSeconds, times }), source };
}

interface Verdicts {
  readonly fresh: Verdict;
  readonly healthy: Verdict;
  readonly podSynced: Verdict;
  readonly hasConflict: boolean | undefined;
}

function conditions(
  observed: ObservedInstance,
  { fresh, healthy, podSynced, hasConflict }: Verdicts,
  wallMs: number,
): Pick<
  InstanceStatus,
  'fresh' | 'healthy' | 'podSynced' | 'identityConflict' | 'healthySummary' | 'observedGeneration'
> {
  const wallSeconds = Math.floor(wallMs / 1000);
  const { generation, status: before } = observed;
  // Where there never was a conflict nothing is said of it.
  const isConflictTold = hasConflict === true || before?.identityConflict !== undefined;
  return {
    fresh: nextCondition(before?.fresh, fresh, generation, wallSeconds),
    healthy: nextCondition(before?.healthy, healthy, generation, wallSeconds),
    podSynced: nextCondition(before?.podSynced, podSynced, generation, wallSeconds),
    identityConflict: isConflictTold
      ? nextCondition(before?.identityConflict, identityConflictVerdict(hasConflict ?? false), generation, wallSeconds)
      : undefined,
    healthySummary: healthy.status,
    observedGeneration: generation,
  };
}

/** The stored moment stays while the instance stays stale: it was computed once, when it was known best. */
function expiredWallMs(
  belief: Belief,
  before: InstanceStatus | undefined,
  wallMsOf: (momentMs: number) => number,
): number | undefined {
  if (belief.kind !== 'stale' || belief.isPaused) return undefined;
  if (before?.fresh?.status === 'False') return before.expiredWallMs;
  return belief.deadlineMs === undefined ? undefined : wallMsOf(belief.deadlineMs);
}

/**
 * How long until the object is removed, in milliseconds; undefined if it will not be.
 *
 * Only an object of ours that carries no person's wish, of an instance that stays silent. The stored moment is used,
 * since the time to keep it goes on while we are away; but after a start an instance first gets its time to live.
 */
function timeUntilRemoval(input: PlanInput): number | undefined {
  const { belief, observed, pod } = input;
  const expired = observed.status?.expiredWallMs;
  if (belief.kind !== 'stale' || !observed.managed || carriesWish(observed) || expired === undefined) return undefined;
  // One that is bound ends with its Pod: were it removed before, the Pod would be in service again.
  if (pod.isBound && !pod.isSuperseded) return undefined;
  const retainedMs = expired + (pod.isSuperseded ? belief.ttlMs : input.retentionMs) - input.wallMs;
  const listenedMs = input.judgingSinceMs + belief.ttlMs - input.nowMs;
  return Math.max(retainedMs, listenedMs);
}

/** Whether a person decided something about the instance: that must survive its silence. */
export function carriesWish(observed: ObservedInstance): boolean {
  return observed.outOfService || observed.paused || observed.heartbeat !== undefined;
}

function isRefreshDue(input: PlanInput, heardWallMs: number | undefined): boolean {
  if (heardWallMs === undefined) return false;
  const writtenWallMs = input.observed.status?.lastHeartbeatWallMs;
  // A stored moment in the future was written under another clock: it would never become old enough.
  if (writtenWallMs === undefined || writtenWallMs > input.wallMs) return true;
  return heardWallMs - writtenWallMs >= input.refreshMs;
}

function sameButForLastHeartbeat(a: InstanceStatus, b: InstanceStatus): boolean {
  return (
    sameCondition(a.fresh, b.fresh) &&
    sameCondition(a.healthy, b.healthy) &&
    sameCondition(a.podSynced, b.podSynced) &&
    sameCondition(a.identityConflict, b.identityConflict) &&
    a.podRef?.uid === b.podRef?.uid &&
    a.podRef?.matchedBy === b.podRef?.matchedBy &&
    a.healthySummary === b.healthySummary &&
    a.expiredWallMs === b.expiredWallMs &&
    a.observedGeneration === b.observedGeneration &&
    a.effective?.intervalSeconds === b.effective?.intervalSeconds &&
    a.effective?.times === b.effective?.times &&
    a.effective?.ttlSeconds === b.effective?.ttlSeconds &&
    a.effective?.source === b.effective?.source
  );
}
