import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { fetch } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServerProcess } from '../control-plane/server-process.ts';
import { Cluster } from './cluster.ts';
import { conditionStatus, type Endpoint, type Pod, READINESS_GATE, TOKEN_AUDIENCE, TOKEN_FILE } from './workload.ts';

let cluster: Cluster | undefined;

beforeAll(async () => {
  const startMs = performance.now();
  cluster = await Cluster.start();
  tell(`the cluster started in ${elapsed(startMs)}`);
});

afterAll(async () => {
  await cluster?.stop(); // When the last test did not come to it.
});

/** Timings are for people to read: nothing here fails because a machine is busy. */
function tell(line: string): void {
  process.stderr.write(`  ${line}\n`);
}

function elapsed(startMs: number): string {
  return `${Math.round(performance.now() - startMs)} ms`;
}

function running(): Cluster {
  if (cluster === undefined) {
    throw new Error('the cluster does not run');
  }
  return cluster;
}

/** The only endpoint of the Service `gated`, when it is as it should be. */
function gatedEndpoint({ ready }: { readonly ready: boolean }): Promise<Endpoint> {
  return running().waitFor(`one endpoint, ready: ${ready}`, async () => {
    const [endpoint, ...others] = await running().endpoints('gated');
    return others.length === 0 && endpoint?.ready === ready ? endpoint : undefined;
  });
}

test('the node is Ready', async () => {
  const { body } = await running().request<Parameters<typeof conditionStatus>[0]>('GET', '/api/v1/nodes/node-1');

  expect(conditionStatus(body, 'Ready')).toBe('True');
});

describe('a Pod with our readiness gate', () => {
  let pod: Pod;

  beforeAll(async () => {
    const startMs = performance.now();
    await running().createDeployment({ name: 'gated', gate: true });
    await running().createService({ name: 'gated' });
    [pod] = await running().podsOf('gated');
    await gatedEndpoint({ ready: false });
    tell(`a Deployment and a Service until its containers ran: ${elapsed(startMs)}`);
  });

  /** As the operator will do it: server-side apply, with the uid, so that it is this Pod or none. */
  async function applyCondition(status: 'True' | 'False'): Promise<void> {
    const { namespace, name, uid, generation } = pod.metadata;
    const reply = await running().request(
      'PATCH',
      `/api/v1/namespaces/${namespace}/pods/${name}/status?fieldManager=heartbeat-operator&force=true`,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { namespace, name, uid },
        status: {
          conditions: [
            {
              type: READINESS_GATE,
              status,
              reason: 'Test',
              message: '',
              lastTransitionTime: new Date().toISOString(),
              observedGeneration: generation,
            },
          ],
        },
      },
      'application/apply-patch+yaml',
    );
    expect(reply.status).toBe(200);
  }

  /** Resolves with the Pod and the endpoint as they are when both show the new status. */
  async function applyAndMeasure(
    status: 'True' | 'False',
  ): Promise<{ readonly pod: Pod; readonly endpoint: Endpoint }> {
    const startMs = performance.now();
    await applyCondition(status);
    const applied = elapsed(startMs);
    const changed = await running().waitForCondition(pod, 'Ready', status);
    const ready = elapsed(startMs);
    const endpoint = await gatedEndpoint({ ready: status === 'True' });
    tell(
      `${READINESS_GATE}=${status} applied after ${applied}, Ready=${status} ${ready}, endpoint ${elapsed(startMs)}`,
    );
    return { pod: changed, endpoint };
  }

  test('is not Ready while nobody has set the condition, though its containers are', async () => {
    expect(conditionStatus(pod, 'ContainersReady')).toBe('True');
    expect(conditionStatus(pod, 'Ready')).toBe('False');
    expect(pod.status.conditions?.find(({ type }) => type === 'Ready')?.reason).toBe('ReadinessGatesNotReady');
  });

  test('becomes Ready, and its endpoint too, when the condition turns True', async () => {
    const { pod, endpoint } = await applyAndMeasure('True');

    expect(pod.status.conditions).toMatchObject(
      expect.arrayContaining([expect.objectContaining({ type: READINESS_GATE, observedGeneration: 1 })]),
    );
    expect(endpoint).toEqual({ address: pod.status.podIP, ready: true, pod: pod.metadata.name });
  });

  test('stays Ready through a restart of kubelet', async () => {
    const startMs = performance.now();
    await running().restartKubelet();
    tell(`kubelet restarted in ${elapsed(startMs)}`);

    expect(conditionStatus(await running().waitForCondition(pod, 'Ready', 'True'), READINESS_GATE)).toBe('True');
    expect(await running().endpoints('gated')).toMatchObject([{ ready: true, pod: pod.metadata.name }]);
  });

  test('is no longer Ready, and its endpoint neither, when the condition turns False', async () => {
    const { pod, endpoint } = await applyAndMeasure('False');

    expect(conditionStatus(pod, 'ContainersReady')).toBe('True');
    expect(endpoint).toEqual({ address: pod.status.podIP, ready: false, pod: pod.metadata.name });
  });

  test('keeps the condition when its container is killed and starts again', async () => {
    await running().killContainer(pod);

    const again = await running().waitFor('the container to run again', async () => {
      const now = await running().pod(pod.metadata.name);
      const [container] = now?.status.containerStatuses ?? [];
      return container?.restartCount === 1 && container.ready ? now : undefined;
    });
    expect(again.metadata.uid).toBe(pod.metadata.uid);
    expect(conditionStatus(again, READINESS_GATE)).toBe('False');
  });
});

