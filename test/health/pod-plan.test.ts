/* oxlint-disable vitest/expect-expect, vitest/no-conditional-expect, unicorn/consistent-function-scoping, oxc/no-map-spread, no-unused-vars -- Properties expect in a callback for every case that they are about. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Condition, ConditionStatus, Verdict } from '../../src/health/condition.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import { DEFAULT_RULES, type Enforcement, type PodRules } from '../../src/health/observed-policy.ts';
import {
  asksToBeWithdrawn,
  planPod,
  type PodHold,
  type PodPlan,
  type PodPlanInput,
} from '../../src/health/pod-plan.ts';
import type { PodUnhealthy, PodVerdict } from '../../src/health/pod-verdict.ts';
import { MINUTE, pod, podCondition, SECOND, TTL } from '../support/builders.ts';

/** The wall clock shows 2025-11-13T02:13:20.500Z. */
const WALL = 1_763_000_000_500;
const WALL_SECONDS = 1_763_000_000;
const LONG_AGO = 1_700_000_000;
/** The Pod was created a minute ago. */
const CREATED = WALL_SECONDS - 60;

// What the instances in the Pod come to.

const HEALTHY: PodVerdict = { kind: 'healthy', instances: 1 };
const PAUSED: PodVerdict = { kind: 'paused' };
const NOBODY: PodVerdict = { kind: 'unknown', instances: 0, isUnproven: false };
/** Silent before our time, and not proved to us yet. */
const UNKNOWN: PodVerdict = { kind: 'unknown', instances: 1, isUnproven: true };
/** Nothing is known of an instance that is there. */
const NOTHING_KNOWN: PodVerdict = { kind: 'unknown', instances: 1, isUnproven: false };

function unhealthy(parts: Partial<PodUnhealthy> = {}): PodUnhealthy {
  return {
    kind: 'unhealthy',
    cause: 'silence',
    reason: 'HeartbeatExpired',
    unhealthy: ['cart/a'],
    instances: 1,
    sinceMs: 1_000,
    ttlMs: TTL,
    ...parts,
  };
}

const SILENT = unhealthy();
const DOWN = unhealthy({ cause: 'report', reason: 'ReportedDown', sinceMs: undefined });
const TAKEN_OUT = unhealthy({ cause: 'person', reason: 'OverriddenOutOfService', sinceMs: undefined });

// What may stand on the Pod.

const verdict = (status: ConditionStatus, reason: string, message: string): Verdict => ({ status, reason, message });

const received = verdict('True', 'HeartbeatReceived', 'Heartbeats of its instance arrive in time.');
const expired = verdict('False', 'HeartbeatExpired', '1 of 1 instances unhealthy (no heartbeat in time): cart/a.');
const down = verdict('False', 'ReportedDown', '1 of 1 instances unhealthy (reported itself down): cart/a.');
const takenOut = verdict(
  'False',
  'OverriddenOutOfService',
  '1 of 1 instances unhealthy (taken out of service): cart/a.',
);
const paused = verdict('True', 'Paused', 'Not judged while spec.paused is true.');
const awaiting = verdict('Unknown', 'AwaitingFirstHeartbeat', 'No heartbeat has been received yet.');
const openAwaiting = verdict('True', 'AwaitingFirstHeartbeat', 'No heartbeat has been received yet.');
const timedOut = verdict(
  'True',
  'FirstHeartbeatTimeout',
  'No heartbeat within 600 s since the Pod was created; it is opened all the same.',
);
const observe = verdict('True', 'NotEnforced', 'The policy says Observe.');
const annotate = (of: string): Verdict => verdict('True', 'NotEnforced', `The policy says Annotate. ${of}`);
const gone = verdict('True', 'Released', 'The last instance of the Pod is gone.');
const notIll = verdict('True', 'Released', 'No instance of the Pod is known to be unhealthy any more.');
const optedOut = verdict('True', 'Released', 'The Pod opted out by its label heartbeat-operator.io/gate: disabled.');
const uninstalled = verdict('True', 'Released', 'The operator is being uninstalled; heartbeats decide no longer.');
const policyDeleted = verdict(
  'True',
  'Released',
  'The policy under which the Pod was withdrawn is deleted; heartbeats decide again when they arrive.',
);
const held = (hold: PodHold): Verdict => verdict('True', hold.reason, hold.message);

/** It stands there since long ago. */
function stands(verdict: Verdict): Condition {
  return podCondition({ ...verdict, lastTransitionSeconds: LONG_AGO });
}

// What the instances say of their Pod.

const CURRENT = verdict('True', 'PodConditionCurrent', 'The condition of the Pod shows the verdict.');
const TERMINATING = verdict(
  'False',
  'PodTerminating',
  'The Pod is being deleted or has finished; nothing is written to it.',
);
const notEnforced = (message: string): Verdict => verdict('False', 'NotEnforced', message);
const byPolicy = (enforcement: Enforcement): Verdict => notEnforced(`The policy says ${enforcement}.`);
const letGo = ({ message }: Verdict): Verdict => verdict('False', 'Released', message);
const RELEASED = verdict(
  'False',
  'Released',
  'The Pod was released; heartbeats decide again when they arrive, or a policy rules it.',
);
const heldBy = (hold: PodHold): Verdict => verdict('False', hold.reason, hold.message);

// What may be planned. Each is told what stands on the Pod, since the moment of a transition moves with the status alone.

type Expected = (before: Condition | undefined) => PodPlan;

const leave =
  (synced: Verdict, lookAgainMs?: number): Expected =>
  () => ({ kind: 'nothing', synced, lookAgainMs });

const put =
  (shown: Verdict, synced: Verdict): Expected =>
  (before) => ({ kind: 'write', condition: written(shown, before), synced });

const withdraw =
  (shown: Verdict, cause: 'report' | 'silence'): Expected =>
  (before) => ({ kind: 'withdraw', condition: written(shown, before), cause });

function written(shown: Verdict, before: Condition | undefined): Condition {
  const lastTransitionSeconds = before?.status === shown.status ? before.lastTransitionSeconds : WALL_SECONDS;
  return { ...shown, lastTransitionSeconds, observedGeneration: 1 };
}

const GATED: Partial<ObservedPod> = { hasGate: true };
const UNGATED: Partial<ObservedPod> = { hasGate: false };

interface World extends Partial<Omit<PodPlanInput, 'pod' | 'rules'>> {
  readonly pod?: Partial<ObservedPod>;
  readonly rules?: Partial<PodRules>;
}

