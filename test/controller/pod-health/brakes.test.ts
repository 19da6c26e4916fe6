/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_RULES } from '../../../src/health/observed-policy.ts';
import { HOUR, MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { names, PodWorld, WITHDRAWN_AFTER } from '../../support/pod-world.ts';

const TEN = names(10);
const EIGHT = TEN.slice(0, 8);

/** Who was withdrawn, with when, in the order in which it was written. */
function withdrawals(world: PodWorld): readonly { readonly name: string; readonly atWallMs: number }[] {
  return world.cluster.podWrites.filter(({ status, outcome }) => status === 'False' && outcome === 'pod');
}

/** The most withdrawals in any window of this length. */
function mostWithin(world: PodWorld, windowMs: number): number {
  const moments = withdrawals(world).map(({ atWallMs }) => atWallMs);
  return Math.max(0, ...moments.map((from) => moments.filter((at) => at >= from && at < from + windowMs).length));
}

/** These fall silent, one every `apartMs`, so that their deadlines are spread like that. */
async function fallSilent(world: PodWorld, podNames: readonly string[], apartMs: number): Promise<void> {
  world.silence(podNames);
  for (const name of podNames) {
    world.beat(name);
    await world.pass(apartMs);
  }
}

describe('The rate', () => {
  it('I8: lets 15 percent of a workload be withdrawn in a minute, and says of the others what they wait for', async () => {
    const world = await PodWorld.started();
    const fleet = names(40);
    await world.givenServing(fleet);
    await fallSilent(world, fleet.slice(0, 18), 0);
    await world.pass(TTL + SECOND);
    expect(withdrawals(world).length).toBe(6);
    const held = fleet.slice(0, 18).filter((name) => world.pod(name).condition?.status === 'True');
    for (const name of held) {
      world.expectSynced(name, 'False', 'RateLimited');
      world.expectHealthy(name, 'False', 'HeartbeatExpired');
    }
    await world.pass(3 * MINUTE);
    expect(withdrawals(world).length).toBe(18);
    expect(mostWithin(world, MINUTE)).toBe(6);
  });

  it('I8: lets no more Pods be withdrawn in a second, over all workloads, than the setting says', async () => {
    const world = await PodWorld.started({ withdrawalsPerSecond: 2 });
    for (let index = 0; index < 12; index += 1) {
      await world.givenServing(names(10, `w${index}`), { workload: `Deployment/w${index}` });
    }
    const silent = Array.from({ length: 12 }, (_, index) => `w${index}-0`);
    await fallSilent(world, silent, 0);
    await world.pass(TTL + 500);
    expect(withdrawals(world).length).toBe(2);
    await world.pass(10 * SECOND);
    expect(withdrawals(world).length).toBe(12);
    expect(mostWithin(world, SECOND)).toBe(2);
  });

  it('I8: does not slow down a recovery', async () => {
    const world = await PodWorld.started();
    const fleet = names(40);
    await world.givenServing(fleet);
    const silent = fleet.slice(0, 12);
    await fallSilent(world, silent, 0);
    await world.pass(TTL + 3 * MINUTE);
    expect(world.servingOf(fleet).length).toBe(28);
    for (const name of silent) world.beat(name);
    await world.pass(100);
    expect(world.servingOf(fleet).length).toBe(40);
  });

  it('I8: chooses whom to withdraw by chance and not by name', async () => {
    const seen = new Set<string>();
    for (let run = 0; run < 6; run += 1) {
      const world = await PodWorld.started({ random: () => run / 6 });
      await world.givenServing(TEN);
      await fallSilent(world, TEN.slice(0, 4), 0);
      await world.pass(TTL + SECOND);
      for (const { name } of withdrawals(world)) seen.add(name);
    }
    expect(seen.size).toBeGreaterThan(2);
  });
});

describe('A storm', () => {
  it('I9: holds when 8 of 10 fall silent at once: resources say False, Pods stay True, and everyone says why', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules');
    await world.givenServing(TEN);
    await fallSilent(world, EIGHT, 0);
    await world.pass(TTL + 20 * SECOND);
    const message = '8 of 10 Pods of default/Deployment/web fell silent within 120 s.';
    for (const name of EIGHT) {
      world.expectHealthy(name, 'False', 'HeartbeatExpired');
      world.expectSynced(name, 'False', 'StormHold');
      expect(world.object(name).status?.podSynced?.message).toBe(`Not withdrawn in a storm: ${message}`);
    }
    expect(world.servingOf(TEN)).toEqual(TEN);
    expect(withdrawals(world)).toEqual([]);
    expect(world.policyStatus('rules')).toMatchObject({
      counts: { live: 10, fresh: 2, stale: 8, held: 8 },
      stormActive: { status: 'True', reason: 'StormHold', message },
    });
    expect(world.told.began.map(({ scope, name }) => `${scope} ${name}`)).toEqual(['workload default/Deployment/web']);
  });

  it('I9: opens again those that were withdrawn before it was one, when the deadlines are spread over the interval', async () => {
    const world = await PodWorld.started();
    await world.givenServing(TEN);
    await fallSilent(world, EIGHT, 3 * SECOND);
    await world.pass(TTL - 24 * SECOND + 10 * SECOND);
    expect(withdrawals(world).length).toBe(2);
    await world.pass(20 * SECOND);
    expect(world.servingOf(TEN)).toEqual(TEN);
    const reopened = withdrawals(world).map(({ name }) => name);
    for (const name of reopened) {
      world.expectPod(name, 'True', 'StormHold');
      world.expectSynced(name, 'False', 'StormHold');
    }
    expect(reopened.length).toBe(2);
    await world.pass(5 * MINUTE);
    expect(withdrawals(world).length).toBe(2);
    expect(world.servingOf(TEN)).toEqual(TEN);
  });

  it('I10: ends by recovery, and every Pod that came back shows its heartbeats at once', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules');
    await world.givenServing(TEN);
    await fallSilent(world, EIGHT, 0);
    await world.pass(TTL + MINUTE);
    world.keepBeating(EIGHT);
    await world.pass(100);
    expect(world.shown(TEN)).toEqual(TEN.map(() => 'True/HeartbeatReceived'));
    for (const name of EIGHT) world.expectSynced(name, 'True', 'PodConditionCurrent');
    await world.pass(TTL + 20 * SECOND);
    expect(world.told.ended.map(({ scope, why }) => `${scope} ${why}`)).toEqual(['workload recovered']);
    expect(world.policyStatus('rules')).toMatchObject({
      counts: { fresh: 10, stale: 0, held: 0 },
      stormActive: { status: 'False' },
    });
  });

  it('I10: whose Pods stay silent ends after its longest time, and then the rate and the floor hold', async () => {
    const world = await PodWorld.started();
    await world.givenServing(TEN);
    await fallSilent(world, TEN, 0);
    await world.pass(TTL + 600 * SECOND - SECOND);
    expect(world.servingOf(TEN)).toEqual(TEN);
    await world.pass(3 * SECOND);
    expect(world.told.ended.map(({ why }) => why)).toEqual(['maximumDuration']);
    expect(world.servingOf(TEN).length).toBe(8);
    await world.pass(10 * MINUTE);
    expect(world.servingOf(TEN).length).toBe(1);
    expect(mostWithin(world, MINUTE)).toBe(2);
    await world.pass(HOUR);
    expect(world.servingOf(TEN).length).toBe(1);
  }, 30_000);

  it('I10: is none when a workload of 100 is scaled down to 20', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules');
    const fleet = names(100);
    await world.givenServing(fleet);
    const leaving = fleet.slice(20);
    for (const name of leaving) world.terminate(name);
    await world.pass(30 * SECOND);
    for (const name of leaving) world.removePod(name);
    await world.pass(5 * MINUTE);
    expect(world.told.began).toEqual([]);
    expect(withdrawals(world)).toEqual([]);
    expect(world.memory.list().length).toBe(20);
    expect(world.policyStatus('rules')?.counts).toMatchObject({ live: 20, fresh: 20 });
  }, 30_000);

  it('I10: is none when the Pods that are deleted keep their objects for long', async () => {
    const world = await PodWorld.started();
    const fleet = names(40);
    await world.givenServing(fleet);
    world.collectedAfterMs = HOUR;
    world.silence(fleet.slice(8));
    for (const name of fleet.slice(8)) world.removePod(name);
    await world.pass(5 * MINUTE);
    expect(world.told.began).toEqual([]);
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
  }, 30_000);

  it('I10: under way ends when its silent Pods are replaced', async () => {
    const world = await PodWorld.started();
    await world.givenServing(TEN);
    await fallSilent(world, EIGHT, 0);
    await world.pass(TTL + MINUTE);
    for (const name of EIGHT) world.removePod(name);
    await world.givenServing(names(8, 'fresh'));
    await world.pass(SECOND);
    expect(world.told.ended.map(({ why }) => why)).toEqual(['gone']);
  });

  it('I9: of a node holds the Pods of several small workloads, as one storm that names the node', async () => {
    const world = await PodWorld.started();
    world.putNode('node-1');
    const workloads = ['a', 'b', 'c', 'd'];
    for (const name of workloads) {
      await world.givenServing([`${name}-0`, `${name}-1`], { workload: `Deployment/${name}`, nodeName: 'node-1' });
      await world.givenServing([`${name}-2`], { workload: `Deployment/${name}`, nodeName: 'node-2' });
    }
    const silent = workloads.flatMap((name) => [`${name}-0`, `${name}-1`]);
    await fallSilent(world, silent, 0);
    await world.pass(TTL + 5 * MINUTE);
    expect(world.told.began.map(({ scope, name, silentCount }) => ({ scope, name, silentCount }))).toEqual([
      { scope: 'node', name: 'node-1', silentCount: 8 },
    ]);
    expect(world.servingOf(silent)).toEqual(silent);
    for (const name of silent) world.expectSynced(name, 'False', 'StormHold');
    expect(world.object('a-0').status?.podSynced?.message).toContain('on the node node-1');
  });

  it('I9: of a node that itself is not ready is none of ours: its Pods are withdrawn as single ones', async () => {
    const world = await PodWorld.started();
    world.putNode('node-1');
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
      await world.givenServing([`${name}-0`], { workload: `Deployment/${name}`, nodeName: 'node-1' });
      await world.givenServing([`${name}-1`], { workload: `Deployment/${name}`, nodeName: 'node-2' });
    }
    const silent = ['a-0', 'b-0', 'c-0', 'd-0', 'e-0', 'f-0'];
    await fallSilent(world, silent, 0);
    await world.pass(MINUTE);
    world.putNode('node-1', { isReady: false });
    await world.pass(TTL - MINUTE + SECOND);
    expect(world.told.began).toEqual([]);
    expect(world.shown(silent)).toEqual(silent.map(() => 'False/HeartbeatExpired'));
    world.expectHealthy('a-0', 'False', 'NodeNotReady');
  });

  it('I9: of a node that turns out not to be ready ends, and its Pods are withdrawn then', async () => {
    const world = await PodWorld.started();
    world.putNode('node-1');
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) {
      await world.givenServing([`${name}-0`], { workload: `Deployment/${name}`, nodeName: 'node-1' });
      await world.givenServing([`${name}-1`], { workload: `Deployment/${name}`, nodeName: 'node-2' });
    }
    const silent = ['a-0', 'b-0', 'c-0', 'd-0', 'e-0', 'f-0'];
    await fallSilent(world, silent, 0);
    await world.pass(TTL + 20 * SECOND);
    expect(world.servingOf(silent)).toEqual(silent);
    world.putNode('node-1', { isReady: false });
    await world.pass(2 * SECOND);
    expect(world.told.ended.map(({ scope, why }) => `${scope} ${why}`)).toEqual(['node gone']);
    expect(world.servingOf(silent)).toEqual([]);
  });

  it('I9: of all Pods holds when a fifth of many small workloads on many nodes fall silent at once', async () => {
    const world = await PodWorld.started();
    const fleet: string[] = [];
    for (let index = 0; index < 50; index += 1) {
      const pods = names(2, `w${index}`);
      world.addPods(pods, { workload: `Deployment/w${index}` });
      world.keepBeating(pods);
      fleet.push(...pods);
    }
    await world.pass(SECOND);
    const silent = fleet.filter((name) => name.endsWith('-0')).slice(0, 30);
    await fallSilent(world, silent, 0);
    await world.pass(TTL + 30 * MINUTE);
    expect(world.told.began.map(({ scope }) => scope)).toEqual(['all']);
    expect(world.servingOf(fleet).length).toBe(100);
  }, 60_000);

  it('I9: of reports holds as one of silence does', async () => {
    const world = await PodWorld.started();
    await world.givenServing(TEN);
    for (const name of EIGHT) expect(await world.report('DOWN', { instanceId: name })).toEqual({ kind: 'stored' });
    await world.pass(SECOND);
    expect(world.servingOf(TEN)).toEqual(TEN);
    world.expectHealthy('web-0', 'False', 'ReportedDown');
    world.expectSynced('web-0', 'False', 'StormHold');
  });

  it('goes by the thresholds of the policy', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { storm: { percent: 90, minimum: 5, maxDurationSeconds: 600 } });
    await world.givenServing(TEN);
    await fallSilent(world, EIGHT, 0);
    await world.pass(TTL + 10 * MINUTE);
    expect(world.told.began).toEqual([]);
    expect(world.servingOf(TEN).length).toBe(2);
  });
});

