/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { describe, expect, it } from 'vitest';
import { GATE_LABEL } from '../../../src/health/observed-pod.ts';
import { MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { names, PodWorld, WITHDRAWN_AFTER } from '../../support/pod-world.ts';

const OPT_OUT = { [GATE_LABEL]: 'disabled' };

/** Of three Pods the first is silent and withdrawn. */
async function withOneWithdrawn(): Promise<PodWorld> {
  const world = await PodWorld.started();
  await world.givenServing(names(3));
  world.silence('web-0');
  await world.pass(TTL + SECOND);
  world.expectPod('web-0', 'False', 'HeartbeatExpired');
  return world;
}

describe('A gated Pod that was never heard', () => {
  it('I17: opens ten minutes after its creation, and not before', async () => {
    const world = await PodWorld.started();
    world.addPod('never');
    const openAtWallMs = (world.pod('never').createdSeconds + 600) * 1000;
    await world.pass(openAtWallMs - world.clock.wallMs() - 1);
    world.expectPod('never', 'Unknown', 'AwaitingFirstHeartbeat');
    await world.pass(SECOND);
    world.expectPod('never', 'True', 'FirstHeartbeatTimeout');
    world.expectServing('never');
  });

  it('I17: opens when its policy says, also if the operator was away or restarted meanwhile', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { openAfterSeconds: 120 });
    world.addPod('never');
    await world.pass(MINUTE);
    await world.restart();
    await world.pass(50 * SECOND);
    world.expectPod('never', 'Unknown', 'AwaitingFirstHeartbeat');
    await world.pass(11 * SECOND);
    world.expectServing('never');
  });

  it('I17: opens at once when its policy shortens the time to one that has passed', async () => {
    const world = await PodWorld.started();
    world.addPod('never');
    await world.pass(5 * MINUTE);
    world.putPolicy('rules', { openAfterSeconds: 60 });
    await world.pass(SECOND);
    world.expectPod('never', 'True', 'FirstHeartbeatTimeout');
  });

  it('I17: opens also while its kubelet is dead, and while its first condition could not be written', async () => {
    const world = await PodWorld.started();
    world.cluster.kubelet = 'dead';
    world.cluster.failPodsWhenever(() => ({ kind: 'unreachable', message: 'away' }));
    world.addPod('never');
    await world.pass(5 * MINUTE);
    expect(world.pod('never').condition).toBeUndefined();
    world.cluster.heal();
    await world.pass(5 * MINUTE + 10 * SECOND);
    world.expectPod('never', 'True', 'FirstHeartbeatTimeout');
  });

  it('then heard, and silent then, is withdrawn as any other', async () => {
    const world = await PodWorld.started();
    await world.givenServing(['web-1']);
    world.addPod('web-0');
    await world.pass(10 * MINUTE + SECOND);
    world.expectPod('web-0', 'True', 'FirstHeartbeatTimeout');
    world.beat('web-0');
    await world.pass(SECOND);
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
    await world.pass(TTL);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
  });

  it('I17: is open from the start where the policy says Open', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { initial: 'Open' });
    world.addPod('never');
    await world.pass(100);
    world.expectServing('never');
    world.expectPod('never', 'True', 'AwaitingFirstHeartbeat');
  });
});

