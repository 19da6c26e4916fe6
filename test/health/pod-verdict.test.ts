/* oxlint-disable unicorn/consistent-function-scoping -- A word that one group of tests uses stands in that group. */
import { describe, expect, it, test } from 'vitest';
import { effectiveTiming } from '../../src/health/health-plan.ts';
import { freshVerdict, healthyVerdict } from '../../src/health/instance-health.ts';
import { REPORTED_VALUES, type ReportedValue } from '../../src/health/observed-instance.ts';
import {
  type BoundInstance,
  isReplacedBy,
  podVerdict,
  type PodVerdict,
  type ServiceInstance,
} from '../../src/health/pod-verdict.ts';
import type { Belief, BeliefKind } from '../../src/liveness/liveness-engine.ts';
import { belief, condition, freshStatus, MINUTE, observed, SECOND, TIMING, TTL } from '../support/builders.ts';

const NOW = 1_000_000;

const silentFor = (ms: number, parts: Partial<Belief> = {}): Belief =>
  belief(NOW, { kind: 'stale', lastHeardMs: NOW - ms - TTL, deadlineMs: NOW - ms, ...parts });
const staleBeforeOurTime = belief(NOW, {
  kind: 'stale',
  firstHeardMs: undefined,
  lastHeardMs: undefined,
  deadlineMs: undefined,
});
const unheard = belief(NOW, { kind: 'unheard', firstHeardMs: undefined, lastHeardMs: undefined });
const awaiting = belief(NOW, {
  kind: 'awaiting',
  firstHeardMs: undefined,
  lastHeardMs: undefined,
  deadlineMs: undefined,
});

/** An instance that beats, unless `parts` say otherwise. */
function instance(name: string, parts: Partial<BoundInstance> = {}): BoundInstance {
  return {
    name: `cart/${name}`,
    belief: belief(NOW),
    isPaused: false,
    isOutOfService: false,
    reported: undefined,
    fresh: condition(),
    isSuperseded: false,
    isUnproven: false,
    ...parts,
  };
}

const reported = (value: ReportedValue): Pick<BoundInstance, 'reported'> => ({
  reported: { value, wallMs: 1, podUid: undefined },
});

interface Row {
  readonly title: string;
  readonly instances: readonly BoundInstance[];
  readonly verdict: PodVerdict;
}

