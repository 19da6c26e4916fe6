import { type Condition, nextCondition, type Verdict } from './condition.ts';
import { Reason } from './reason.ts';
import { hasOptedOut, type ObservedPod } from './observed-pod.ts';
import type { PodRules } from './observed-policy.ts';
import type { PodUnhealthy, PodVerdict } from './pod-verdict.ts';
import type { SilenceEvidence } from './silence-evidence.ts';

/** A brake that keeps a Pod in service though its verdict is False. */
export interface PodHold {
  readonly reason: 'StormHold' | 'RateLimited' | 'MinimumHealthyFloor';
  /** A sentence that names what was found. */
  readonly message: string;
}

export interface PodPlanInput {
  readonly pod: ObservedPod;
  readonly verdict: PodVerdict;
  readonly rules: PodRules;
  /** Why an instance in it fell silent, if its own state tells. */
  readonly evidence: SilenceEvidence | undefined;
  /** Whether a policy rules the Pod; else the rules are the defaults. */
  readonly hasPolicy: boolean;
  /** Why the Pod is out of our hands: nothing withdraws it any more, and its gate is opened. */
  readonly release: ReleaseCause | undefined;
  readonly hold: PodHold | undefined;
  readonly wallMs: number;
}

/** The operator is being uninstalled, or the policy under which the Pod was withdrawn is deleted. */
export type ReleaseCause = 'uninstall' | 'policyDeleted';

export type PodPlan =
  /** Nothing is to be written. */
  | { readonly kind: 'nothing'; readonly synced: Verdict; readonly lookAgainMs: number | undefined }
  | { readonly kind: 'write'; readonly condition: Condition; readonly synced: Verdict }
  /** The Pod would lose its traffic by this write: first the brakes are asked. */
  | { readonly kind: 'withdraw'; readonly condition: Condition; readonly cause: PodUnhealthy['cause'] };

/** The longest message of our condition, in characters. */
const MESSAGE_LENGTH_MAX = 256;

/** So many unhealthy instances are named. */
const NAMED_MAX = 3;

/**
 * From the verdict on a Pod and what stands on it to the one write that is due, if any.
 *
 * | | without the gate | with the gate |
 * | --- | --- | --- |
 * | policy `Observe` | nothing | True/NotEnforced |
 * | policy `Annotate` | the verdict | True/NotEnforced, the verdict in the message |
 * | policy `Gate`, no policy | the verdict | the verdict |
 * | paused | True/Paused | True/Paused |
 * | verdict unknown | the last value | the last value, else what `initial` says |
 *
 * A gated Pod always gets a value and is never left closed by us without a cause that holds now (invariant I17).
 */
export function planPod(input: PodPlanInput): PodPlan {
  const { pod, verdict } = input;
  if (pod.isFinished || pod.isTerminating) return nothing(podTerminating);
  if (input.release === 'uninstall') return release(input, RELEASE_MESSAGES.uninstall);
  const isByPerson = verdict.kind === 'unhealthy' && verdict.cause === 'person';
  if (input.release === 'policyDeleted' && !isByPerson) return release(input, RELEASE_MESSAGES.policyDeleted);
  if (hasOptedOut(pod)) return release(input, 'The Pod opted out by its label heartbeat-operator.io/gate: disabled.');
  switch (verdict.kind) {
    case 'paused':
      if (!pod.hasGate && !isEnforced(input)) return showUnenforced(input, paused.message);
      return show(input, paused, paused);
    case 'unknown':
      return keepOrBegin(input);
    case 'healthy':
      if (!isEnforced(input)) return showUnenforced(input, 'Its instances are healthy.');
      return show(input, healthy(verdict.instances), current);
    case 'unhealthy': {
      const shown = unhealthy(verdict, input.evidence);
      if (!isEnforced(input)) return showUnenforced(input, shown.message);
      if (!pod.hasGate || verdict.cause === 'person') return show(input, shown, current);
      if (staysReleased(input)) return nothing(stillReleased);
      return withdrawOrHold(input, verdict, shown);
    }
  }
}

/** Whether the Pod asks to be withdrawn: the brakes must know before they are asked. */
export function asksToBeWithdrawn(input: Omit<PodPlanInput, 'hold'>): boolean {
  return planPod({ ...input, hold: undefined }).kind === 'withdraw';
}

