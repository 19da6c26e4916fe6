import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { delaysBetween, percentile } from './delays.ts';
import {
  conditionOf,
  type HeartbeatInstance,
  heartbeatPolicy,
  INSTANCES_PATH,
  WITHOUT_BRAKES,
} from './heartbeat-objects.ts';
import { type Aspect, ASPECTS, type Value } from './pod-history.ts';
import { Watch } from './watch.ts';
import { conditionStatus, type Pod, READINESS_GATE } from './workload.ts';
import { tell, useWorld } from './world.ts';

const world = useWorld();

/** What the Service answers to a Pod: the name of the Pod that it reached. */
async function ask(service: string, from: Pod): Promise<string> {
  const { cluster } = world();
  return (await cluster.podExec(from, ['get', await cluster.clusterIp(service), '80'])).trimEnd();
}

describe('a Deployment whose Pods carry the gate label and send heartbeats', () => {
  let pods: readonly [Pod, ...Pod[]];

  beforeAll(async () => {
    const { cluster, operator } = world();
    await cluster.createService({ name: 'web' });
    await cluster.createDeployment(operator.beating({ name: 'web', replicas: 3 }));
    pods = await cluster.podsOf('web', { count: 3 });
  });

  test('gets the gate by injection, and serves through its Service as soon as heartbeats come', async () => {
    const { cluster, history } = world();
    const [pod] = pods;
    expect(pod.spec.readinessGates).toEqual([{ conditionType: READINESS_GATE }]);
    for (const one of pods) await history.whenInService(one);

    expect(history.turns(pod, 'Ready').map(({ value }) => value)).toEqual(['absent', 'False', 'True']);
    expect(conditionStatus((await cluster.pod(pod.metadata.name)) ?? pod, READINESS_GATE)).toBe('True');
    const answers = new Set<string>();
    await cluster.waitFor('an answer from each Pod', async () => {
      answers.add(await ask('web', pod));
      return answers.size === 3 ? answers : undefined;
    });
    expect([...answers].sort()).toEqual(pods.map(({ metadata }) => metadata.name).sort());
  });

  test('is written to by nobody while all of its heartbeats arrive', async () => {
    const { cluster, operator, history } = world();
    for (const pod of pods) await history.whenInService(pod);
    const look = async (): Promise<unknown> => ({
      writes: await operator.metric('heartbeat_operator_pod_writes_total'),
      versions: (await cluster.podsOf('web', { count: 3 })).map(({ metadata }) => metadata.resourceVersion),
    });
    const beatsBefore = await operator.metric('heartbeat_operator_heartbeats_total');
    const before = await look();

    // Thirty seconds are ten times to live.
    await delay(30_000);

    expect(await look()).toEqual(before);
    expect((await operator.metric('heartbeat_operator_heartbeats_total')) - beatsBefore).toBeGreaterThan(3 * 20);
  });

  test('loses from its Service the one that falls silent, and has it back with its next heartbeat', async () => {
    const { cluster, operator, history } = world();
    const [pod, other] = pods;
    const startMs = performance.now();
    await operator.silence(pod);
    await history.when(pod, 'serving', 'False', startMs);

    const { name } = pod.metadata;
    const instance = await operator.whenInstance(name, 'be unhealthy', ({ status }) => status?.healthy === 'False');
    expect(conditionOf(instance, 'Healthy')).toMatchObject({ reason: 'HeartbeatExpired' });
    expect(conditionOf(instance, 'PodSynced')).toMatchObject({ status: 'True', reason: 'PodConditionCurrent' });
    const answers = new Set<string>();
    for (let asked = 0; asked < 10; asked += 1) answers.add(await ask('web', other ?? pod));
    expect(answers).not.toContain(name);

    await operator.endSilence(pod);
    await history.whenInService(pod, performance.now());
    for (const aspect of ASPECTS) {
      expect(history.values(pod, aspect, startMs)).toEqual(['True', 'False', 'True']);
    }
    const description = await cluster.waitFor('the events of the Pod', async () => {
      const text = await cluster.kubectl('describe', 'pod', name);
      return text.includes('Heartbeats of its instance') ? text : undefined;
    });
    expect(description).toMatch(/Warning +HeartbeatExpired .*heartbeat-operator +1 of 1 instances unhealthy/);
    expect(description).toMatch(/Normal +HeartbeatReceived .*heartbeat-operator +Heartbeats of its instance arrive/);
    expect(await operator.metric('heartbeat_operator_pod_ready_unconfirmed_total')).toBe(0);
  });
});

/** Each begins at a moment of its own, when the Pods are settled, beats every six seconds, and writes down when. */
function rhythm(beat: string): string {
  const beatAndTell = `read -r uptime _ </proc/uptime; ${beat} >/dev/null 2>&1 && echo "$uptime"`;
  return `sleep $((6 + RANDOM % 6)); while true; do ${beatAndTell}; sleep 6; done`;
}

/** By `performance.now()`: the moments right before the Pod sent its heartbeats, which were answered. */
async function heartbeatsOf(pod: Pod): Promise<readonly number[]> {
  const uptime = Number((await readFile('/proc/uptime', 'utf8')).split(' ')[0]);
  const bootedMs = performance.now() - uptime * 1_000;
  const log = await world().cluster.podLog(pod);
  return log
    .trimEnd()
    .split('\n')
    .map((line) => bootedMs + Number(line) * 1_000);
}