describe('The floor', () => {
  it('I11: of 3 silent Pods of 3 one stays, for good, and says why', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    await fallSilent(world, names(3), 0);
    await world.pass(HOUR);
    const [last = ''] = world.servingOf(names(3));
    expect(world.servingOf(names(3))).toEqual([last]);
    world.expectSynced(last, 'False', 'MinimumHealthyFloor');
    expect(world.object(last).status?.podSynced?.message).toBe(
      'Not withdrawn: fewer than 1 Pods of default/Deployment/web would be left in service.',
    );
    world.expectHealthy(last, 'False', 'HeartbeatExpired');
  }, 30_000);

  it('I11: never withdraws a workload of one', async () => {
    const world = await PodWorld.started();
    await world.givenServing(['alone'], { workload: 'Pod/alone' });
    await fallSilent(world, ['alone'], 0);
    await world.pass(HOUR);
    world.expectServing('alone');
    world.expectSynced('alone', 'False', 'MinimumHealthyFloor');
  }, 30_000);

  it('I11: lets the last one go when another has recovered', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    await fallSilent(world, names(2), 0);
    await world.pass(TTL + 2 * MINUTE);
    const [last = ''] = world.servingOf(names(2));
    const other = last === 'web-0' ? 'web-1' : 'web-0';
    world.keepBeating([other]);
    await world.pass(2 * MINUTE);
    expect(world.servingOf(names(2))).toEqual([other]);
    world.expectPod(last, 'False', 'HeartbeatExpired');
  });

  it('I11: of a policy keeps so many as it says, and none if it says 0', async () => {
    for (const minHealthy of [3, 0]) {
      const world = await PodWorld.started();
      world.putPolicy('rules', { minHealthy });
      await world.givenServing(names(4));
      await fallSilent(world, names(4), 0);
      await world.pass(TTL + 10 * MINUTE);
      expect(world.servingOf(names(4)).length).toBe(minHealthy);
    }
  });

  it('I11: does not count a Pod that is not ready for other reasons', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.changePod('web-1', { isReadyButForGate: false });
    world.changePod('web-2', { isReadyButForGate: false });
    await world.pass(SECOND);
    await fallSilent(world, ['web-0'], 0);
    await world.pass(TTL + MINUTE);
    world.expectServing('web-0');
    world.expectSynced('web-0', 'False', 'MinimumHealthyFloor');
  });

  it('I11: holds though the kubelet is slow to make withdrawn Pods unready', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { withdrawalPercentPerMinute: 100 });
    await world.givenServing(names(4));
    world.cluster.kubelet = 'dead';
    await fallSilent(world, names(4), 0);
    await world.pass(TTL + 10 * MINUTE);
    expect(world.shown(names(4)).filter((shown) => shown.startsWith('True')).length).toBe(1);
  });

  it('does not keep a person from taking the last one out of service', async () => {
    const world = await PodWorld.started();
    await world.givenServing(['alone'], { workload: 'Deployment/alone' });
    await world.edit('alone', { outOfService: true });
    await world.pass(100);
    world.expectPod('alone', 'False', 'OverriddenOutOfService');
    expect(world.pod('alone').isReady).toBe(false);
  });
});

describe('Brakes', () => {
  it('count workloads of the same name in two namespaces apart', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(5, 'a'));
    await world.givenServing(names(5, 'b'), { namespace: 'other' });
    await fallSilent(world, ['a-0', 'b-0'], 0);
    await world.pass(TTL + WITHDRAWN_AFTER);
    expect(world.shown(['a-0', 'b-0'])).toEqual(['False/HeartbeatExpired', 'False/HeartbeatExpired']);
  });

  it('are those of the defaults where no policy says otherwise', () => {
    expect(DEFAULT_RULES).toMatchObject({
      minHealthy: 1,
      withdrawalPercentPerMinute: 15,
      storm: { percent: 50, minimum: 5, maxDurationSeconds: 600 },
    });
  });
});
