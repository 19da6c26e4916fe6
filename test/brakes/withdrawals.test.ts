import { describe, expect, it, test } from 'vitest';
import { type Hold, holdMessage } from '../../src/brakes/hold.ts';
import type { PodRules } from '../../src/health/observed-policy.ts';
import type { PodStanding } from '../../src/brakes/pod-standing.ts';
import { GRANT_MS } from '../../src/brakes/withdrawals.ts';
import { MINUTE, SECOND, TTL } from '../support/builders.ts';
import { rules, uids } from './support/pod-standings.ts';
import { STEP_MS, WithdrawalWorld } from './support/withdrawal-world.ts';

const WEB = 'shop/Deployment/web';

/** Rules under which neither floor nor storm nor the rate of the workload holds anybody. */
const FREE: PodRules = rules({
  minHealthy: 0,
  storm: { percent: 100, minimum: 10_000 },
  withdrawalPercentPerMinute: 100,
});

/** Each of these Pods on a node of its own. */
function spread(world: WithdrawalWorld, uids: readonly string[], parts: Partial<PodStanding> = {}): void {
  for (const uid of uids) world.add([uid], { node: `node-of-${uid}`, ...parts });
}

describe('A Pod that asks to be withdrawn', () => {
  it('is granted it at once when no brake holds it', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(3));
    world.fallSilent(['uid-0']);
    expect(world.step()).toEqual({ granted: ['uid-0'], changed: [], began: [], ended: [] });
    expect(world.withdrawn).toEqual(['uid-0']);
    expect(world.withdrawals.holdOf('uid-0')).toBeUndefined();
  });

  it('has neither grant nor hold before the first step', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(3));
    world.fallSilent(['uid-0']);
    expect(world.withdrawals.isGranted('uid-0', 0)).toBe(false);
    expect(world.withdrawals.holdOf('uid-0')).toBeUndefined();
    expect(world.withdrawals.isIdle).toBe(false);
  });

  it('is granted it also if it fell silent before our time, which is no storm', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(6), { rules: rules({ withdrawalPercentPerMinute: 100, minHealthy: 0 }) });
    world.change(uids(6), { isFresh: false, request: 'silence' });
    expect(world.step()).toMatchObject({ granted: { length: 6 }, began: [] });
  });

  it('nobody asks: nothing is to be done, and no step is needed', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(3));
    expect(world.withdrawals.isIdle).toBe(true);
    expect(world.step()).toEqual({ granted: [], changed: [], began: [], ended: [] });
  });

  it('that is fresh does not ask, whatever it says', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(3));
    world.change(['uid-0'], { request: 'silence' });
    expect(world.step().granted).toEqual([]);
  });

  it('a Pod without the gate never asks, but its silence counts for the storm that holds others', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(5));
    world.change(uids(4), { isFresh: false, silentSinceMs: 0 });
    world.fallSilent(['uid-4']);
    expect(world.step()).toMatchObject({ granted: [], changed: ['uid-4'], began: [{ silentCount: 5 }] });
    expect(world.holds).toEqual({ StormHold: 1 });
  });

  it('is done with when it is withdrawn and its silence is old', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(3));
    world.fallSilent(['uid-0']);
    world.runUntil(TTL);
    expect(world.withdrawals.isIdle).toBe(false);
    world.run(STEP_MS);
    expect(world.withdrawals.isIdle).toBe(true);
  });
});

