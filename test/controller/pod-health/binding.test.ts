/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { describe, expect, it } from 'vitest';
import { identityOf } from '../../../src/liveness/instance-key.ts';
import { addressSender } from '../../../src/liveness/sender.ts';
import { HOUR, MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { identityWith, names, OPERATOR_NAMESPACE, PodWorld, WITHDRAWN_AFTER } from '../../support/pod-world.ts';

describe('The instance of a Pod', () => {
  it('has its object in the namespace of the Pod, is owned by it, and names it with the proof', async () => {
    const world = await PodWorld.started();
    const { uid } = world.addPod('web', { namespace: 'shop' });
    world.beat('web');
    await world.pass(SECOND);
    expect(world.object('web')).toMatchObject({
      namespace: 'shop',
      ownerUid: uid,
      status: { podRef: { namespace: 'shop', name: 'web', uid, matchedBy: 'PodIP' } },
    });
    world.expectServing('web');
  });

  it('is collected with the Pod, and what was known of it is forgotten', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    world.removePod('web-0');
    await world.pass(TTL + MINUTE);
    expect(world.objects('web-0')).toEqual([]);
    expect(world.loop.engine.size).toBe(1);
    expect(world.loop.bindings.instancesOf('web-0-uid-1').size).toBe(0);
  });

  it('is removed with the Pod also when it had been silent and withdrawn for an hour', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    await world.pass(2 * HOUR);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    expect(world.objects('web-0').length).toBe(1);
    world.removePod('web-0');
    await world.pass(SECOND);
    expect(world.objects('web-0')).toEqual([]);
  }, 30_000);
});

describe('A Pod that appears after its first heartbeat', () => {
  it('is found when its address is known, and only then the object is created, in the Pod’s namespace', async () => {
    const world = await PodWorld.started();
    world.addPod('other', { namespace: 'shop' });
    const { addresses } = world.addPod('web', { namespace: 'shop', addresses: [] });
    expect(addresses).toEqual([]);
    world.keepBeating(['web'], { sender: addressSender('10.7.7.7') });
    await world.pass(4 * SECOND);
    expect(world.objects('web')).toEqual([]);
    world.changePod('web', { addresses: ['10.7.7.7'] });
    await world.pass(SECOND);
    expect(world.objects('web').map(({ namespace }) => namespace)).toEqual(['shop']);
    world.expectServing('web');
    expect(world.instances.writes.filter(({ kind }) => kind === 'create' || kind === 'remove').length).toBe(1);
  });

  it('does not keep the object waiting for longer than five seconds', async () => {
    const world = await PodWorld.started();
    world.addPod('other');
    world.heartbeat(identityWith('web'), addressSender('10.7.7.7'));
    await world.pass(5 * SECOND + 250);
    expect(world.object('web')).toMatchObject({ namespace: OPERATOR_NAMESPACE, ownerUid: undefined });
    world.expectHealthy('web', 'True', 'HeartbeatReceived');
    world.expectSynced('web', 'False', 'NotBound');
  });

  it('later than that gets the object moved to its namespace with the next heartbeat', async () => {
    const world = await PodWorld.started();
    world.addPod('other');
    world.addPod('web', { namespace: 'shop', addresses: [] });
    world.keepBeating(['web'], { sender: addressSender('10.7.7.7') });
    await world.pass(10 * SECOND);
    world.changePod('web', { addresses: ['10.7.7.7'] });
    await world.pass(30 * SECOND);
    expect(world.objects('web').length).toBe(1);
    expect(world.object('web')).toMatchObject({ namespace: 'shop', ownerUid: world.pod('web').uid });
    world.expectPod('web', 'True', 'HeartbeatReceived');
  });

  it('leaves an object that a person changed where it is: nothing written in one namespace rules a Pod of another', async () => {
    const world = await PodWorld.started();
    world.addPod('other');
    world.addPod('web', { namespace: 'shop', addresses: [] });
    world.keepBeating(['web'], { sender: addressSender('10.7.7.7') });
    await world.pass(10 * SECOND);
    await world.edit('web', { outOfService: true, paused: true, heartbeat: { intervalSeconds: 1, times: 0 } });
    world.changePod('web', { addresses: ['10.7.7.7'] });
    await world.pass(30 * SECOND);
    expect(world.objects('web').map(({ namespace }) => namespace)).toEqual([OPERATOR_NAMESPACE]);
    world.expectSynced('web', 'False', 'OtherNamespace');
    world.expectPod('web', 'True', 'HeartbeatReceived');
    await world.pass(2 * TTL);
    world.expectServing('web');
  });

  it('gets what the application had reported from there moved with the object', async () => {
    const world = await PodWorld.started();
    world.addPod('other');
    world.addPod('web', { namespace: 'shop', addresses: [] });
    world.keepBeating(['web'], { sender: addressSender('10.7.7.7') });
    await world.pass(10 * SECOND);
    world.changePod('web', { addresses: ['10.7.7.7'] });
    world.instances.failWhenever((kind) => (kind === 'create' ? { kind: 'unreachable', message: 'away' } : undefined));
    await world.pass(30 * SECOND);
    expect(await world.report('DOWN', { instanceId: 'web' })).toEqual({ kind: 'stored' });
    world.instances.heal();
    await world.pass(10 * SECOND);
    expect(world.object('web')).toMatchObject({ namespace: 'shop', reported: { value: 'DOWN' } });
    world.expectHealthy('web', 'False', 'ReportedDown');
    world.expectSynced('web', 'False', 'MinimumHealthyFloor');
  });

  it('is not found by an object that a person made elsewhere: that one stays where it is, and says so', async () => {
    const world = await PodWorld.started();
    world.memory.createByPerson('elsewhere', 'my-web', identityWith('web'));
    world.addPod('web', { namespace: 'shop' });
    world.keepBeating(['web']);
    await world.pass(SECOND);
    expect(world.objects('web').map(({ namespace, name }) => `${namespace}/${name}`)).toEqual(['elsewhere/my-web']);
    world.expectSynced('web', 'False', 'OtherNamespace');
    world.expectPod('web', 'True', 'HeartbeatReceived');
  });
});