function inputOf({ pod: parts, rules = {}, ...rest }: World): PodPlanInput {
  return {
    pod: pod('web-1', { createdSeconds: CREATED, ...parts }),
    verdict: HEALTHY,
    rules: rulesWith(rules),
    evidence: undefined,
    hasPolicy: true,
    release: undefined,
    hold: undefined,
    wallMs: WALL,
    ...rest,
  };
}

const plan = (world: World): PodPlan => planPod(inputOf(world));

interface Row extends World {
  readonly title: string;
  readonly plan: Expected;
}

function expectRow(row: Row): void {
  expect(plan(row)).toEqual(row.plan(row.pod?.condition));
}

/**
 * The whole table of what a Pod gets. Columns: nothing stands there yet; it was healthy; it was unhealthy; it awaits
 * its first heartbeat. Without a policy all is as with `Gate`.
 */
interface MatrixRow {
  readonly what: string;
  readonly verdict: PodVerdict;
  readonly rules: Enforcement;
  readonly pod: Partial<ObservedPod>;
  /** In the order of the columns; undefined where a test of its own says what is wrong there. */
  readonly plans: readonly [Expected, Expected, Expected | undefined, Expected];
}

const OBSERVED = put(observe, byPolicy('Observe'));
const annotated = (of: string): Expected => put(annotate(of), byPolicy('Annotate'));
const always = (one: Expected): MatrixRow['plans'] => [one, one, one, one];
const shown = (one: Verdict): Expected => put(one, CURRENT);
const SAME = leave(CURRENT);
const ignored = leave(byPolicy('Observe'));
/** Nobody ever spoke for it, and it has no gate: it is not our business. */
const silence = leave(awaiting);
const released = put(gone, letGo(gone));
const nobodyIll = put(notIll, letGo(notIll));
const PAUSE: MatrixRow['plans'] = always(put(paused, paused));
/** It opens ten minutes after its creation, a minute and half a second ago. */
const waits = leave(CURRENT, 9 * MINUTE - 0.5 * SECOND);
const NONE_YET = 'No heartbeat has been received yet.';

const MATRIX: readonly MatrixRow[] = [
  // columns: ------------------------------------------------------------------ nothing, healthy, unhealthy, awaiting
  { what: 'beats', verdict: HEALTHY, rules: 'Observe', pod: UNGATED, plans: [ignored, ignored, OBSERVED, OBSERVED] },
  { what: 'beats', verdict: HEALTHY, rules: 'Observe', pod: GATED, plans: always(OBSERVED) },
  {
    what: 'beats',
    verdict: HEALTHY,
    rules: 'Annotate',
    pod: UNGATED,
    plans: [shown(received), SAME, shown(received), shown(received)],
  },
  {
    what: 'beats',
    verdict: HEALTHY,
    rules: 'Annotate',
    pod: GATED,
    plans: always(annotated('Its instances are healthy.')),
  },
  {
    what: 'beats',
    verdict: HEALTHY,
    rules: 'Gate',
    pod: UNGATED,
    plans: [shown(received), SAME, shown(received), shown(received)],
  },
  {
    what: 'beats',
    verdict: HEALTHY,
    rules: 'Gate',
    pod: GATED,
    plans: [shown(received), SAME, shown(received), shown(received)],
  },

  { what: 'is silent', verdict: SILENT, rules: 'Observe', pod: UNGATED, plans: [ignored, ignored, OBSERVED, OBSERVED] },
  { what: 'is silent', verdict: SILENT, rules: 'Observe', pod: GATED, plans: always(OBSERVED) },
  {
    what: 'is silent',
    verdict: SILENT,
    rules: 'Annotate',
    pod: UNGATED,
    plans: [shown(expired), shown(expired), SAME, shown(expired)],
  },
  { what: 'is silent', verdict: SILENT, rules: 'Annotate', pod: GATED, plans: always(annotated(expired.message)) },
  {
    what: 'is silent',
    verdict: SILENT,
    rules: 'Gate',
    pod: UNGATED,
    plans: [shown(expired), shown(expired), SAME, shown(expired)],
  },
  {
    what: 'is silent',
    verdict: SILENT,
    rules: 'Gate',
    pod: GATED,
    plans: [shown(expired), withdraw(expired, 'silence'), SAME, shown(expired)],
  },

  {
    what: 'reported DOWN',
    verdict: DOWN,
    rules: 'Observe',
    pod: UNGATED,
    plans: [ignored, ignored, OBSERVED, OBSERVED],
  },
  { what: 'reported DOWN', verdict: DOWN, rules: 'Observe', pod: GATED, plans: always(OBSERVED) },
  { what: 'reported DOWN', verdict: DOWN, rules: 'Annotate', pod: UNGATED, plans: always(shown(down)) },
  { what: 'reported DOWN', verdict: DOWN, rules: 'Annotate', pod: GATED, plans: always(annotated(down.message)) },
  { what: 'reported DOWN', verdict: DOWN, rules: 'Gate', pod: UNGATED, plans: always(shown(down)) },
  {
    what: 'reported DOWN',
    verdict: DOWN,
    rules: 'Gate',
    pod: GATED,
    plans: [shown(down), withdraw(down, 'report'), shown(down), shown(down)],
  },

  {
    what: 'was taken out',
    verdict: TAKEN_OUT,
    rules: 'Observe',
    pod: UNGATED,
    plans: [ignored, ignored, OBSERVED, OBSERVED],
  },
  { what: 'was taken out', verdict: TAKEN_OUT, rules: 'Observe', pod: GATED, plans: always(OBSERVED) },
  { what: 'was taken out', verdict: TAKEN_OUT, rules: 'Annotate', pod: UNGATED, plans: always(shown(takenOut)) },
  {
    what: 'was taken out',
    verdict: TAKEN_OUT,
    rules: 'Annotate',
    pod: GATED,
    plans: always(annotated(takenOut.message)),
  },
  { what: 'was taken out', verdict: TAKEN_OUT, rules: 'Gate', pod: UNGATED, plans: always(shown(takenOut)) },
  { what: 'was taken out', verdict: TAKEN_OUT, rules: 'Gate', pod: GATED, plans: always(shown(takenOut)) },

  { what: 'is paused', verdict: PAUSED, rules: 'Observe', pod: UNGATED, plans: [ignored, ignored, OBSERVED, OBSERVED] },
  { what: 'is paused', verdict: PAUSED, rules: 'Observe', pod: GATED, plans: PAUSE },
  { what: 'is paused', verdict: PAUSED, rules: 'Annotate', pod: UNGATED, plans: PAUSE },
  { what: 'is paused', verdict: PAUSED, rules: 'Annotate', pod: GATED, plans: PAUSE },
  { what: 'is paused', verdict: PAUSED, rules: 'Gate', pod: UNGATED, plans: PAUSE },
  { what: 'is paused', verdict: PAUSED, rules: 'Gate', pod: GATED, plans: PAUSE },

  { what: 'is not there', verdict: NOBODY, rules: 'Observe', pod: UNGATED, plans: [silence, SAME, released, silence] },
  { what: 'is not there', verdict: NOBODY, rules: 'Observe', pod: GATED, plans: [OBSERVED, SAME, released, OBSERVED] },
  { what: 'is not there', verdict: NOBODY, rules: 'Annotate', pod: UNGATED, plans: [silence, SAME, released, silence] },
  {
    what: 'is not there',
    verdict: NOBODY,
    rules: 'Annotate',
    pod: GATED,
    plans: [annotated(NONE_YET), SAME, released, annotated(NONE_YET)],
  },
  { what: 'is not there', verdict: NOBODY, rules: 'Gate', pod: UNGATED, plans: [silence, SAME, released, silence] },
  { what: 'is not there', verdict: NOBODY, rules: 'Gate', pod: GATED, plans: [shown(awaiting), SAME, released, waits] },

  {
    what: 'is unknown',
    verdict: NOTHING_KNOWN,
    rules: 'Observe',
    pod: UNGATED,
    plans: [silence, SAME, OBSERVED, silence],
  },
  {
    what: 'is unknown',
    verdict: NOTHING_KNOWN,
    rules: 'Observe',
    pod: GATED,
    plans: [OBSERVED, SAME, OBSERVED, OBSERVED],
  },
  {
    what: 'is unknown',
    verdict: NOTHING_KNOWN,
    rules: 'Annotate',
    pod: UNGATED,
    plans: [silence, SAME, nobodyIll, silence],
  },
  {
    what: 'is unknown',
    verdict: NOTHING_KNOWN,
    rules: 'Annotate',
    pod: GATED,
    plans: [annotated(NONE_YET), SAME, annotated(NONE_YET), annotated(NONE_YET)],
  },
  {
    what: 'is unknown',
    verdict: NOTHING_KNOWN,
    rules: 'Gate',
    pod: UNGATED,
    plans: [silence, SAME, nobodyIll, silence],
  },
  {
    what: 'is unknown',
    verdict: NOTHING_KNOWN,
    rules: 'Gate',
    pod: GATED,
    plans: [shown(awaiting), SAME, nobodyIll, waits],
  },

  {
    what: 'is not proved silent',
    verdict: UNKNOWN,
    rules: 'Observe',
    pod: UNGATED,
    plans: [silence, SAME, OBSERVED, silence],
  },
  {
    what: 'is not proved silent',
    verdict: UNKNOWN,
    rules: 'Observe',
    pod: GATED,
    plans: [OBSERVED, SAME, undefined, OBSERVED],
  },
  {
    what: 'is not proved silent',
    verdict: UNKNOWN,
    rules: 'Annotate',
    pod: UNGATED,
    plans: [silence, SAME, SAME, silence],
  },
  {
    what: 'is not proved silent',
    verdict: UNKNOWN,
    rules: 'Annotate',
    pod: GATED,
    plans: [annotated(NONE_YET), SAME, undefined, annotated(NONE_YET)],
  },
  {
    what: 'is not proved silent',
    verdict: UNKNOWN,
    rules: 'Gate',
    pod: UNGATED,
    plans: [silence, SAME, SAME, silence],
  },
  {
    what: 'is not proved silent',
    verdict: UNKNOWN,
    rules: 'Gate',
    pod: GATED,
    plans: [shown(awaiting), SAME, SAME, waits],
  },
];