/** Whether the verdict may stand on the Pod. */
function isEnforced({ pod, rules }: PodPlanInput): boolean {
  switch (rules.enforcement) {
    case 'Observe':
      return false;
    case 'Annotate':
      return !pod.hasGate;
    case 'Gate':
      return true;
  }
}

function showUnenforced(input: PodPlanInput, verdict: string): PodPlan {
  const { pod, rules } = input;
  const message = `The policy says ${rules.enforcement}.`;
  const synced: Verdict = { status: 'False', reason: Reason.NotEnforced, message };
  if (pod.hasGate) {
    const text = rules.enforcement === 'Annotate' ? `${message} ${verdict}` : message;
    return show(input, { status: 'True', reason: Reason.NotEnforced, message: text }, synced);
  }
  // What an earlier policy left there would be taken for a verdict of today.
  if (pod.condition === undefined || pod.condition.status === 'True') return nothing(synced);
  return show(input, { status: 'True', reason: Reason.NotEnforced, message }, synced);
}

/** True → False of a gated Pod takes traffic away from it; from anything else to False takes nothing. */
function withdrawOrHold(input: PodPlanInput, verdict: PodUnhealthy, shown: Verdict): PodPlan {
  const { pod, hold } = input;
  const status = pod.condition?.status;
  if (hold !== undefined) {
    const synced: Verdict = { status: 'False', reason: hold.reason, message: hold.message };
    if (status === 'True') return nothing(synced);
    // Only a storm opens again what was withdrawn in its window.
    if (hold.reason === 'StormHold')
      return show(input, { status: 'True', reason: hold.reason, message: hold.message }, synced);
  }
  if (status === 'True') return { kind: 'withdraw', condition: conditionFor(input, shown), cause: verdict.cause };
  return show(input, shown, current);
}

/** Nothing is known of its instances now: the last value stays. Without one, `initial` says how it begins. */
function keepOrBegin(input: PodPlanInput): PodPlan {
  const { pod, verdict, rules } = input;
  const { condition } = pod;
  const { instances, isUnproven } = verdict.kind === 'unknown' ? verdict : NOTHING_KNOWN;
  // What is open stays open, whatever another policy would have it begin with.
  if (condition?.status === 'True') return nothing(current);
  if (condition !== undefined && condition.reason !== Reason.AwaitingFirstHeartbeat) {
    if (instances === 0) return release(input, 'The last instance of the Pod is gone.');
    if (!isEnforced(input)) return showUnenforced(input, awaiting.message);
    if (isUnproven) return nothing(current);
    return release(input, 'No instance of the Pod is known to be unhealthy any more.');
  }
  if (!pod.hasGate) return nothing(awaiting);
  if (rules.enforcement !== 'Gate') return showUnenforced(input, awaiting.message);
  if (rules.initial === 'Open') return show(input, { ...awaiting, status: 'True' }, current);
  const openInMs = (pod.createdSeconds + rules.openAfterSeconds) * 1000 - input.wallMs;
  if (openInMs <= 0) {
    const message = `No heartbeat within ${rules.openAfterSeconds} s since the Pod was created; it is opened all the same.`;
    return show(input, { status: 'True', reason: Reason.FirstHeartbeatTimeout, message }, current);
  }
  const plan = show(input, awaiting, current);
  return plan.kind === 'nothing' ? { ...plan, lookAgainMs: openInMs } : plan;
}

/**
 * Whether the Pod was released and nothing has taken it in hand since: its instances have not been healthy again, and no
 * policy rules it. So a release outlives our restart.
 */
function staysReleased({ pod, hasPolicy }: PodPlanInput): boolean {
  return !hasPolicy && pod.condition?.status === 'True' && pod.condition.reason === Reason.Released;
}

/** Opens what we may have closed, and leaves the Pod alone from then on. */
function release(input: PodPlanInput, message: string): PodPlan {
  const { pod } = input;
  const synced: Verdict = { status: 'False', reason: Reason.Released, message };
  const { condition } = pod;
  const isOurs = pod.hasGate || (condition !== undefined && condition.status !== 'True');
  if (!isOurs || (condition?.status === 'True' && condition.reason === Reason.Released)) return nothing(synced);
  return show(input, { status: 'True', reason: Reason.Released, message }, synced);
}

