import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlPlane } from '../control-plane/control-plane.ts';
import { Fleet } from '../support/fleet.ts';
import { conditionOf, eventually, type InstanceObject, InstancesInCluster } from '../support/instances-in-cluster.ts';
import { OperatorProcess } from '../support/operator-process.ts';

const CRDS = new URL('../../deploy/crds/', import.meta.url);

/** The shortest time to live there is: two seconds. */
const FAST = { 'default-interval-seconds': '1', 'default-times': '1' };
const FAST_TTL_MS = 2_000;

let cluster: ControlPlane;
let instances: InstancesInCluster;

beforeAll(async () => {
  cluster = await ControlPlane.start();
  await applyCrd();
  instances = new InstancesInCluster(cluster, 'default');
});

afterAll(() => cluster.stop());

async function applyCrd(): Promise<void> {
  await cluster.kubectl('apply', '-f', CRDS.pathname);
  await cluster.kubectl('wait', '--for=condition=Established', 'crd/heartbeatinstances.heartbeat-operator.io');
}

function startOperator(settings: Readonly<Record<string, string>> = {}): Promise<OperatorProcess> {
  return OperatorProcess.start({ kubeconfig: cluster.kubeconfig, settings });
}

/** When and why `Healthy` last changed, by instance: what must stay as it is when only we had trouble. */
function verdicts(items: readonly InstanceObject[], instanceIds: readonly string[]): Map<string, unknown> {
  const wanted = new Set(instanceIds);
  return new Map(
    items
      .filter((item) => wanted.has(item.spec.instanceId))
      .map((item) => [item.spec.instanceId, conditionOf(item, 'Healthy')]),
  );
}

