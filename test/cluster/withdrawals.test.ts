import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { conditionOf, heartbeatPolicy, WITHOUT_BRAKES } from './heartbeat-objects.ts';
import { TTL_MS } from './operator-in-cluster.ts';
import { type Condition, type Pod, READINESS_GATE } from './workload.ts';
import { tell, useWorld } from './world.ts';

const world = useWorld();

/** Pods of a workload under the policy of its name, as soon as all of them serve. */
async function servingPods(name: string, replicas: number, policy: object): Promise<readonly [Pod, ...Pod[]]> {
  const { cluster, operator, history } = world();
  await cluster.apply(heartbeatPolicy(name, policy));
  await cluster.createService({ name });
  await cluster.createDeployment(operator.beating({ name, replicas }));
  const pods = await cluster.podsOf(name, { count: replicas });
  for (const pod of pods) await history.whenInService(pod);
  return pods;
}

async function silenceAll(pods: readonly Pod[]): Promise<void> {
  await Promise.all(pods.map((pod) => world().operator.silence(pod)));
}

async function endSilenceOfAll(pods: readonly Pod[]): Promise<void> {
  await Promise.all(pods.map((pod) => world().operator.endSilence(pod)));
}

/** Resolves when each instance says that its Pod does not show the verdict, or does, for this reason. */
async function whenSynced(pods: readonly Pod[], reason: string): Promise<void> {
  for (const { metadata } of pods) {
    await world().operator.whenInstance(
      metadata.name,
      `say ${reason}`,
      (instance) => conditionOf(instance, 'PodSynced')?.reason === reason,
    );
  }
}

async function whenStormIs(policy: string, status: Condition['status']): Promise<Condition> {
  return world().cluster.waitFor(
    `StormActive=${status} of ${policy}`,
    async () => {
      const condition = conditionOf(await world().operator.policy(policy), 'StormActive');
      return condition?.status === status ? condition : undefined;
    },
    90_000,
  );
}

async function conditionOn(pod: Pod): Promise<Condition | undefined> {
  const now = await world().cluster.pod(pod.metadata.name);
  return now?.status.conditions?.find(({ type }) => type === READINESS_GATE);
}

describe.concurrent('a Pod that fell silent', () => {
  test('is held when eight of ten do so together, and those that were withdrawn first are opened again', async () => {
    const { operator, history } = world();
    const pods = await servingPods('crowd', 10, { withdrawalPercentPerMinute: 100 });
    const silent = pods.slice(2);
    const startMs = performance.now();

    await silenceAll(silent);
    await whenSynced(silent, 'StormHold');
    for (const pod of silent) await history.whenInService(pod, performance.now());
    const heldMs = performance.now();
    const storm = await whenStormIs('crowd', 'True');

    expect(storm).toMatchObject({ reason: 'StormHold' });
    expect(storm.message).toMatch(/^\d+ of 10 Pods of default\/Deployment\/crowd fell silent within 30 s/);
    const { status } = (await operator.instance(silent[0]?.metadata.name ?? '')) ?? {};
    expect(status?.healthy).toBe('False');
    const withdrawn = silent.filter((pod) => history.values(pod, 'Ready', startMs).includes('False'));
    tell(`of eight silent Pods ${withdrawn.length} were withdrawn before the storm was seen`);
    // The fifth of ten begins the storm.
    expect(withdrawn.length).toBeLessThan(5);

    await endSilenceOfAll(silent);
    await whenSynced(silent, 'PodConditionCurrent');
    await whenStormIs('crowd', 'False');

    for (const pod of pods) expect(history.values(pod, 'Ready', heldMs)).toEqual(['True']);
    for (const pod of pods.slice(0, 2)) expect(history.values(pod, 'serving', startMs)).toEqual(['True']);
  }, 240_000);

  test('is held when it is the last of three, and the other two are not', async () => {
    const { history } = world();
    const pods = await servingPods('trio', 3, { minHealthy: 1, withdrawalPercentPerMinute: 100 });
    const startMs = performance.now();
    const left = (): readonly Pod[] => pods.filter((pod) => !history.values(pod, 'Ready', startMs).includes('False'));

    await silenceAll(pods);
    await world().cluster.waitFor('two Pods to be withdrawn', async () => (left().length === 1 ? 'done' : undefined));
    await whenSynced(left(), 'MinimumHealthyFloor');
    await delay(2 * TTL_MS);

    expect(left()).toHaveLength(1);
    const [last] = left();
    expect(last && history.values(last, 'serving', startMs)).toEqual(['True']);

    await endSilenceOfAll(pods);
    for (const pod of pods) await history.whenInService(pod, performance.now());
  });

  test('has its silence explained by the container that ended', async () => {
    const { cluster, operator } = world();
    // Time enough for the kubelet to tell of the end of the container.
    await cluster.apply(heartbeatPolicy('crashing', { heartbeat: { intervalSeconds: 1, times: 5 } }));
    // It starts again at once the first time, and then only after a back-off that is longer than that.
    const beat = operator.command('beat', '$POD_NAME');
    const script = `for i in 1 2 3; do ${beat} >/dev/null 2>&1; sleep 1; done; exit 7`;
    await cluster.createDeployment(operator.workload({ name: 'crashing', script }));
    const pod = await cluster.waitFor('the Pod to be there', async () => {
      const { body } = await cluster.request<{ items: readonly Pod[] }>(
        'GET',
        '/api/v1/namespaces/default/pods?labelSelector=app%3Dcrashing',
      );
      return body.items[0];
    });

    const instance = await operator.whenInstance(
      pod.metadata.name,
      'be unhealthy',
      ({ status }) => status?.healthy === 'False',
    );

    const healthy = conditionOf(instance, 'Healthy');
    expect(healthy).toMatchObject({ reason: 'ContainerRestarted' });
    expect(healthy?.message).toMatch(
      /No heartbeat within .* The container main of crashing-\S+ Error with exit code 7/,
    );
  });
});