const COLUMNS = [
  { standing: 'has no condition', condition: undefined },
  { standing: 'was healthy', condition: stands(received) },
  { standing: 'was unhealthy', condition: stands(expired) },
  { standing: 'awaits its first heartbeat', condition: stands(awaiting) },
];

const CELLS = MATRIX.flatMap(({ what, verdict, rules, pod, plans }) =>
  COLUMNS.flatMap(({ standing, condition }, column): Row[] => {
    const expected = plans[column];
    if (expected === undefined) return [];
    const title = `${what}, policy ${rules}, ${pod.hasGate === true ? 'gated' : 'without the gate'}, ${standing}`;
    return [{ title, verdict, rules: { enforcement: rules }, pod: { ...pod, condition }, plan: expected }];
  }),
);

describe('What a Pod gets whose instance', () => {
  test.each(CELLS)('$title', expectRow);

  it.each(CELLS.filter(({ rules }) => rules?.enforcement === 'Gate'))('$title: the same without a policy', (row) => {
    expect(plan({ ...row, hasPolicy: false })).toEqual(row.plan(row.pod?.condition));
  });

  it('is in the table for every verdict, policy and Pod', () => {
    const kinds = new Set(MATRIX.map(({ what, rules, pod }) => `${what} ${rules} ${pod.hasGate}`));
    expect(kinds.size).toBe(MATRIX.length);
    expect(MATRIX).toHaveLength(8 * 3 * 2);
  });
});

const OPEN = { initial: 'Open' } as const;
const LATE = { createdSeconds: WALL_SECONDS - 600 };