describe('A grant', () => {
  it('stands until the Pod is withdrawn, and is told once', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(3));
    world.fallSilent(['uid-0']);
    world.step();
    world.run(STEP_MS);
    expect(world.step().granted).toEqual([]);
    expect(world.withdrawals.isGranted('uid-0', world.nowMs)).toBe(true);
    world.change(['uid-0'], { isWithdrawn: true, isServing: false, request: 'none' });
    expect(world.withdrawals.isGranted('uid-0', world.nowMs)).toBe(false);
  });

  it('stands when the Pod is looked at again and still asks', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(3));
    world.fallSilent(['uid-0']);
    world.step();
    world.change(['uid-0'], { ttlMs: TTL + 1 });
    expect(world.withdrawals.isGranted('uid-0', 0)).toBe(true);
  });

  it('ends at once when the Pod is fresh again', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(3));
    world.fallSilent(['uid-0']);
    world.step();
    world.recover(['uid-0']);
    expect(world.withdrawals.isGranted('uid-0', 0)).toBe(false);
  });

  it('lapses if it is not used in time, to the millisecond, and the Pod asks anew', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(3));
    world.fallSilent(['uid-0']);
    world.step();
    expect(world.withdrawals.isGranted('uid-0', GRANT_MS - 1)).toBe(true);
    expect(world.withdrawals.isGranted('uid-0', GRANT_MS)).toBe(false);
    expect(world.withdrawals.step(GRANT_MS - 1).granted).toEqual([]);
    expect(world.withdrawals.step(GRANT_MS).granted).toEqual(['uid-0']);
  });

  it('does not lapse while the withdrawal is under way, and the Pod does not count as serving', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(2), { rules: rules({ withdrawalPercentPerMinute: 100, storm: { minimum: 100 } }) });
    world.fallSilent(uids(2));
    const [first = '', ...others] = world.step().granted;
    expect(others).toEqual([]);
    world.withdrawals.setUnderWay(first, true);
    world.run(3 * GRANT_MS);
    expect(world.withdrawals.isGranted(first, world.nowMs)).toBe(true);
    expect(world.holds).toEqual({ MinimumHealthyFloor: 1 });
    world.withdrawals.setUnderWay(first, false);
    expect(world.withdrawals.isGranted(first, world.nowMs)).toBe(false);
  });

  it('I11: is no longer enough when others stopped serving meanwhile', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(2));
    world.fallSilent(['uid-0']);
    expect(world.step().granted).toEqual(['uid-0']);
    expect(world.withdrawals.isAboveFloor('uid-0')).toBe(true);
    world.withdrawals.setServing('uid-1', false);
    expect(world.withdrawals.isAboveFloor('uid-0')).toBe(false);
    world.withdrawals.setServing('uid-1', true);
    expect(world.withdrawals.isAboveFloor('uid-0')).toBe(true);
  });

  it('that lapsed costs the workload nothing more: the Pod counts once in a minute, and is granted again', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(10), { rules: rules({ withdrawalPercentPerMinute: 20, storm: { minimum: 100 } }) });
    world.fallSilent(uids(2));
    world.step();
    world.run(2 * GRANT_MS);
    expect(uids(2).filter((uid) => world.withdrawals.isGranted(uid, world.nowMs))).toEqual(uids(2));
  });

  it('I22: that lapsed gives way: others of its workload that wait have their turn when a minute is over', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(10), { rules: rules({ withdrawalPercentPerMinute: 20, storm: { minimum: 100 } }) });
    world.fallSilent(uids(3));
    world.step();
    const waiting = uids(3).find((uid) => !world.withdrawals.isGranted(uid, world.nowMs));
    world.run(2 * GRANT_MS);
    expect(world.holds).toEqual({ RateLimited: 3 });
    world.run(MINUTE - 2 * GRANT_MS + SECOND);
    expect(world.withdrawals.isGranted(waiting ?? '', world.nowMs)).toBe(true);
  });

  it('I8: withdrawals that could not be written for long do not pile up and happen all at once', () => {
    const world = new WithdrawalWorld({ perSecond: 10 });
    world.canWrite = false;
    for (const uid of uids(2000)) world.add([uid], { workload: uid, node: uid, rules: FREE });
    world.change(uids(2000), { isFresh: false, request: 'silence' });
    world.run(5 * MINUTE);
    const granted = uids(2000).filter((uid) => world.withdrawals.isGranted(uid, world.nowMs));
    expect(granted.length).toBeLessThanOrEqual((10 * GRANT_MS) / SECOND);
    expect(granted.length).toBeGreaterThan(0);
  });

  it('is taken back by a storm that captures the Pod', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(5));
    world.fallSilent(['uid-0']);
    expect(world.step().granted).toEqual(['uid-0']);
    world.fallSilent(uids(4, 1));
    expect([...world.step().changed].sort()).toEqual(uids(5));
    expect(world.withdrawals.isGranted('uid-0', 0)).toBe(false);
  });

  it('that was used while the storm took it back leads to a Pod that is opened again', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(5));
    world.fallSilent(['uid-0']);
    world.step();
    world.fallSilent(uids(4, 1));
    world.step();
    world.change(['uid-0'], { isWithdrawn: true, isServing: false, request: 'none' });
    expect(world.withdrawals.holdOf('uid-0')?.reason).toBe('StormHold');
  });
});