describe('An address', () => {
  it('that a new Pod got after the old one was gone proves the new one: the old instance rules it not', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    const address = world.pod('web-0').addresses;
    world.silence('web-0');
    world.removePod('web-0');
    await world.pass(SECOND);
    await world.givenServing(['api-0', 'api-1'], { workload: 'Deployment/api' });
    world.removePod('api-0');
    world.addPod('api-2', { workload: 'Deployment/api', addresses: address });
    world.keepBeating(['api-2']);
    await world.pass(2 * TTL);
    world.expectServing('api-2');
    expect(world.object('api-2').status?.podRef?.uid).toBe(world.pod('api-2').uid);
  });

  it('that a Pod of another workload got before the old one’s objects were collected does not bring it the old instance', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    await world.givenServing(['api-0'], { workload: 'Deployment/api' });
    world.collectedAfterMs = MINUTE;
    const address = world.pod('web-0').addresses;
    world.silence('web-0');
    world.removePod('web-0');
    await world.pass(SECOND);
    world.addPod('api-1', { workload: 'Deployment/api', addresses: address });
    world.keepBeating(['api-1'], { serviceId: 'api' });
    await world.pass(TTL + MINUTE);
    world.expectServing('api-1');
    expect(world.loop.bindings.instancesOf(world.pod('api-1').uid).size).toBe(1);
    expect(world.objects('web-0')).toEqual([]);
    expect(world.cluster.podWrites.filter(({ name, status }) => name === 'api-1' && status === 'False')).toEqual([]);
  });

  it('that a finished Pod still lists is no longer its own: who beats there now is somebody else', async () => {
    const world = await PodWorld.started();
    world.addPod('job', { workload: 'Job/nightly' });
    world.keepBeating(['job']);
    await world.pass(SECOND);
    world.silence('job');
    world.changePod('job', { isFinished: true, isReady: false });
    const { addresses } = world.pod('job');
    world.addPods(['web-0', 'web-1']);
    world.addPod('web-2', { addresses });
    world.keepBeating(names(3), { serviceId: 'web' });
    await world.pass(2 * TTL);
    expect(world.servingOf(names(3))).toEqual(names(3));
    expect(world.loop.bindings.instancesOf(world.pod('web-2').uid).size).toBe(1);
    expect(world.cluster.podWrites.filter(({ name, status }) => name === 'web-2' && status === 'False')).toEqual([]);
  });

  it('of a Pod that is being deleted belongs to its successor, if that has it already', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.terminate('web-0');
    const { addresses } = world.pod('web-0');
    world.addPod('web-2', { addresses });
    world.keepBeating(['web-2']);
    await world.pass(SECOND);
    expect(world.object('web-2').status?.podRef?.uid).toBe(world.pod('web-2').uid);
    world.expectServing('web-2');
  });

  it('of IPv4 and one of IPv6 are one Pod, whichever the heartbeats come from, and mapped ones too', async () => {
    const world = await PodWorld.started();
    world.addPod('web', { addresses: ['10.4.4.4', 'fd00::4'] });
    for (const address of ['10.4.4.4', 'fd00::4', '::ffff:10.4.4.4', 'FD00::4']) {
      world.heartbeat(identityWith('web'), addressSender(address));
      await world.pass(10 * SECOND);
    }
    expect(world.object('web').status).toMatchObject({
      podRef: { name: 'web', matchedBy: 'PodIP' },
      identityConflict: undefined,
    });
    world.expectServing('web');
  });

  it('of a Pod on the host network proves nothing, and of the node neither', async () => {
    const world = await PodWorld.started();
    world.putNode('node-1', { addresses: ['192.168.0.1'] });
    world.addPod('agent', { isOnHostNetwork: true, addresses: ['192.168.0.1'] });
    world.addPod('early', { isOnHostNetwork: true, nodeName: 'node-2', addresses: ['192.168.0.2'] });
    world.keepBeating(['agent', 'early']);
    await world.pass(TTL);
    for (const name of ['agent', 'early']) {
      world.expectPod(name, 'Unknown', 'AwaitingFirstHeartbeat');
      world.expectSynced(name, 'False', 'NotBound');
      expect(world.object(name).status?.podRef).toMatchObject({ name, matchedBy: 'InstanceId' });
    }
  });

  it('that two Pods have which stay proves neither', async () => {
    const world = await PodWorld.started();
    world.addPod('web-0', { addresses: ['10.5.5.5'] });
    world.addPod('web-1', { addresses: ['10.5.5.5'] });
    world.heartbeat(identityWith('a'), addressSender('10.5.5.5'));
    await world.pass(10 * SECOND);
    expect(world.object('a').status?.podRef).toBeUndefined();
    expect(world.shown(names(2))).toEqual(['Unknown/AwaitingFirstHeartbeat', 'Unknown/AwaitingFirstHeartbeat']);
  });

  it('of this process or of loopback proves nothing', async () => {
    const world = await PodWorld.started({ ownAddresses: ['10.6.6.6'] });
    world.addPod('operator', { addresses: ['10.6.6.6'] });
    world.heartbeat(identityWith('a'), addressSender('10.6.6.6'));
    world.heartbeat(identityWith('b'), addressSender('127.0.0.1'));
    await world.pass(10 * SECOND);
    world.expectSynced('a', 'False', 'NotBound');
    world.expectSynced('b', 'False', 'NotBound');
    world.expectPod('operator', 'Unknown', 'AwaitingFirstHeartbeat');
  });
});

