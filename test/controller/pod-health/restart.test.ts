/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { describe, expect, it } from 'vitest';
import { addressSender } from '../../../src/liveness/sender.ts';
import { MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { identityWith, names, PodWorld } from '../../support/pod-world.ts';

const TEN = names(10);

interface State {
  readonly name: string;
  readonly arrange: (world: PodWorld) => Promise<void>;
}

const STATES: readonly State[] = [
  { name: 'steady', arrange: () => Promise.resolve() },
  {
    name: 'withdrawn',
    arrange: async (world) => {
      world.silence('web-0');
      await world.pass(TTL + MINUTE);
      world.expectPod('web-0', 'False', 'HeartbeatExpired');
    },
  },
  {
    name: 'withdrawn because the container was killed',
    arrange: async (world) => {
      world.silence('web-0');
      await world.pass(MINUTE);
      const finishedSeconds = Math.floor(world.clock.wallMs() / 1000);
      world.changePod('web-0', {
        restarts: 1,
        lastTermination: { container: 'app', reason: 'OOMKilled', exitCode: 137, finishedSeconds },
      });
      await world.pass(TTL);
      world.expectHealthy('web-0', 'False', 'ContainerOOMKilled');
    },
  },
  {
    name: 'storm-held',
    arrange: async (world) => {
      world.silence(TEN.slice(0, 8));
      await world.pass(TTL + MINUTE);
      world.expectSynced('web-0', 'False', 'StormHold');
    },
  },
  {
    name: 'storm-held with Pods that were opened again',
    arrange: async (world) => {
      world.silence(TEN.slice(0, 8));
      for (const name of TEN.slice(0, 8)) {
        world.beat(name);
        await world.pass(3 * SECOND);
      }
      await world.pass(TTL + 2 * MINUTE);
      expect(world.shown(TEN).filter((shown) => shown === 'True/StormHold').length).toBe(2);
    },
  },
  {
    name: 'floor-held',
    arrange: async (world) => {
      await world.givenServing(['alone'], { workload: 'Deployment/alone' });
      world.silence('alone');
      await world.pass(TTL + MINUTE);
      world.expectSynced('alone', 'False', 'MinimumHealthyFloor');
    },
  },
  {
    name: 'initial',
    arrange: async (world) => {
      world.addPod('never');
      await world.pass(MINUTE);
      world.expectPod('never', 'Unknown', 'AwaitingFirstHeartbeat');
    },
  },
  {
    name: 'opened without a heartbeat',
    arrange: async (world) => {
      world.addPod('never');
      await world.pass(11 * MINUTE);
      world.expectPod('never', 'True', 'FirstHeartbeatTimeout');
    },
  },
  {
    name: 'annotated',
    arrange: async (world) => {
      world.putPolicy('rules', { enforcement: 'Annotate' });
      world.addPods(['plain', 'quiet'], { hasGate: false });
      world.keepBeating(['plain', 'quiet']);
      await world.pass(SECOND);
      world.silence(['web-0', 'quiet']);
      await world.pass(TTL + MINUTE);
      world.expectPod('web-0', 'True', 'NotEnforced');
      world.expectPod('quiet', 'False', 'HeartbeatExpired');
    },
  },
  {
    name: 'observed',
    arrange: async (world) => {
      world.putPolicy('rules', { enforcement: 'Observe' });
      world.silence('web-0');
      await world.pass(TTL + MINUTE);
      world.expectPod('web-0', 'True', 'NotEnforced');
    },
  },
  {
    name: 'unbound, fresh and stale',
    arrange: async (world) => {
      world.keepBeating(['web-1'], { instanceId: 'outside', sender: addressSender('172.16.0.1') });
      world.keepBeating(['web-1'], { instanceId: 'local', sender: addressSender('127.0.0.1') });
      world.heartbeat(identityWith('gone'), addressSender('172.16.0.2'));
      await world.pass(TTL + MINUTE);
      world.expectSynced('outside', 'False', 'NotBound');
      world.expectHealthy('gone', 'False', 'HeartbeatExpired');
    },
  },
  {
    name: 'guessed by its name',
    arrange: async (world) => {
      world.addPod('agent', { isOnHostNetwork: true, addresses: ['192.168.0.1'] });
      world.keepBeating(['agent']);
      await world.pass(MINUTE);
      expect(world.object('agent').status?.podRef?.matchedBy).toBe('InstanceId');
    },
  },
  {
    name: 'bound by a token',
    arrange: async (world) => {
      world.addPod('agent', { isOnHostNetwork: true, addresses: ['192.168.0.1'] });
      world.beatByToken('agent');
      await world.pass(SECOND);
      world.expectServing('agent');
    },
  },
  {
    name: 'paused and overridden',
    arrange: async (world) => {
      await world.edit('web-0', { paused: true });
      await world.edit('web-1', { outOfService: true });
      world.silence('web-0');
      await world.pass(TTL + MINUTE);
      expect(world.shown(['web-0', 'web-1'])).toEqual(['True/Paused', 'False/OverriddenOutOfService']);
    },
  },
  {
    name: 'reported down',
    arrange: async (world) => {
      await world.report('DOWN', { instanceId: 'web-0' });
      await world.pass(MINUTE);
      world.expectPod('web-0', 'False', 'ReportedDown');
    },
  },
  {
    name: 'superseded',
    arrange: async (world) => {
      world.silence('web-0');
      world.keepBeating(['web-0'], { instanceId: 'second' });
      await world.pass(TTL + MINUTE);
      world.expectHealthy('web-0', 'Unknown', 'Superseded');
      world.expectServing('web-0');
    },
  },
  {
    name: 'in conflict about an identity',
    arrange: async (world) => {
      await world.givenServing(['stranger'], { workload: 'Deployment/other' });
      world.keepBeating(['stranger'], { instanceId: 'web-0', intervalMs: 20 * SECOND });
      await world.pass(2 * MINUTE);
      expect(world.object('web-0').status?.identityConflict?.status).toBe('True');
    },
  },
  {
    name: 'opted out',
    arrange: async (world) => {
      world.silence('web-0');
      await world.pass(TTL + SECOND);
      world.changePod('web-0', { labels: { 'heartbeat-operator.io/gate': 'disabled' } });
      await world.pass(MINUTE);
      world.expectPod('web-0', 'True', 'Released');
    },
  },
  {
    name: 'released by the end of its policy',
    arrange: async (world) => {
      world.putPolicy('rules');
      world.silence('web-0');
      await world.pass(TTL + SECOND);
      world.removePolicy('rules');
      await world.pass(MINUTE);
      world.expectPod('web-0', 'True', 'Released');
    },
  },
  {
    name: 'open with its last instance gone',
    arrange: async (world) => {
      world.silence('web-0');
      await world.pass(TTL + SECOND);
      await world.deleteInstance('web-0');
      await world.pass(MINUTE);
      world.expectPod('web-0', 'True', 'Released');
    },
  },
  {
    name: 'written, and its Ready did not follow',
    arrange: async (world) => {
      world.cluster.kubelet = 'dead';
      world.silence('web-0');
      await world.pass(TTL + MINUTE);
      world.expectSynced('web-0', 'Unknown', 'PodWriteUnconfirmed');
    },
  },
  {
    name: 'never to be written',
    arrange: async (world) => {
      world.cluster.failPodsWhenever((_, { name }) =>
        name === 'web-0' ? { kind: 'refused', reason: 'Forbidden', message: 'no' } : undefined,
      );
      world.silence('web-0');
      await world.pass(TTL + MINUTE);
      world.expectSynced('web-0', 'False', 'Forbidden');
    },
  },
  {
    name: 'under a policy with another timing',
    arrange: async (world) => {
      world.putPolicy('rules', { timing: { intervalSeconds: 60, times: 4 } });
      await world.pass(6 * MINUTE);
      world.changeRhythm(MINUTE);
      expect(world.object('web-0').status?.effective).toMatchObject({ source: 'Policy', ttlSeconds: 300 });
    },
  },
];

describe('I13: a restart of the operator changes no condition on any Pod, instance or policy', () => {
  for (const last of ['instances', 'pods'] as const) {
    it.each(STATES)(`when one is $name, and ${last} are known last`, async ({ arrange }) => {
      const world = await PodWorld.started();
      world.putPolicy('elsewhere', { namespace: 'elsewhere' });
      await world.givenServing(TEN);
      await arrange(world);
      await world.pass(20 * SECOND);
      const before = world.conditions();
      const writes = world.cluster.podWrites.filter(({ outcome }) => outcome === 'pod').length;
      await world.restart(last);
      for (const passMs of [0, SECOND, 10 * SECOND, 30 * SECOND, MINUTE]) {
        await world.pass(passMs);
        expect(world.conditions()).toEqual(before);
      }
      expect(world.cluster.podWrites.filter(({ outcome }) => outcome === 'pod').length).toBe(writes);
    });
  }

  it('again and again, faster than any time to live', async () => {
    const world = await PodWorld.started();
    await world.givenServing(TEN);
    world.silence(['web-0', 'web-1']);
    await world.pass(TTL + MINUTE + SECOND);
    const before = world.conditions();
    for (let round = 0; round < 10; round += 1) {
      await world.restart();
      await world.pass(7 * SECOND);
      expect(world.conditions()).toEqual(before);
    }
  });

  it('when it was away for an hour, and heartbeats found nobody', async () => {
    const world = await PodWorld.started();
    await world.givenServing(TEN);
    await world.pass(20 * SECOND);
    const before = world.conditions();
    world.kill();
    await world.clock.advance(60 * MINUTE);
    world.silence(TEN);
    world.keepBeating(TEN);
    await world.start();
    await world.pass(5 * MINUTE);
    expect(world.conditions()).toEqual(before);
  });
});

describe('After a restart', () => {
  it('I2: one that stays silent is withdrawn after a whole time to live, and not before', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(TTL - 5 * SECOND);
    await world.restart();
    await world.pass(TTL - SECOND);
    world.expectServing('web-0');
    await world.pass(2 * SECOND);
    world.expectPod('web-0', 'False', 'NotHeardSinceObserverStart');
    world.expectHealthy('web-0', 'False', 'NotHeardSinceObserverStart');
  });

  it('I13: a storm that is under way withdraws nobody, and neither does one that goes on for long', async () => {
    const world = await PodWorld.started();
    await world.givenServing(TEN);
    world.silence(TEN.slice(0, 8));
    await world.pass(TTL + 5 * MINUTE);
    expect(world.servingOf(TEN)).toEqual(TEN);
    for (let round = 0; round < 4; round += 1) {
      await world.restart();
      await world.pass(2 * MINUTE);
      expect(world.servingOf(TEN)).toEqual(TEN);
    }
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False')).toEqual([]);
  });

  it('a withdrawn Pod is opened at once by its heartbeat, also by one that came before anything was known', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.kill();
    world.startHearing();
    world.beat('web-0');
    await world.clock.advance(100);
    await world.learnWhatIsStored();
    await world.pass(SECOND);
    world.expectServing('web-0');
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
  });

  it('a Pod whose successor came while we were away is found by its heartbeat', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2), { workload: 'StatefulSet/web' });
    world.kill();
    world.removePod('web-0');
    world.addPod('web-0', { workload: 'StatefulSet/web' });
    await world.start();
    await world.pass(TTL);
    world.expectServing('web-0');
    expect(world.object('web-0').status?.podRef?.uid).toBe(world.pod('web-0').uid);
  });

  it('I13: a Pod that beats is never withdrawn because a superseded instance of it is still stored', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.keepBeating(['web-0'], { instanceId: 'second' });
    await world.pass(TTL + 5 * SECOND);
    await world.restart();
    await world.pass(3 * TTL);
    world.expectServing('web-0');
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False')).toEqual([]);
    expect(world.objects('web-0')).toEqual([]);
  });

  it('I13: a container that restarts while we are away supersedes its old instance all the same', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    await world.pass(MINUTE);
    world.kill();
    world.silence('web-0');
    await world.clock.advance(20 * SECOND);
    world.keepBeating(['web-0'], { instanceId: 'second' });
    await world.start();
    await world.pass(2 * TTL);
    world.expectServing('web-0');
    expect(world.objects('web-0')).toEqual([]);
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False')).toEqual([]);
  });
});