const BEGINNING: readonly Row[] = [
  {
    title: 'I17: under `initial: Closed` a new Pod waits, and says for what',
    verdict: NOBODY,
    plan: shown(awaiting),
  },
  {
    title: 'I17: a Pod that waits is looked at again when its time is over',
    verdict: NOBODY,
    pod: { condition: stands(awaiting), createdSeconds: WALL_SECONDS - 599 },
    plan: leave(CURRENT, 500),
  },
  {
    title: 'I17: a Pod that was never heard is opened when its time is over',
    verdict: NOBODY,
    pod: { condition: stands(awaiting), ...LATE },
    plan: shown(timedOut),
  },
  {
    title: 'I17: a Pod that we see for the first time when its time is over is opened at once',
    verdict: NOBODY,
    pod: LATE,
    plan: shown(timedOut),
  },
  {
    title: 'I17: a Pod whose instance is known and was never heard is opened as well',
    verdict: UNKNOWN,
    pod: { condition: stands(awaiting), ...LATE },
    plan: shown(timedOut),
  },
  {
    title: "I17: the time is the policy's",
    verdict: NOBODY,
    rules: { openAfterSeconds: 30 },
    pod: { condition: stands(awaiting) },
    plan: shown({ ...timedOut, message: timedOut.message.replace('600 s', '30 s') }),
  },
  {
    title: 'I17: a time of zero opens at once',
    verdict: NOBODY,
    rules: { openAfterSeconds: 0 },
    pod: { createdSeconds: WALL_SECONDS },
    plan: shown({ ...timedOut, message: timedOut.message.replace('600 s', '0 s') }),
  },
  {
    title: 'A Pod that was opened so stays open',
    verdict: NOBODY,
    pod: { condition: stands(timedOut), ...LATE },
    plan: SAME,
  },
  {
    title: 'A Pod that was opened so and is heard at last is healthy, which is no transition',
    pod: { condition: stands(timedOut), ...LATE },
    plan: shown(received),
  },
  {
    title: 'A Pod that was opened so, was heard, and fell silent is withdrawn as any other',
    verdict: SILENT,
    pod: { condition: stands(timedOut), ...LATE },
    plan: withdraw(expired, 'silence'),
  },
  {
    title: 'A clock behind that of the API server opens later, never earlier',
    verdict: NOBODY,
    pod: { condition: stands(awaiting), createdSeconds: WALL_SECONDS + 60 },
    plan: leave(CURRENT, 11 * MINUTE - 0.5 * SECOND),
  },
  {
    title: 'Under `initial: Open` a new Pod is open from the first moment',
    verdict: NOBODY,
    rules: OPEN,
    plan: shown(openAwaiting),
  },
  {
    title: 'Under `initial: Open` it stays open, however long it is not heard',
    verdict: NOBODY,
    rules: OPEN,
    pod: { condition: stands(openAwaiting), ...LATE },
    plan: SAME,
  },
  {
    title:
      'I8, I17: a Pod that was open from the beginning is not closed by an edit of its policy to `initial: Closed`',
    verdict: NOBODY,
    pod: { condition: stands(openAwaiting) },
    plan: SAME,
  },
  {
    title: 'I8, I17: a Pod that was open from the beginning is not closed when its policy is deleted',
    hasPolicy: false,
    verdict: NOBODY,
    pod: { condition: stands(openAwaiting) },
    plan: SAME,
  },
  {
    title: 'A Pod that waits is opened when its policy turns to `initial: Open`',
    verdict: NOBODY,
    rules: OPEN,
    pod: { condition: stands(awaiting) },
    plan: shown(openAwaiting),
  },
  {
    title: 'The first heartbeat opens it',
    pod: { condition: stands(awaiting) },
    plan: shown(received),
  },
];

const STORM: PodHold = { reason: 'StormHold', message: 'Not withdrawn in a storm: 8 of 10 Pods fell silent.' };
const RATE: PodHold = { reason: 'RateLimited', message: 'Not withdrawn yet: one Pod a minute.' };
const FLOOR: PodHold = { reason: 'MinimumHealthyFloor', message: 'Not withdrawn: it is the last one.' };
const HOLDS = [STORM, RATE, FLOOR];

const HELD: readonly Row[] = [
  ...HOLDS.map(
    (hold): Row => ({
      title: `I9: keeps a Pod that serves, whose instances tell why: ${hold.reason}`,
      verdict: SILENT,
      hold,
      pod: { condition: stands(received) },
      plan: leave(heldBy(hold)),
    }),
  ),
  ...HOLDS.map(
    (hold): Row => ({
      title: `I9: keeps a Pod whose application reported itself down just the same: ${hold.reason}`,
      verdict: DOWN,
      hold,
      pod: { condition: stands(received) },
      plan: leave(heldBy(hold)),
    }),
  ),
  {
    title: 'I9: a storm opens again what was withdrawn in its window',
    verdict: SILENT,
    hold: STORM,
    pod: { condition: stands(expired) },
    plan: put(held(STORM), heldBy(STORM)),
  },
  {
    title: 'I9: a storm opens a Pod that has no value yet, too',
    verdict: SILENT,
    hold: STORM,
    plan: put(held(STORM), heldBy(STORM)),
  },
  {
    title: 'I9: a Pod that a storm has opened stays open while it lasts',
    verdict: SILENT,
    hold: STORM,
    pod: { condition: stands(held(STORM)) },
    plan: leave(heldBy(STORM)),
  },
  {
    title: 'I15: a storm that is told in other words causes no write to its Pods',
    verdict: SILENT,
    hold: { ...STORM, message: 'Not withdrawn in a storm: 9 of 10 Pods fell silent.' },
    pod: { condition: stands(held(STORM)) },
    plan: leave(heldBy({ ...STORM, message: 'Not withdrawn in a storm: 9 of 10 Pods fell silent.' })),
  },
  {
    title: 'I9: when the storm is over, a Pod that it has opened asks to be withdrawn as any other',
    verdict: SILENT,
    pod: { condition: stands(held(STORM)) },
    plan: withdraw(expired, 'silence'),
  },
  {
    title: 'I9: when the storm is over, a Pod that came back is healthy, which is no transition',
    pod: { condition: stands(held(STORM)) },
    plan: shown(received),
  },
  ...[RATE, FLOOR].map(
    (hold): Row => ({
      title: `I9: a Pod that is withdrawn already is not opened again by ${hold.reason}`,
      verdict: SILENT,
      hold,
      pod: { condition: stands(expired) },
      plan: SAME,
    }),
  ),
  ...[RATE, FLOOR].map(
    (hold): Row => ({
      title: `I9: a Pod that never served loses nothing by its verdict, whatever ${hold.reason} says`,
      verdict: SILENT,
      hold,
      pod: { condition: stands(awaiting) },
      plan: shown(expired),
    }),
  ),
  ...HOLDS.map(
    (hold): Row => ({
      title: `Recovery is not held: ${hold.reason}`,
      hold,
      pod: { condition: stands(expired) },
      plan: shown(received),
    }),
  ),
  ...HOLDS.map(
    (hold): Row => ({
      title: `A person's decision is not held: ${hold.reason}`,
      verdict: TAKEN_OUT,
      hold,
      pod: { condition: stands(received) },
      plan: shown(takenOut),
    }),
  ),
  ...HOLDS.map(
    (hold): Row => ({
      title: `A Pod without the gate loses no traffic, and shows the truth: ${hold.reason}`,
      verdict: SILENT,
      hold,
      pod: { ...UNGATED, condition: stands(received) },
      plan: shown(expired),
    }),
  ),
  {
    title: 'A policy that enforces nothing needs no brake',
    verdict: SILENT,
    hold: STORM,
    rules: { enforcement: 'Observe' },
    pod: { condition: stands(expired) },
    plan: OBSERVED,
  },
];

const OPT_OUT = { labels: { 'heartbeat-operator.io/gate': 'disabled' } };

