import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PodStanding } from '../../src/brakes/pod-standing.ts';
import type { Storm } from '../../src/brakes/storm.ts';
import type { WithdrawalStep } from '../../src/brakes/withdrawals.ts';
import { MINUTE, SECOND, TTL } from '../support/builders.ts';
import { rules, uids } from './support/pod-standings.ts';
import { WithdrawalWorld } from './support/withdrawal-world.ts';

const WORKLOADS = ['a', 'b', 'c'];
const NODES = ['n1', 'n2', ''];
const PROPERTY_RULES = rules({ withdrawalPercentPerMinute: 30, storm: { minimum: 3, maxDurationSeconds: 200 } });

type Move =
  | { readonly kind: 'add' | 'silence' | 'report' | 'recover' | 'remove' | 'notReady'; readonly pod: number }
  | { readonly kind: 'pass'; readonly steps: number }
  | { readonly kind: 'canWrite'; readonly canWrite: boolean };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('add', 'silence', 'silence', 'report', 'recover', 'remove', 'notReady'),
      pod: fc.nat(23),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), steps: fc.nat(120) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('canWrite' as const), canWrite: fc.boolean() }) },
);

const moves = fc.array(move, { maxLength: 60, size: 'max' });

function makeMove(world: WithdrawalWorld, move: Move): void {
  if (move.kind === 'canWrite') {
    world.canWrite = move.canWrite;
    return;
  }
  if (move.kind === 'pass') return;
  const uid = `uid-${move.pod}`;
  const isThere = world.pods.some((pod) => pod.uid === uid);
  if (move.kind === 'add') {
    if (isThere) return;
    const workload = WORKLOADS[move.pod % 3] ?? '';
    world.add([uid], { workload, node: NODES[Math.floor(move.pod / 3) % 3] ?? '', rules: PROPERTY_RULES });
    return;
  }
  if (!isThere) return;
  if (move.kind === 'remove') world.remove([uid]);
  else if (move.kind === 'recover') world.recover([uid]);
  else if (move.kind === 'notReady') world.change([uid], { isNodeReady: !world.pod(uid).isNodeReady });
  else if (world.pod(uid).isFresh) world.fallSilent([uid], move.kind === 'report' ? 'report' : 'silence');
}

/** Makes the moves, with a step after each, and tells what every step found. */
function play(
  moves: readonly Move[],
  seed: number,
  afterStep: (world: WithdrawalWorld, step: Step) => void,
): WithdrawalWorld {
  const world = new WithdrawalWorld({ seed, perSecond: 3 });
  for (const pod of uids(24)) makeMove(world, { kind: 'add', pod: Number(pod.slice('uid-'.length)) });
  for (const move of moves) {
    makeMove(world, move);
    const steps = move.kind === 'pass' ? move.steps : 1;
    for (let count = 0; count < steps; count += 1) {
      const before = world.pods;
      afterStep(world, { ...world.step(), before });
      world.pass();
    }
  }
  return world;
}

type Step = WithdrawalStep & { readonly before: readonly PodStanding[] };

/** The fleet is too small for a storm of all. */
const GROUPS = [
  ...WORKLOADS.map((name) => ({
    scope: 'workload',
    name,
    isMember: (pod: PodStanding): boolean => pod.workload === name,
    percent: 50,
    minimum: 3,
  })),
  ...['n1', 'n2'].map((name) => ({
    scope: 'node',
    name,
    isMember: (pod: PodStanding): boolean => pod.node === name,
    percent: 50,
    minimum: 5,
  })),
];

/** The newly silent and the fresh Pods of a group, counted as a reader of the rules would. */
function countOf(pods: readonly PodStanding[], nowMs: number): { readonly silent: number; readonly fresh: number } {
  const counted = pods.filter((pod) => pod.isNodeReady);
  return {
    silent: counted.filter(({ silentSinceMs: since }) => since !== undefined && nowMs - since <= TTL).length,
    fresh: counted.filter((pod) => pod.isFresh).length,
  };
}

