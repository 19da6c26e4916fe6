/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { names, PodWorld, WITHDRAWN_AFTER } from '../../support/pod-world.ts';

const STORED = { kind: 'stored' } as const;

describe('A person who takes an instance out of service', () => {
  let world: PodWorld;

  beforeEach(async () => {
    world = await PodWorld.started();
    await world.givenServing(names(3));
    await world.edit('web-0', { outOfService: true });
    await world.pass(100);
  });

  it('I25: closes its Pod at once, whatever it sends, and says so', async () => {
    world.expectPod('web-0', 'False', 'OverriddenOutOfService');
    expect(world.pod('web-0').isReady).toBe(false);
    await world.pass(5 * MINUTE);
    world.expectPod('web-0', 'False', 'OverriddenOutOfService');
    world.expectHealthy('web-0', 'False', 'OverriddenOutOfService');
    expect(world.pod('web-0').condition?.message).toBe(
      '1 of 1 instances unhealthy (taken out of service): cart/web-0.',
    );
  });

  it('I25: is obeyed through restarts, reports and silence', async () => {
    await world.report('UP', { instanceId: 'web-0' });
    await world.restart();
    await world.pass(MINUTE);
    world.silence('web-0');
    await world.pass(TTL + MINUTE);
    world.expectPod('web-0', 'False', 'OverriddenOutOfService');
  });

  it('I25: who takes it back opens the Pod at once, if it beats', async () => {
    await world.edit('web-0', { outOfService: false });
    await world.pass(100);
    world.expectServing('web-0');
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
  });

  it('who takes it back leaves the Pod closed if it is silent', async () => {
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    await world.edit('web-0', { outOfService: false });
    await world.pass(SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
  });

  it('is obeyed in a storm, and no storm opens the Pod again', async () => {
    await world.givenServing(names(10, 'more'));
    world.silence(names(10, 'more'));
    await world.pass(TTL + 2 * MINUTE);
    expect(world.told.began.length).toBe(1);
    world.expectPod('web-0', 'False', 'OverriddenOutOfService');
    await world.edit('more-0', { outOfService: true });
    await world.pass(SECOND);
    world.expectPod('more-0', 'False', 'OverriddenOutOfService');
  });
});

describe('A person who pauses an instance', () => {
  it('I25: opens its Pod as Paused, and its silence closes it no more, also after a restart', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    await world.edit('web-0', { paused: true });
    await world.pass(100);
    world.expectPod('web-0', 'True', 'Paused');
    world.expectServing('web-0');
    world.expectHealthy('web-0', 'Unknown', 'Paused');
    await world.restart();
    await world.pass(3 * TTL);
    world.expectPod('web-0', 'True', 'Paused');
  });

  it('and ends the pause gives a silent instance its time to live, and then withdraws its Pod', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.edit('web-0', { paused: true });
    await world.pass(2 * TTL);
    await world.edit('web-0', { paused: false });
    await world.pass(TTL - SECOND);
    world.expectServing('web-0');
    await world.pass(2 * SECOND);
    expect(world.pod('web-0').condition?.status).toBe('False');
  });

  it('and ends the pause of one that beats keeps its Pod open throughout', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    await world.edit('web-0', { paused: true });
    await world.pass(2 * TTL);
    await world.edit('web-0', { paused: false });
    await world.pass(2 * TTL);
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
    expect(world.cluster.podWrites.filter(({ status }) => status !== 'True').map(({ name }) => name)).toEqual(
      world.cluster.podWrites.filter(({ reason }) => reason === 'AwaitingFirstHeartbeat').map(({ name }) => name),
    );
  });
});

