/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { beforeEach, describe, expect, it } from 'vitest';
import { keyOf } from '../../../src/liveness/instance-key.ts';
import { addressSender } from '../../../src/liveness/sender.ts';
import { MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { identityWith, names, PodWorld } from '../../support/pod-world.ts';

const VICTIMS = ['victim', 'sibling'];

/** The victim's Pod was never closed by us since it first served. */
function expectNeverWithdrawn(world: PodWorld): void {
  expect(world.cluster.podWrites.filter(({ name, status }) => name === 'victim' && status === 'False')).toEqual([]);
  world.expectServing('victim');
}

describe('A stranger', () => {
  let world: PodWorld;

  beforeEach(async () => {
    world = await PodWorld.started();
    await world.givenServing(VICTIMS);
    await world.givenServing(['stranger', 'other'], { workload: 'Deployment/other' });
  });

  it('that beats for the instance of another is heard, and the instance stays with its Pod', async () => {
    const { podRef } = world.object('victim').status ?? {};
    world.keepBeating(['stranger'], { instanceId: 'victim', intervalMs: 7 * SECOND });
    await world.pass(5 * MINUTE);
    expect(world.object('victim').status?.podRef).toEqual(podRef);
    expectNeverWithdrawn(world);
  });

  it('keeps an instance fresh whose own Pod is silent, since the way to us may have changed, and it is said', async () => {
    world.silence('victim');
    world.keepBeating(['stranger'], { instanceId: 'victim' });
    await world.pass(2 * TTL);
    world.expectHealthy('victim', 'True', 'HeartbeatReceived');
    expect(world.object('victim').status?.identityConflict).toMatchObject({ status: 'True', reason: 'ForeignSender' });
    expectNeverWithdrawn(world);
  });

  it('is told of as a conflict after a while, once, and no longer when it has been quiet for long', async () => {
    world.keepBeating(['stranger'], { instanceId: 'victim', intervalMs: 20 * SECOND });
    await world.pass(SECOND);
    expect(world.object('victim').status?.identityConflict).toBeUndefined();
    await world.pass(2 * MINUTE);
    expect(world.object('victim').status?.identityConflict).toMatchObject({ status: 'True', reason: 'ForeignSender' });
    expect(world.told.conflicts).toEqual([keyOf(identityWith('victim'))]);
    world.silence('stranger', 'victim');
    await world.pass(2 * TTL - 30 * SECOND);
    expect(world.object('victim').status?.identityConflict?.status).toBe('True');
    await world.pass(MINUTE);
    expect(world.object('victim').status?.identityConflict).toMatchObject({ status: 'False', reason: 'OnlyBoundPod' });
  });

  it('that beats once by accident is no conflict', async () => {
    world.beat('stranger', 'victim');
    await world.pass(5 * MINUTE);
    expect(world.object('victim').status?.identityConflict).toBeUndefined();
    expect(world.told.conflicts).toEqual([]);
  });

  it('that beat for another and falls silent loses its own Pod’s traffic alone', async () => {
    world.keepBeating(['stranger'], { instanceId: 'victim' });
    await world.pass(MINUTE);
    world.silence('stranger');
    await world.pass(2 * TTL);
    world.expectPod('stranger', 'False', 'HeartbeatExpired');
    expectNeverWithdrawn(world);
  });

  it('that reports another down is refused, and nothing is stored', async () => {
    for (const value of ['DOWN', 'OUTOFSERVICE', 'STARTING'] as const) {
      expect(await world.report(value, { instanceId: 'victim', from: 'stranger' })).toEqual({ kind: 'foreignSender' });
    }
    await world.pass(MINUTE);
    expect(world.object('victim').reported).toBeUndefined();
    expectNeverWithdrawn(world);
  });

  it('that reports another down right after beating for it is refused too', async () => {
    world.beat('stranger', 'victim');
    await world.clock.advance(0);
    expect(await world.report('DOWN', { instanceId: 'victim', from: 'stranger' })).toEqual({ kind: 'foreignSender' });
    await world.pass(MINUTE);
    expectNeverWithdrawn(world);
  });

  it('that reports another down after a restart, before anybody was heard, is refused too', async () => {
    await world.restart();
    expect(await world.report('DOWN', { instanceId: 'victim', from: 'stranger' })).toEqual({ kind: 'foreignSender' });
    await world.pass(MINUTE);
    expectNeverWithdrawn(world);
  });

  it('that reports another down while nothing stored is known yet after a restart is not believed', async () => {
    world.kill();
    world.startHearing();
    world.beat('stranger', 'victim');
    const answer = world.report('DOWN', { instanceId: 'victim', from: 'stranger' });
    await world.clock.advance(0);
    await world.learnWhatIsStored();
    await world.pass(5 * SECOND);
    expect((await answer).kind).not.toBe('stored');
    await world.pass(MINUTE);
    expect(world.object('victim').reported).toBeUndefined();
    expectNeverWithdrawn(world);
  });

  it('that beats for an instance while nothing stored is known yet after a restart does not take it over', async () => {
    world.kill();
    world.startHearing();
    world.beat('stranger', 'victim');
    await world.clock.advance(0);
    await world.learnWhatIsStored();
    world.silence('stranger');
    await world.pass(2 * TTL);
    expect(world.object('victim').status?.podRef?.name).toBe('victim');
    expectNeverWithdrawn(world);
  });

  it('whose Pod is gone leaves the victim as it was', async () => {
    world.keepBeating(['stranger'], { instanceId: 'victim' });
    await world.pass(MINUTE);
    world.silence('stranger');
    world.removePod('stranger');
    await world.pass(2 * TTL);
    expect(world.object('victim').status?.podRef?.name).toBe('victim');
    expectNeverWithdrawn(world);
  });

  it('that makes up many instances at its own address harms nobody else', async () => {
    for (const id of names(100, 'invented')) world.beat('stranger', id);
    await world.pass(2 * TTL);
    world.expectPod('stranger', 'False', 'HeartbeatExpired');
    expect(world.servingOf([...VICTIMS, 'other'])).toEqual([...VICTIMS, 'other']);
  });
});

describe('A stranger that comes first with the id of another', () => {
  it('and goes silent withdraws its own Pod and not the other’s, which beats', async () => {
    const world = await PodWorld.started();
    await world.givenServing(['stranger', 'other'], { workload: 'Deployment/other' });
    world.beat('stranger', 'victim');
    await world.pass(SECOND);
    await world.givenServing(['sibling']);
    world.addPod('victim');
    world.keepBeating(['victim']);
    await world.pass(15 * MINUTE);
    expectNeverWithdrawn(world);
    world.expectPod('victim', 'True', 'FirstHeartbeatTimeout');
    expect(world.object('victim').status?.identityConflict?.status).toBe('True');
  });

  it('and whose Pod is gone frees it: the next heartbeat of the other binds it to the other’s Pod', async () => {
    const world = await PodWorld.started();
    await world.givenServing(['stranger', 'other'], { workload: 'Deployment/other' });
    world.keepBeating(['stranger'], { instanceId: 'victim', intervalMs: 11 * SECOND });
    world.addPods(VICTIMS);
    world.keepBeating(VICTIMS);
    await world.pass(MINUTE);
    world.silence('stranger');
    world.removePod('stranger');
    await world.pass(31 * SECOND);
    expect(world.object('victim').status?.podRef?.name).toBe('victim');
    expectNeverWithdrawn(world);
  });

  it.each([
    { where: 'an address that many share', address: '127.0.0.1' },
    { where: 'an address of no Pod', address: '172.16.0.1' },
  ])('from $where and reports it down does not close the Pod that later proves to be it', async ({ address }) => {
    const world = await PodWorld.started();
    await world.givenServing(['sibling'], { namespace: 'heartbeat-operator' });
    const identity = identityWith('victim');
    world.heartbeat(identity, addressSender(address));
    await world.pass(10 * SECOND);
    await world.loop.report(keyOf(identity), 'DOWN', world.clock.nowMs(), addressSender(address));
    world.addPod('victim', { namespace: 'heartbeat-operator' });
    world.keepBeating(['victim']);
    await world.pass(10 * SECOND);
    expectNeverWithdrawn(world);
  });

  it('from a Pod of its own and reports it down does not close the Pod that later proves to be it', async () => {
    const world = await PodWorld.started();
    await world.givenServing(['stranger', 'other'], { workload: 'Deployment/other' });
    world.collectedAfterMs = MINUTE;
    world.beat('stranger', 'victim');
    await world.pass(SECOND);
    expect(await world.report('DOWN', { instanceId: 'victim', from: 'stranger' })).toEqual({ kind: 'stored' });
    world.silence('stranger');
    world.removePod('stranger');
    await world.givenServing(['sibling']);
    world.addPod('victim');
    world.keepBeating(['victim']);
    await world.pass(10 * SECOND);
    expectNeverWithdrawn(world);
  });
});