describe('A StatefulSet', () => {
  const STATEFUL = { workload: 'StatefulSet/db' };

  it.each([
    { name: 'the address of the old one', isSameAddress: true, collectedAfterMs: 100 },
    { name: 'another address', isSameAddress: false, collectedAfterMs: 100 },
    {
      name: 'the address of the old one, before the old object is collected',
      isSameAddress: true,
      collectedAfterMs: MINUTE,
    },
    { name: 'another address, before the old object is collected', isSameAddress: false, collectedAfterMs: MINUTE },
  ])('I16: a namesake with a new uid and $name is another Pod, and is opened by its own heartbeats', async (row) => {
    const world = await PodWorld.started();
    await world.givenServing(['db-0', 'db-1'], STATEFUL);
    world.collectedAfterMs = row.collectedAfterMs;
    const before = world.pod('db-0');
    world.silence('db-0');
    await world.pass(TTL + MINUTE);
    world.expectPod('db-0', 'False', 'HeartbeatExpired');
    world.removePod('db-0');
    await world.pass(SECOND);
    const after = world.addPod('db-0', { ...STATEFUL, ...(row.isSameAddress ? { addresses: before.addresses } : {}) });
    await world.pass(10 * SECOND);
    world.expectPod('db-0', 'Unknown', 'AwaitingFirstHeartbeat');
    world.keepBeating(['db-0']);
    await world.pass(SECOND);
    world.expectServing('db-0');
    await world.pass(2 * MINUTE);
    world.expectServing('db-0');
    expect(world.object('db-0')).toMatchObject({ ownerUid: after.uid, status: { podRef: { uid: after.uid } } });
    expect(after.uid).not.toBe(before.uid);
  });

  it('I16: what the old one reported of itself does not rule the namesake', async () => {
    const world = await PodWorld.started();
    await world.givenServing(['db-0', 'db-1'], STATEFUL);
    world.collectedAfterMs = MINUTE;
    expect(await world.report('DOWN', { instanceId: 'db-0' })).toEqual({ kind: 'stored' });
    await world.pass(SECOND);
    world.removePod('db-0');
    world.addPod('db-0', STATEFUL);
    world.keepBeating(['db-0']);
    await world.pass(2 * MINUTE);
    world.expectServing('db-0');
  });
});