describe('I8: the rate', () => {
  test.each([
    { pods: 1, percent: 15, perMinute: 1 },
    { pods: 7, percent: 15, perMinute: 2 },
    { pods: 20, percent: 15, perMinute: 3 },
    { pods: 100, percent: 7, perMinute: 7 },
    { pods: 10, percent: 100, perMinute: 10 },
  ])('of a workload with $pods Pods and $percent %: $perMinute in a minute', ({ pods, percent, perMinute }) => {
    const world = new WithdrawalWorld({ perSecond: 1000 });
    const storm = { minimum: 10_000 };
    spread(world, uids(pods), { rules: rules({ minHealthy: 0, withdrawalPercentPerMinute: percent, storm }) });
    // Silent since before our time, which is no storm either.
    world.change(uids(pods), { isFresh: false, request: 'silence' });
    world.runUntil(MINUTE - 1);
    expect(world.withdrawn).toHaveLength(perMinute);
    expect(world.holds).toEqual(pods === perMinute ? {} : { RateLimited: pods - perMinute });
    world.run(1);
    expect(world.withdrawn).toHaveLength(Math.min(pods, 2 * perMinute));
  });

  it('of all: so many in a second, whatever the workload', () => {
    const world = new WithdrawalWorld({ perSecond: 10 });
    for (const uid of uids(50)) world.add([uid], { workload: uid, node: uid, rules: FREE });
    world.change(uids(50), { isFresh: false, request: 'silence' });
    world.runUntil(SECOND - 1);
    expect(world.withdrawn).toHaveLength(10);
    expect(world.withdrawals.holdOf(uids(50).find((uid) => !world.withdrawn.includes(uid)) ?? '')).toEqual({
      reason: 'RateLimited',
      limit: { kind: 'all', perSecond: 10 },
    });
    world.runUntil(5 * SECOND);
    expect(world.withdrawn).toHaveLength(50);
  });

  it('of all below one a second is one in more than a second', () => {
    const world = new WithdrawalWorld({ perSecond: 0.5 });
    for (const uid of uids(3)) world.add([uid], { workload: uid, node: uid, rules: FREE });
    world.fallSilent(uids(3));
    world.runUntil(4 * SECOND);
    expect(world.withdrawnLog.map(({ atMs }) => atMs)).toEqual([0, 2000, 4000]);
  });

  it('is the lowest that one of the Pods of the workload has', () => {
    const world = new WithdrawalWorld();
    const storm = { minimum: 100 };
    spread(world, uids(9), { rules: rules({ withdrawalPercentPerMinute: 100, storm }) });
    spread(world, ['uid-9'], { rules: rules({ withdrawalPercentPerMinute: 20, storm }) });
    world.fallSilent(uids(5));
    world.step();
    expect(world.withdrawn).toHaveLength(2);
    world.remove(['uid-9']);
    world.step();
    expect(world.withdrawn).toHaveLength(5);
  });

  it('victims come in random order, so that no workload is taken first', () => {
    const world = new WithdrawalWorld({ perSecond: 40, seed: 7 });
    for (const [index, uid] of uids(400).entries()) {
      world.add([uid], { workload: `w${index < 200 ? 0 : 1}`, node: uid, rules: FREE });
    }
    world.change(uids(400), { isFresh: false, request: 'silence' });
    world.step();
    const ofTheFirst = world.withdrawn.filter((uid) => world.pod(uid).workload === 'w0').length;
    expect(world.withdrawn).toHaveLength(40);
    expect(ofTheFirst).toBeGreaterThan(8);
    expect(ofTheFirst).toBeLessThan(32);
  });

  it('lets every Pod through in the end', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(20), { rules: rules({ minHealthy: 0, storm: { minimum: 100 } }) });
    world.change(uids(20), { isFresh: false, request: 'silence' });
    world.run(5 * MINUTE);
    expect(world.withdrawn).toHaveLength(18);
    world.run(MINUTE);
    expect(world.withdrawn).toHaveLength(20);
  });

  it('does not hold a Pod that a person closed meanwhile', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(5), { rules: rules({ storm: { minimum: 100 } }) });
    world.fallSilent(uids(2));
    world.step();
    const held = uids(2).find((uid) => !world.withdrawn.includes(uid)) ?? '';
    world.change([held], { isWithdrawn: true, isServing: false, request: 'none' });
    expect(world.withdrawals.holdOf(held)).toBeUndefined();
  });

  it('does not hold those that come back, and what they used up stays used', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(5), { rules: rules({ storm: { minimum: 100 } }) });
    world.fallSilent(uids(2));
    world.step();
    const [first = ''] = world.withdrawn;
    world.recover([first]);
    expect(world.withdrawn).toEqual([]);
    world.run(SECOND);
    expect([world.withdrawn, world.holds]).toEqual([[], { RateLimited: 1 }]);
  });
});

