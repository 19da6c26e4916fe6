import { nextCondition, sameCondition, type Verdict } from './condition.ts';
import { selectorProblem } from './label-selector.ts';
import type { ObservedPolicy, PolicyCounts, PolicyStatus } from './observed-policy.ts';

/** What was found of the Pods that a policy selects. */
export interface PolicyFacts {
  /** Pods that it rules. */
  readonly pods: number;
  readonly counts: PolicyCounts;
  /** Names of policies that rule Pods which this one selects. */
  readonly overruledBy: readonly string[];
  /** What the storm over its Pods is, in a sentence; undefined if there is none. */
  readonly storm: string | undefined;
  /** Whether heartbeats can be received. */
  readonly isListening: boolean;
}

const NAMED_MAX = 3;

/** The status that a policy should have, or undefined if it has it. */
export function planPolicyStatus(policy: ObservedPolicy, facts: PolicyFacts, wallMs: number): PolicyStatus | undefined {
  const { status: before, generation } = policy;
  const seconds = Math.floor(wallMs / 1000);
  const status: PolicyStatus = {
    observedGeneration: generation,
    pods: facts.pods,
    counts: facts.counts,
    accepted: nextCondition(before?.accepted, acceptedVerdict(policy), generation, seconds),
    conflicted: nextCondition(before?.conflicted, conflictedVerdict(facts.overruledBy), generation, seconds),
    listening: nextCondition(before?.listening, listeningVerdict(facts.isListening), generation, seconds),
    stormActive: nextCondition(before?.stormActive, stormVerdict(facts.storm), generation, seconds),
  };
  return before !== undefined && sameStatus(before, status) ? undefined : status;
}

function acceptedVerdict(policy: ObservedPolicy): Verdict {
  const problem = selectorProblem(policy.selector);
  if (problem !== undefined) {
    return { status: 'False', reason: 'InvalidSelector', message: `The policy selects no Pod: ${problem}.` };
  }
  return { status: 'True', reason: 'Valid', message: 'The policy can be used as it is written.' };
}

function conflictedVerdict(overruledBy: readonly string[]): Verdict {
  if (overruledBy.length === 0) {
    return { status: 'False', reason: 'NoConflict', message: 'No other policy rules a Pod that this one selects.' };
  }
  const names = overruledBy.slice(0, NAMED_MAX).join(', ');
  const more = overruledBy.length > NAMED_MAX ? ` and ${overruledBy.length - NAMED_MAX} more` : '';
  return {
    status: 'True',
    reason: 'OverruledByPolicy',
    message: `Some of the selected Pods are ruled by ${names}${more}: a higher priority wins, then the older policy, then the name.`,
  };
}

function listeningVerdict(isListening: boolean): Verdict {
  return isListening
    ? { status: 'True', reason: 'Listening', message: 'Heartbeats can be received.' }
    : { status: 'False', reason: 'NotListening', message: 'Heartbeats cannot be received now; nobody is judged.' };
}

function stormVerdict(storm: string | undefined): Verdict {
  return storm === undefined
    ? { status: 'False', reason: 'NoStorm', message: 'No storm is under way.' }
    : { status: 'True', reason: 'StormHold', message: storm };
}

function sameStatus(a: PolicyStatus, b: PolicyStatus): boolean {
  return (
    a.observedGeneration === b.observedGeneration &&
    a.pods === b.pods &&
    a.counts.live === b.counts.live &&
    a.counts.fresh === b.counts.fresh &&
    a.counts.stale === b.counts.stale &&
    a.counts.unknown === b.counts.unknown &&
    a.counts.held === b.counts.held &&
    sameCondition(a.accepted, b.accepted) &&
    sameCondition(a.conflicted, b.conflicted) &&
    sameCondition(a.listening, b.listening) &&
    sameCondition(a.stormActive, b.stormActive)
  );
}