/** Writes `shown` unless it stands there. */
function show(input: PodPlanInput, shown: Verdict, synced: Verdict): PodPlan {
  return says(input.pod.condition, shown)
    ? nothing(synced)
    : { kind: 'write', condition: conditionFor(input, shown), synced };
}

function nothing(synced: Verdict): PodPlan {
  return { kind: 'nothing', synced, lookAgainMs: undefined };
}

function conditionFor({ pod, wallMs }: PodPlanInput, shown: Verdict): Condition {
  const verdict = { ...shown, message: bounded(shown.message) };
  return nextCondition(pod.condition, verdict, pod.generation, Math.floor(wallMs / 1000));
}

/**
 * Whether a condition says this already. What the state of the Pod told when it was written (`evidence`) stays, so
 * that a container that restarts again and again does not cause a write each time.
 */
function says(condition: Condition | undefined, { status, reason, message }: Verdict): boolean {
  if (condition?.status !== status || condition.reason !== reason) return false;
  return withoutEvidence(condition.message) === withoutEvidence(bounded(message));
}

function withoutEvidence(message: string): string {
  const [base = ''] = message.split(EVIDENCE, 1);
  return base;
}

/** Between what is unhealthy and why: no name can contain it. */
const EVIDENCE = '\n';

/** With less room than this nothing useful can be said. */
const EVIDENCE_LENGTH_MIN = 16;

function healthy(instances: number): Verdict {
  const whose = instances === 1 ? 'its instance' : `its ${instances} instances`;
  return { status: 'True', reason: Reason.HeartbeatReceived, message: `Heartbeats of ${whose} arrive in time.` };
}

function unhealthy(verdict: PodUnhealthy, evidence: SilenceEvidence | undefined): Verdict {
  const names = verdict.unhealthy.slice(0, NAMED_MAX).join(', ');
  const more = verdict.unhealthy.length > NAMED_MAX ? ` and ${verdict.unhealthy.length - NAMED_MAX} more` : '';
  const what = { silence: 'no heartbeat in time', report: 'reported itself down', person: 'taken out of service' };
  const base = `${verdict.unhealthy.length} of ${verdict.instances} instances unhealthy (${what[verdict.cause]}): ${names}${more}.`;
  const isExplained = verdict.cause === 'silence' && evidence !== undefined;
  const hasRoom = Array.from(base).length <= MESSAGE_LENGTH_MAX - EVIDENCE_LENGTH_MIN;
  const message = isExplained && hasRoom ? base + EVIDENCE + evidence.text : base;
  return { status: 'False', reason: verdict.reason, message: bounded(message) };
}

function bounded(message: string): string {
  const characters = Array.from(message);
  if (characters.length <= MESSAGE_LENGTH_MAX) return message;
  return `${characters.slice(0, MESSAGE_LENGTH_MAX - 1).join('')}…`;
}

const current: Verdict = {
  status: 'True',
  reason: Reason.PodConditionCurrent,
  message: 'The condition of the Pod shows the verdict.',
};

const RELEASE_MESSAGES: Readonly<Record<ReleaseCause, string>> = {
  uninstall: 'The operator is being uninstalled; heartbeats decide no longer.',
  policyDeleted: 'The policy under which the Pod was withdrawn is deleted; heartbeats decide again when they arrive.',
};

const stillReleased: Verdict = {
  status: 'False',
  reason: Reason.Released,
  message: 'The Pod was released; heartbeats decide again when they arrive, or a policy rules it.',
};

const NOTHING_KNOWN = { instances: 0, isUnproven: false } as const;

const podTerminating: Verdict = {
  status: 'False',
  reason: Reason.PodTerminating,
  message: 'The Pod is being deleted or has finished; nothing is written to it.',
};

const paused: Verdict = { status: 'True', reason: Reason.Paused, message: 'Not judged while spec.paused is true.' };

const awaiting: Verdict = {
  status: 'Unknown',
  reason: Reason.AwaitingFirstHeartbeat,
  message: 'No heartbeat has been received yet.',
};