async function untilAllHealthy(fleet: Fleet): Promise<Map<string, unknown>> {
  return eventually(async () => {
    const found = verdicts(await instances.list(), fleet.instanceIds);
    const healthy = [...found.values()].filter((verdict) => (verdict as { status?: string })?.status === 'True');
    expect(healthy).toHaveLength(fleet.instanceIds.length);
    return found;
  }, 60_000);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

describe('the way of a heartbeat', () => {
  test('an instance heard once is healthy within a second, unhealthy within 2.5 s of its last heartbeat, and healthy within a second of the next', async () => {
    await using operator = await startOperator();
    const fleet = new Fleet({ port: operator.heartbeatPort, serviceId: 'once', count: 1, intervalMs: 1_000 });
    await instances.create('heard-once', {
      domain: 'default',
      projectId: 'default',
      serviceId: 'once',
      instanceId: 'once-0',
      heartbeat: { intervalSeconds: 1, times: 1 },
    });
    await instances.untilHealthy('once-0', 'Unknown', 'AwaitingFirstHeartbeat');

    expect(await fleet.beatOnce('once-0')).toBe(200);
    await instances.untilHealthy('once-0', 'True', 'HeartbeatReceived', 1_000);
    const stale = await instances.untilHealthy('once-0', 'False', 'HeartbeatExpired', 2_500);
    expect(await fleet.beatOnce('once-0')).toBe(200);
    const fresh = await instances.untilHealthy('once-0', 'True', 'HeartbeatReceived', 1_000);

    const heardAt = Date.parse(stale.status?.lastHeartbeatTime ?? '');
    expect(Date.parse(stale.status?.expiredAt ?? '') - heardAt).toBe(FAST_TTL_MS);
    expect(fresh.status?.expiredAt).toBeUndefined();
    await fleet.stop();
    await instances.delete('heard-once');
  });

  test('what a person writes takes effect at once, and nobody becomes unhealthy by an edit', async () => {
    await using operator = await startOperator();
    const fleet = new Fleet({ port: operator.heartbeatPort, serviceId: 'edited', count: 1, intervalMs: 60_000 });
    await fleet.beatOnce('edited-0');
    const { metadata } = await instances.untilHealthy('edited-0', 'True', 'HeartbeatReceived');
    await wait(1_500);

    const editedAtMs = performance.now();
    await instances.edit(metadata.name, { heartbeat: { intervalSeconds: 1, times: 0 } });
    await instances.untilHealthy('edited-0', 'False', 'HeartbeatExpired', 2_500);
    expect(performance.now() - editedAtMs).toBeGreaterThan(1_000);

    await instances.edit(metadata.name, { heartbeat: null });
    await fleet.beatOnce('edited-0');
    await instances.untilHealthy('edited-0', 'True', 'HeartbeatReceived', 1_000);
    await instances.edit(metadata.name, { override: 'OutOfService' });
    await instances.untilHealthy('edited-0', 'False', 'OverriddenOutOfService', 1_000);
    await fleet.beatOnce('edited-0');
    await instances.edit(metadata.name, { override: null, paused: true });
    await instances.untilHealthy('edited-0', 'Unknown', 'Paused', 1_000);
    await instances.edit(metadata.name, { paused: null });
    await instances.untilHealthy('edited-0', 'True', 'HeartbeatReceived', 1_000);
    await fleet.stop();
  });

  test('a deleted object comes back with the next heartbeat, and stays away while the instance is silent', async () => {
    await using operator = await startOperator();
    const fleet = new Fleet({ port: operator.heartbeatPort, serviceId: 'deleted', count: 1, intervalMs: 60_000 });
    await fleet.beatOnce('deleted-0');
    const { metadata } = await instances.untilHealthy('deleted-0', 'True', 'HeartbeatReceived');

    await instances.delete(metadata.name);
    await wait(500);
    expect(await instances.byInstanceId('deleted-0')).toBeUndefined();
    expect(await fleet.beatOnce('deleted-0')).toBe(200);
    await instances.untilHealthy('deleted-0', 'True', 'HeartbeatReceived', 1_000);
    await fleet.stop();
  });
});

describe('when the operator has trouble', () => {
  test('kill -9 and a new start change no condition of instances that kept beating, and one that stays silent is marked', async () => {
    await using operator = await startOperator(FAST);
    const fleet = new Fleet({ port: operator.heartbeatPort, serviceId: 'killed', count: 50, intervalMs: 500 });
    fleet.start();
    const before = await untilAllHealthy(fleet);

    await operator.kill();
    fleet.silence('killed-0');
    before.delete('killed-0');
    await wait(2 * FAST_TTL_MS);
    await operator.startAgain();
    const marked = await instances.untilHealthy('killed-0', 'False', 'NotHeardSinceObserverStart', 10_000);
    await wait(2 * FAST_TTL_MS);

    expect(verdicts(await instances.list(), [...before.keys()])).toEqual(before);
    expect(conditionOf(marked, 'Fresh')?.status).toBe('False');
    expect([...fleet.refused]).toEqual([]);
    await fleet.stop();
  });

  test('a process that is suspended for three times to live marks nobody who kept beating, and marks one that fell silent', async () => {
    await using operator = await startOperator(FAST);
    const fleet = new Fleet({ port: operator.heartbeatPort, serviceId: 'suspended', count: 50, intervalMs: 500 });
    fleet.start();
    const before = await untilAllHealthy(fleet);

    operator.suspend();
    fleet.silence('suspended-0');
    before.delete('suspended-0');
    await wait(3 * FAST_TTL_MS);
    operator.resume();
    await instances.untilHealthy('suspended-0', 'False', 'HeartbeatExpired', FAST_TTL_MS + 2_000);
    await wait(2 * FAST_TTL_MS);

    expect(verdicts(await instances.list(), [...before.keys()])).toEqual(before);
    expect([...fleet.refused, ...fleet.unanswered]).toEqual([]);
    await fleet.stop();
  });
});

describe('when the API server has trouble', () => {
  test('while it is away every heartbeat of 1,000 instances is answered 200, afterwards no condition has changed, and one that fell silent is marked', async () => {
    await using operator = await startOperator({ 'default-interval-seconds': '4', 'default-times': '1' });
    const ttlMs = 8_000;
    const fleet = new Fleet({ port: operator.heartbeatPort, serviceId: 'outage', count: 1_000, intervalMs: 2_000 });
    fleet.start();
    const before = await untilAllHealthy(fleet);

    await cluster.stopApiServer();
    fleet.silence('outage-0');
    before.delete('outage-0');
    await wait(2 * ttlMs);
    await cluster.startApiServer();
    await instances.untilHealthy('outage-0', 'False', 'HeartbeatExpired', 20_000);
    await wait(ttlMs);

    expect(verdicts(await instances.list(), [...before.keys()])).toEqual(before);
    expect([...fleet.refused, ...fleet.unanswered]).toEqual([]);
    await fleet.stop();
  });

  test('an operator that is started while it is away answers heartbeats, and creates their objects when it is back', async () => {
    await cluster.stopApiServer();
    await using operator = await startOperator();
    const fleet = new Fleet({ port: operator.heartbeatPort, serviceId: 'early', count: 10, intervalMs: 500 });
    fleet.start();
    await wait(2_000);
    await cluster.startApiServer();
    await untilAllHealthy(fleet);
    await fleet.stop();

    expect(fleet.sent).toBeGreaterThan(20);
    expect(fleet.accepted).toBe(fleet.sent);
  });
});

describe('when something must be mended first', () => {
  test('a missing custom resource definition ends the process with one line that says what to do', async () => {
    await cluster.kubectl('delete', '-f', CRDS.pathname);
    const { code, output } = await OperatorProcess.runToEnd({ kubeconfig: cluster.kubeconfig });
    await applyCrd();

    expect(code).toBe(1);
    expect(output.filter((line) => line.startsWith('heartbeat-operator: '))).toEqual([
      expect.stringMatching(
        /^heartbeat-operator: the resource heartbeat(instances|policies) is not installed: run `kubectl apply -k deploy`$/,
      ),
    ]);
  });

  test('an account without rights ends the process with one line that says what to do', async () => {
    const kubeconfig = await cluster.createServiceAccountKubeconfig('default', 'nobody');
    const { code, output } = await OperatorProcess.runToEnd({ kubeconfig });

    expect(code).toBe(1);
    expect(output.filter((line) => line.startsWith('heartbeat-operator: '))).toEqual([
      expect.stringMatching(
        /^heartbeat-operator: the account lacks rights \(list heartbeatinstances, .*\): run `kubectl apply -k deploy`$/,
      ),
    ]);
  });

  test('an account that may read but not write ends the process with a line that names what is missing', async () => {
    await cluster.kubectl(
      'create',
      'clusterrole',
      'reader',
      '--verb=list,watch',
      '--resource=heartbeatinstances.heartbeat-operator.io',
    );
    await cluster.kubectl(
      'create',
      'clusterrolebinding',
      'reader',
      '--clusterrole=reader',
      '--serviceaccount=default:reader',
    );
    const kubeconfig = await cluster.createServiceAccountKubeconfig('default', 'reader');
    const { code, output } = await OperatorProcess.runToEnd({ kubeconfig });

    expect(code).toBe(1);
    expect(output.join('\n')).toContain(
      'lacks rights (create heartbeatinstances, delete heartbeatinstances, patch heartbeatinstances, patch heartbeatinstances/status, list heartbeatpolicies, ',
    );
  });

  test('the rights that deploy/ grants are enough', async () => {
    const role = await readFile(new URL('../../deploy/rbac.yaml', import.meta.url), 'utf8');
    expect(role).toContain('kind: ClusterRole');
    await cluster.kubectl('apply', '-k', new URL('../../deploy', import.meta.url).pathname);
    const kubeconfig = await cluster.createServiceAccountKubeconfig('heartbeat-operator', 'heartbeat-operator');
    await using operator = await OperatorProcess.start({ kubeconfig, settings: { ...FAST, namespace: 'default' } });
    const fleet = new Fleet({ port: operator.heartbeatPort, serviceId: 'granted', count: 1, intervalMs: 60_000 });

    await fleet.beatOnce('granted-0');
    await instances.untilHealthy('granted-0', 'True', 'HeartbeatReceived');
    await instances.untilHealthy('granted-0', 'False', 'HeartbeatExpired');
    await fleet.stop();
  });
});