describe('I11: the floor', () => {
  it('of three that are all silent keeps one', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(3));
    world.fallSilent(uids(3));
    world.run(10 * MINUTE);
    expect(world.withdrawn).toHaveLength(2);
    const kept = uids(3).find((uid) => !world.withdrawn.includes(uid)) ?? '';
    expect(world.withdrawals.holdOf(kept)).toEqual({ reason: 'MinimumHealthyFloor', workload: WEB, minHealthy: 1 });
  });

  test.each([
    { pods: 1, minHealthy: 1, withdrawn: 0 },
    { pods: 1, minHealthy: 0, withdrawn: 1 },
    { pods: 4, minHealthy: 3, withdrawn: 1 },
    { pods: 4, minHealthy: 9, withdrawn: 0 },
    { pods: 4, minHealthy: 0, withdrawn: 4 },
  ])('with minHealthy $minHealthy takes $withdrawn of $pods', ({ pods, minHealthy, withdrawn }) => {
    const world = new WithdrawalWorld();
    spread(world, uids(pods), { rules: rules({ minHealthy, withdrawalPercentPerMinute: 100 }) });
    world.fallSilent(uids(pods));
    world.step();
    expect(world.withdrawn).toHaveLength(withdrawn);
    expect(world.holds).toEqual(withdrawn === pods ? {} : { MinimumHealthyFloor: pods - withdrawn });
  });

  test.each<{ readonly title: string; readonly others: Partial<PodStanding>; readonly isWithdrawn: boolean }>([
    { title: 'is fresh and serves', others: {}, isWithdrawn: true },
    { title: 'is fresh, but not ready', others: { isServing: false }, isWithdrawn: false },
    { title: 'has no instance, but serves', others: { isFresh: false }, isWithdrawn: true },
    { title: 'is of another workload', others: { workload: 'shop/Deployment/other' }, isWithdrawn: false },
  ])('counts another Pod that $title: $isWithdrawn', ({ others, isWithdrawn }) => {
    const world = new WithdrawalWorld();
    spread(world, ['uid-0']);
    spread(world, ['uid-1'], others);
    world.fallSilent(['uid-0']);
    world.step();
    expect(world.withdrawn).toEqual(isWithdrawn ? ['uid-0'] : []);
  });

  it('asks who else serves, also of a Pod that does not serve itself', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(2));
    spread(world, ['uid-2'], { isServing: false, workload: 'shop/Deployment/other' });
    world.change(['uid-0'], { isServing: false });
    world.fallSilent(['uid-0', 'uid-2']);
    world.step();
    expect(world.withdrawn).toEqual(['uid-0']);
    expect(world.withdrawals.holdOf('uid-2')?.reason).toBe('MinimumHealthyFloor');
  });

  it('no longer counts a Pod that was removed', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(2));
    world.remove(['uid-1']);
    world.fallSilent(['uid-0']);
    world.step();
    expect(world.holds).toEqual({ MinimumHealthyFloor: 1 });
  });

  it('counts a Pod that may be withdrawn but is not yet as one that does not serve', () => {
    const world = new WithdrawalWorld();
    world.canWrite = false;
    spread(world, uids(2), { rules: rules({ withdrawalPercentPerMinute: 100 }) });
    world.fallSilent(['uid-0']);
    world.step();
    world.fallSilent(['uid-1']);
    expect(world.step()).toMatchObject({ granted: [], changed: ['uid-1'] });
  });

  it('is the highest that one of the Pods of the workload has', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(2), { rules: rules({ minHealthy: 0 }) });
    spread(world, ['uid-2'], { rules: rules({ minHealthy: 2 }) });
    world.fallSilent(uids(2));
    world.step();
    expect(world.withdrawn).toHaveLength(1);
    world.run(2 * MINUTE);
    expect([world.withdrawn.length, world.holds]).toEqual([1, { MinimumHealthyFloor: 1 }]);
  });

  it('lets a Pod go when another one comes back', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(2));
    world.fallSilent(uids(2));
    world.run(2 * MINUTE);
    const [first = ''] = world.withdrawn;
    const kept = uids(2).find((uid) => uid !== first) ?? '';
    world.recover([first]);
    world.run(SECOND);
    expect(world.withdrawn).toEqual([kept]);
  });

  it('holds also Pods of a node that is not ready', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(2), { isNodeReady: false });
    world.fallSilent(uids(2));
    world.run(5 * MINUTE);
    expect([world.withdrawn.length, world.holds]).toEqual([1, { MinimumHealthyFloor: 1 }]);
  });
});

