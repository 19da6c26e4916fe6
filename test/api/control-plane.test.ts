import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { Agent, fetch, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ControlPlaneConnection } from '../control-plane/api-server-access.ts';
import { ControlPlane } from '../control-plane/control-plane.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const run = promisify(execFile);
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';

interface StoredObject {
  readonly metadata: { readonly uid: string; readonly resourceVersion: string };
}

interface WatchEvent {
  readonly type: string;
  readonly object: { readonly code?: number; readonly reason?: string };
}

describe('the control plane that a run shares', () => {
  const controlPlane = sharedControlPlane();

  test('the server and kubectl are of one version, and know which', async () => {
    const { body } = await controlPlane.request<{ gitVersion: string }>('GET', '/version');
    const { clientVersion } = JSON.parse(await controlPlane.kubectl('version', '--client', '--output=json'));

    expect(body.gitVersion).toMatch(/^v1\.[1-9]/);
    expect(clientVersion.gitVersion).toBe(body.gitVersion);
  });

  test('kubectl works as the administrator', async () => {
    expect(await controlPlane.kubectl('auth', 'can-i', '*', '*', '--all-namespaces')).toBe('yes\n');
  });

  test('a failing kubectl throws what it printed as an error', async () => {
    await expect(controlPlane.kubectl('get', 'configmap', 'absent')).rejects.toThrow('configmaps "absent" not found');
  });

  test('a service account may do what was bound to it and nothing else', async () => {
    const kubeconfig = await controlPlane.createServiceAccountKubeconfig('default', 'reader-of-nodes');
    await controlPlane.kubectl('create', 'clusterrole', 'reader-of-nodes', '--verb=list', '--resource=nodes');
    await controlPlane.kubectl(
      'create',
      'clusterrolebinding',
      'reader-of-nodes',
      '--clusterrole=reader-of-nodes',
      '--serviceaccount=default:reader-of-nodes',
    );
    const asAccount = (...parameters: string[]) =>
      run(controlPlane.connection.kubectl, ['--kubeconfig', kubeconfig, ...parameters]);

    await expect(asAccount('get', 'pods')).rejects.toThrow(
      'User "system:serviceaccount:default:reader-of-nodes" cannot list resource "pods"',
    );
    expect((await asAccount('get', 'nodes')).stderr).toBe('No resources found\n');
  });

  test('a Pod can be created without a controller manager', async () => {
    const created = await controlPlane.request('POST', '/api/v1/namespaces/default/pods', {
      metadata: { generateName: 'pod-' },
      spec: { containers: [{ name: 'main', image: 'none' }] },
    });

    expect(created.status).toBe(201);
  });

  test('its certificate is good behind a proxy on loopback', async () => {
    const { apiServerPort, adminToken } = controlPlane.connection;
    const proxy = await TcpProxy.start({ targetPort: apiServerPort });
    try {
      const kubeconfig = await controlPlane.kubeconfigFor({ token: adminToken, port: proxy.port });

      const { stdout } = await run(controlPlane.connection.kubectl, [
        '--kubeconfig',
        kubeconfig,
        'get',
        '--raw',
        '/readyz',
      ]);

      expect(stdout).toBe('ok');
    } finally {
      await proxy.close();
    }
  });
});

