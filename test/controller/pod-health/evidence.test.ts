/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { ObservedPod } from '../../../src/health/observed-pod.ts';
import { MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { names, PodWorld } from '../../support/pod-world.ts';

describe('A silence is explained by the state of the Pod', () => {
  let world: PodWorld;

  beforeEach(async () => {
    world = await PodWorld.started();
    await world.givenServing(names(3));
    await world.pass(MINUTE);
    world.silence('web-0');
    world.beat('web-0');
  });

  function ended(reason: string, exitCode: number, restarts: number): Partial<ObservedPod> {
    const finishedSeconds = Math.floor(world.clock.wallMs() / 1000);
    return { restarts, lastTermination: { container: 'app', reason, exitCode, finishedSeconds } };
  }

  it('that was killed for want of memory', async () => {
    await world.pass(10 * SECOND);
    world.changePod('web-0', ended('OOMKilled', 137, 1));
    await world.pass(TTL);
    world.expectHealthy('web-0', 'False', 'ContainerOOMKilled');
    const text = 'The container app of web-0 OOMKilled with exit code 137 (1 restarts).';
    expect(world.object('web-0').status?.healthy?.message).toContain(text);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    expect(world.pod('web-0').condition?.message).toContain(text);
    expect(world.object('web-0').status?.fresh?.reason).toBe('HeartbeatExpired');
  });

  it('that crashed', async () => {
    await world.pass(10 * SECOND);
    world.changePod('web-0', ended('Error', 1, 3));
    await world.pass(TTL);
    world.expectHealthy('web-0', 'False', 'ContainerRestarted');
    expect(world.pod('web-0').condition?.message).toContain('Error with exit code 1 (3 restarts)');
  });

  it('whose container waits to be started again', async () => {
    await world.pass(10 * SECOND);
    world.changePod('web-0', { waiting: { container: 'app', reason: 'CrashLoopBackOff' } });
    await world.pass(TTL);
    world.expectHealthy('web-0', 'False', 'ContainerWaiting');
    expect(world.pod('web-0').condition?.message).toContain('The container app of web-0 waits: CrashLoopBackOff.');
  });

  it('whose node is not ready', async () => {
    world.putNode('node-of-web-0', { isReady: false });
    await world.pass(TTL + SECOND);
    world.expectHealthy('web-0', 'False', 'NodeNotReady');
    expect(world.pod('web-0').condition?.message).toContain('Its node node-of-web-0 is not ready.');
  });

  it('that is being deleted, and then nothing is written to the Pod', async () => {
    await world.pass(MINUTE);
    world.terminate('web-0');
    await world.pass(TTL);
    world.expectHealthy('web-0', 'False', 'PodTerminating');
    world.expectSynced('web-0', 'False', 'PodTerminating');
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
  });

  it('that has no other trouble with the silence alone', async () => {
    await world.pass(TTL + SECOND);
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
    expect(world.pod('web-0').condition?.message).not.toContain('—');
  });

  it('not by a container that ended long before it', async () => {
    const finishedSeconds = Math.floor(world.clock.wallMs() / 1000) - 3600;
    const lastTermination = { container: 'app', reason: 'OOMKilled', exitCode: 137, finishedSeconds };
    world.changePod('web-0', { restarts: 7, lastTermination });
    await world.pass(TTL + SECOND);
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
  });

  it('I15: once: a container that goes on restarting causes no further write to the Pod or the instance', async () => {
    await world.pass(10 * SECOND);
    world.changePod('web-0', ended('Error', 1, 1));
    await world.pass(TTL + SECOND);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    const podWrites = world.cluster.podWrites.length;
    const instanceWrites = world.instances.writes.filter(({ id }) => id === 'web-0').length;
    for (let restarts = 2; restarts < 20; restarts += 1) {
      world.changePod('web-0', { ...ended('OOMKilled', 137, restarts), waiting: undefined });
      await world.pass(20 * SECOND);
      world.changePod('web-0', { waiting: { container: 'app', reason: 'CrashLoopBackOff' } });
      await world.pass(20 * SECOND);
    }
    expect(world.cluster.podWrites.length).toBe(podWrites);
    expect(world.instances.writes.filter(({ id }) => id === 'web-0').length).toBe(instanceWrites);
  });

  it('anew when it comes back and falls silent again', async () => {
    await world.pass(10 * SECOND);
    world.changePod('web-0', ended('Error', 1, 1));
    await world.pass(TTL + SECOND);
    world.beat('web-0');
    await world.pass(MINUTE);
    world.expectHealthy('web-0', 'True', 'HeartbeatReceived');
    await world.pass(TTL);
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
    expect(world.pod('web-0').condition?.message).not.toContain('exit code');
  });
});