describe('A token', () => {
  it('proves the Pod whatever the address is', async () => {
    const world = await PodWorld.started();
    world.putNode('node-1', { addresses: ['192.168.0.1'] });
    world.addPod('agent', { isOnHostNetwork: true, addresses: ['192.168.0.1'] });
    world.beatByToken('agent');
    await world.pass(SECOND);
    expect(world.object('agent').status?.podRef).toMatchObject({ name: 'agent', matchedBy: 'Token' });
    world.expectServing('agent');
  });

  it('of a Pod that is not known yet waits for it', async () => {
    const world = await PodWorld.started();
    world.addPod('other');
    world.freezeWatches();
    world.addPod('web', { namespace: 'shop' });
    world.beatByToken('web');
    await world.pass(2 * SECOND);
    expect(world.objects('web')).toEqual([]);
    await world.thawWatches();
    await world.pass(SECOND);
    expect(world.objects('web').map(({ namespace }) => namespace)).toEqual(['shop']);
    world.expectServing('web');
  });

  it('of another Pod is refused for an instance whose Pod lives, and is no heartbeat', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    await world.pass(TTL - 2 * SECOND);
    world.addPod('stranger', { workload: 'Deployment/other' });
    await world.pass(500);
    const { uid } = world.pod('stranger');
    expect(world.beatByToken('stranger', 'web-0')).toEqual({ kind: 'foreignSender' });
    await world.pass(SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    expect(world.loop.bindings.instancesOf(uid).size).toBe(0);
  });
});

describe('A proxy Pod', () => {
  it('is taken for one from 33 instances on: those that come later are bound to no Pod', async () => {
    const world = await PodWorld.started();
    world.addPod('proxy', { workload: 'Deployment/proxy', hasGate: false });
    for (const id of names(40, 'behind')) world.beat('proxy', id);
    await world.pass(10 * SECOND);
    const bound = names(40, 'behind').filter((id) => world.object(id).status?.podRef !== undefined);
    expect(bound.length).toBe(32);
    world.expectSynced('behind-39', 'False', 'NotBound');
    world.expectHealthy('behind-39', 'True', 'HeartbeatReceived');
    expect(world.object('behind-39').namespace).toBe(OPERATOR_NAMESPACE);
  });
});

describe('Several instances in one Pod', () => {
  it('I27: of two services are both needed: the Pod is closed while one is silent, and names it', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.keepBeating(names(2), { serviceId: 'billing' });
    await world.pass(SECOND);
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
    expect(world.pod('web-0').condition?.message).toBe('Heartbeats of its 2 instances arrive in time.');
    world.silence('web-0');
    world.keepBeating(['web-0']);
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    expect(world.pod('web-0').condition?.message).toBe(
      '1 of 2 instances unhealthy (no heartbeat in time): billing/web-0.',
    );
    world.beat('web-0', 'web-0', 'billing');
    await world.pass(SECOND);
    world.expectServing('web-0');
  });

  it('I27: of two containers of one service, both first heard before either fell silent, are both needed', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.keepBeating(['web-0'], { instanceId: 'sidecar' });
    await world.pass(MINUTE);
    world.silence('web-0', 'sidecar');
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.expectHealthy('sidecar', 'False', 'HeartbeatExpired');
    world.expectHealthy('web-0', 'True', 'HeartbeatReceived');
  });

  it('I27: when the silent one’s object is deleted, no False of it stays', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.keepBeating(['web-0'], { instanceId: 'sidecar' });
    await world.pass(MINUTE);
    world.silence('web-0', 'sidecar');
    await world.pass(TTL + SECOND);
    await world.deleteInstance('sidecar');
    await world.pass(SECOND);
    world.expectServing('web-0');
    expect(world.pod('web-0').condition?.message).toBe('Heartbeats of its instance arrive in time.');
  });

  it('I27: one whose object is deleted while it beats belongs to the Pod until its own deadline, and no longer', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.keepBeating(['web-0'], { instanceId: 'sidecar' });
    await world.pass(MINUTE);
    world.silence('web-0', 'sidecar');
    await world.deleteInstance('sidecar');
    const residents = (): readonly string[] =>
      Array.from(world.loop.bindings.instancesOf(world.pod('web-0').uid), (key) => identityOf(key).instanceId);
    expect(residents()).toEqual(['web-0', 'sidecar']);
    await world.pass(TTL + SECOND);
    expect(residents()).toEqual(['web-0']);
    world.expectServing('web-0');
  });

  it('I27: one that is paused or taken out of service decides no more, or alone', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.keepBeating(['web-0'], { instanceId: 'sidecar' });
    await world.pass(MINUTE);
    world.silence('web-0', 'sidecar');
    await world.pass(TTL + SECOND);
    await world.edit('sidecar', { paused: true });
    await world.pass(SECOND);
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
    await world.edit('sidecar', { outOfService: true, paused: false });
    await world.pass(SECOND);
    world.expectPod('web-0', 'False', 'OverriddenOutOfService');
  });
});