describe('a control plane of its own', () => {
  let controlPlane: ControlPlane;

  beforeAll(async () => {
    controlPlane = await ControlPlane.start();
  });

  afterAll(async () => {
    await controlPlane.stop();
  });

  async function createConfigMap(name: string): Promise<StoredObject> {
    const created = await controlPlane.request<StoredObject>('POST', CONFIG_MAPS, { metadata: { name } });
    expect(created.status).toBe(201);
    return created.body;
  }

  async function readConfigMap(name: string): Promise<StoredObject> {
    return (await controlPlane.request<StoredObject>('GET', `${CONFIG_MAPS}/${name}`)).body;
  }

  /** The first of the events since a resourceVersion, or nothing when none comes within a second. */
  async function firstEventSince(resourceVersion: string): Promise<WatchEvent | undefined> {
    const path = `${CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=${resourceVersion}`;
    return (await controlPlane.request<WatchEvent[]>('GET', path)).body[0];
  }

  test('objects outlive an orderly restart of the API server', async () => {
    const created = await createConfigMap('orderly');

    await controlPlane.stopApiServer();
    await expect(controlPlane.request('GET', '/readyz')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await controlPlane.startApiServer();

    expect(await readConfigMap('orderly')).toEqual(created);
  });

  test('an orderly end of the API server ends a watch without an error', async () => {
    const { server, adminToken, certificateAuthorityPem } = controlPlane.connection;
    const dispatcher = new Agent({ connect: { ca: certificateAuthorityPem } });
    const headers = { authorization: `Bearer ${adminToken}` };
    const watch = await request(`${server}${CONFIG_MAPS}?watch=1`, { dispatcher, headers });

    await controlPlane.stopApiServer();

    expect(await watch.body.text()).toContain('"type":"ADDED"');
    await dispatcher.close();
    await controlPlane.startApiServer();
  });

  test('objects and kubeconfigs outlive the sudden end of the API server', async () => {
    const created = await createConfigMap('sudden');

    await controlPlane.killApiServer();
    await controlPlane.startApiServer();

    expect(await readConfigMap('sudden')).toEqual(created);
    expect(await controlPlane.kubectl('get', 'configmap', 'sudden', '--output=name')).toBe('configmap/sudden\n');
  });

  test('objects outlive a restart of etcd below a running API server', async () => {
    const created = await createConfigMap('etcd-restart');

    await controlPlane.stopEtcd();
    await controlPlane.startEtcd();

    expect(await readConfigMap('etcd-restart')).toEqual(created);
    await createConfigMap('after-etcd-restart');
  });

  test('a suspended API server accepts a call and answers it when it is resumed', async () => {
    controlPlane.suspendApiServer();
    let answered = false;
    const call = controlPlane.request('GET', '/readyz').then((reply) => {
      answered = true;
      return reply.status;
    });
    // The kernel accepts for it.
    const connection = connect(controlPlane.apiServerPort, '127.0.0.1');
    await once(connection, 'connect');
    connection.destroy();
    expect(answered).toBe(false);

    controlPlane.resumeApiServer();

    expect(await call).toBe(200);
  });

  test('a compaction alone leaves a watch from an old state possible, since the watch cache remembers', async () => {
    const { resourceVersion } = (await createConfigMap('compacted')).metadata;
    await createConfigMap('compacted-later');

    await controlPlane.compactEtcd();

    expect(await firstEventSince(resourceVersion)).toMatchObject({ type: 'ADDED' });
  });

  test('after resource versions expired, a watch and a list from before get 410', async () => {
    const { resourceVersion } = (await createConfigMap('expired')).metadata;

    await controlPlane.expireResourceVersions();

    expect(await firstEventSince(resourceVersion)).toMatchObject({
      type: 'ERROR',
      object: { code: 410, reason: 'Expired' },
    });
    const list = await controlPlane.request<{ reason: string }>(
      'GET',
      `${CONFIG_MAPS}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`,
    );
    expect({ status: list.status, reason: list.body.reason }).toEqual({ status: 410, reason: 'Expired' });
  });

  test('a server that runs is not started twice', async () => {
    await expect(controlPlane.startApiServer()).rejects.toThrow('it runs already');
    await expect(controlPlane.startEtcd()).rejects.toThrow('it runs already');
  });
});

test('an API server that cannot start fails at once, with the end of its log in the message', async () => {
  await expect(ControlPlane.start({ apiServerFlags: ['--no-such-flag'] })).rejects.toThrow(
    /kube-apiserver ended before it was ready: exit code 1[^]*unknown flag: --no-such-flag/,
  );
});

test('without a watch cache, a compaction alone makes old states expire', async () => {
  const controlPlane = await ControlPlane.start({ apiServerFlags: ['--watch-cache=false'] });
  try {
    const { body } = await controlPlane.request<StoredObject>('POST', CONFIG_MAPS, { metadata: { name: 'compacted' } });

    await controlPlane.compactEtcd();

    const { resourceVersion } = body.metadata;
    const path = `${CONFIG_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=${resourceVersion}`;
    const events = await controlPlane.request<WatchEvent[]>('GET', path);
    expect(events.body).toMatchObject([{ type: 'ERROR', object: { code: 410 } }]);
  } finally {
    await controlPlane.stop();
  }
});

test('with a controller manager, what an owner owned is collected after it', async () => {
  const controlPlane = await ControlPlane.start({ controllerManager: true });
  try {
    const owner = await controlPlane.request<StoredObject>('POST', CONFIG_MAPS, { metadata: { name: 'owner' } });
    const { uid } = owner.body.metadata;
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid }];
    await controlPlane.request('POST', CONFIG_MAPS, { metadata: { name: 'owned', ownerReferences } });

    await controlPlane.request('DELETE', `${CONFIG_MAPS}/owner`);

    const status = async () => (await controlPlane.request('GET', `${CONFIG_MAPS}/owned`)).status;
    await expect.poll(status, { timeout: 30_000 }).toBe(404);
  } finally {
    await controlPlane.stop();
  }
});

test('stop leaves no folder behind', async () => {
  const controlPlane = await ControlPlane.start();
  const { folder } = controlPlane.connection;

  await controlPlane.stop();

  expect(existsSync(folder)).toBe(false);
});

/** The code of the error with which a connection to the server fails. */
async function refusal(url: string): Promise<string | undefined> {
  const error = await fetch(url).catch((reason: Error) => reason);
  return error instanceof Error ? (error.cause as NodeJS.ErrnoException).code : 'it answers';
}

test('the servers end with the process that started them, even when that is killed', async () => {
  const source = `
    const { ControlPlane } = await import('${new URL('../control-plane/control-plane.ts', import.meta.url).href}');
    const controlPlane = await ControlPlane.start();
    process.stdout.write(JSON.stringify(controlPlane.connection));
  `;
  const starter = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [text] = (await once(starter.stdout, 'data')) as [Buffer];
  const { server, etcdEndpoint, folder } = JSON.parse(text.toString()) as ControlPlaneConnection;

  starter.kill('SIGKILL');

  await expect.poll(() => refusal(server)).toBe('ECONNREFUSED');
  await expect.poll(() => refusal(etcdEndpoint)).toBe('ECONNREFUSED');
  await rm(folder, { recursive: true });
});