describe.concurrent('a Pod with the gate is not left closed', () => {
  test('when it never beats: it is opened after the time that its policy gives it', async () => {
    const { cluster, operator, history } = world();
    await cluster.apply(heartbeatPolicy('mute', { openAfterSeconds: 5 }));
    await cluster.createDeployment(operator.workload({ name: 'mute', script: 'while true; do sleep 1; done' }));
    const [pod] = await cluster.podsOf('mute');
    const openedMs = await history.when(pod, 'Healthy', 'True');

    const openedAt = openedMs + Date.now() - performance.now();
    expect(openedAt).toBeGreaterThanOrEqual(Date.parse(pod.metadata.creationTimestamp) + 5_000);
    await history.when(pod, 'Ready', 'True');
    expect(history.turns(pod, 'Ready').map(({ value }) => value)).toEqual(['absent', 'False', 'True']);
    expect(await conditionOn(pod)).toMatchObject({ reason: 'FirstHeartbeatTimeout' });
  });

  test('when it opts out, when its last instance is deleted, or when the policy under which it was withdrawn is', async () => {
    const { cluster, operator, history } = world();
    const pods = await servingPods('freed', 4, WITHOUT_BRAKES);
    const [optsOut, forgotten, ungoverned, steady] = pods as readonly [Pod, Pod, Pod, Pod];
    const silent = [optsOut, forgotten, ungoverned];
    const startMs = performance.now();
    await silenceAll(silent);
    for (const pod of silent) await history.when(pod, 'serving', 'False', startMs);
    const closedMs = performance.now();

    await cluster.kubectl('label', 'pod', optsOut.metadata.name, '--overwrite', 'heartbeat-operator.io/gate=disabled');
    await history.whenInService(optsOut, closedMs);
    expect(await conditionOn(optsOut)).toMatchObject({ status: 'True', reason: 'Released' });

    const { metadata } = (await operator.instance(forgotten.metadata.name)) ?? {};
    await cluster.kubectl('delete', 'heartbeatinstance', metadata?.name ?? '');
    await history.whenInService(forgotten, closedMs);
    expect(await conditionOn(forgotten)).toMatchObject({ status: 'True', reason: 'Released' });

    await cluster.kubectl('delete', 'heartbeatpolicy', 'freed');
    await history.whenInService(ungoverned, closedMs);
    expect(await conditionOn(ungoverned)).toMatchObject({ status: 'True', reason: 'Released' });
    expect(history.values(steady, 'serving', startMs)).toEqual(['True']);
  });
});
