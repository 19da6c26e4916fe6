import type { Belief } from '../liveness/liveness-engine.ts';
import type { Condition, Verdict } from './condition.ts';
import type { EffectiveTiming, StatusReport } from './observed-instance.ts';
import type { UnboundReason } from './pod-binding.ts';
import { Reason } from './reason.ts';
import type { SilenceEvidence } from './silence-evidence.ts';

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

/** What `Healthy` depends on beside `Fresh`. */
export interface HealthFacts {
  readonly wish: PersonsWish;
  readonly reported: StatusReport | undefined;
  /** Another instance of its service has taken its place in the Pod. */
  readonly isSuperseded: boolean;
  /** What the Pod's own state says about a silence. */
  readonly evidence: SilenceEvidence | undefined;
}

/**
 * `Healthy`: the verdict. A person's decision beats what the application says of itself, and that beats heartbeats.
 *
 * @param before what stands on the object: a silence that was explained once keeps its explanation.
 */
export function healthyVerdict(fresh: Verdict, facts: HealthFacts, before: Condition | undefined): Verdict {
  if (facts.wish.outOfService) {
    return {
      status: 'False',
      reason: Reason.OverriddenOutOfService,
      message: 'A person took the instance out of service: spec.override is OutOfService.',
    };
  }
  if (fresh.status === 'False') {
    if (facts.isSuperseded) {
      const message = 'A newer instance of its service runs in the same Pod; this one no longer counts.';
      return { status: 'Unknown', reason: Reason.Superseded, message };
    }
    const { evidence } = facts;
    const isTold = before?.status === 'False' && before.message.startsWith(fresh.message);
    // What was explained stays so; what was not is explained as soon as the Pod tells why.
    if (isTold && (evidence === undefined || before.message !== fresh.message)) return before;
    if (evidence === undefined) return fresh;
    return { status: 'False', reason: evidence.reason, message: `${fresh.message} ${evidence.text}` };
  }
  const down = fresh.status === 'True' ? reportedReason(facts.reported) : undefined;
  if (down === undefined) return { status: fresh.status, reason: fresh.reason, message: fresh.message };
  return { status: 'False', reason: down, message: `The instance reported ${facts.reported?.value} of itself.` };
}

/** Why a report takes an instance out of service; undefined if it does not. */
export function reportedReason(reported: StatusReport | undefined): Reason | undefined {
  switch (reported?.value) {
    case 'DOWN':
      return Reason.ReportedDown;
    case 'OUTOFSERVICE':
      return Reason.ReportedOutOfService;
    case 'STARTING':
      return Reason.ReportedStarting;
    case 'UP':
    case 'TESTING':
    case undefined:
      return undefined;
  }
}

const UNBOUND_MESSAGES: Readonly<Record<UnboundReason, string>> = {
  UnknownSender: 'The instance is not bound to a Pod: its sender is not known.',
  SharedAddress: 'The instance is not bound to a Pod: its heartbeats come from an address that many senders share.',
  NoPod: 'The instance is not bound to a Pod: no Pod is known at the address of its heartbeats.',
  SeveralPods: 'The instance is not bound to a Pod: several Pods have the address of its heartbeats.',
};

/** `PodSynced` of an instance that is bound to no Pod. */
export function notBoundVerdict(why: UnboundReason): Verdict {
  return { status: 'False', reason: Reason.NotBound, message: UNBOUND_MESSAGES[why] };
}

/** `PodSynced` of an instance whose Pod is only guessed. */
export const hintedVerdict: Verdict = {
  status: 'False',
  reason: Reason.NotBound,
  message: 'The Pod is found by its name alone, which is no proof; nothing is written to it.',
};

/** `PodSynced` of an instance whose object stands in another namespace than its Pod. */
export const otherNamespaceVerdict: Verdict = {
  status: 'False',
  reason: Reason.OtherNamespace,
  message:
    'The Pod is in another namespace than this object; heartbeats decide about it, and nothing that this object says.',
};

/** `PodSynced` of an instance that no longer counts. */
export const supersededVerdict: Verdict = {
  status: 'False',
  reason: Reason.Superseded,
  message: 'A newer instance of its service speaks for the Pod.',
};

/** `PodSynced` of a bound instance whose Pod has not been looked at yet. */
export const notLookedAtVerdict: Verdict = {
  status: 'Unknown',
  reason: Reason.PodWriteUnconfirmed,
  message: 'The Pod has not been looked at yet.',
};

/** `IdentityConflict`: whether heartbeats come from elsewhere than the bound Pod. */
export function identityConflictVerdict(isActive: boolean): Verdict {
  return isActive
    ? {
        status: 'True',
        reason: Reason.ForeignSender,
        message: 'Heartbeats come from elsewhere than the bound Pod. They count as heard and rebind nothing.',
      }
    : {
        status: 'False',
        reason: Reason.OnlyBoundPod,
        message: 'Heartbeats come from the bound Pod alone.',
      };
}

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