describe('I9: the storm', () => {
  it('holds 8 of 10 silent Pods, and opens again the first ones that were withdrawn', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    const most: number[] = [];
    for (const uid of uids(8)) {
      world.fallSilent([uid]);
      world.run(2 * SECOND);
      most.push(world.withdrawn.length);
    }
    expect(most).toEqual([1, 2, 2, 2, 0, 0, 0, 0]);
    expect(world.holds).toEqual({ StormHold: 8 });
    expect(uids(10).every((uid) => world.pod(uid).isServing)).toBe(true);
    world.run(MINUTE);
    const hold = world.withdrawals.holdOf('uid-0');
    expect(hold === undefined ? '' : holdMessage(hold)).toBe(
      'Not withdrawn in a storm: 8 of 10 Pods of shop/Deployment/web fell silent within 120 s.',
    );
    expect(world.withdrawals.storms).toHaveLength(1);
  });

  it('captures deadlines that are spread over half a minute, however they fall', () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const world = new WithdrawalWorld({ seed });
      spread(world, uids(40));
      for (const [index, uid] of uids(40).entries()) {
        world.runUntil(Math.floor((index * 30 * SECOND) / 40));
        world.fallSilent([uid]);
      }
      world.run(SECOND);
      expect(world.withdrawn).toEqual([]);
      expect(world.holds).toEqual({ StormHold: 40 });
    }
  });

  it('leaves Pods withdrawn that fell silent long before', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(12));
    world.fallSilent(uids(2));
    world.run(3 * MINUTE);
    expect(world.withdrawn).toEqual(uids(2));
    world.fallSilent(uids(8, 2));
    world.run(SECOND);
    expect([world.withdrawn, world.holds]).toEqual([uids(2), { StormHold: 8 }]);
  });

  it('opens no Pod that was never in service in this silence: closed by a person, before our time, or starting', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    spread(world, ['uid-10'], { isFresh: false, isServing: false, isWithdrawn: true, silentSinceMs: 0 });
    world.fallSilent(uids(8));
    world.run(SECOND);
    expect(world.withdrawn).toEqual(['uid-10']);
    expect(world.withdrawals.holdOf('uid-10')).toBeUndefined();
    expect(world.withdrawals.storms).toMatchObject([{ silentCount: 8 }]);
  });

  it('does not begin among Pods that report from the first moment that they start', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10), { isFresh: false, isServing: false, isWithdrawn: true, silentSinceMs: 0 });
    world.run(SECOND);
    expect([world.began, world.withdrawn.length]).toEqual([[], 10]);
  });

  it('holds a mass of reports that something is down as it holds silence', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    world.fallSilent(uids(6), 'report');
    world.run(SECOND);
    expect([world.withdrawn, world.holds]).toEqual([[], { StormHold: 6 }]);
    expect(world.began).toMatchObject([{ scope: 'workload', silentCount: 6, reportedCount: 6 }]);
  });

  it('remembers of a withdrawn Pod that it had reported itself down', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    world.fallSilent(['uid-0'], 'report');
    world.run(SECOND);
    expect(world.withdrawn).toEqual(['uid-0']);
    world.fallSilent(uids(5, 1));
    world.run(SECOND);
    expect(world.began).toMatchObject([{ silentCount: 6, reportedCount: 1 }]);
  });

  it('is one of a node when it goes through workloads, and others go on being withdrawn', () => {
    const world = new WithdrawalWorld();
    for (const index of [0, 1, 2, 3, 4, 5]) {
      const parts = { workload: `shop/Deployment/w${index}` };
      world.add([`one-${index}`], { ...parts, node: 'node-1' });
      world.add([`two-${index}`, `three-${index}`], { ...parts, node: 'node-2' });
    }
    world.fallSilent(['one-0', 'one-1', 'one-2', 'one-3', 'one-4', 'one-5', 'two-0']);
    world.run(SECOND);
    expect(world.began.map(({ scope, name }) => `${scope} ${name}`)).toEqual(['node node-1']);
    expect([world.withdrawn, world.holds]).toEqual([['two-0'], { StormHold: 6 }]);
  });

  it('names the wider one when it begins, and tells of it', () => {
    const world = new WithdrawalWorld();
    world.add(uids(5), { workload: 'a' });
    world.add(uids(3, 5), { workload: 'b' });
    world.add(uids(10, 8), { workload: 'a', node: 'node-2' });
    world.add(uids(20, 20), { workload: 'a', rules: rules({ storm: { percent: 10 } }) });
    world.fallSilent(uids(5));
    world.step();
    expect(world.withdrawals.holdOf('uid-0')).toMatchObject({ storm: { scope: 'workload', name: 'a' } });
    world.remove(uids(20, 20));
    expect([...world.step().changed].sort()).toEqual(uids(5));
    expect(world.withdrawals.holdOf('uid-0')).toMatchObject({ storm: { scope: 'node', name: 'node-1' } });
  });

  it('of a wider group captures a Pod that it holds already when another instance in it falls silent', () => {
    const world = new WithdrawalWorld();
    world.add(uids(5), { workload: 'a', node: 'node-1' });
    world.add(uids(6, 5), { workload: 'b', node: 'node-1' });
    world.fallSilent(uids(5));
    world.run(TTL + SECOND);
    // By now their silence is old: that of the node is of the others alone.
    for (const uid of uids(6, 5)) world.change([uid], { workload: `of-${uid}` });
    world.fallSilent(uids(6, 5));
    world.run(SECOND);
    expect(world.withdrawals.holdOf('uid-0')).toMatchObject({ storm: { scope: 'workload' } });
    world.change(['uid-0'], { silentSinceMs: world.nowMs });
    expect(world.step().changed).toEqual(['uid-0']);
    expect(world.withdrawals.holdOf('uid-0')).toMatchObject({ storm: { scope: 'node' } });
  });

  it('lets a Pod go whose node is not ready, while it holds the others', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    world.fallSilent(uids(8));
    world.run(SECOND);
    world.change(['uid-0'], { isNodeReady: false });
    world.step();
    expect([world.withdrawn, world.holds]).toEqual([['uid-0'], { StormHold: 7 }]);
  });

  test.each<{ readonly title: string; readonly parts: Partial<PodStanding> }>([
    {
      title: 'a person closed',
      parts: { isWithdrawn: true, isServing: false, request: 'none', silentSinceMs: undefined },
    },
    { title: 'is enforced no longer', parts: { request: 'none' } },
  ])('does not hold a Pod that $title', ({ parts }) => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    world.fallSilent(uids(8));
    world.run(SECOND);
    world.change(['uid-0'], parts);
    expect(world.withdrawals.holdOf('uid-0')).toBeUndefined();
    world.step();
    expect(world.withdrawals.holdOf('uid-0')).toBeUndefined();
    expect(world.holds).toEqual({ StormHold: 7 });
  });

  it('lets a Pod go at once that is heard', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    world.fallSilent(uids(8));
    world.run(SECOND);
    world.recover(['uid-0']);
    expect(world.withdrawals.holdOf('uid-0')).toBeUndefined();
    expect(world.withdrawals.isGranted('uid-0', world.nowMs)).toBe(false);
  });

  it('a node that is not ready is not our storm: floor and rate decide', () => {
    const world = new WithdrawalWorld();
    world.add(uids(10), { isNodeReady: false });
    world.fallSilent(uids(10));
    world.step();
    expect(world.began).toEqual([]);
    expect([world.withdrawn.length, world.holds]).toEqual([2, { RateLimited: 8 }]);
    world.run(10 * MINUTE);
    expect([world.withdrawn.length, world.holds]).toEqual([9, { MinimumHealthyFloor: 1 }]);
  });

  it('a node that turns out not to be ready ends the storm that it began', () => {
    const world = new WithdrawalWorld();
    world.add(uids(6, 0), { node: 'node-1' });
    world.add(uids(6, 6), { node: 'node-2' });
    world.fallSilent(uids(6));
    world.run(SECOND);
    expect(world.holds).toEqual({ StormHold: 6 });
    world.change(uids(6), { isNodeReady: false });
    world.step();
    expect(world.ended.map(({ scope, why }) => `${scope} ${why}`).sort()).toEqual(['node gone', 'workload gone']);
    expect([world.withdrawn.length, world.holds]).toEqual([2, { RateLimited: 4 }]);
  });

  it('tells of each Pod whose hold changed, and of no other', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    world.fallSilent(uids(4));
    const first = world.step();
    expect([...first.granted, ...first.changed].sort()).toEqual(uids(4));
    expect(world.step()).toEqual({ granted: [], changed: [], began: [], ended: [] });
    world.fallSilent(['uid-4']);
    expect([...world.step().changed].sort()).toEqual(uids(5));
    expect(world.step().changed).toEqual([]);
  });
});