const ROWS: readonly Row[] = [
  { title: 'Nobody is in it', instances: [], verdict: { kind: 'unknown', instances: 0, isUnproven: false } },
  { title: 'One that beats', instances: [instance('a')], verdict: { kind: 'healthy', instances: 1 } },
  {
    title: 'I27: two services that both beat',
    instances: [instance('a'), instance('b')],
    verdict: { kind: 'healthy', instances: 2 },
  },
  {
    title: 'One that fell silent',
    instances: [instance('a', { belief: silentFor(5 * SECOND) })],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'HeartbeatExpired',
      unhealthy: ['cart/a'],
      instances: 1,
      sinceMs: NOW - 5 * SECOND,
      ttlMs: TTL,
    },
  },
  {
    title: 'I27: one of two services fell silent: the Pod is as healthy as the worst of them',
    instances: [instance('a'), instance('b', { belief: silentFor(5 * SECOND) })],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'HeartbeatExpired',
      unhealthy: ['cart/b'],
      instances: 2,
      sinceMs: NOW - 5 * SECOND,
      ttlMs: TTL,
    },
  },
  {
    title:
      'Several that fell silent are named in order; the cause is there since the latest deadline, for the longest time to live',
    instances: [
      instance('c', { belief: silentFor(9 * SECOND, { ttlMs: 3 * TTL }) }),
      instance('a', { belief: silentFor(5 * SECOND) }),
      instance('b', { belief: silentFor(MINUTE) }),
    ],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'HeartbeatExpired',
      unhealthy: ['cart/a', 'cart/b', 'cart/c'],
      instances: 3,
      sinceMs: NOW - 5 * SECOND,
      ttlMs: 3 * TTL,
    },
  },
  {
    title: 'One that was not heard since our start, for its whole time to live',
    instances: [instance('a', { belief: silentFor(SECOND, { firstHeardMs: undefined, lastHeardMs: undefined }) })],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'NotHeardSinceObserverStart',
      unhealthy: ['cart/a'],
      instances: 1,
      sinceMs: NOW - SECOND,
      ttlMs: TTL,
    },
  },
  {
    title: 'One that was silent before our time: since when is not known',
    instances: [instance('a', { belief: staleBeforeOurTime })],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'NotHeardSinceObserverStart',
      unhealthy: ['cart/a'],
      instances: 1,
      sinceMs: undefined,
      ttlMs: TTL,
    },
  },
  {
    title: 'One that was silent before our time and has had its time to live since: its object tells for what reason',
    instances: [
      instance('a', { belief: staleBeforeOurTime, fresh: condition({ status: 'False', reason: 'HeartbeatExpired' }) }),
    ],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'HeartbeatExpired',
      unhealthy: ['cart/a'],
      instances: 1,
      sinceMs: undefined,
      ttlMs: TTL,
    },
  },
  {
    title: 'I2: one that was silent before our time and that we have not listened to for its time to live',
    instances: [instance('a', { belief: staleBeforeOurTime, isUnproven: true })],
    verdict: { kind: 'unknown', instances: 1, isUnproven: true },
  },
  {
    title: 'I2: one whose silence is not proved beside one that beats',
    instances: [instance('a', { belief: staleBeforeOurTime, isUnproven: true }), instance('b')],
    verdict: { kind: 'unknown', instances: 2, isUnproven: true },
  },
  {
    title: 'One whose silence is not proved hides no silence that is',
    instances: [
      instance('a', { belief: staleBeforeOurTime, isUnproven: true }),
      instance('b', { belief: silentFor(SECOND) }),
    ],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'HeartbeatExpired',
      unhealthy: ['cart/b'],
      instances: 2,
      sinceMs: NOW - SECOND,
      ttlMs: TTL,
    },
  },
  {
    title: 'I25: one whose silence is not proved is taken out by a person all the same',
    instances: [instance('a', { belief: staleBeforeOurTime, isUnproven: true, isOutOfService: true })],
    verdict: {
      kind: 'unhealthy',
      cause: 'person',
      reason: 'OverriddenOutOfService',
      unhealthy: ['cart/a'],
      instances: 1,
      sinceMs: undefined,
      ttlMs: TTL,
    },
  },
  {
    title: 'One that was replaced needs no proof: it leaves the AND',
    instances: [instance('a', { belief: staleBeforeOurTime, isUnproven: true, isSuperseded: true }), instance('b')],
    verdict: { kind: 'healthy', instances: 1 },
  },
  {
    title: 'I13: one that was fresh before our time and is not heard yet is as healthy as it was',
    instances: [instance('a', { belief: unheard })],
    verdict: { kind: 'healthy', instances: 1 },
  },
  {
    title: 'One that must be heard again after a pause',
    instances: [instance('a', { belief: unheard, fresh: condition({ status: 'Unknown' }) })],
    verdict: { kind: 'unknown', instances: 1, isUnproven: false },
  },
  {
    title: 'One of whom nothing is written yet and that is not heard since our start',
    instances: [instance('a', { belief: unheard, fresh: undefined })],
    verdict: { kind: 'unknown', instances: 1, isUnproven: false },
  },
  {
    title: 'One that was never heard',
    instances: [instance('a', { belief: awaiting, fresh: condition({ status: 'Unknown' }) })],
    verdict: { kind: 'unknown', instances: 1, isUnproven: false },
  },
  {
    title: 'One that beats and one of whom nothing is known',
    instances: [instance('a'), instance('b', { belief: awaiting })],
    verdict: { kind: 'unknown', instances: 2, isUnproven: false },
  },
  {
    title: 'One of whom nothing is known hides no silence',
    instances: [instance('a', { belief: awaiting }), instance('b', { belief: silentFor(SECOND) })],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'HeartbeatExpired',
      unhealthy: ['cart/b'],
      instances: 2,
      sinceMs: NOW - SECOND,
      ttlMs: TTL,
    },
  },
  ...(
    [
      ['DOWN', 'ReportedDown'],
      ['OUTOFSERVICE', 'ReportedOutOfService'],
      ['STARTING', 'ReportedStarting'],
    ] as const
  ).map(
    ([value, reason]): Row => ({
      title: `One that beats and reported ${value}: there is no deadline that passed`,
      instances: [instance('a', reported(value))],
      verdict: {
        kind: 'unhealthy',
        cause: 'report',
        reason,
        unhealthy: ['cart/a'],
        instances: 1,
        sinceMs: undefined,
        ttlMs: TTL,
      },
    }),
  ),
  ...(['UP', 'TESTING'] as const).map(
    (value): Row => ({
      title: `One that beats and reported ${value}`,
      instances: [instance('a', reported(value))],
      verdict: { kind: 'healthy', instances: 1 },
    }),
  ),
  {
    title: 'One that reported DOWN before our time and is not heard yet',
    instances: [instance('a', { belief: unheard, ...reported('DOWN') })],
    verdict: {
      kind: 'unhealthy',
      cause: 'report',
      reason: 'ReportedDown',
      unhealthy: ['cart/a'],
      instances: 1,
      sinceMs: undefined,
      ttlMs: TTL,
    },
  },
  {
    title: 'One that reported DOWN and then fell silent is silent',
    instances: [instance('a', { belief: silentFor(SECOND), ...reported('DOWN') })],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'HeartbeatExpired',
      unhealthy: ['cart/a'],
      instances: 1,
      sinceMs: NOW - SECOND,
      ttlMs: TTL,
    },
  },
  {
    title: 'I25: one that a person took out of service, whatever it does and says',
    instances: [instance('a', { isOutOfService: true, ...reported('UP') })],
    verdict: {
      kind: 'unhealthy',
      cause: 'person',
      reason: 'OverriddenOutOfService',
      unhealthy: ['cart/a'],
      instances: 1,
      sinceMs: undefined,
      ttlMs: TTL,
    },
  },
  {
    title: 'Of several causes a person leads, and all that are unhealthy are named',
    instances: [
      instance('a', { belief: silentFor(SECOND) }),
      instance('b', reported('DOWN')),
      instance('c', { isOutOfService: true }),
      instance('d'),
    ],
    verdict: {
      kind: 'unhealthy',
      cause: 'person',
      reason: 'OverriddenOutOfService',
      unhealthy: ['cart/a', 'cart/b', 'cart/c'],
      instances: 4,
      sinceMs: NOW - SECOND,
      ttlMs: TTL,
    },
  },
  {
    title: 'Of a report and a silence the report leads',
    instances: [instance('a', { belief: silentFor(SECOND) }), instance('b', reported('STARTING'))],
    verdict: {
      kind: 'unhealthy',
      cause: 'report',
      reason: 'ReportedStarting',
      unhealthy: ['cart/a', 'cart/b'],
      instances: 2,
      sinceMs: NOW - SECOND,
      ttlMs: TTL,
    },
  },
  { title: 'I25: one that is paused', instances: [instance('a', { isPaused: true })], verdict: { kind: 'paused' } },
  {
    title: 'I25: one that is paused and silent',
    instances: [instance('a', { isPaused: true, belief: silentFor(SECOND, { isPaused: true }) })],
    verdict: { kind: 'paused' },
  },
  {
    title: 'One that is paused leaves the AND to the others: they beat',
    instances: [instance('a', { isPaused: true, belief: silentFor(SECOND) }), instance('b')],
    verdict: { kind: 'healthy', instances: 1 },
  },
  {
    title: 'One that is paused leaves the AND to the others: they are silent',
    instances: [instance('a', { isPaused: true }), instance('b', { belief: silentFor(SECOND) })],
    verdict: {
      kind: 'unhealthy',
      cause: 'silence',
      reason: 'HeartbeatExpired',
      unhealthy: ['cart/b'],
      instances: 1,
      sinceMs: NOW - SECOND,
      ttlMs: TTL,
    },
  },
  {
    title: 'One that was replaced after a restart of its container leaves the AND and the count',
    instances: [instance('a', { belief: silentFor(SECOND), isSuperseded: true }), instance('b')],
    verdict: { kind: 'healthy', instances: 1 },
  },
  {
    title: 'I27: one that was replaced leaves no stale False behind when it alone is left',
    instances: [instance('a', { belief: silentFor(SECOND), isSuperseded: true })],
    verdict: { kind: 'unknown', instances: 0, isUnproven: false },
  },
];

