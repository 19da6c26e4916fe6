import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { conditionOf, type HeartbeatInstance, heartbeatPolicy, WITHOUT_BRAKES } from './heartbeat-objects.ts';
import { TTL_MS } from './operator-in-cluster.ts';
import { ASPECTS } from './pod-history.ts';
import type { Pod } from './workload.ts';
import { useWorld } from './world.ts';

// Who may speak for an instance. No brake is in the way: what keeps a Pod in service here is that nobody else's word counts.

const world = useWorld();

const OK = 'HTTP/1.1 200 OK';
const UNAUTHORIZED = 'HTTP/1.1 401 Unauthorized';
const FORBIDDEN = 'HTTP/1.1 403 Forbidden';

/** The only Pod of a workload that beats, as soon as it serves. */
async function servingPod(name: string, options: { readonly token?: boolean } = {}): Promise<Pod> {
  const { cluster, operator, history } = world();
  await cluster.apply(heartbeatPolicy(name, WITHOUT_BRAKES));
  await cluster.createService({ name });
  await cluster.createDeployment(operator.beating({ name, ...options }));
  const [pod] = await cluster.podsOf(name);
  await history.whenInService(pod);
  return pod;
}

/** A Pod that sends nothing by itself, without the gate. */
async function idlePod(name: string, { token = false } = {}): Promise<Pod> {
  const { cluster } = world();
  await cluster.createDeployment({ name, token });
  const [pod] = await cluster.podsOf(name);
  return pod;
}

test.concurrent('a Pod that shows its token is bound by it, and the token of another Pod, once reviewed, is refused with 403', async () => {
  const { operator, history } = world();
  const [pod, other] = await Promise.all([servingPod('proved', { token: true }), idlePod('other', { token: true })]);
  const startMs = performance.now();
  const { name } = pod.metadata;

  const { status } = await operator.whenInstance(name, 'be bound', ({ status }) => status?.podRef !== undefined);
  expect(status?.podRef).toMatchObject({ name, uid: pod.metadata.uid, matchedBy: 'Token' });
  // While a token that is not required is still being reviewed, an instance that is known does not wait for that.
  expect(await operator.beat(other, { instanceId: name, token: true })).toBe(OK);
  expect(await operator.beat(other, { instanceId: name, token: true })).toBe(FORBIDDEN);
  expect(history.values(pod, 'Ready', startMs)).toEqual(['True']);
});

test.concurrent('a stranger who beats and reports for the instance of another Pod takes nothing from it', async () => {
  const { cluster, operator, history } = world();
  const victim = await servingPod('victim');
  const startMs = performance.now();
  const { name } = victim.metadata;
  const attack = [operator.command('beat', name), operator.command('report', `${name} DOWN`)].join('; ');
  await cluster.createDeployment({
    name: 'stranger',
    command: ['sh', '-c', `while true; do [ -e /tmp/silent ] || { ${attack}; } >/dev/null 2>&1; sleep 0.5; done`],
  });
  const [stranger] = await cluster.podsOf('stranger');
  expect(await operator.report(stranger, name, 'OUTOFSERVICE')).toBe(FORBIDDEN);
  await operator.whenInstance(
    name,
    'show the conflict',
    (instance) => conditionOf(instance, 'IdentityConflict')?.status === 'True',
  );

  // Now only the stranger beats. It is heard all the same: the way of the heartbeats may have changed.
  await operator.silence(victim);
  await delay(2 * TTL_MS);

  const instance = await operator.instance(name);
  expect(instance?.status).toMatchObject({ healthy: 'True', podRef: { uid: victim.metadata.uid } });
  expect(instance?.status).not.toHaveProperty('reported');
  for (const aspect of ASPECTS) {
    expect(history.values(victim, aspect, startMs)).toEqual(['True']);
  }

  // When the stranger falls silent too, nobody is left to be heard.
  await operator.silence(stranger);
  await history.when(victim, 'serving', 'False', startMs);
});

test.concurrent('an instance that its container took a new id for is superseded, and gone after a time to live', async () => {
  const { cluster, operator, history } = world();
  const ttlMs = 5_000; // A container starts again in less.
  const policy = { ...WITHOUT_BRAKES, heartbeat: { intervalSeconds: 1, times: 4 } };
  await cluster.apply(heartbeatPolicy('restarted', policy));
  await cluster.createService({ name: 'restarted' });
  const newId = 'id="$POD_NAME-$(cut -c1-8 /proc/sys/kernel/random/uuid)"';
  const beat = operator.command('beat', '"$id"');
  const script = `${newId}; while true; do ${beat} >/dev/null 2>&1; sleep 1; done`;
  await cluster.createDeployment(operator.workload({ name: 'restarted', script }));
  const [pod] = await cluster.podsOf('restarted');
  await history.whenInService(pod);
  const startMs = performance.now();
  const instances = async (): Promise<readonly HeartbeatInstance[]> => operator.instancesIn(pod);
  const [old] = await instances();

  await cluster.killContainer(pod);
  const oldId = old?.spec.instanceId ?? '';
  await operator.whenInstance(
    oldId,
    'be superseded',
    (instance) => conditionOf(instance, 'Healthy')?.reason === 'Superseded',
  );
  const supersededMs = performance.now();
  await cluster.waitFor('the old instance to be gone', async () => {
    const instance = await operator.instance(oldId);
    return instance === undefined ? 'gone' : undefined;
  });

  expect(performance.now() - supersededMs).toBeLessThan(ttlMs + 3_000);
  const [current, ...others] = await instances();
  expect(others).toEqual([]);
  expect(current?.status?.healthy).toBe('True');
  expect(current?.spec.instanceId).not.toBe(oldId);
  // While it starts again the kubelet itself holds that it is not ready; we never do.
  expect(history.values(pod, 'Healthy', startMs)).toEqual(['True']);
  expect(history.values(pod, 'serving', startMs).at(-1)).toBe('True');
});

test('where tokens are required, a Pod without one gets 401, and one that shows its own loses nothing', async () => {
  const { cluster, operator, history } = world();
  const [proved] = await cluster.podsOf('proved');
  const [other] = await cluster.podsOf('other');
  const startMs = performance.now();

  await operator.stop();
  await operator.start('--sender-auth=required');

  expect(await operator.beat(other)).toBe(UNAUTHORIZED);
  expect(await operator.beat(other, { instanceId: proved.metadata.name })).toBe(UNAUTHORIZED);
  expect(await operator.beat(other, { instanceId: proved.metadata.name, token: true })).toBe(FORBIDDEN);
  expect(await operator.beat(other, { token: true })).toBe(OK);
  const mine = await operator.whenInstance(
    other.metadata.name,
    'be bound',
    ({ status }) => status?.podRef !== undefined,
  );
  expect(mine.status?.podRef).toMatchObject({ uid: other.metadata.uid, matchedBy: 'Token' });
  await delay(2 * TTL_MS);
  for (const aspect of ASPECTS) {
    expect(history.values(proved, aspect, startMs)).toEqual(['True']);
  }
});