describe('A withdrawn Pod', () => {
  it('I17: opens when the object of its instance is deleted, and closes no more by an instance that is gone', async () => {
    const world = await withOneWithdrawn();
    await world.deleteInstance('web-0');
    await world.pass(SECOND);
    world.expectPod('web-0', 'True', 'Released');
    world.expectServing('web-0');
    await world.pass(2 * TTL);
    world.expectServing('web-0');
  });

  it('I17: opens when the object of its instance was deleted while the operator was away', async () => {
    const world = await withOneWithdrawn();
    const { namespace, name } = world.object('web-0');
    world.kill();
    world.memory.delete(namespace, name);
    await world.start();
    await world.pass(SECOND);
    world.expectServing('web-0');
  });

  it('I17: opens when the last of its two instances is gone, and not before', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.keepBeating(['web-0'], { instanceId: 'sidecar' });
    await world.pass(SECOND);
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    await world.deleteInstance('sidecar');
    await world.pass(SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    await world.deleteInstance('web-0');
    await world.pass(SECOND);
    world.expectServing('web-0');
  });

  it('I17: opens when its owner opts out, and comes back under the verdict when the label goes', async () => {
    const world = await withOneWithdrawn();
    world.changePod('web-0', { labels: OPT_OUT });
    await world.pass(100);
    world.expectPod('web-0', 'True', 'Released');
    world.expectServing('web-0');
    world.expectSynced('web-0', 'False', 'Released');
    await world.pass(5 * MINUTE);
    world.expectServing('web-0');
  });

  it('I17: that was opened by its owner stays open until it is heard again, and then follows the verdict', async () => {
    const world = await withOneWithdrawn();
    world.changePod('web-0', { labels: OPT_OUT });
    await world.pass(SECOND);
    world.changePod('web-0', { labels: {} });
    await world.pass(5 * MINUTE);
    world.expectPod('web-0', 'True', 'Released');
    world.expectSynced('web-0', 'False', 'Released');
    world.beat('web-0');
    await world.pass(SECOND);
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
    await world.pass(TTL);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
  });

  it('I17: that was opened by its owner is withdrawn again, through the brakes, when a policy takes it in hand', async () => {
    const world = await withOneWithdrawn();
    world.changePod('web-0', { labels: OPT_OUT });
    await world.pass(SECOND);
    world.changePod('web-0', { labels: {} });
    await world.pass(5 * MINUTE);
    world.putPolicy('rules');
    await world.pass(2 * WITHDRAWN_AFTER);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
  });

  it('I17: opens when the policy that ruled it is deleted, and stays open until it is heard again', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules');
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.removePolicy('rules');
    await world.pass(100);
    world.expectPod('web-0', 'True', 'Released');
    world.expectServing('web-0');
    await world.pass(5 * MINUTE);
    await world.restart();
    await world.pass(5 * MINUTE);
    world.expectPod('web-0', 'True', 'Released');
    world.beat('web-0');
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
  });

  it('I25: that a person took out of service stays closed when the policy that ruled it is deleted', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules');
    await world.givenServing(names(3));
    await world.edit('web-0', { outOfService: true });
    await world.pass(SECOND);
    const { length } = world.cluster.podWrites;
    world.removePolicy('rules');
    await world.pass(MINUTE);
    world.expectPod('web-0', 'False', 'OverriddenOutOfService');
    expect(world.cluster.podWrites.length).toBe(length);
  });

  it('stays closed when one of two policies is deleted and the other rules it as well', async () => {
    const world = await PodWorld.started();
    world.putPolicy('first', { priority: 1 });
    world.putPolicy('second');
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    const { length } = world.cluster.podWrites;
    world.removePolicy('first');
    await world.pass(MINUTE);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    expect(world.cluster.podWrites.length).toBe(length);
  });

  it('I17: opens when the operator is released', async () => {
    const world = await withOneWithdrawn();
    await world.setReleased(true);
    await world.pass(100);
    world.expectPod('web-0', 'True', 'Released');
    world.expectServing('web-0');
  });

  it.each(['Observe', 'Annotate'] as const)('I17: opens when a policy that says %s selects it', async (enforcement) => {
    const world = await withOneWithdrawn();
    world.putPolicy('rules', { enforcement });
    await world.pass(SECOND);
    world.expectPod('web-0', 'True', 'NotEnforced');
    world.expectServing('web-0');
  });
});

