import type { Belief } from '../liveness/liveness-engine.ts';
import type { Condition, Verdict } from './condition.ts';
import type { EffectiveTiming } from './observed-instance.ts';

/** Every reason that can stand in a condition; docs/conditions.md explains each. */
export const Reason = {
  HeartbeatReceived: 'HeartbeatReceived',
  HeartbeatExpired: 'HeartbeatExpired',
  NotHeardSinceObserverStart: 'NotHeardSinceObserverStart',
  AwaitingFirstHeartbeat: 'AwaitingFirstHeartbeat',
  Paused: 'Paused',
  DuplicateIdentity: 'DuplicateIdentity',
  OverriddenOutOfService: 'OverriddenOutOfService',
  NotBound: 'NotBound',
} as const;

/** What a person decided about an instance. */
export interface PersonsWish {
  readonly outOfService: boolean;
  readonly paused: boolean;
}

/**
 * `Fresh`: is the heartbeat contract kept?
 *
 * @param before what stands on the object. While an instance has not been heard since our start, or stays stale, it is
 * kept to the letter: our restart is no news about the instance, and a deadline is not told twice in other words.
 * @param isNewSilence whether it was heard since what stands there was written, and fell silent again.
 */
export function freshVerdict(
  belief: Belief,
  timing: EffectiveTiming,
  before: Condition | undefined,
  wallMsOf: (momentMs: number) => number,
  isNewSilence = false,
): Verdict {
  if (belief.isPaused) {
    return { status: 'Unknown', reason: Reason.Paused, message: 'Not judged while spec.paused is true.' };
  }
  switch (belief.kind) {
    case 'awaiting':
      return awaiting;
    case 'unheard':
      return before === undefined || before.status === 'Unknown' ? notHeardYet : before;
    case 'fresh':
      return {
        status: 'True',
        reason: Reason.HeartbeatReceived,
        message: `Heartbeats arrive within the time to live of ${ttlText(timing)}.`,
      };
    case 'stale':
      return before?.status === 'False' && !isNewSilence ? before : staleVerdict(belief, timing, wallMsOf);
  }
}

const awaiting: Verdict = {
  status: 'Unknown',
  reason: Reason.AwaitingFirstHeartbeat,
  message: 'No heartbeat has been received yet.',
};

/** It was heard before, but not since it is judged: after a pause, or when its first status was never written. */
const notHeardYet: Verdict = {
  status: 'Unknown',
  reason: Reason.AwaitingFirstHeartbeat,
  message: 'No heartbeat has been received since the instance is judged.',
};

function staleVerdict(belief: Belief, timing: EffectiveTiming, wallMsOf: (momentMs: number) => number): Verdict {
  const { lastHeardMs, deadlineMs } = belief;
  const expired = deadlineMs === undefined ? '' : ` The deadline passed at ${isoTime(wallMsOf(deadlineMs))}.`;
  if (lastHeardMs === undefined) {
    return {
      status: 'False',
      reason: Reason.NotHeardSinceObserverStart,
      message: `No heartbeat for the whole time to live of ${ttlText(timing)} since the operator started to listen.${expired}`,
    };
  }
  const heard = `last one at ${isoTime(wallMsOf(lastHeardMs))}`;
  const uncountedMs = deadlineMs === undefined ? 0 : deadlineMs - lastHeardMs - belief.ttlMs;
  const uncounted = uncountedMs >= 1 ? ` ${(uncountedMs / 1000).toFixed(1)} s of the silence did not count.` : '';
  return {
    status: 'False',
    reason: Reason.HeartbeatExpired,
    message: `No heartbeat within the time to live of ${ttlText(timing)}, ${heard}.${expired}${uncounted}`,
  };
}

/** `Healthy`: the verdict. A person's decision beats heartbeats. */
export function healthyVerdict(fresh: Verdict, wish: PersonsWish): Verdict {
  if (wish.outOfService) {
    return {
      status: 'False',
      reason: Reason.OverriddenOutOfService,
      message: 'A person took the instance out of service: spec.override is OutOfService.',
    };
  }
  return { status: fresh.status, reason: fresh.reason, message: fresh.message };
}

/** `PodSynced`: does the Pod show the verdict? Instances are not bound to Pods yet. */
export const notBoundVerdict: Verdict = {
  status: 'False',
  reason: Reason.NotBound,
  message: 'The instance is not bound to a Pod.',
};

/** `Fresh` and `Healthy` of an object whose identity an older object already has. */
export function duplicateVerdict(winner: { readonly namespace: string; readonly name: string }): Verdict {
  return {
    status: 'Unknown',
    reason: Reason.DuplicateIdentity,
    message: `${winner.namespace}/${winner.name} has the same identity and is older; it is the one that counts.`,
  };
}

function ttlText(timing: EffectiveTiming): string {
  return `${timing.ttlSeconds} s (${timing.intervalSeconds} s × ${timing.times + 1})`;
}

function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