describe('The verdict on a Pod', () => {
  test.each(ROWS)('$title', ({ instances, verdict }) => {
    expect(podVerdict(instances)).toEqual(verdict);
  });

  test.each(ROWS)('does not depend on the order of its instances: $title', ({ instances, verdict }) => {
    expect(podVerdict(instances.toReversed())).toEqual(verdict);
  });
});

/** One state of an instance, and what is written of it. */
interface State {
  readonly kind: BeliefKind;
  readonly freshBefore: 'True' | 'False' | 'Unknown' | undefined;
  readonly value: ReportedValue | undefined;
  readonly isPaused: boolean;
  readonly isOutOfService: boolean;
}

const BELIEFS: Readonly<Record<BeliefKind, Belief>> = {
  fresh: belief(NOW),
  stale: silentFor(SECOND),
  unheard,
  awaiting,
};

/** Every state that an instance can be in; one restored as stale had a `Fresh` of False, and no other one can have. */
function* states(): Generator<State> {
  const before = {
    fresh: [undefined, 'True', 'False', 'Unknown'],
    stale: [undefined, 'True', 'False', 'Unknown'],
  } as const;
  const possible = { ...before, unheard: [undefined, 'True', 'Unknown'], awaiting: [undefined, 'Unknown'] } as const;
  for (const kind of ['fresh', 'stale', 'unheard', 'awaiting'] as const) {
    for (const freshBefore of possible[kind]) {
      for (const value of [undefined, ...REPORTED_VALUES]) {
        for (const isPaused of [false, true]) {
          for (const isOutOfService of [false, true]) {
            yield { kind, freshBefore, value, isPaused, isOutOfService };
          }
        }
      }
    }
  }
}

