import { describe, expect, it, test } from 'vitest';
import type { Condition } from '../../src/health/condition.ts';
import type { ObservedPolicy, PolicyStatus } from '../../src/health/observed-policy.ts';
import { planPolicyStatus, type PolicyFacts } from '../../src/health/policy-status.ts';
import { condition } from '../support/builders.ts';
import { policy } from '../support/pod-builders.ts';

const WALL = 1_763_000_000_500;
const WALL_SECONDS = 1_763_000_000;
const LONG_AGO = 1_700_000_000;

const FACTS: PolicyFacts = {
  pods: 4,
  counts: { live: 6, fresh: 4, stale: 1, unknown: 1, held: 0 },
  overruledBy: [],
  storm: undefined,
  isListening: true,
};

const since = (seconds: number, parts: Partial<Condition>): Condition =>
  condition({ lastTransitionSeconds: seconds, ...parts });

const ACCEPTED = { reason: 'Valid', message: 'The policy can be used as it is written.' };
const NO_CONFLICT = {
  status: 'False',
  reason: 'NoConflict',
  message: 'No other policy rules a Pod that this one selects.',
} as const;
const LISTENING = { reason: 'Listening', message: 'Heartbeats can be received.' };
const NO_STORM = { status: 'False', reason: 'NoStorm', message: 'No storm is under way.' } as const;

function statusSince(seconds: number, parts: Partial<PolicyStatus> = {}): PolicyStatus {
  return {
    observedGeneration: 1,
    pods: 4,
    counts: FACTS.counts,
    accepted: since(seconds, ACCEPTED),
    conflicted: since(seconds, NO_CONFLICT),
    listening: since(seconds, LISTENING),
    stormActive: since(seconds, NO_STORM),
    ...parts,
  };
}

/** What stands on it since long ago. */
const SETTLED = statusSince(LONG_AGO);

function plan(parts: Partial<ObservedPolicy>, facts: Partial<PolicyFacts> = {}): PolicyStatus | undefined {
  return planPolicyStatus(policy('web', parts), { ...FACTS, ...facts }, WALL);
}

const storm = '8 of 10 Pods of default/Deployment/web fell silent within 120 s.';
const brokenSelector = { matchLabels: {}, matchExpressions: [{ key: 'app', operator: 'Gt', values: ['3'] }] };

interface Row {
  readonly title: string;
  readonly facts?: Partial<PolicyFacts>;
  readonly policy?: Partial<ObservedPolicy>;
  readonly status: PolicyStatus | undefined;
}

const ROWS: readonly Row[] = [
  { title: 'A new policy says all there is to say', policy: { status: undefined }, status: statusSince(WALL_SECONDS) },
  { title: 'I15: a policy of which nothing changed is left alone', status: undefined },
  { title: 'Pods that come or go are told', facts: { pods: 5 }, status: { ...SETTLED, pods: 5 } },
  ...(['live', 'fresh', 'stale', 'unknown', 'held'] as const).map((count): Row => {
    const counts = { ...FACTS.counts, [count]: 99 };
    return { title: `A count that changes is told: ${count}`, facts: { counts }, status: { ...SETTLED, counts } };
  }),
  {
    title: 'A new generation is seen, and no condition changed by that',
    policy: { generation: 2 },
    status: {
      ...SETTLED,
      observedGeneration: 2,
      accepted: since(LONG_AGO, { ...ACCEPTED, observedGeneration: 2 }),
      conflicted: since(LONG_AGO, { ...NO_CONFLICT, observedGeneration: 2 }),
      listening: since(LONG_AGO, { ...LISTENING, observedGeneration: 2 }),
      stormActive: since(LONG_AGO, { ...NO_STORM, observedGeneration: 2 }),
    },
  },
  {
    title: 'A selector that is wrong is named: the policy rules nobody',
    policy: { selector: brokenSelector },
    status: {
      ...SETTLED,
      accepted: since(WALL_SECONDS, {
        status: 'False',
        reason: 'InvalidSelector',
        message:
          'The policy selects no Pod: the operator of the label app is Gt; allowed are In, NotIn, Exists, DoesNotExist.',
      }),
    },
  },
  {
    title: 'A policy that others overrule names them, and the rule',
    facts: { overruledBy: ['a', 'b'] },
    status: {
      ...SETTLED,
      conflicted: since(WALL_SECONDS, {
        reason: 'OverruledByPolicy',
        message:
          'Some of the selected Pods are ruled by a, b: a higher priority wins, then the older policy, then the name.',
      }),
    },
  },
  {
    title: 'A policy that many overrule names three and counts the rest',
    facts: { overruledBy: ['a', 'b', 'c', 'd', 'e'] },
    status: {
      ...SETTLED,
      conflicted: since(WALL_SECONDS, {
        reason: 'OverruledByPolicy',
        message:
          'Some of the selected Pods are ruled by a, b, c and 2 more: a higher priority wins, then the older policy, then the name.',
      }),
    },
  },
  {
    title: 'A policy that three overrule names all of them',
    facts: { overruledBy: ['a', 'b', 'c'] },
    status: {
      ...SETTLED,
      conflicted: since(WALL_SECONDS, {
        reason: 'OverruledByPolicy',
        message:
          'Some of the selected Pods are ruled by a, b, c: a higher priority wins, then the older policy, then the name.',
      }),
    },
  },
  {
    title: 'While heartbeats cannot be received every policy says so',
    facts: { isListening: false },
    status: {
      ...SETTLED,
      listening: since(WALL_SECONDS, {
        status: 'False',
        reason: 'NotListening',
        message: 'Heartbeats cannot be received now; nobody is judged.',
      }),
    },
  },
  {
    title: 'I9: a storm is told with what was found, while the counts go on telling the truth',
    facts: { storm, counts: { live: 10, fresh: 2, stale: 8, unknown: 0, held: 8 } },
    status: {
      ...SETTLED,
      counts: { live: 10, fresh: 2, stale: 8, unknown: 0, held: 8 },
      stormActive: since(WALL_SECONDS, { reason: 'StormHold', message: storm }),
    },
  },
  {
    title: 'A storm that is told in other words is no transition',
    policy: { status: { ...SETTLED, stormActive: since(LONG_AGO, { reason: 'StormHold', message: 'It began.' }) } },
    facts: { storm },
    status: { ...SETTLED, stormActive: since(LONG_AGO, { reason: 'StormHold', message: storm }) },
  },
  {
    title: 'A storm that is over is told',
    policy: { status: { ...SETTLED, stormActive: since(LONG_AGO, { reason: 'StormHold', message: storm }) } },
    status: { ...SETTLED, stormActive: since(WALL_SECONDS, NO_STORM) },
  },
];

describe('The status of a policy', () => {
  test.each(ROWS)('$title', (row) => {
    expect(plan({ status: SETTLED, ...row.policy }, row.facts)).toEqual(row.status);
  });

  test.each(ROWS)('once written leaves nothing to write: $title', (row) => {
    const status = row.status ?? SETTLED;
    expect(plan({ ...row.policy, status }, row.facts)).toBeUndefined();
  });

  it('of which a part is missing is completed', () => {
    const { stormActive: _, ...rest } = SETTLED;
    expect(plan({ status: { ...rest, stormActive: undefined } })).toEqual({
      ...SETTLED,
      stormActive: since(WALL_SECONDS, NO_STORM),
    });
  });
});
