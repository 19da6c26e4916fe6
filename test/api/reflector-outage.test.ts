import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ControlPlane } from '../control-plane/control-plane.ts';
import {
  createInstance,
  deleteInstance,
  editInstance,
  installCustomResource,
  makeNamespace,
} from '../kubernetes/support/instances-on-server.ts';
import { ReflectedInstances } from '../kubernetes/support/reflected-instances.ts';

describe('a reflector, when the server has trouble,', () => {
  let controlPlane: ControlPlane;
  let namespace: string;
  let reflected: ReflectedInstances;

  beforeAll(async () => {
    controlPlane = await ControlPlane.start();
  });
  afterAll(() => controlPlane.stop());

  beforeEach(async () => {
    namespace = await makeNamespace(controlPlane);
  });
  afterEach(() => reflected.stop());

  it('waits until the custom resource is installed', async () => {
    reflected = await ReflectedInstances.start(controlPlane, namespace, controlPlane.kubeconfig);
    await reflected.untilStep('list: absent');
    expect(reflected.reflector.synced).toBe(false);
    await installCustomResource(controlPlane);
    await reflected.reflector.whenSynced();
    await createInstance(controlPlane, namespace, 'a');
    await reflected.untilCacheEqualsServer();
  });

  it('goes on after the API server was restarted', async () => {
    await createInstance(controlPlane, namespace, 'a');
    await startSynced();
    await controlPlane.killApiServer();
    await controlPlane.startApiServer();
    await createInstance(controlPlane, namespace, 'b');
    await deleteInstance(controlPlane, namespace, 'a');
    await reflected.untilCacheEqualsServer();
    expect(Object.keys(reflected.cache.versions)).toEqual(['b']);
  });

  it('goes on after the API server ended in an orderly way', async () => {
    await startSynced();
    await controlPlane.stopApiServer();
    await controlPlane.startApiServer();
    await createInstance(controlPlane, namespace, 'a');
    await reflected.untilCacheEqualsServer();
    expect(Object.keys(reflected.cache.versions)).toEqual(['a']);
  });

  it('lists afresh after its resourceVersion was compacted, and forgets what was deleted meanwhile', async () => {
    await createInstance(controlPlane, namespace, 'a');
    await createInstance(controlPlane, namespace, 'b');
    await startSynced();
    const before = reflected.cache.history.length;
    await controlPlane.expireResourceVersions();
    await reflected.untilStep('restart: gone');
    await deleteInstance(controlPlane, namespace, 'a');
    await editInstance(controlPlane, namespace, 'b', { paused: true });
    await reflected.untilCacheEqualsServer();
    expect(reflected.cache.history.slice(before).some((entry) => entry.startsWith('replaced'))).toBe(true);
  });

  it('goes on after etcd was restarted', async () => {
    await createInstance(controlPlane, namespace, 'a');
    await startSynced();
    await controlPlane.stopEtcd();
    await controlPlane.startEtcd();
    await editInstance(controlPlane, namespace, 'a', { paused: true });
    await createInstance(controlPlane, namespace, 'b');
    await reflected.untilCacheEqualsServer();
    expect(Object.keys(reflected.cache.versions).sort()).toEqual(['a', 'b']);
  });

  it('notices that the API server stands still, and goes on when it runs again', async () => {
    await createInstance(controlPlane, namespace, 'a');
    reflected = await ReflectedInstances.start(controlPlane, namespace, controlPlane.kubeconfig, { silenceMs: 500 });
    await reflected.reflector.whenSynced();
    controlPlane.suspendApiServer();
    try {
      await reflected.untilStep('watch: silent');
    } finally {
      controlPlane.resumeApiServer();
    }
    await editInstance(controlPlane, namespace, 'a', { paused: true });
    await reflected.untilCacheEqualsServer();
    expect(reflected.cache.history.at(-1)).toMatch(/^(changed|replaced) a$/);
  });

  async function startSynced(): Promise<void> {
    reflected = await ReflectedInstances.start(controlPlane, namespace, controlPlane.kubeconfig);
    await reflected.reflector.whenSynced();
  }
});

describe('a reflector at a server without streaming lists', () => {
  it('reads the list by pages and follows from there', async () => {
    const controlPlane = await ControlPlane.start({ apiServerFlags: ['--feature-gates=WatchList=false'] });
    try {
      await installCustomResource(controlPlane);
      const namespace = await makeNamespace(controlPlane);
      await createInstance(controlPlane, namespace, 'a');
      const reflected = await ReflectedInstances.start(controlPlane, namespace, controlPlane.kubeconfig);
      await reflected.reflector.whenSynced();
      await createInstance(controlPlane, namespace, 'b');
      await reflected.untilCacheEqualsServer();
      expect(reflected.observer.steps).toEqual(['list: invalid', 'list: listed']);
      expect(reflected.cache.history).toEqual(['replaced a', 'changed b']);
      await reflected.stop();
    } finally {
      await controlPlane.stop();
    }
  });
});
