/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { describe, expect, it } from 'vitest';
import { HOUR, MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { names, PodWorld, WITHDRAWN_AFTER } from '../../support/pod-world.ts';

const EXPIRED = 'False/HeartbeatExpired';
const RECEIVED = 'True/HeartbeatReceived';

describe('A gated Pod', () => {
  it('that was never heard is closed, and its condition says what it waits for', async () => {
    const world = await PodWorld.started();
    world.addPod('web');
    await world.pass(SECOND);
    world.expectPod('web', 'Unknown', 'AwaitingFirstHeartbeat');
    expect(world.pod('web').isReady).toBe(false);
  });

  it('serves within a second of its first heartbeat', async () => {
    const world = await PodWorld.started();
    world.addPod('web');
    await world.pass(MINUTE);
    world.beat('web');
    await world.pass(100);
    world.expectPod('web', 'True', 'HeartbeatReceived');
    world.expectServing('web');
    world.expectSynced('web', 'True', 'PodConditionCurrent');
  });

  it('serves within a second of its first heartbeat also while the objects of instances cannot be written', async () => {
    const world = await PodWorld.started();
    world.addPod('web');
    await world.pass(SECOND);
    world.instances.failWhenever(() => ({ kind: 'unreachable', message: 'away' }));
    world.beat('web');
    await world.pass(SECOND);
    world.expectServing('web');
    expect(world.objects('web')).toEqual([]);
  });

  it('serves until its deadline, and is closed within 300 ms of it', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    world.beat('web-0');
    await world.pass(TTL - 1);
    world.expectServing('web-0');
    await world.pass(1 + WITHDRAWN_AFTER);
    expect(world.shown(names(2))).toEqual([EXPIRED, RECEIVED]);
    await world.pass(SECOND);
    expect(world.servingOf(names(2))).toEqual(['web-1']);
  });

  it('says which of its instances fell silent, and since when', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    world.beat('web-0');
    const deadlineWallMs = world.clock.wallMs() + TTL;
    await world.pass(TTL + MINUTE);
    expect(world.pod('web-0').condition).toMatchObject({
      message: '1 of 1 instances unhealthy (no heartbeat in time): cart/web-0.',
      lastTransitionSeconds: Math.floor((deadlineWallMs + WITHDRAWN_AFTER) / 1000),
      observedGeneration: 1,
    });
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
    world.expectSynced('web-0', 'True', 'PodConditionCurrent');
  });

  it('is opened again at once by the next heartbeat, without waiting for a step of the brakes', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    await world.pass(TTL + MINUTE);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.beat('web-0');
    await world.pass(0);
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
    await world.pass(100);
    world.expectServing('web-0');
  });

  it('closes and opens with every silence anew', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    for (let round = 0; round < 3; round += 1) {
      world.beat('web-0');
      await world.pass(TTL + WITHDRAWN_AFTER);
      expect(world.shown(names(2))).toEqual([EXPIRED, RECEIVED]);
    }
    world.beat('web-0');
    await world.pass(SECOND);
    world.expectServing('web-0');
  });

  it('that appears after it was created and heard is opened within a second of being known', async () => {
    const world = await PodWorld.started();
    world.addPod('web', { addresses: [] });
    await world.pass(SECOND);
    world.changePod('web', { addresses: ['10.9.9.9'] });
    world.beat('web');
    await world.pass(SECOND);
    world.expectServing('web');
  });

  it('whose containers are not ready is opened for its part, and nobody waits for its Ready', async () => {
    const world = await PodWorld.started();
    world.addPod('web', { isReadyButForGate: false });
    world.beat('web');
    await world.pass(MINUTE);
    world.expectPod('web', 'True', 'HeartbeatReceived');
    world.expectSynced('web', 'True', 'PodConditionCurrent');
    expect(world.told.unconfirmed).toEqual([]);
  });
});

describe('A Pod without the gate', () => {
  it('shows the verdict and goes on serving', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2), { hasGate: false });
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    expect(world.shown(names(2))).toEqual([EXPIRED, RECEIVED]);
    expect(world.servingOf(names(2))).toEqual(names(2));
    world.beat('web-0');
    await world.pass(0);
    expect(world.shown(names(2))).toEqual([RECEIVED, RECEIVED]);
  });

  it('shows the verdict even if it is the last of its workload, since nothing is taken from it', async () => {
    const world = await PodWorld.started();
    await world.givenServing(['web'], { hasGate: false });
    world.silence('web');
    await world.pass(TTL + SECOND);
    world.expectPod('web', 'False', 'HeartbeatExpired');
    expect(world.pod('web').isReady).toBe(true);
  });

  it('that was never heard gets no condition', async () => {
    const world = await PodWorld.started();
    world.addPod('web', { hasGate: false });
    await world.pass(HOUR);
    expect(world.pod('web').condition).toBeUndefined();
    expect(world.cluster.podWrites).toEqual([]);
  });
});

describe('A steady fleet', () => {
  it('I15: causes no Pod write in an hour, and its conditions do not move', async () => {
    const world = await PodWorld.started();
    const fleet = names(12);
    await world.givenServing(fleet);
    world.addPods(names(4, 'plain'), { hasGate: false });
    world.keepBeating(names(4, 'plain'));
    await world.pass(SECOND);
    const before = world.conditions();
    const writes = world.cluster.podWrites.length;
    await world.pass(HOUR);
    expect(world.cluster.podWrites.length).toBe(writes);
    expect(world.conditions()).toEqual(before);
  }, 30_000);

  it.each([HOUR, -HOUR])('I4: does not notice that somebody sets the calendar by %d ms', async (ms) => {
    const world = await PodWorld.started();
    await world.givenServing(names(6));
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.clock.jumpWall(ms);
    world.silence(names(6));
    world.keepBeating(names(6).slice(1));
    const writes = world.cluster.podWrites.length;
    await world.pass(2 * TTL);
    expect(world.cluster.podWrites.length).toBe(writes);
    world.beat('web-0');
    await world.pass(SECOND);
    expect(world.servingOf(names(6))).toEqual(names(6));
  });

  it('I15: with withdrawn, held, paused and overridden Pods in it causes no Pod write either', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(4));
    await world.givenServing(['alone'], { workload: 'Deployment/alone' });
    await world.edit('web-1', { paused: true });
    await world.edit('web-2', { outOfService: true });
    world.silence(['web-0', 'alone']);
    await world.pass(10 * MINUTE);
    expect(world.shown([...names(4), 'alone'])).toEqual([
      EXPIRED,
      'True/Paused',
      'False/OverriddenOutOfService',
      RECEIVED,
      RECEIVED,
    ]);
    world.expectSynced('alone', 'False', 'MinimumHealthyFloor');
    const writes = world.cluster.podWrites.length;
    await world.pass(HOUR);
    expect(world.cluster.podWrites.length).toBe(writes);
  }, 30_000);
});
