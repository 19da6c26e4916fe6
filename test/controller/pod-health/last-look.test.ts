/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { describe, expect, it } from 'vitest';
import { GATE_LABEL } from '../../../src/health/observed-pod.ts';
import { MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { names, PodWorld, WITHDRAWN_AFTER } from '../../support/pod-world.ts';

/** How long each call to the API server takes before it does anything. */
const CALL = 400;

function falseWrites(world: PodWorld): readonly string[] {
  return world.cluster.podWrites.filter(({ status }) => status === 'False').map(({ name }) => name);
}

/** `web-0` of three fell silent and was granted its withdrawal; the call that looks at it once more is under way. */
async function underWay(): Promise<PodWorld> {
  const world = await PodWorld.started();
  await world.givenServing(names(3));
  world.silence('web-0');
  world.beat('web-0');
  world.cluster.beforeCallMs = CALL;
  await world.pass(TTL + WITHDRAWN_AFTER);
  expect(world.loop.pods.withdrawals.isGranted(world.pod('web-0').uid)).toBe(true);
  expect(falseWrites(world)).toEqual([]);
  return world;
}

describe('Between the grant and the write', () => {
  it('I6: a heartbeat that arrives prevents the withdrawal', async () => {
    const world = await underWay();
    world.beat('web-0');
    world.keepBeating(['web-0']);
    await world.pass(TTL);
    expect(falseWrites(world)).toEqual([]);
    world.expectServing('web-0');
  });

  it('I6: without one the withdrawal is written, once', async () => {
    const world = await underWay();
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual(['web-0']);
  });

  it('I6: a heartbeat that arrives while the write is under way opens the Pod again when it is answered', async () => {
    const world = await underWay();
    await world.pass(CALL);
    world.keepBeating(['web-0']);
    await world.pass(2 * CALL + 100);
    expect(falseWrites(world)).toEqual(['web-0']);
    world.expectServing('web-0');
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
  });

  it('I6: a heartbeat that arrives while the answer is under way opens the Pod again', async () => {
    const world = await underWay();
    world.cluster.beforeCallMs = 0;
    world.cluster.afterCallMs = 2 * SECOND;
    await world.pass(3 * SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.keepBeating(['web-0']);
    world.cluster.afterCallMs = 0;
    await world.pass(5 * SECOND);
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
  });

  it('I16: a Pod that is deleted is not written', async () => {
    const world = await underWay();
    world.removePod('web-0');
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual([]);
  });

  it('I16: a Pod that is deleted and made again under its name is not touched, though the watch has not told it yet', async () => {
    const world = await underWay();
    world.freezeWatches();
    world.removePod('web-0');
    world.addPod('web-0');
    await world.pass(5 * SECOND);
    expect(falseWrites(world)).toEqual([]);
    expect(world.pod('web-0').condition).toBeUndefined();
    await world.thawWatches();
    world.beat('web-0');
    await world.pass(2 * SECOND);
    world.expectServing('web-0');
    expect(falseWrites(world)).toEqual([]);
  });

  it('I16: a Pod whose deletion begins is not written', async () => {
    const world = await underWay();
    world.freezeWatches();
    world.changePod('web-0', { isTerminating: true });
    await world.pass(5 * SECOND);
    expect(falseWrites(world)).toEqual([]);
    world.expectSynced('web-0', 'False', 'PodTerminating');
  });

  it('I6: an owner who opts out prevents the withdrawal', async () => {
    const world = await underWay();
    world.freezeWatches();
    world.changePod('web-0', { labels: { [GATE_LABEL]: 'disabled' } });
    await world.pass(5 * SECOND);
    expect(falseWrites(world)).toEqual([]);
    world.expectPod('web-0', 'True', 'Released');
  });

  it('I6: a policy that no longer enforces prevents the withdrawal', async () => {
    const world = await underWay();
    world.putPolicy('rules', { enforcement: 'Observe' });
    await world.pass(5 * SECOND);
    expect(falseWrites(world)).toEqual([]);
    world.expectPod('web-0', 'True', 'NotEnforced');
  });

  it('I6: a person who pauses the instance prevents the withdrawal', async () => {
    const world = await underWay();
    await world.edit('web-0', { paused: true });
    await world.pass(5 * SECOND);
    expect(falseWrites(world)).toEqual([]);
    world.expectPod('web-0', 'True', 'Paused');
  });

  it('I6: an operator that stops judging withdraws no more', async () => {
    const world = await underWay();
    world.loop.stopJudging();
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual([]);
  });

  it('I11: the end of all others of its workload prevents the withdrawal', async () => {
    const world = await underWay();
    world.removePod('web-1');
    world.removePod('web-2');
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual([]);
    world.expectSynced('web-0', 'False', 'MinimumHealthyFloor');
  });

  it('I11: the others of its workload that ended while the API server could not be reached prevent the withdrawal', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.cluster.failPodsWhenever(() => ({ kind: 'unreachable', message: 'away' }));
    world.silence('web-0');
    await world.pass(TTL + MINUTE);
    world.removePod('web-1');
    world.removePod('web-2');
    await world.pass(SECOND);
    world.cluster.heal();
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual([]);
    world.expectSynced('web-0', 'False', 'MinimumHealthyFloor');
  });

  it('I11: others of its workload that became unready prevent the withdrawal', async () => {
    const world = await underWay();
    world.changePod('web-1', { isReadyButForGate: false });
    world.changePod('web-2', { isReadyButForGate: false });
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual([]);
    world.expectSynced('web-0', 'False', 'MinimumHealthyFloor');
  });

  it('I11: a Pod does not count as serving while its withdrawal is under way, however long that takes', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { withdrawalPercentPerMinute: 100 });
    await world.givenServing(names(2));
    world.silence(names(2));
    for (const name of names(2)) world.beat(name);
    world.cluster.beforeCallMs = 8 * SECOND;
    await world.pass(TTL + WITHDRAWN_AFTER + 8 * SECOND);
    world.cluster.beforeCallMs = 0;
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual(['web-0']);
    expect(world.servingOf(names(2))).toEqual(['web-1']);
    world.expectSynced('web-1', 'False', 'MinimumHealthyFloor');
  });

  it('I9: a storm that begins meanwhile prevents the withdrawal', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(12));
    world.silence(names(12));
    world.beat('web-0');
    await world.pass(2 * SECOND);
    for (const name of names(12).slice(1)) world.beat(name);
    world.cluster.beforeCallMs = 8 * SECOND;
    await world.pass(TTL - 2 * SECOND + WITHDRAWN_AFTER);
    expect(world.loop.pods.withdrawals.isGranted(world.pod('web-0').uid)).toBe(true);
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual([]);
    world.expectSynced('web-0', 'False', 'StormHold');
  });

  it('I1: time in which we could not hear prevents it: after a stall the Pod has its time to live again', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.beat('web-0');
    await world.pass(TTL - SECOND);
    await world.clock.stall(30 * SECOND);
    for (const name of names(3)) world.beat(name);
    await world.pass(TTL - SECOND);
    expect(falseWrites(world)).toEqual([]);
    await world.pass(SECOND + WITHDRAWN_AFTER);
    expect(falseWrites(world)).toEqual(['web-0']);
  });
});