const ESCAPES: readonly Row[] = [
  ...(
    [
      ['has no condition', undefined],
      ['waits for its first heartbeat', stands(awaiting)],
      ['is withdrawn', stands(expired)],
      ['is out of service by a person', stands(takenOut)],
      ['serves', stands(received)],
    ] as const
  ).flatMap(([what, condition]): Row[] => [
    {
      title: `I17: uninstalling opens a gated Pod that ${what}`,
      release: 'uninstall',
      verdict: SILENT,
      pod: { condition },
      plan: put(uninstalled, letGo(uninstalled)),
    },
    {
      title: `I17: the label of its owner opens a gated Pod that ${what}`,
      verdict: SILENT,
      pod: { ...OPT_OUT, condition },
      plan: put(optedOut, letGo(optedOut)),
    },
  ]),
  {
    title: 'I17: a Pod that is released stays so, whatever its instances do',
    release: 'uninstall',
    verdict: SILENT,
    pod: { condition: stands(uninstalled) },
    plan: leave(letGo(uninstalled)),
  },
  {
    title: 'I17: a Pod that is released for another reason already is not written again',
    release: 'uninstall',
    verdict: SILENT,
    pod: { ...OPT_OUT, condition: stands(optedOut) },
    plan: leave(letGo(uninstalled)),
  },
  {
    title: 'I17: uninstalling beats a person who took an instance out of service',
    release: 'uninstall',
    verdict: TAKEN_OUT,
    pod: { condition: stands(takenOut) },
    plan: put(uninstalled, letGo(uninstalled)),
  },
  {
    title: 'I17: uninstalling needs no policy and no brake',
    release: 'uninstall',
    verdict: SILENT,
    hold: RATE,
    rules: { enforcement: 'Observe' },
    pod: { condition: stands(expired) },
    plan: put(uninstalled, letGo(uninstalled)),
  },
  {
    title: 'Uninstalling takes the verdict from a Pod without the gate that shows a bad one',
    release: 'uninstall',
    verdict: SILENT,
    pod: { ...UNGATED, condition: stands(expired) },
    plan: put(uninstalled, letGo(uninstalled)),
  },
  ...[undefined, stands(received)].map(
    (condition): Row => ({
      title: `Uninstalling leaves a Pod without the gate alone that ${condition === undefined ? 'has no condition' : 'is healthy'}`,
      release: 'uninstall',
      verdict: SILENT,
      pod: { ...UNGATED, condition },
      plan: leave(letGo(uninstalled)),
    }),
  ),
  {
    title: 'I17: a Pod whose label is taken back is judged again: it beats',
    pod: { condition: stands(optedOut) },
    plan: shown(received),
  },
  {
    title: 'I17: a Pod whose label is taken back is judged again by its policy: it is silent, and passes the brakes',
    verdict: SILENT,
    pod: { condition: stands(optedOut) },
    plan: withdraw(expired, 'silence'),
  },
  ...[SILENT, DOWN].flatMap((verdict) =>
    [optedOut, uninstalled, policyDeleted, gone].map(
      (condition): Row => ({
        title: `I17: without a policy a Pod that was released stays so until it is healthy again (${verdict.cause}): ${condition.message}`,
        hasPolicy: false,
        verdict,
        pod: { condition: stands(condition) },
        plan: leave(RELEASED),
      }),
    ),
  ),
  {
    title: 'I17: without a policy a Pod that was released and beats is healthy, and can be withdrawn from then on',
    hasPolicy: false,
    pod: { condition: stands(policyDeleted) },
    plan: shown(received),
  },
  {
    title: 'I25: a Pod that was released is taken out by a person all the same',
    hasPolicy: false,
    verdict: TAKEN_OUT,
    pod: { condition: stands(uninstalled) },
    plan: shown(takenOut),
  },
  {
    title: 'I25: a Pod that a person took out stays so when its policy is deleted',
    release: 'policyDeleted',
    hasPolicy: false,
    verdict: TAKEN_OUT,
    pod: { condition: stands(takenOut) },
    plan: SAME,
  },
  {
    title: 'I17: a Pod that was withdrawn under a policy is opened when that is deleted',
    release: 'policyDeleted',
    hasPolicy: false,
    verdict: SILENT,
    pod: { condition: stands(expired) },
    plan: put(policyDeleted, letGo(policyDeleted)),
  },
  {
    title: 'Another value of the label means nothing once the Pod runs',
    verdict: SILENT,
    pod: { labels: { 'heartbeat-operator.io/gate': 'enabled' }, condition: stands(received) },
    plan: withdraw(expired, 'silence'),
  },
  {
    title: 'I17: a gated Pod without a policy is judged by the defaults: the gate itself is the wish',
    hasPolicy: false,
    verdict: SILENT,
    pod: { condition: stands(annotate(expired.message)) },
    plan: withdraw(expired, 'silence'),
  },
  {
    title: 'I17: a gated Pod whose policy is deleted and that beats is healthy, which is no transition',
    hasPolicy: false,
    pod: { condition: stands(observe) },
    plan: shown(received),
  },
  {
    title: 'I17: a withdrawn Pod whose policy turns to Observe is open at once',
    verdict: SILENT,
    rules: { enforcement: 'Observe' },
    pod: { condition: stands(expired) },
    plan: OBSERVED,
  },
  {
    title: 'I17: a withdrawn Pod whose last instance is deleted is open at once',
    verdict: NOBODY,
    pod: { condition: stands(expired) },
    plan: released,
  },
  {
    title: 'I17: a Pod that was released by that stays open',
    verdict: NOBODY,
    pod: { condition: stands(gone) },
    plan: SAME,
  },
  {
    title: 'I17: an instance that appears in a released Pod speaks for it again',
    pod: { condition: stands(gone) },
    plan: shown(received),
  },
  ...[{ isTerminating: true }, { isFinished: true }].flatMap((end): Row[] => [
    {
      title: `I16: nothing is written to a Pod that ${end.isFinished ? 'has finished' : 'is being deleted'}: it is silent`,
      verdict: SILENT,
      pod: { ...end, condition: stands(received) },
      plan: leave(TERMINATING),
    },
    {
      title: `I16: nothing is written to a Pod that ${end.isFinished ? 'has finished' : 'is being deleted'}: it never got a value`,
      pod: end,
      plan: leave(TERMINATING),
    },
    {
      title: `I16: nothing is written to a Pod that ${end.isFinished ? 'has finished' : 'is being deleted'}: not even by uninstalling`,
      release: 'uninstall',
      pod: { ...end, condition: stands(expired) },
      plan: leave(TERMINATING),
    },
  ]),
];