describe('Two containers of one service', () => {
  it('I13: of which one dies after a restart of the operator, before the other was heard: its silence counts', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.keepBeating(['web-0'], { instanceId: 'sidecar' });
    await world.pass(6 * MINUTE);
    await world.restart();
    world.silence('web-0');
    world.beat('web-0', 'sidecar');
    await world.pass(10 * SECOND);
    world.keepBeating(['web-0']);
    await world.pass(TTL + SECOND);
    world.expectHealthy('sidecar', 'False', 'HeartbeatExpired');
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
  });
});

describe('A container that restarts and takes a new instance id', () => {
  it('goes on serving: the old instance is superseded at its deadline, and its object goes after one time to live', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    world.keepBeating(['web-0'], { instanceId: 'second' });
    await world.pass(TTL + SECOND);
    world.expectServing('web-0');
    world.expectHealthy('web-0', 'Unknown', 'Superseded');
    world.expectSynced('web-0', 'False', 'Superseded');
    expect(world.pod('web-0').condition?.message).toBe('Heartbeats of its instance arrive in time.');
    await world.pass(TTL - 5 * SECOND);
    expect(world.objects('web-0').length).toBe(1);
    await world.pass(10 * SECOND);
    expect(world.objects('web-0')).toEqual([]);
    world.expectServing('web-0');
    expect(world.cluster.podWrites.filter(({ name, status }) => name === 'web-0' && status === 'False')).toEqual([]);
  });

  it('within the second in which the old one last beat goes on serving as well', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    await world.pass(SECOND - (world.clock.wallMs() % SECOND) + 100);
    world.beat('web-0');
    await world.pass(100);
    world.keepBeating(['web-0'], { instanceId: 'second' });
    await world.pass(TTL + SECOND);
    world.expectServing('web-0');
    world.expectHealthy('web-0', 'Unknown', 'Superseded');
    expect(world.cluster.podWrites.filter(({ name, status }) => name === 'web-0' && status === 'False')).toEqual([]);
  });

  it('after it had been silent for long is opened by the first heartbeat of the new id, and both objects say why within seconds', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    await world.pass(TTL + MINUTE);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.keepBeating(['web-0'], { instanceId: 'second' });
    await world.pass(SECOND);
    world.expectServing('web-0');
    await world.pass(10 * SECOND);
    world.expectHealthy('second', 'True', 'HeartbeatReceived');
    world.expectHealthy('web-0', 'Unknown', 'Superseded');
    world.expectSynced('web-0', 'False', 'Superseded');
  });

  it('again and again leaves one object of each, and all but the last go', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    for (let restart = 0; restart < 5; restart += 1) {
      world.silence('web-0');
      world.keepBeating(['web-0'], { instanceId: `restart-${restart}` });
      await world.pass(45 * SECOND);
    }
    await world.pass(2 * TTL + SECOND);
    expect(world.memory.list().length).toBe(2);
    world.expectServing('web-0');
    expect(world.cluster.podWrites.filter(({ name, status }) => name === 'web-0' && status === 'False')).toEqual([]);
  });

  it('and falls silent with the new id too is closed, and the superseded one says False no more than it must', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    world.silence('web-0');
    world.keepBeating(['web-0'], { instanceId: 'second' });
    await world.pass(TTL + 30 * SECOND);
    world.silence('web-0');
    await world.pass(TTL + WITHDRAWN_AFTER);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.beat('web-0', 'second');
    await world.pass(SECOND);
    world.expectServing('web-0');
    await world.pass(TTL);
    expect(world.objects('web-0')).toEqual([]);
  });
});