describe('A watch of Pods that is frozen', () => {
  it('I6: and stale lets nothing be withdrawn: the last value stays, and everyone says why', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.beat('web-0');
    await world.pass(TTL - 20 * SECOND);
    world.freezeWatches();
    await world.pass(2 * MINUTE);
    expect(falseWrites(world)).toEqual([]);
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
    world.expectSynced('web-0', 'Unknown', 'PodCacheStale');
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
    world.expectSynced('web-1', 'True', 'PodConditionCurrent');
  });

  it('I6: catches up when it is whole again', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.freezeWatches();
    await world.pass(2 * TTL);
    await world.thawWatches();
    await world.pass(2 * SECOND);
    expect(falseWrites(world)).toEqual(['web-0']);
    world.expectSynced('web-0', 'True', 'PodConditionCurrent');
  });

  it('I6: withdraws nobody who is heard before it is whole again', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.freezeWatches();
    await world.pass(2 * TTL);
    world.keepBeating(['web-0']);
    await world.thawWatches();
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual([]);
    world.expectServing('web-0');
  });

  it('does not keep a Pod closed that is heard again: to open one is safe whatever was missed', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.freezeWatches();
    await world.pass(MINUTE);
    world.beat('web-0');
    await world.pass(SECOND);
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
  });

  it('I16: in which Pods were replaced leads to no write to their successors before it is whole again', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.freezeWatches();
    world.silence('web-0');
    world.removePod('web-0');
    world.addPod('web-0');
    await world.pass(2 * TTL);
    expect(world.pod('web-0').condition).toBeUndefined();
    await world.thawWatches();
    await world.pass(SECOND);
    world.expectPod('web-0', 'Unknown', 'AwaitingFirstHeartbeat');
    world.beat('web-0');
    await world.pass(SECOND);
    world.expectServing('web-0');
  });

  it('I11: while the others of a workload ended leads to no withdrawal of the last one when it is whole again', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.beat('web-0');
    await world.pass(TTL - 10 * SECOND);
    world.freezeWatches();
    await world.pass(SECOND);
    world.removePod('web-1');
    world.removePod('web-2');
    await world.pass(13 * SECOND);
    expect(falseWrites(world)).toEqual([]);
    await world.thawWatches();
    await world.pass(MINUTE);
    expect(falseWrites(world)).toEqual([]);
    world.expectSynced('web-0', 'False', 'MinimumHealthyFloor');
  });

  it('for less than the bound changes nothing', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.beat('web-0');
    await world.pass(TTL - 5 * SECOND);
    world.freezeWatches();
    await world.pass(5 * SECOND + WITHDRAWN_AFTER);
    expect(falseWrites(world)).toEqual(['web-0']);
  });
});