describe('I13: a container that took a new instance id within a second', () => {
  it('of the last heartbeat of the old one, before the operator restarts, is not withdrawn', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(SECOND - (world.clock.wallMs() % SECOND) + 100);
    world.beat('web-0');
    await world.pass(100);
    world.keepBeating(['web-0'], { instanceId: 'second' });
    await world.pass(TTL + SECOND);
    world.expectHealthy('web-0', 'Unknown', 'Superseded');
    await world.restart();
    await world.pass(3 * TTL);
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False')).toEqual([]);
    world.expectServing('web-0');
  });

  it('of the first heartbeat of the old one, while the operator restarts, is not withdrawn', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    await world.pass(SECOND - (world.clock.wallMs() % SECOND) + 100);
    world.silence('web-0');
    world.beat('web-0', 'second');
    await world.pass(100);
    await world.restart();
    await world.pass(100);
    world.keepBeating(['web-0'], { instanceId: 'third' });
    await world.pass(3 * TTL);
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False')).toEqual([]);
    world.expectServing('web-0');
  });
});

describe('I14: a crash between two writes converges', () => {
  it('when the instance says False and the Pod was not written', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.beat('web-0');
    world.cluster.beforeCallMs = MINUTE;
    await world.pass(TTL + SECOND);
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
    world.expectServing('web-0');
    world.cluster.heal();
    await world.restart();
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.expectSynced('web-0', 'True', 'PodConditionCurrent');
  });

  it('when the Pod was written and the answer never came', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.beat('web-0');
    world.cluster.afterCallMs = SECOND;
    await world.pass(TTL + SECOND + 500);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.cluster.heal();
    await world.restart();
    await world.pass(SECOND);
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False').length).toBe(1);
    world.expectSynced('web-0', 'True', 'PodConditionCurrent');
  });

  it('when the Pod says False and the instance was not written: the Pod is not opened, and the instance follows', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.instances.failWhenever(() => ({ kind: 'unreachable', message: 'away' }));
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.expectHealthy('web-0', 'True', 'HeartbeatReceived');
    world.instances.heal();
    await world.restart();
    await world.pass(TTL + SECOND);
    expect(world.pod('web-0').condition?.status).toBe('False');
    world.expectHealthy('web-0', 'False', 'NotHeardSinceObserverStart');
  });

  it('I2: when a Pod that came back was opened and its instance was not written: it stays open', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    const { length } = world.cluster.podWrites;
    world.instances.failWhenever(() => ({ kind: 'unreachable', message: 'away' }));
    world.keepBeating(['web-0']);
    await world.pass(10 * SECOND);
    world.expectServing('web-0');
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
    world.instances.heal();
    await world.restart();
    await world.pass(2 * TTL);
    world.expectServing('web-0');
    expect(world.cluster.podWrites.slice(length).filter(({ status }) => status === 'False')).toEqual([]);
  });

  it('when a Pod that came back was not opened: it is by the next heartbeat', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.cluster.beforeCallMs = MINUTE;
    world.keepBeating(['web-0']);
    await world.pass(SECOND);
    world.expectHealthy('web-0', 'True', 'HeartbeatReceived');
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.cluster.heal();
    await world.restart();
    await world.pass(SECOND);
    world.expectServing('web-0');
  });

  it('when the object was created in the namespace of the Pod and the old one was not removed yet', async () => {
    const world = await PodWorld.started();
    world.addPod('other');
    world.addPod('web', { namespace: 'shop', addresses: [] });
    world.keepBeating(['web'], { sender: addressSender('10.7.7.7') });
    await world.pass(10 * SECOND);
    world.instances.failWhenever((kind) => (kind === 'remove' ? { kind: 'unreachable', message: 'away' } : undefined));
    world.changePod('web', { addresses: ['10.7.7.7'] });
    await world.pass(30 * SECOND);
    expect(world.objects('web').length).toBe(2);
    world.instances.heal();
    await world.restart();
    await world.pass(MINUTE);
    expect(world.objects('web').map(({ namespace }) => namespace)).toEqual(['shop']);
    world.expectServing('web');
  });

  it('when an object was created and never got its first status', async () => {
    const world = await PodWorld.started();
    world.addPod('web');
    world.instances.failWhenever((kind) =>
      kind === 'writeStatus' ? { kind: 'unreachable', message: 'away' } : undefined,
    );
    world.keepBeating(['web']);
    await world.pass(SECOND);
    world.expectServing('web');
    world.instances.heal();
    await world.restart();
    await world.pass(31 * SECOND);
    world.expectServing('web');
    world.expectHealthy('web', 'True', 'HeartbeatReceived');
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False')).toEqual([]);
  });
});
