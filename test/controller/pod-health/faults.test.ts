/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { describe, expect, it } from 'vitest';
import { HOUR, MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { names, PodWorld, WITHDRAWN_AFTER } from '../../support/pod-world.ts';

const AWAY = { kind: 'unreachable', message: 'away' } as const;
const FORBIDDEN = { kind: 'refused', reason: 'Forbidden', message: 'pods "web-0" is forbidden' } as const;

function falseWrites(world: PodWorld): readonly string[] {
  return world.cluster.podWrites
    .filter(({ status, outcome }) => status === 'False' && outcome === 'pod')
    .map(({ name }) => name);
}

describe('An API server that cannot be reached', () => {
  it('I21: for two times to live, while all beat, leads to no change when it is back', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(6));
    const before = world.conditions();
    world.cluster.failPodsWhenever(() => AWAY);
    world.instances.failWhenever(() => AWAY);
    world.freezeWatches();
    await world.pass(2 * TTL);
    expect(world.conditions()).toEqual(before);
    world.cluster.heal();
    world.instances.heal();
    await world.thawWatches();
    await world.pass(2 * TTL);
    expect(world.conditions()).toEqual(before);
    expect(falseWrites(world)).toEqual([]);
  });

  it('I21: withdraws the one that fell silent when it is back, and nobody who was silent and came back meanwhile', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(6));
    world.cluster.failPodsWhenever(() => AWAY);
    world.instances.failWhenever(() => AWAY);
    world.silence(['web-0', 'web-1']);
    await world.pass(TTL + MINUTE);
    world.keepBeating(['web-1']);
    await world.pass(TTL);
    world.cluster.heal();
    world.instances.heal();
    await world.pass(10 * SECOND);
    expect(falseWrites(world)).toEqual(['web-0']);
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
    world.expectHealthy('web-1', 'True', 'HeartbeatReceived');
    await world.pass(TTL);
    expect(falseWrites(world)).toEqual(['web-0']);
  });

  it('I21: passes the brakes when it is back: what waited is not withdrawn all at once', async () => {
    const world = await PodWorld.started();
    const fleet = names(40);
    await world.givenServing(fleet);
    world.cluster.failPodsWhenever(() => AWAY);
    world.silence(fleet.slice(0, 18));
    await world.pass(TTL + 10 * MINUTE);
    world.cluster.heal();
    await world.pass(10 * SECOND);
    expect(falseWrites(world).length).toBeLessThanOrEqual(6);
    await world.pass(5 * MINUTE);
    expect(falseWrites(world).length).toBe(18);
  });

  it('that throttles is left alone for as long as it says, and then the Pod is withdrawn', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    let calls = 0;
    world.cluster.failPodsWhenever(() => {
      calls += 1;
      return { kind: 'throttled', retryAfterMs: 20_000, message: 'slow down' };
    });
    world.silence('web-0');
    world.beat('web-0');
    await world.pass(TTL + WITHDRAWN_AFTER + 15 * SECOND);
    expect(calls).toBe(1);
    world.cluster.heal();
    await world.pass(30 * SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
  });

  it('that answers slowly delays neither heartbeats nor the verdict on the instance', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(12));
    world.cluster.beforeCallMs = 20 * SECOND;
    world.silence(names(4));
    for (const name of names(4)) world.beat(name);
    await world.pass(TTL + SECOND);
    for (const name of names(4)) world.expectHealthy(name, 'False', 'HeartbeatExpired');
    await world.pass(5 * MINUTE);
    expect(falseWrites(world).length).toBe(4);
  });

  it('I5: when our own event loop stands still for two times to live nobody who beats is marked, and who is silent is', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(6));
    world.silence('web-0');
    await world.clock.stall(2 * TTL);
    await world.pass(TTL - SECOND);
    expect(falseWrites(world)).toEqual([]);
    await world.pass(2 * SECOND);
    expect(falseWrites(world)).toEqual(['web-0']);
  });
});