describe('I10: after the storm', () => {
  it('by recovery those that are still silent are withdrawn by floor and rate', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    world.fallSilent(uids(8));
    world.run(MINUTE);
    world.recover(uids(7));
    world.run(TTL - SECOND);
    expect([world.withdrawn, world.holds]).toEqual([[], { StormHold: 1 }]);
    world.run(2 * SECOND);
    expect(world.ended).toMatchObject([{ why: 'recovered', silentCount: 8 }]);
    expect([world.withdrawn, world.holds]).toEqual([['uid-7'], {}]);
  });

  it('by its maximum the silent ones are withdrawn by floor and rate, and no second storm holds them', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    world.fallSilent(uids(10));
    world.runUntil(600 * SECOND - 1);
    expect([world.withdrawn, world.holds]).toEqual([[], { StormHold: 10 }]);
    world.run(STEP_MS);
    expect(world.ended).toMatchObject([{ why: 'maximumDuration' }]);
    expect([world.withdrawn.length, world.holds]).toEqual([2, { RateLimited: 8 }]);
    world.run(10 * MINUTE);
    expect([world.withdrawn.length, world.holds]).toEqual([9, { MinimumHealthyFloor: 1 }]);
    expect(world.began).toHaveLength(1);
  });

  it('scaling from 100 to 20 neither begins one nor leaves one', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(100));
    world.fallSilent(uids(60));
    world.run(SECOND);
    expect(world.holds).toEqual({ StormHold: 60 });
    world.remove([...uids(60), ...uids(20, 60)]);
    world.run(SECOND);
    expect(world.ended.map(({ why }) => why)).toEqual(['gone', 'gone']);
    world.run(5 * MINUTE);
    expect([world.withdrawals.storms, world.began.length, world.withdrawals.isIdle]).toEqual([[], 2, true]);
  });

  it('a withdrawn Pod that could not be opened again before the end is held no longer', () => {
    const world = new WithdrawalWorld();
    spread(world, uids(10));
    world.fallSilent(['uid-0']);
    world.run(SECOND);
    world.canWrite = false;
    world.fallSilent(uids(5, 1));
    world.run(SECOND);
    expect(world.withdrawals.holdOf('uid-0')?.reason).toBe('StormHold');
    world.remove(uids(5, 1));
    expect(world.step().changed).toEqual([]);
    world.recover(uids(4, 6));
    world.change(['uid-0'], { isNodeReady: false });
    expect(world.step().changed).toEqual(['uid-0']);
    expect(world.withdrawals.holdOf('uid-0')).toBeUndefined();
  });
});

describe('The message of a hold', () => {
  test.each<{ readonly hold: Hold; readonly message: string }>([
    {
      hold: { reason: 'MinimumHealthyFloor', workload: WEB, minHealthy: 2 },
      message: 'Not withdrawn: fewer than 2 Pods of shop/Deployment/web would be left in service.',
    },
    {
      hold: { reason: 'RateLimited', limit: { kind: 'workload', workload: WEB, perMinute: 2 } },
      message: 'Not withdrawn yet: no more than 2 Pods of shop/Deployment/web are withdrawn in a minute.',
    },
    {
      hold: { reason: 'RateLimited', limit: { kind: 'all', perSecond: 10 } },
      message: 'Not withdrawn yet: no more than 10 Pods are withdrawn in a second.',
    },
  ])('$message', ({ hold, message }) => {
    expect(holdMessage(hold)).toBe(message);
  });
});