const OOM = {
  reason: 'ContainerOOMKilled',
  text: 'The container app of web-1 OOMKilled with exit code 137 (1 restarts).',
};
const explained: Verdict = { ...expired, message: `${expired.message}\n${OOM.text}` };

const CHANGES: readonly Row[] = [
  {
    title: 'A silence that the state of the Pod explains carries the explanation; the reason stays ours',
    verdict: SILENT,
    evidence: OOM,
    pod: { condition: stands(received) },
    plan: withdraw(explained, 'silence'),
  },
  {
    title: 'I15: evidence that changes while the Pod is withdrawn causes no write',
    verdict: SILENT,
    evidence: { reason: 'ContainerWaiting', text: 'The container app of web-1 waits: CrashLoopBackOff.' },
    pod: { condition: stands(explained) },
    plan: SAME,
  },
  {
    title: 'I15: evidence that comes while the Pod is withdrawn causes no write',
    verdict: SILENT,
    evidence: OOM,
    pod: { condition: stands(expired) },
    plan: SAME,
  },
  {
    title: 'I15: evidence that is gone while the Pod is withdrawn causes no write',
    verdict: SILENT,
    pod: { condition: stands(explained) },
    plan: SAME,
  },
  {
    title: 'Under Annotate evidence causes no write either',
    verdict: SILENT,
    evidence: OOM,
    rules: { enforcement: 'Annotate' },
    pod: { condition: stands(annotate(expired.message)) },
    plan: leave(byPolicy('Annotate')),
  },
  {
    title: 'A report and a person need no evidence: both say why themselves',
    verdict: DOWN,
    evidence: OOM,
    pod: { condition: stands(received) },
    plan: withdraw(down, 'report'),
  },
  {
    title: 'I15: a new generation of the Pod alone causes no write',
    pod: { generation: 7, condition: stands(received) },
    plan: SAME,
  },
  {
    title: 'I15: a withdrawn Pod of which another instance falls silent tells of both, and its transition time stays',
    verdict: unhealthy({ unhealthy: ['cart/a', 'cart/b'], instances: 2 }),
    pod: { condition: stands(expired) },
    plan: shown({ ...expired, message: '2 of 2 instances unhealthy (no heartbeat in time): cart/a, cart/b.' }),
  },
  {
    title: 'I15: a withdrawn Pod that is silent for another reason than before tells the new one',
    verdict: unhealthy({ reason: 'NotHeardSinceObserverStart' }),
    pod: { condition: stands(expired) },
    plan: shown({ ...expired, reason: 'NotHeardSinceObserverStart' }),
  },
  {
    title: 'A withdrawn Pod that a person takes out of service as well says so, and stays withdrawn',
    verdict: TAKEN_OUT,
    pod: { condition: stands(expired) },
    plan: shown(takenOut),
  },
  {
    title: 'A healthy Pod tells how many instances are in it',
    verdict: { kind: 'healthy', instances: 2 },
    pod: { condition: stands(received) },
    plan: shown({ ...received, message: 'Heartbeats of its 2 instances arrive in time.' }),
  },
  {
    title: 'Three unhealthy instances are all named',
    verdict: unhealthy({ unhealthy: ['a/1', 'b/2', 'c/3'], instances: 4 }),
    pod: UNGATED,
    plan: shown({ ...expired, message: '3 of 4 instances unhealthy (no heartbeat in time): a/1, b/2, c/3.' }),
  },
  {
    title: 'Of more unhealthy instances three are named and the rest is counted',
    verdict: unhealthy({ unhealthy: ['a/1', 'b/2', 'c/3', 'd/4', 'e/5'], instances: 9 }),
    pod: UNGATED,
    plan: shown({
      ...expired,
      message: '5 of 9 instances unhealthy (no heartbeat in time): a/1, b/2, c/3 and 2 more.',
    }),
  },
  {
    title: 'A condition that somebody else has written in our name is set right',
    pod: { condition: stands(verdict('True', 'Handmade', 'I know better.')) },
    plan: shown(received),
  },
];

describe.each([
  { what: 'A gated Pod before its first heartbeat', rows: BEGINNING },
  { what: 'A brake', rows: HELD },
  { what: 'The way out', rows: ESCAPES },
  { what: 'What is written', rows: CHANGES },
])('$what', ({ rows }) => {
  test.each(rows)('$title', expectRow);
});

describe('A condition that is written', () => {
  it('names the generation of the Pod that it was derived from', () => {
    expect(plan({ pod: { generation: 5 } })).toMatchObject({ kind: 'write', condition: { observedGeneration: 5 } });
  });

  it('has at most 256 characters, whatever the instances are called, and ends where it was cut', () => {
    const names = ['a', 'b', 'c'].map((name) => `${name.repeat(64)}/${'🫀'.repeat(64)}`);
    const result = plan({ verdict: unhealthy({ unhealthy: names, instances: 3 }), evidence: OOM, pod: UNGATED });
    const message = result.kind === 'write' ? result.condition.message : '';
    expect(Array.from(message)).toHaveLength(256);
    expect(message).toMatch(/^3 of 3 instances unhealthy \(no heartbeat in time\): a{64}\/🫀{64}, b{64}.*…$/u);
    expect(message.isWellFormed()).toBe(true);
  });
});

// Arbitrary worlds, for what must hold in all of them.

const anyName = fc
  .tuple(fc.string({ minLength: 1, maxLength: 64 }), fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/))
  .map(([service, instance]) => `${service}/${instance}`);

const anyVerdict: fc.Arbitrary<PodVerdict> = fc.oneof(
  fc.constantFrom(HEALTHY, PAUSED, NOBODY, UNKNOWN),
  fc
    .record({
      cause: fc.constantFrom('person' as const, 'report' as const, 'silence' as const),
      reason: fc.constantFrom('HeartbeatExpired', 'ReportedDown', 'OverriddenOutOfService'),
      unhealthy: fc.array(anyName, { minLength: 1, maxLength: 5 }),
      instances: fc.integer({ min: 1, max: 9 }),
    })
    .map(unhealthy),
);

const anyCondition: fc.Arbitrary<Condition | undefined> = fc.option(
  fc.oneof(
    fc
      .constantFrom(
        received,
        expired,
        explained,
        down,
        takenOut,
        paused,
        awaiting,
        openAwaiting,
        timedOut,
        observe,
        annotate(expired.message),
        gone,
        optedOut,
        uninstalled,
        held(STORM),
      )
      .map(stands),
    fc
      .record({
        status: fc.constantFrom<ConditionStatus>('True', 'False', 'Unknown'),
        reason: fc.constantFrom('HeartbeatExpired', 'AwaitingFirstHeartbeat', 'Released', 'Handmade'),
        message: fc.string(),
      })
      .map(stands),
  ),
  { nil: undefined },
);