describe('What an application says of itself', () => {
  let world: PodWorld;

  beforeEach(async () => {
    world = await PodWorld.started();
    await world.givenServing(names(3));
  });

  it.each([
    { value: 'DOWN', reason: 'ReportedDown' },
    { value: 'OUTOFSERVICE', reason: 'ReportedOutOfService' },
    { value: 'STARTING', reason: 'ReportedStarting' },
  ] as const)('$value closes its Pod within 300 ms though it beats', async ({ value, reason }) => {
    expect(await world.report(value, { instanceId: 'web-0' })).toEqual(STORED);
    await world.pass(WITHDRAWN_AFTER);
    world.expectPod('web-0', 'False', reason);
    world.expectHealthy('web-0', 'False', reason);
    await world.pass(5 * MINUTE);
    world.expectPod('web-0', 'False', reason);
  });

  it.each(['UP', 'TESTING'] as const)('%s opens its Pod at once', async (value) => {
    await world.report('DOWN', { instanceId: 'web-0' });
    await world.pass(SECOND);
    world.expectPod('web-0', 'False', 'ReportedDown');
    expect(await world.report(value, { instanceId: 'web-0' })).toEqual(STORED);
    await world.pass(100);
    world.expectServing('web-0');
  });

  it('survives heartbeats and restarts', async () => {
    await world.report('DOWN', { instanceId: 'web-0' });
    await world.pass(MINUTE);
    await world.restart();
    await world.pass(5 * MINUTE);
    world.expectPod('web-0', 'False', 'ReportedDown');
    expect(world.object('web-0').reported?.value).toBe('DOWN');
  });

  it('passes the brakes when it closes: the last of its workload stays', async () => {
    await world.givenServing(['alone'], { workload: 'Deployment/alone' });
    await world.report('DOWN', { instanceId: 'alone' });
    await world.pass(MINUTE);
    world.expectServing('alone');
    world.expectSynced('alone', 'False', 'MinimumHealthyFloor');
    world.expectHealthy('alone', 'False', 'ReportedDown');
  });

  it('and then falls silent: the Pod stays closed and the instance says what came last', async () => {
    await world.report('DOWN', { instanceId: 'web-0' });
    await world.pass(SECOND);
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    expect(world.pod('web-0').condition?.status).toBe('False');
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
  });

  it('I23: in an older report that was under way never overrides what a newer one said', async () => {
    await world.pass(10 * SECOND);
    expect(await world.report('UP', { instanceId: 'web-0' })).toEqual(STORED);
    await world.pass(SECOND);
    await world.report('DOWN', { instanceId: 'web-0', receivedMsAgo: 5 * SECOND });
    await world.pass(MINUTE);
    expect(world.object('web-0').reported?.value).toBe('UP');
    world.expectServing('web-0');
  });

  it('I23: in an older report that is being stored gives way to a newer one', async () => {
    await world.pass(10 * SECOND);
    world.instances.failWhenever((kind) => (kind === 'report' ? { kind: 'conflict' } : undefined));
    const older = world.report('DOWN', { instanceId: 'web-0' });
    await world.pass(500);
    const newer = world.report('UP', { instanceId: 'web-0' });
    await world.pass(500);
    world.instances.heal();
    await world.pass(SECOND);
    expect(await Promise.all([older, newer])).toEqual([STORED, STORED]);
    expect(world.object('web-0').reported?.value).toBe('UP');
    world.expectServing('web-0');
  });

  it('I23: twice is as once', async () => {
    await world.report('DOWN', { instanceId: 'web-0' });
    await world.pass(SECOND);
    const { length } = world.cluster.podWrites;
    await world.report('DOWN', { instanceId: 'web-0' });
    await world.pass(MINUTE);
    expect(world.cluster.podWrites.length).toBe(length);
    world.expectPod('web-0', 'False', 'ReportedDown');
  });

  it('and cannot be stored is answered so after three seconds, and changes nothing', async () => {
    world.instances.failWhenever((kind) =>
      kind === 'report' ? { kind: 'unreachable', message: 'the API server is away' } : undefined,
    );
    const answer = world.report('DOWN', { instanceId: 'web-0' });
    await world.pass(5 * SECOND);
    expect(await answer).toEqual({ kind: 'notStored', detail: 'the API server is away' });
    world.expectServing('web-0');
  });

  it('of an instance that nobody knows is answered so', async () => {
    const answer = await world.report('DOWN', { instanceId: 'nobody', from: 'web-0' });
    expect(answer).toEqual({ kind: 'unknownInstance' });
  });

  it('with its very first heartbeat waits for the object and is stored in it', async () => {
    world.addPod('late');
    world.beat('late');
    const answer = world.report('STARTING', { instanceId: 'late' });
    await world.pass(SECOND);
    expect(await answer).toEqual(STORED);
    world.expectPod('late', 'False', 'ReportedStarting');
  });
});