describe('Withdrawals, whatever happens', () => {
  it('I9: every Pod that asks is either granted or held, and one that is fresh is neither', () => {
    fc.assert(
      fc.property(moves, fc.nat(), (moves, seed) => {
        play(moves, seed, (world) => {
          const wrong = world.pods.filter((pod) => {
            const isGranted = world.withdrawals.isGranted(pod.uid, world.nowMs);
            const isHeld = world.withdrawals.holdOf(pod.uid) !== undefined;
            if (pod.isFresh) return isGranted || isHeld;
            return pod.request !== 'none' && isGranted === isHeld;
          });
          expect(wrong).toEqual([]);
        });
      }),
    );
  });

  it('I8: no more Pods are granted than the rates allow, in any window', () => {
    fc.assert(
      fc.property(moves, fc.nat(), (moves, seed) => {
        const grants: {
          readonly uid: string;
          readonly workload: string;
          readonly atMs: number;
          readonly limit: number;
        }[] = [];
        play(moves, seed, (world, { granted, before }) => {
          for (const uid of granted) {
            const { workload } = world.pod(uid);
            const pods = before.filter((pod) => pod.workload === workload).length;
            const limit = Math.max(1, Math.ceil((30 * pods) / 100));
            grants.push({ uid, workload, atMs: world.nowMs, limit });
          }
          const inSecond = grants.filter(({ atMs }) => world.nowMs - atMs < SECOND);
          expect(inSecond.length).toBeLessThanOrEqual(3);
          for (const last of grants.filter(({ atMs }) => atMs === world.nowMs)) {
            const inMinute = grants.filter((one) => one.workload === last.workload && last.atMs - one.atMs < MINUTE);
            expect(new Set(inMinute.map(({ uid }) => uid)).size).toBeLessThanOrEqual(last.limit);
          }
        });
      }),
    );
  });

  it('I11: no grant leaves fewer than the floor in service', () => {
    fc.assert(
      fc.property(moves, fc.nat(), (moves, seed) => {
        play(moves, seed, (world, { granted }) => {
          for (const uid of granted) {
            const { workload } = world.pod(uid);
            const serving = world.pods.filter(
              (pod) => pod.workload === workload && pod.isServing && !world.withdrawals.isGranted(pod.uid, world.nowMs),
            );
            expect(serving.length).toBeGreaterThanOrEqual(PROPERTY_RULES.minHealthy);
          }
        });
      }),
    );
  });

  it('I9: a storm begins where a plain count says so, and where none is active the count says no', () => {
    fc.assert(
      fc.property(moves, fc.nat(), (moves, seed) => {
        // What was silent when a storm ended by its maximum does not count any more, in no group.
        let isSpent = false;
        play(moves, seed, (world, { began, ended, before }) => {
          isSpent ||= ended.some(({ why }) => why === 'maximumDuration');
          const active = world.withdrawals.storms;
          const wrong = GROUPS.filter(({ scope, name, isMember, percent, minimum }) => {
            const { silent, fresh } = countOf(before.filter(isMember), world.nowMs);
            const isMassive = silent >= minimum && silent * 100 >= percent * (silent + fresh);
            const isOne = (storm: Storm): boolean => storm.scope === scope && storm.name === name;
            return began.some(isOne) ? !isMassive : isMassive && !active.some(isOne) && !isSpent;
          });
          expect(wrong).toEqual([]);
          expect(active.filter(({ name }) => name === '')).toEqual([]);
        });
      }),
    );
  });

  it('I10: when the silence ends every storm ends, within one time to live, and nothing is left to do', () => {
    fc.assert(
      fc.property(moves, fc.nat(), (moves, seed) => {
        const world = play(moves, seed, () => undefined);
        world.recover(world.pods.map((pod) => pod.uid));
        expect(world.holds).toEqual({});
        world.run(TTL + SECOND);
        expect([world.withdrawals.storms, world.withdrawals.isIdle, world.withdrawn]).toEqual([[], true, []]);
      }),
    );
  });

  it('I10: when all Pods are gone every storm ends at the next step or after one time to live', () => {
    fc.assert(
      fc.property(moves, fc.nat(), (moves, seed) => {
        const world = play(moves, seed, () => undefined);
        world.remove(world.pods.map((pod) => pod.uid));
        world.run(TTL + SECOND);
        expect([world.withdrawals.storms, world.withdrawals.isIdle]).toEqual([[], true]);
      }),
    );
  });

  it('the same moves with the same random numbers come to the same', () => {
    fc.assert(
      fc.property(moves, fc.nat(), (moves, seed) => {
        const [first, second] = [0, 1].map(() => {
          const log: unknown[] = [];
          play(moves, seed, (_, { granted, changed, began, ended }) => log.push([granted, changed, began, ended]));
          return log;
        });
        expect(second).toEqual(first);
      }),
      { numRuns: 20 },
    );
  });
});