const anyPod: fc.Arbitrary<ObservedPod> = fc
  .record({
    hasGate: fc.boolean(),
    condition: anyCondition,
    isTerminating: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.boolean()),
    isFinished: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, fc.boolean()),
    generation: fc.integer({ min: 1, max: 9 }),
    createdSeconds: fc.integer({ min: WALL_SECONDS - 1_200, max: WALL_SECONDS + 60 }),
    labels: fc.constantFrom({}, {}, OPT_OUT.labels),
  })
  .map((parts) => pod('web-1', parts));

function rulesWith(parts: Partial<PodRules>): PodRules {
  return { ...DEFAULT_RULES, ...parts };
}

const anyInput: fc.Arbitrary<PodPlanInput> = fc.record({
  pod: anyPod,
  verdict: anyVerdict,
  rules: fc
    .record({
      enforcement: fc.constantFrom<Enforcement>('Observe', 'Annotate', 'Gate', 'Gate'),
      initial: fc.constantFrom('Open' as const, 'Closed' as const),
      openAfterSeconds: fc.constantFrom(0, 30, 600),
    })
    .map(rulesWith),
  evidence: fc.option(fc.constantFrom(OOM, { reason: 'NodeNotReady', text: 'Its node n is not ready.' }), {
    nil: undefined,
  }),
  hasPolicy: fc.boolean(),
  release: fc.option(fc.constantFrom('uninstall' as const, 'policyDeleted' as const), { nil: undefined, freq: 9 }),
  hold: fc.option(fc.constantFrom(...HOLDS), { nil: undefined }),
  wallMs: fc.constant(WALL),
});

/** The Pod as it is when the plan is carried out. */
function after({ pod }: PodPlanInput, plan: PodPlan): ObservedPod {
  return plan.kind === 'nothing' ? pod : { ...pod, condition: plan.condition };
}

/** Holds in every world, as far as `shape` makes it one of those that are meant. */
function inEvery(
  shape: (input: PodPlanInput) => PodPlanInput,
  claim: (input: PodPlanInput, plan: PodPlan) => void,
): void {
  fc.assert(
    fc.property(anyInput.map(shape), (input) => {
      claim(input, planPod(input));
    }),
    { numRuns: 500 },
  );
}

const world = (input: PodPlanInput): PodPlanInput => input;
const withPod =
  (parts: Partial<ObservedPod>) =>
  (input: PodPlanInput): PodPlanInput => ({ ...input, pod: { ...input.pod, ...parts } });
const liveAndGated = withPod({ hasGate: true, isFinished: false, isTerminating: false });
/** Its gate is open, by whatever words. */
const serving = (input: PodPlanInput): PodPlanInput => {
  const { pod } = liveAndGated(input);
  return { ...input, pod: { ...pod, condition: { ...(pod.condition ?? podCondition()), status: 'True' } } };
};
/** A policy wants it to be gated, and nobody has let it go. */
const enforced = (input: PodPlanInput): PodPlanInput => {
  const { pod, rules } = liveAndGated(input);
  return {
    ...input,
    pod: { ...pod, labels: {} },
    rules: { ...rules, enforcement: 'Gate' },
    hasPolicy: true,
    release: undefined,
  };
};

describe('In every world', () => {
  it('I15: a plan that was carried out leaves nothing to do, now and a second later', () => {
    inEvery(world, (input, plan) => {
      const carriedOut = { ...input, pod: after(input, plan) };
      expect(planPod(carriedOut)).toMatchObject({ kind: 'nothing' });
      const again = planPod({ ...carriedOut, wallMs: input.wallMs + SECOND });
      // What is left is the opening of a Pod whose time is over in that second.
      expect(again.kind === 'nothing' ? 'FirstHeartbeatTimeout' : again.condition.reason).toBe('FirstHeartbeatTimeout');
    });
  });

  it('I15: a new generation alone makes no write of a plan that has none', () => {
    inEvery(world, (input, plan) => {
      const { pod } = input;
      const next = planPod({ ...input, pod: { ...pod, generation: pod.generation + 1 } });
      expect(plan.kind === 'nothing' ? next : plan).toEqual(plan);
    });
  });

  it('I15: every write changes status, reason or message, and the transition time moves with the status alone', () => {
    inEvery(world, ({ pod: { condition: before } }, plan) => {
      if (plan.kind === 'nothing') return;
      const { status, reason, message, lastTransitionSeconds } = plan.condition;
      expect([status, reason, message]).not.toEqual([before?.status, before?.reason, before?.message]);
      expect(lastTransitionSeconds).toBe(before?.status === status ? LONG_AGO : WALL_SECONDS);
    });
  });

  it('I17: a gated Pod that lives never ends without a value', () => {
    inEvery(liveAndGated, (input, plan) => {
      expect(after(input, plan).condition).toBeDefined();
    });
  });

  it('I17: a gated Pod that is released ends open when we are uninstalled', () => {
    inEvery(
      (input) => ({ ...liveAndGated(input), release: 'uninstall' }),
      (input, plan) => expect(after(input, plan).condition).toMatchObject({ status: 'True', reason: 'Released' }),
    );
  });

  it.each([SILENT, DOWN, UNKNOWN, NOBODY, HEALTHY, PAUSED])(
    'I17: a gated Pod that was withdrawn under a policy ends open when that is deleted (%o)',
    (verdict) => {
      inEvery(
        (input) => ({ ...liveAndGated(input), verdict, release: 'policyDeleted' }),
        (input, plan) => expect(after(input, plan).condition).toMatchObject({ status: 'True', reason: 'Released' }),
      );
    },
  );

  it('I17: a gated Pod whose owner has opted out ends open', () => {
    inEvery(
      (input) => withPod(OPT_OUT)(liveAndGated(input)),
      (input, plan) => expect(after(input, plan).condition).toMatchObject({ status: 'True', reason: 'Released' }),
    );
  });

  it.each(['Observe', 'Annotate'] as const)(
    'I17: a gated Pod is never closed by us under the policy %s',
    (enforcement) => {
      inEvery(
        (input) => ({ ...liveAndGated(input), rules: { ...input.rules, enforcement } }),
        (_, plan) => {
          expect(plan.kind === 'nothing' ? 'True' : plan.condition.status).toBe('True');
        },
      );
    },
  );

  it('I17: a gated Pod is closed by us only while an instance in it is unhealthy or was never heard', () => {
    inEvery(liveAndGated, ({ verdict: { kind } }, plan) => {
      if (plan.kind === 'nothing' || plan.condition.status === 'True') return;
      expect([plan.condition.status, kind]).toEqual(kind === 'unhealthy' ? ['False', kind] : ['Unknown', 'unknown']);
    });
  });

  it('a Pod without the gate is never withdrawn', () => {
    inEvery(withPod({ hasGate: false }), (_, plan) => expect(plan.kind).not.toBe('withdraw'));
  });

  it('only a Pod that serves is withdrawn', () => {
    inEvery(liveAndGated, ({ pod }, plan) => {
      expect(plan.kind === 'withdraw' ? pod.condition?.status : 'True').toBe('True');
    });
  });

  it('I8: a Pod that serves loses its traffic only by way of the brakes, or by a person', () => {
    inEvery(serving, ({ verdict }, plan) => {
      if (plan.kind !== 'write' || plan.condition.status === 'True') return;
      expect(verdict).toMatchObject({ kind: 'unhealthy', cause: 'person' });
    });
  });

  it('the brakes are told of exactly those Pods that would be withdrawn if nothing held them', () => {
    inEvery(world, (input) => {
      expect(asksToBeWithdrawn(input)).toBe(planPod({ ...input, hold: undefined }).kind === 'withdraw');
    });
  });

  it.each(HOLDS)('I9: no Pod that serves is withdrawn while it is held: $reason', (hold) => {
    inEvery(
      (input) => ({ ...serving(input), hold }),
      (_, plan) => expect(plan.kind).not.toBe('withdraw'),
    );
  });

  it('recovery is never braked: a gated Pod whose instances are healthy ends open', () => {
    inEvery(
      (input) => ({ ...liveAndGated(input), verdict: HEALTHY }),
      (input, plan) => expect(after(input, plan).condition?.status).toBe('True'),
    );
  });

  it.each([SILENT, DOWN, TAKEN_OUT])(
    'a verdict that nothing holds is shown: an enforced Pod ends closed ($cause)',
    (verdict) => {
      inEvery(
        (input) => ({ ...enforced(input), verdict, hold: undefined }),
        (input, plan) => expect(after(input, plan).condition?.status).toBe('False'),
      );
    },
  );

  it.each([{ isFinished: true }, { isTerminating: true }])(
    'I16: nothing is written to a Pod that has come to its end',
    (end) => {
      inEvery(withPod(end), (_, plan) => {
        expect(plan).toEqual({ kind: 'nothing', synced: TERMINATING, lookAgainMs: undefined });
      });
    },
  );

  it('what stands on a Pod by us has at most 256 characters', () => {
    inEvery(world, (_, plan) => {
      const message = plan.kind === 'nothing' ? '' : plan.condition.message;
      expect(Array.from(message).length).toBeLessThanOrEqual(256);
    });
  });
});

