import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { conditionOf, heartbeatPolicy, WITHOUT_BRAKES } from './heartbeat-objects.ts';
import { TTL_MS } from './operator-in-cluster.ts';
import { ASPECTS } from './pod-history.ts';
import { type Condition, type Pod, READINESS_GATE } from './workload.ts';
import { useWorld } from './world.ts';

const world = useWorld();

const NEVER_BEATS = 'while true; do sleep 1; done';

let pods: readonly [Pod, ...Pod[]];

beforeAll(async () => {
  const { cluster, operator, history } = world();
  await cluster.apply(heartbeatPolicy('steady', WITHOUT_BRAKES));
  await cluster.createService({ name: 'steady' });
  await cluster.createDeployment(operator.beating({ name: 'steady', replicas: 4 }));
  pods = await cluster.podsOf('steady', { count: 4 });
  for (const pod of pods) await history.whenInService(pod);
});

async function conditionOn(pod: Pod): Promise<Condition | undefined> {
  const now = await world().cluster.pod(pod.metadata.name);
  return now?.status.conditions?.find(({ type }) => type === READINESS_GATE);
}

function expectToServeSince(startMs: number, steady: readonly Pod[] = pods): void {
  for (const pod of steady) {
    for (const aspect of ASPECTS) {
      expect(world().history.values(pod, aspect, startMs)).toEqual(['True']);
    }
  }
}

/** Of every condition of the Pods and of their instances. */
async function transitionTimes(): Promise<readonly unknown[]> {
  const { cluster, operator } = world();
  const times: unknown[] = [];
  for (const { metadata } of pods) {
    const pod = await cluster.pod(metadata.name);
    const instance = await operator.instance(metadata.name);
    for (const conditions of [pod?.status.conditions, instance?.status?.conditions]) {
      times.push(conditions?.map(({ type, status, lastTransitionTime }) => ({ type, status, lastTransitionTime })));
    }
  }
  return times;
}

describe('Pods that beat all the time', () => {
  test('do not flap when the kubelet is restarted and the operator is killed and started again', async () => {
    const { cluster, operator } = world();
    const startMs = performance.now();
    const before = await transitionTimes();

    await Promise.all([cluster.restartKubelet(), operator.kill()]);
    await operator.start();
    // Whoever is not heard by the new one is marked within this time.
    await delay(2 * TTL_MS);

    expectToServeSince(startMs);
    expect(await transitionTimes()).toEqual(before);
  });

  test('keep their traffic while no operator runs, and a new Pod with the gate waits until one does', async () => {
    const { cluster, operator, history } = world();
    const startMs = performance.now();
    await operator.stop();
    await cluster.createDeployment(operator.beating({ name: 'newcomer' }));
    await cluster.createService({ name: 'newcomer' });
    const [newcomer] = await cluster.podsOf('newcomer');
    await delay(2 * TTL_MS);

    const waitedMs = performance.now();
    expect(history.values(newcomer, 'Ready', waitedMs)).toEqual(['False']);
    await operator.start();
    await history.whenInService(newcomer, waitedMs);
    expectToServeSince(startMs);
  });
});

async function deleteMarker(): Promise<void> {
  const marker = ['configmap', '--namespace=heartbeat-operator', 'heartbeat-operator-release'];
  await world().cluster.kubectl('delete', '--ignore-not-found', ...marker);
}

describe('the command release', () => {
  afterEach(deleteMarker);

  test('opens every Pod while the operator runs, which withdraws none until the marker is deleted', async () => {
    const { cluster, operator, history } = world();
    const [silent, other, ...steady] = pods as readonly [Pod, Pod, ...Pod[]];
    const startMs = performance.now();
    await operator.silence(silent);
    await history.when(silent, 'serving', 'False', performance.now());

    const printed = await operator.release();
    const releasedMs = performance.now();

    expect(printed).toContain('every Pod with the gate is released');
    await history.whenInService(silent, releasedMs);
    for (const pod of pods) expect(await conditionOn(pod)).toMatchObject({ status: 'True', reason: 'Released' });
    expect(
      await cluster.kubectl('get', 'mutatingadmissionpolicies,mutatingadmissionpolicybindings', '-o', 'name'),
    ).toBe('');
    await cluster.createDeployment(operator.workload({ name: 'ungated', script: NEVER_BEATS }));
    const [ungated] = await cluster.podsOf('ungated');
    expect(ungated.spec.readinessGates ?? []).toEqual([]);

    await operator.silence(other);
    const unhealthy = await operator.whenInstance(
      other.metadata.name,
      'be unhealthy',
      ({ status }) => status?.healthy === 'False',
    );
    expect(conditionOf(unhealthy, 'PodSynced')).toMatchObject({ status: 'False', reason: 'Released' });
    await delay(TTL_MS);
    expect(history.values(other, 'serving', releasedMs)).toEqual(['True']);

    await deleteMarker();
    await history.when(silent, 'serving', 'False', performance.now());
    await history.when(other, 'serving', 'False', performance.now());
    const backMs = performance.now();
    for (const pod of [silent, other]) await operator.endSilence(pod);
    for (const pod of [silent, other]) await history.whenInService(pod, backMs);
    expectToServeSince(startMs, steady);
  });

  test('opens every Pod when the operator is gone, those that were never heard included', async () => {
    const { cluster, operator, history } = world();
    const [withdrawn] = pods;
    await operator.silence(withdrawn);
    await history.when(withdrawn, 'serving', 'False', performance.now());
    await cluster.createDeployment(operator.workload({ name: 'unheard', gate: true, script: NEVER_BEATS }));
    const [unheard] = await cluster.podsOf('unheard');
    await history.when(unheard, 'Healthy', 'Unknown');
    await operator.kill();

    await operator.release();

    const releasedMs = performance.now();
    for (const pod of [...pods, unheard]) {
      await history.when(pod, 'Ready', 'True', releasedMs);
      expect(await conditionOn(pod)).toMatchObject({ status: 'True', reason: 'Released' });
    }
    for (const pod of pods) await history.whenInService(pod, releasedMs);
    const openedMs = performance.now();
    await delay(TTL_MS);
    expectToServeSince(openedMs);
  });
});