/** By `performance.now()`: the deadlines of the instance in the Pod, as the operator told them. */
function deadlinesOf(pod: Pod, instances: Watch<HeartbeatInstance>): readonly number[] {
  const offsetMs = performance.now() - Date.now();
  const told = instances.changes
    .filter(({ object }) => object.spec.instanceId === pod.metadata.name)
    .flatMap(({ object }) => object.status?.expiredAt ?? []);
  return [...new Set(told)].map((time) => Date.parse(time) + offsetMs);
}

/** In milliseconds. */
interface PodDelays {
  /** The part of the operator in what it takes until the Pod is ready; the rest is that of the kubelet. */
  readonly heartbeatToHealthy: readonly number[];
  readonly firstHeartbeatToReady: readonly number[];
  readonly heartbeatToReady: readonly number[];
  readonly deadlineToNotReady: readonly number[];
  readonly deadlineToNotServing: readonly number[];
}

/** Resolves when the Pod has been silent so many times, and has come back. */
async function delaysOf(pod: Pod, silences: number, instances: Watch<HeartbeatInstance>): Promise<PodDelays> {
  const { cluster, history } = world();
  const moments = (aspect: Aspect, value: Value): readonly number[] => {
    const turns = history.turns(pod, aspect);
    // That it is not ready before its first heartbeat is the effect of nothing.
    const first = turns.findIndex((turn) => turn.value === 'True');
    return turns.flatMap((turn, index) => (index >= first && turn.value === value ? turn.atMs : []));
  };
  await cluster.waitFor(`${silences} silences of ${pod.metadata.name} to be over`, async () =>
    Math.min(moments('Ready', 'True').length, moments('serving', 'True').length) > silences ? 'over' : undefined,
  );
  const heartbeats = (await heartbeatsOf(pod)).slice(0, silences + 1);
  const deadlines = deadlinesOf(pod, instances).slice(0, silences);
  const toReady = delaysBetween(heartbeats, moments('Ready', 'True').slice(0, silences + 1));
  return {
    heartbeatToHealthy: delaysBetween(heartbeats, moments('Healthy', 'True').slice(0, silences + 1)),
    firstHeartbeatToReady: toReady.slice(0, 1),
    heartbeatToReady: toReady.slice(1),
    deadlineToNotReady: delaysBetween(deadlines, moments('Ready', 'False').slice(0, silences)),
    deadlineToNotServing: delaysBetween(deadlines, moments('serving', 'False').slice(0, silences)),
  };
}

function tellOf(what: string, delaysMs: readonly number[]): void {
  const [p50, p99, max] = [50, 99, 100].map((percent) => Math.round(percentile(delaysMs, percent)));
  tell(`${what}: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms of ${delaysMs.length}`);
}

describe('twelve Pods that beat, are silent for longer than their time to live, and beat again', () => {
  const POD_COUNT = 12;
  const SILENCES = 3;
  const BUDGETS = [
    { what: 'are ready after their first heartbeat', from: 'firstHeartbeatToReady', budgetMs: 1_000, count: POD_COUNT },
    {
      what: 'are ready again after a later one',
      from: 'heartbeatToReady',
      budgetMs: 1_000,
      count: POD_COUNT * SILENCES,
    },
    {
      what: 'are not ready after their deadline',
      from: 'deadlineToNotReady',
      budgetMs: 2_000,
      count: POD_COUNT * SILENCES,
    },
    {
      what: 'leave the endpoints after their deadline',
      from: 'deadlineToNotServing',
      budgetMs: 2_000,
      count: POD_COUNT * SILENCES,
    },
  ] as const;

  const measured: PodDelays[] = [];

  function delaysMsOf(name: keyof PodDelays): readonly number[] {
    return measured.flatMap((delays) => delays[name]);
  }

  beforeAll(async () => {
    const { cluster, operator } = world();
    const instances = await Watch.start<HeartbeatInstance>(cluster.controlPlane.connection, INSTANCES_PATH);
    await cluster.apply(heartbeatPolicy('rhythm', WITHOUT_BRAKES));
    await cluster.createService({ name: 'rhythm' });
    const script = rhythm(operator.command('beat', '$POD_NAME'));
    await cluster.createDeployment(operator.workload({ name: 'rhythm', replicas: POD_COUNT, script }));
    const pods = await cluster.podsOf('rhythm', { count: POD_COUNT });
    for (const pod of pods) measured.push(await delaysOf(pod, SILENCES, instances));
    await instances.stop();
    tellOf('show the verdict after a heartbeat', delaysMsOf('heartbeatToHealthy'));
  }, 120_000);

  test.each(BUDGETS)('$what within $budgetMs ms', ({ what, from, budgetMs, count }) => {
    const delaysMs = delaysMsOf(from);
    tellOf(what, delaysMs);

    expect(delaysMs).toHaveLength(count);
    // Moments of two clocks are compared, each exact to some milliseconds: nothing comes before its cause.
    expect(Math.min(...delaysMs)).toBeGreaterThan(-50);
    expect(percentile(delaysMs, 99)).toBeLessThanOrEqual(budgetMs);
  });
});