describe('What is written in rare cases', () => {
  it.each(['Observe', 'Annotate'] as const)(
    'I17: a withdrawn Pod of whose instance nothing is known is open under the policy %s',
    (enforcement) => {
      const world = inputOf({ verdict: NOTHING_KNOWN, rules: { enforcement }, pod: { condition: stands(expired) } });
      expect(after(world, planPod(world)).condition?.status).toBe('True');
    },
  );

  // The policy may have been changed while we were away; what the instance does has no part in it.
  it.each(['Observe', 'Annotate'] as const)(
    'I17: a withdrawn Pod whose silence is not proved to us yet is open under the policy %s',
    (enforcement) => {
      const world = inputOf({ verdict: UNKNOWN, rules: { enforcement }, pod: { condition: stands(expired) } });
      expect(after(world, planPod(world)).condition?.status).toBe('True');
    },
  );

  // The silent instance was deleted, or a person took an override back; of the one that is left nothing is known.
  it.each([expired, takenOut, down])(
    'I27: removing the instance that was unhealthy leaves no stale False: $reason',
    (condition) => {
      const world = inputOf({ verdict: NOTHING_KNOWN, pod: { condition: stands(condition) } });
      expect(after(world, planPod(world)).condition?.status).not.toBe('False');
    },
  );

  it('under Annotate the message has at most 256 characters, too', () => {
    const names = ['a', 'b', 'c'].map((name) => `${name.repeat(64)}/${name.repeat(64)}`);
    const result = plan({ verdict: unhealthy({ unhealthy: names }), rules: { enforcement: 'Annotate' } });
    expect(result.kind === 'write' && result.condition.message.length).toBeLessThanOrEqual(256);
  });

  it('what a brake says has at most 256 characters, too', () => {
    const hold: PodHold = {
      ...STORM,
      message: `Not withdrawn in a storm: 8 of 10 Pods of ${'w'.repeat(253)} fell silent.`,
    };
    const result = plan({ verdict: SILENT, hold });
    expect(result.kind === 'write' && result.condition.message.length).toBeLessThanOrEqual(256);
  });

  // The end of the sentence may be a part of a name: `cart/a.` is the beginning of `cart/a.b.`.
  it('another instance whose name is the beginning of the one that is named is named', () => {
    const before = stands({ ...expired, message: expired.message.replace('cart/a', 'cart/a.b') });
    expect(plan({ verdict: SILENT, pod: { condition: before } }).kind).toBe('write');
  });

  // A serviceId may contain anything, even what stands between the instances and the evidence.
  it('another instance is named though the name contains what separates the evidence', () => {
    const first = plan({ verdict: unhealthy({ unhealthy: ['cart — first/1'] }), pod: UNGATED });
    const condition = first.kind === 'write' ? first.condition : undefined;
    const second = unhealthy({ unhealthy: ['cart — second/1'] });
    expect(plan({ verdict: second, pod: { ...UNGATED, condition } }).kind).toBe('write');
  });

  // There is hardly any room left for what stands between the names and the evidence.
  it.each([253, 254, 255, 256])(
    'I15: evidence that comes causes no write when the names alone take %d characters',
    (length) => {
      const rest = length - '1 of 1 instances unhealthy (no heartbeat in time): .'.length;
      const verdict = unhealthy({ unhealthy: ['n'.repeat(rest)] });
      const bare = plan({ verdict, pod: UNGATED });
      const condition = bare.kind === 'write' ? bare.condition : undefined;
      expect(condition?.message).toHaveLength(length);
      expect(plan({ verdict, evidence: OOM, pod: { ...UNGATED, condition } }).kind).toBe('nothing');
    },
  );
});