describe('An owner who opts out', () => {
  it('I8: does not use up the withdrawals of the workload', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(6));
    world.changePod('web-0', { labels: OPT_OUT });
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.silence('web-1');
    world.beat('web-1');
    await world.pass(TTL + WITHDRAWN_AFTER);
    world.expectPod('web-1', 'False', 'HeartbeatExpired');
    world.expectPod('web-0', 'True', 'Released');
  });

  it('of a Pod without the gate gets what a False left there cleared, and then nothing more is written', async () => {
    const world = await PodWorld.started();
    await world.givenServing(['plain'], { hasGate: false });
    world.silence('plain');
    await world.pass(TTL + SECOND);
    world.expectPod('plain', 'False', 'HeartbeatExpired');
    world.changePod('plain', { labels: OPT_OUT });
    await world.pass(SECOND);
    world.expectPod('plain', 'True', 'Released');
    const { length } = world.cluster.podWrites;
    world.keepBeating(['plain']);
    await world.pass(5 * MINUTE);
    expect(world.cluster.podWrites.length).toBe(length);
  });
});

describe('A release of the operator', () => {
  it('I17: opens every gated Pod whatever it waits for, and leaves those without the gate alone', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(4));
    await world.givenServing(['plain'], { hasGate: false });
    world.addPod('never');
    await world.edit('web-1', { outOfService: true });
    await world.edit('web-2', { paused: true });
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    expect(world.shown(['web-0', 'web-1', 'never'])).toEqual([
      'False/HeartbeatExpired',
      'False/OverriddenOutOfService',
      'Unknown/AwaitingFirstHeartbeat',
    ]);
    await world.setReleased(true);
    await world.pass(SECOND);
    const gated = [...names(4), 'never'];
    expect(world.shown(gated)).toEqual(gated.map(() => 'True/Released'));
    expect(world.servingOf(gated)).toEqual(gated);
    world.expectPod('plain', 'True', 'HeartbeatReceived');
  });

  it('I17: prevents every withdrawal from then on, also of those that were granted one', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence(['web-0', 'web-1']);
    world.beat('web-0');
    world.beat('web-1');
    world.cluster.beforeCallMs = 2 * SECOND;
    await world.pass(TTL + SECOND);
    await world.setReleased(true);
    await world.pass(2 * TTL);
    expect(world.servingOf(names(3))).toEqual(names(3));
    expect(world.shown(names(3))).toEqual(names(3).map(() => 'True/Released'));
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False')).toEqual([]);
  });

  it('I17: opens a Pod that is created after it at once', async () => {
    const world = await PodWorld.started();
    await world.setReleased(true);
    world.addPod('later');
    await world.pass(100);
    world.expectPod('later', 'True', 'Released');
    world.expectServing('later');
  });

  it('that is taken back shows who beats, and leaves the silent ones open until they are heard again', async () => {
    const world = await withOneWithdrawn();
    world.silence('web-1');
    await world.setReleased(true);
    await world.pass(2 * TTL);
    await world.setReleased(false);
    await world.pass(5 * MINUTE);
    expect(world.shown(names(3))).toEqual(['True/Released', 'True/Released', 'True/HeartbeatReceived']);
    world.beat('web-0');
    await world.pass(TTL + WITHDRAWN_AFTER);
    expect(world.shown(names(3))).toEqual(['False/HeartbeatExpired', 'True/Released', 'True/HeartbeatReceived']);
  });

  it('that is taken back under a policy withdraws again, through the brakes', async () => {
    const world = await withOneWithdrawn();
    world.putPolicy('rules');
    world.silence('web-1');
    await world.setReleased(true);
    await world.pass(2 * TTL);
    await world.setReleased(false);
    await world.pass(2 * WITHDRAWN_AFTER);
    expect(world.servingOf(names(3)).length).toBe(2);
    await world.pass(MINUTE + SECOND);
    expect(world.servingOf(names(3))).toEqual(['web-2']);
  });

  it('I25: that is taken back carries out a person’s override again at once', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    await world.edit('web-0', { outOfService: true });
    await world.setReleased(true);
    await world.pass(SECOND);
    await world.setReleased(false);
    await world.pass(SECOND);
    world.expectPod('web-0', 'False', 'OverriddenOutOfService');
  });

  it('that is told before anything stored is known opens all when it is', async () => {
    const world = await withOneWithdrawn();
    world.kill();
    world.loop.pods.setReleased(true);
    await world.start();
    await world.pass(SECOND);
    expect(world.shown(names(3))).toEqual(names(3).map(() => 'True/Released'));
  });
});