describe('a process inside of the network namespace', () => {
  const PORT = 30_100;
  /** Writes one line for each request: what it saw of it. */
  const SERVER = `
    import { createServer } from 'node:http';
    createServer((request, response) => {
      const { method, url, headers, socket } = request;
      console.log(JSON.stringify({ from: socket.remoteAddress, method, url, headers }));
      response.writeHead(url.includes('/unknown/') ? 400 : 200).end('Success');
    }).listen(${PORT}, '0.0.0.0', () => console.log('listening'));
  `;

  interface Seen {
    readonly from: string;
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
  }

  let server: ServerProcess;
  let pod: Pod;

  beforeAll(async () => {
    server = running().spawn({
      name: 'echo',
      command: process.execPath,
      parameters: ['--input-type=module', '--eval', SERVER],
    });
    await server.waitUntil(async () => server.log.includes('listening'), 10_000);
    await running().createDeployment({
      name: 'client',
      token: true,
      hosts: { 'operator.test': running().nodeAddress },
    });
    [pod] = await running().podsOf('client');
  });

  function lastSeen(): Seen {
    return JSON.parse(server.log.trimEnd().split('\n').at(-1) ?? '') as Seen;
  }

  test('sees a Pod with its own address, by the address of the node', async () => {
    const printed = await running().podExec(pod, ['beat', running().nodeAddress, String(PORT), 'shop', 'a']);

    expect(printed).toBe('HTTP/1.1 200 OK\n');
    expect(lastSeen()).toMatchObject({
      from: pod.status.podIP,
      method: 'PUT',
      url: '/v4/default/registry/microservices/shop/instances/a/heartbeat',
      headers: { 'x-domain-name': 'default' },
    });
  });

  test('sees a Pod with its own address, by a name in its /etc/hosts', async () => {
    await running().podExec(pod, ['beat', 'operator.test', String(PORT), 'shop', 'b']);

    expect(lastSeen()).toMatchObject({ from: pod.status.podIP, headers: { host: `operator.test:${PORT}` } });
  });

  test('sees a Pod with its own address, through a Service', async () => {
    const { clusterIp, port } = await running().exposeHostProcess('default', 'heartbeat-operator', PORT);

    await running().podExec(pod, ['beat', clusterIp, String(port), 'shop', 'c']);

    expect(lastSeen()).toMatchObject({ from: pod.status.podIP, headers: { host: `${clusterIp}:${PORT}` } });
  });

  test('gets the token when the Pod is told where it is', async () => {
    await running().podExec(pod, ['beat', running().nodeAddress, String(PORT), 'shop', 'd', TOKEN_FILE]);

    const token = await running().podExec(pod, ['cat', TOKEN_FILE]);
    expect(lastSeen().headers['authorization']).toBe(`Bearer ${token}`);
  });

  test('makes the beat fail, with the status line printed, when it answers anything but 200', async () => {
    await expect(
      running().podExec(pod, ['beat', running().nodeAddress, String(PORT), 'unknown', 'e']),
    ).rejects.toMatchObject({ stdout: 'HTTP/1.1 400 Bad Request\n' });
  });

  test('is reached by the test process, which it sees with an address that is no Pod', async () => {
    const reply = await fetch(`http://${running().nodeAddress}:${PORT}/`);

    expect(reply.status).toBe(200);
    expect(lastSeen().from).toBe(running().nodeAddress.replace(/\d+$/, '1'));
  });
});

