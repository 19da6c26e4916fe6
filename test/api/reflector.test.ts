import { array, assert, asyncProperty, boolean, constantFrom, nat, oneof, record } from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ReflectorLimits } from '../../src/kubernetes/reflector-options.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import {
  createInstance,
  deleteInstance,
  editInstance,
  installCustomResource,
  makeNamespace,
} from '../kubernetes/support/instances-on-server.ts';
import { ReflectedInstances } from '../kubernetes/support/reflected-instances.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const server = sharedControlPlane();
const { adminToken, apiServerPort, kubeconfig } = server.connection;

beforeAll(() => installCustomResource(server));

let namespace: string;
let proxy: TcpProxy;
let reflected: ReflectedInstances;

beforeEach(async () => {
  namespace = await makeNamespace(server);
  proxy = await TcpProxy.start({ targetPort: apiServerPort });
});
afterEach(async () => {
  await reflected.stop();
  await proxy.close();
});

async function startThroughProxy(limits: Partial<ReflectorLimits> = {}): Promise<void> {
  const throughProxy = await server.kubeconfigFor({ token: adminToken, port: proxy.port });
  reflected = await ReflectedInstances.start(server, namespace, throughProxy, limits);
  await reflected.reflector.whenSynced();
}

describe('a reflector', () => {
  it('goes on after its connection was reset, without a new list', async () => {
    await createInstance(server, namespace, 'a');
    await startThroughProxy();
    proxy.cutAll();
    await createInstance(server, namespace, 'b');
    await deleteInstance(server, namespace, 'a');
    await reflected.untilCacheEqualsServer();
    expect(reflected.cache.history).toEqual(['replaced a', 'changed b', 'removed a']);
    expect(reflected.observer.steps).toEqual(['list: listed', 'watch: unreachable']);
  });

  it('misses nothing wherever its connection is cut, also in the middle of a line', async () => {
    await startThroughProxy();
    // Two events of such an object are some 1,400 bytes: the cuts fall before, within and between them.
    for (let byteCount = 1; byteCount < 1_400; byteCount += 73) {
      proxy.cutAfterBytes(byteCount);
      await createInstance(server, namespace, `instance-${byteCount}`);
      await editInstance(server, namespace, `instance-${byteCount}`, { paused: true });
      await reflected.untilCacheEqualsServer();
    }
    const { steps } = reflected.observer;
    expect(steps.filter((step) => step.startsWith('watch: ')).length).toBeGreaterThan(10);
    expect(steps.filter((step) => step.startsWith('restart: '))).toEqual([]);
  });

  it('notices a connection on which nothing comes any more, though nobody closed it', async () => {
    await createInstance(server, namespace, 'a');
    await startThroughProxy({ silenceMs: 500 });
    proxy.hang();
    await editInstance(server, namespace, 'a', { paused: true });
    await deleteInstance(server, namespace, 'a');
    await createInstance(server, namespace, 'b');
    await reflected.untilStep('watch: silent');
    proxy.resume();
    await reflected.untilCacheEqualsServer();
    expect(Object.keys(reflected.cache.versions)).toEqual(['b']);
  });

  it('comes back when the server refused connections for a while, without a new list', async () => {
    await createInstance(server, namespace, 'a');
    await startThroughProxy();
    await proxy.refuse();
    proxy.cutAll();
    await createInstance(server, namespace, 'b');
    await expect.poll(() => reflected.observer.messages.at(-1), { timeout: 10_000 }).toContain('ECONNREFUSED');
    await proxy.accept();
    await reflected.untilCacheEqualsServer();
    expect(reflected.cache.history).toEqual(['replaced a', 'changed b']);
  });

  it('reads a list of more than one page, and follows from there', async () => {
    const names = Array.from({ length: 530 }, (_, index) => `instance-${String(index).padStart(3, '0')}`);
    for (let first = 0; first < names.length; first += 20) {
      await Promise.all(names.slice(first, first + 20).map((name) => createInstance(server, namespace, name)));
    }
    reflected = await ReflectedInstances.start(server, namespace, kubeconfig, { streaming: false });
    await reflected.reflector.whenSynced();
    expect(reflected.cache.history).toEqual([`replaced ${names.join(' ')}`]);
    await deleteInstance(server, namespace, 'instance-000');
    await createInstance(server, namespace, 'z');
    await reflected.untilCacheEqualsServer();
    expect(reflected.cache.history.slice(1)).toEqual(['removed instance-000', 'changed z']);
  });

  it('waits for the rights that it lacks, and says which', async () => {
    const limited = await server.createServiceAccountKubeconfig(namespace, 'reader');
    await createInstance(server, namespace, 'a');
    reflected = await ReflectedInstances.start(server, namespace, limited);
    await reflected.untilStep('list: forbidden');
    expect(reflected.observer.messages[0]).toContain('cannot watch resource "heartbeatinstances"');
    await server.kubectl(
      'create',
      'role',
      'reader',
      '-n',
      namespace,
      '--verb=list,watch',
      '--resource=heartbeatinstances',
    );
    await server.kubectl(
      'create',
      'rolebinding',
      'reader',
      '-n',
      namespace,
      '--role=reader',
      `--serviceaccount=${namespace}:reader`,
    );
    await reflected.untilCacheEqualsServer();
    expect(Object.keys(reflected.cache.versions)).toEqual(['a']);
  });
});

describe('whatever happens to the objects and to the network', () => {
  const change = record({
    what: constantFrom('create', 'edit', 'delete'),
    name: constantFrom('a', 'b', 'c', 'd'),
    paused: boolean(),
  });
  const fault = record({
    what: constantFrom('cut', 'cut within', 'refuse', 'accept', 'hang', 'resume'),
    byteCount: nat(3_000),
  });

  it('the cache equals the server when it is quiet again', async () => {
    await startThroughProxy({ silenceMs: 400 });
    await assert(
      asyncProperty(
        array(oneof({ arbitrary: change, weight: 3 }, fault), { minLength: 20, maxLength: 40 }),
        async (steps) => {
          for (const step of steps) await ('name' in step ? makeChange(step) : makeFault(step));
          proxy.resume();
          await proxy.accept();
          await reflected.untilCacheEqualsServer();
        },
      ),
      { numRuns: 12, endOnFailure: true },
    );
    expect(reflected.observer.listenerErrors).toEqual([]);
  });
});

async function makeChange(change: { what: string; name: string; paused: boolean }): Promise<void> {
  const { what, name, paused } = change;
  const made =
    what === 'create'
      ? createInstance(server, namespace, name)
      : what === 'edit'
        ? editInstance(server, namespace, name, { paused })
        : deleteInstance(server, namespace, name);
  // To create what is there, or to edit what is not, is refused: no matter here.
  await made.catch(() => undefined);
}

async function makeFault({ what, byteCount }: { what: string; byteCount: number }): Promise<void> {
  if (what === 'cut') proxy.cutAll();
  else if (what === 'cut within') proxy.cutAfterBytes(byteCount);
  else if (what === 'refuse') await proxy.refuse();
  else if (what === 'accept') await proxy.accept();
  else if (what === 'hang') proxy.hang();
  else proxy.resume();
}