/** `Healthy` of the instance, and the verdict on a Pod in which it is alone. */
function bothVerdicts({ kind, freshBefore, value, isPaused, isOutOfService }: State): readonly [string, string] {
  const believed: Belief = { ...BELIEFS[kind], isPaused };
  const before = freshBefore === undefined ? undefined : condition({ status: freshBefore });
  const report = value === undefined ? undefined : ({ value, wallMs: 1, podUid: undefined } as const);
  const timing = effectiveTiming(undefined, undefined, TIMING);
  const healthy = healthyVerdict(
    freshVerdict(believed, timing, before, (ms) => ms),
    {
      wish: { outOfService: isOutOfService, paused: isPaused },
      reported: report,
      isSuperseded: false,
      evidence: undefined,
    },
    undefined,
  );
  const parts = { belief: believed, isPaused, isOutOfService, reported: report, fresh: before };
  return [healthy.status, podVerdict([instance('a', parts)]).kind];
}

const AS_STATUS: Readonly<Record<string, string>> = {
  healthy: 'True',
  unhealthy: 'False',
  unknown: 'Unknown',
  paused: 'Unknown',
};

describe('An instance that is alone in its Pod', () => {
  const disagreements = [...states()].filter((state) => {
    const [healthy, verdict] = bothVerdicts(state);
    return healthy !== AS_STATUS[verdict];
  });

  it('is called what its Pod is called, whatever it does, says, and what a person decided', () => {
    const others = disagreements.filter(
      ({ isPaused, isOutOfService, kind }) => !(isPaused && isOutOfService) && (kind === 'fresh' || kind === 'stale'),
    );
    expect(others).toEqual([]);
    expect([...states()]).toHaveLength(13 * 6 * 4);
  });

  // Else the object would say False/OverriddenOutOfService, and its Pod True/Paused and go on serving.
  it('I25: is out of service in its Pod, too, if a person took it out and paused it as well', () => {
    expect(disagreements.filter(({ isPaused, isOutOfService }) => isPaused && isOutOfService)).toEqual([]);
  });

  // Else the object would say Unknown/AwaitingFirstHeartbeat, and its Pod False/ReportedDown.
  it('is not down in its Pod by a report that its own verdict leaves aside, as it is not judged yet', () => {
    expect(
      disagreements.filter(({ kind, isPaused }) => !isPaused && (kind === 'unheard' || kind === 'awaiting')),
    ).toEqual([]);
  });
});

const freshSince = (firstHeardMs: number): Belief => belief(NOW, { firstHeardMs, lastHeardMs: NOW - 1 });
/** One that was first heard a minute ago, and whose object is of that moment. */
const after = (createdSeconds: number): ServiceInstance => ({
  belief: freshSince(NOW - MINUTE),
  observed: observed('new', { createdSeconds }),
});
/** One of two that lived side by side for weeks. */
const side = (name: string, belief: Belief): ServiceInstance => ({
  belief,
  observed: observed(name, {
    createdSeconds: 1_762_000_000,
    status: freshStatus({ lastHeartbeatWallMs: 1_763_000_000_000 }),
  }),
});
const both = (a: Belief, b: Belief): boolean =>
  isReplacedBy({ belief: a, observed: undefined }, { belief: b, observed: undefined });