test('a Pod reaches the API server as Pods do, by the Service kubernetes.default', async () => {
  const [pod] = await running().podsOf('client');

  const printed = await running().podExec(pod, [
    'sh',
    '-c',
    'nc -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" < /dev/null && echo connected',
  ]);

  expect(printed).toBe('connected\n');
});

test('the token in a Pod names that Pod when the API server is asked', async () => {
  const [pod] = await running().podsOf('client');
  const token = await running().podExec(pod, ['cat', TOKEN_FILE]);

  const { body } = await running().request('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, audiences: [TOKEN_AUDIENCE] },
  });

  expect(body).toMatchObject({
    status: {
      authenticated: true,
      audiences: [TOKEN_AUDIENCE],
      user: {
        username: 'system:serviceaccount:default:default',
        extra: {
          'authentication.kubernetes.io/pod-name': [pod.metadata.name],
          'authentication.kubernetes.io/pod-uid': [pod.metadata.uid],
        },
      },
    },
  });
});

/** With the moment of its start, which tells a process from a later one of the same pid. Undefined when it is gone. */
async function identify(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // The name comes second, in brackets, and may hold anything.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields === undefined || fields[0] === 'Z' ? undefined : `${pid} started ${fields[19]}`;
}

async function identifyAll(pids: readonly number[]): Promise<readonly (string | undefined)[]> {
  return Promise.all(pids.map(identify));
}

test('nothing is left after the end', async () => {
  const stopped = running();
  const pids = await stopped.processes();
  const before = await identifyAll(pids);
  // The seven servers, the one that was spawned, and of two Pods each a shim, a sandbox and a container.
  expect(pids.length).toBeGreaterThanOrEqual(8 + 2 * 3);

  const startMs = performance.now();
  await stopped.stop();
  cluster = undefined;
  tell(`the cluster stopped in ${elapsed(startMs)}`);

  const after = await identifyAll(pids);
  expect(after.filter((identity, index) => identity !== undefined && identity === before[index])).toEqual([]);
  expect(await stopped.traces()).toEqual([]);
});

test('what a killed run leaves behind is cleared away by the next one', async () => {
  const script = `
    import { Cluster } from ${JSON.stringify(fileURLToPath(new URL('cluster.ts', import.meta.url)))};
    const cluster = await Cluster.start();
    await cluster.createDeployment({ name: 'abandoned' });
    await cluster.podsOf('abandoned');
    console.log(JSON.stringify(await cluster.processes()));
  `;
  const run = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let pids: readonly number[] = [];
  for await (const line of createInterface({ input: run.stdout })) {
    pids = JSON.parse(line) as readonly number[];
    break;
  }
  const before = await identifyAll(pids);
  run.kill('SIGKILL');
  await once(run, 'exit');

  const next = await Cluster.start();
  const after = await identifyAll(pids);
  await next.stop();

  expect(pids.length).toBeGreaterThanOrEqual(7 + 3);
  expect(after.filter((identity, index) => identity !== undefined && identity === before[index])).toEqual([]);
  expect(await next.traces()).toEqual([]);
});