describe('A Pod whose write is always forbidden', () => {
  it('I22: says so on its instance, and goes on being tried', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(6));
    world.cluster.failPodsWhenever((call, { name }) => (call === 'write' && name === 'web-0' ? FORBIDDEN : undefined));
    world.silence('web-0');
    await world.pass(TTL + 10 * SECOND);
    world.expectSynced('web-0', 'False', 'Forbidden');
    expect(world.object('web-0').status?.podSynced?.message).toBe(FORBIDDEN.message);
    world.cluster.heal();
    await world.pass(70 * SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.expectSynced('web-0', 'True', 'PodConditionCurrent');
  });

  it('I22: does not delay the Pods of other workloads', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(6));
    await world.givenServing(names(3, 'api'), { workload: 'Deployment/api' });
    world.cluster.failPodsWhenever((_, { name }) => (name.startsWith('web') ? FORBIDDEN : undefined));
    world.silence('web-0');
    await world.pass(TTL + 5 * MINUTE);
    world.silence('api-0');
    world.beat('api-0');
    await world.pass(TTL + WITHDRAWN_AFTER);
    world.expectPod('api-0', 'False', 'HeartbeatExpired');
    world.addPod('api-9', { workload: 'Deployment/api' });
    world.beat('api-9');
    await world.pass(SECOND);
    world.expectServing('api-9');
  });

  it('I22: does not delay another Pod of its workload for longer than a minute', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(6));
    world.cluster.failPodsWhenever((call, { name }) => (call === 'write' && name === 'web-0' ? FORBIDDEN : undefined));
    world.silence('web-0');
    await world.pass(TTL + 5 * MINUTE);
    world.silence('web-1');
    world.beat('web-1');
    await world.pass(TTL + MINUTE + SECOND);
    world.expectPod('web-1', 'False', 'HeartbeatExpired');
  });

  it('I22: does not cause more than a call in ten seconds in the long run', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(6));
    let calls = 0;
    world.cluster.failPodsWhenever((call, { name }) => {
      if (call !== 'write' || name !== 'web-0') return undefined;
      calls += 1;
      return FORBIDDEN;
    });
    world.silence('web-0');
    await world.pass(TTL + 10 * MINUTE);
    const { length } = world.instances.writes;
    calls = 0;
    await world.pass(10 * MINUTE);
    expect(calls).toBeGreaterThan(5);
    expect(calls).toBeLessThanOrEqual(70);
    expect(world.instances.writes.slice(length).filter(({ id }) => id === 'web-0')).toEqual([]);
  });

  it('I22: that is new and cannot be opened does not keep others from being opened', async () => {
    const world = await PodWorld.started();
    world.addPods(names(3));
    world.cluster.failPodsWhenever((_, { name }) => (name === 'web-0' ? FORBIDDEN : undefined));
    world.keepBeating(names(3));
    await world.pass(SECOND);
    expect(world.servingOf(names(3))).toEqual(['web-1', 'web-2']);
    world.cluster.heal();
    await world.pass(MINUTE);
    world.expectServing('web-0');
  });
});

describe('A conflict on the object of an instance', () => {
  it('is settled by looking again, and the Pod does not wait for it', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    let conflicts = 0;
    world.instances.failWhenever((kind) => {
      if (kind !== 'writeStatus' || conflicts >= 5) return undefined;
      conflicts += 1;
      return { kind: 'conflict' };
    });
    world.silence('web-0');
    world.beat('web-0');
    await world.pass(TTL + WITHDRAWN_AFTER);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    await world.pass(SECOND);
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
  });
});

describe('A write that Ready does not follow', () => {
  it('is said on the instance after ten seconds, is counted once, and clears when Ready follows', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.cluster.kubelet = 'dead';
    world.silence('web-0');
    world.beat('web-0');
    await world.pass(TTL + WITHDRAWN_AFTER + 9 * SECOND);
    world.expectSynced('web-0', 'True', 'PodConditionCurrent');
    await world.pass(2 * SECOND);
    world.expectSynced('web-0', 'Unknown', 'PodWriteUnconfirmed');
    await world.pass(5 * MINUTE);
    expect(world.told.unconfirmed).toEqual(['web-0']);
    world.cluster.kubelet = 'prompt';
    await world.pass(SECOND);
    expect(world.pod('web-0').isReady).toBe(false);
    world.expectSynced('web-0', 'True', 'PodConditionCurrent');
    expect(world.told.followed.at(-1)).toBe('web-0');
  });

  it('when it should have opened the Pod is said too', async () => {
    const world = await PodWorld.started();
    world.cluster.kubelet = 'dead';
    world.addPod('web');
    world.keepBeating(['web']);
    await world.pass(9 * SECOND);
    expect(world.told.unconfirmed).toEqual([]);
    await world.pass(2 * SECOND);
    expect(world.told.unconfirmed).toEqual(['web']);
    world.expectSynced('web', 'Unknown', 'PodWriteUnconfirmed');
    world.cluster.kubelet = 'slow';
    await world.pass(6 * SECOND);
    world.expectServing('web');
    world.expectSynced('web', 'True', 'PodConditionCurrent');
  });

  it('is not said of a kubelet that is slow but in time', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.cluster.kubelet = 'slow';
    world.silence('web-0');
    await world.pass(TTL + MINUTE);
    world.expectSynced('web-0', 'True', 'PodConditionCurrent');
    expect(world.told.unconfirmed).toEqual([]);
  });

  it('is counted once more for the next write', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.cluster.kubelet = 'dead';
    world.beat('web-0');
    await world.pass(MINUTE);
    expect(world.told.unconfirmed).toEqual(['web-0']);
    await world.pass(TTL);
    expect(world.pod('web-0').condition?.status).toBe('False');
    world.expectSynced('web-0', 'True', 'PodConditionCurrent');
    world.beat('web-0');
    await world.pass(MINUTE);
    expect(world.told.unconfirmed).toEqual(['web-0', 'web-0']);
  });

  it('causes no further Pod write', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.cluster.kubelet = 'dead';
    world.silence('web-0');
    await world.pass(HOUR);
    expect(falseWrites(world)).toEqual(['web-0']);
  }, 30_000);
});