describe('An instance was replaced by another of its service in the Pod', () => {
  const silent = (lastHeardMs: number | undefined): Belief =>
    belief(NOW, { kind: 'stale', firstHeardMs: lastHeardMs, lastHeardMs, deadlineMs: NOW - SECOND });
  it('if that one is fresh and was first heard after the last heartbeat of the silent one', () => {
    expect(both(silent(1_000), freshSince(1_001))).toBe(true);
  });

  it.each([
    { what: 'was heard while it still beat: they live side by side', other: freshSince(999) },
    { what: 'was first heard in the same millisecond', other: freshSince(1_000) },
    { what: 'is silent itself', other: belief(NOW, { kind: 'stale', firstHeardMs: 2_000, lastHeardMs: 2_000 }) },
    { what: 'was not heard since our start', other: unheard },
    { what: 'was never heard', other: awaiting },
  ])('not if that one $what', ({ other }) => {
    expect(both(silent(1_000), other)).toBe(false);
  });

  it.each(['fresh', 'unheard', 'awaiting'] as const)('not while it is %s itself', (kind) => {
    expect(both({ ...silent(1_000), kind }, freshSince(2_000))).toBe(false);
  });

  describe('when it fell silent before our time', () => {
    const lastHeartbeatWallMs = 1_763_000_000_000;
    const before = (parts: { lastHeartbeatWallMs: number | undefined }) => ({
      belief: staleBeforeOurTime,
      observed: observed('old', { status: freshStatus(parts) }),
    });

    it.each([
      { what: 'appeared a second after its last heartbeat', created: 1_763_000_001, isReplaced: true },
      { what: 'appeared in the second of its last heartbeat', created: 1_763_000_000, isReplaced: true },
      { what: 'appeared before its last heartbeat', created: 1_762_999_000, isReplaced: false },
    ])('is told by the stored moments: the other $what', ({ created, isReplaced }) => {
      expect(isReplacedBy(before({ lastHeartbeatWallMs }), after(created))).toBe(isReplaced);
    });

    it('is so if the other has no object yet: it has only just appeared', () => {
      const other = { belief: freshSince(NOW - SECOND), observed: undefined };
      expect(isReplacedBy(before({ lastHeartbeatWallMs }), other)).toBe(true);
    });

    it.each([before({ lastHeartbeatWallMs: undefined }), { belief: staleBeforeOurTime, observed: undefined }])(
      'is not so if nobody knows when it was last heard',
      (old) => {
        expect(isReplacedBy(old, after(1_763_999_999))).toBe(false);
      },
    );

    it('is told of one unheard since our start for its whole time to live just the same', () => {
      const old = { ...before({ lastHeartbeatWallMs }), belief: silent(undefined) };
      expect(isReplacedBy(old, after(1_763_000_001))).toBe(true);
    });
  });

  describe('when that was found already', () => {
    const found = {
      belief: staleBeforeOurTime,
      observed: observed('old', {
        status: freshStatus({ healthy: condition({ status: 'Unknown', reason: 'Superseded' }) }),
      }),
    };
    const successor = (belief: Belief): ServiceInstance => ({ belief, observed: observed('new') });

    it('stays so after our restart, while the other may still be fresh', () => {
      expect(isReplacedBy(found, successor(unheard))).toBe(true);
      expect(isReplacedBy({ ...found, observed: observed('old', { status: freshStatus() }) }, successor(unheard))).toBe(
        false,
      );
    });

    it('stays so when the other is heard, whatever the moments say', () => {
      expect(isReplacedBy(found, successor(freshSince(NOW - SECOND)))).toBe(true);
    });

    it('ends when the other falls silent as well: nobody is left who took its place', () => {
      expect(isReplacedBy(found, successor(silentFor(SECOND)))).toBe(false);
    });

    it('ends when it is heard itself', () => {
      expect(isReplacedBy({ ...found, belief: belief(NOW) }, successor(freshSince(NOW - SECOND)))).toBe(false);
    });
  });

  // `firstHeardMs` begins anew with every process: of two that lived side by side for weeks one is heard later than the
  // other after our start.
  it('not if that one was there long before, and only we heard it for the first time', () => {
    expect(isReplacedBy(side('a', silent(1_000)), side('b', freshSince(25_000)))).toBe(false);
  });
});
