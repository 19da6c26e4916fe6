import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { InstanceDraft } from '../../src/controller/ports.ts';
import { decodeInstance, instancePath, instancesPath } from '../../src/kubernetes/instance-resource.ts';
import { KubernetesInstanceStore } from '../../src/kubernetes/instance-store.ts';
import { Reflector } from '../../src/kubernetes/reflector.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import {
  connect,
  createInstance,
  deleteInstance,
  editInstance,
  identityFor,
  installCustomResource,
  makeNamespace,
} from '../kubernetes/support/instances-on-server.ts';
import { RecordingObserver } from '../kubernetes/support/recording-observer.ts';
import { freshStatus } from '../support/builders.ts';
import { describeInstanceStoreContract } from '../support/instance-store-contract.ts';

const server = sharedControlPlane();

const POD_REF = { namespace: 'team', name: 'cart-1', uid: 'uid-of-cart-1', matchedBy: 'PodIP' };

const draft = (namespace: string): InstanceDraft => ({
  namespace,
  name: 'a',
  identity: identityFor('a'),
  owner: undefined,
});

beforeAll(() => installCustomResource(server));

describeInstanceStoreContract('the store in the Kubernetes API', async () => {
  const namespace = await makeNamespace(server);
  const client = await connect(server.connection.kubeconfig);
  let reflector: Reflector<unknown> | undefined;
  return {
    store: new KubernetesInstanceStore(client),
    namespace,
    async start(listener) {
      reflector = new Reflector({
        client,
        path: instancesPath(namespace),
        decode: decodeInstance,
        listener,
        clock: systemClock,
        observer: new RecordingObserver(),
      });
      reflector.start();
      await reflector.whenSynced();
    },
    createByPerson: (...object) => createInstance(server, ...object),
    edit: (...change) => editInstance(server, ...change),
    deleteByPerson: (...object) => deleteInstance(server, ...object),
    async stop() {
      await reflector?.stop();
      await client.close();
    },
  };
});

describe('the store in the Kubernetes API', () => {
  it('says absent when the namespace does not exist', async () => {
    const client = await connect(server.connection.kubeconfig);
    const store = new KubernetesInstanceStore(client);
    const outcome = await store.create(draft('no-such-namespace'));
    expect(outcome).toEqual({ kind: 'absent' });
    await client.close();
  });

  it('makes the Pod an owner that neither controls the object nor waits for its end', async () => {
    const namespace = await makeNamespace(server);
    const client = await connect(server.connection.kubeconfig);
    const store = new KubernetesInstanceStore(client);
    const created = await store.create({ ...draft(namespace), owner: { name: 'former', uid: 'uid-of-former' } });
    if (created.kind !== 'written') throw new Error(JSON.stringify(created));
    await store.own(created.instance, { name: 'cart-1', uid: 'uid-of-cart-1' });
    const { body } = await server.request<{ metadata: object }>('GET', instancePath(namespace, 'a'));
    expect(body.metadata).toMatchObject({
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'cart-1', uid: 'uid-of-cart-1' }],
      generation: 1,
    });
    await client.close();
  });

  it('writes no condition IdentityConflict for an instance that never had one', async () => {
    const namespace = await makeNamespace(server);
    const client = await connect(server.connection.kubeconfig);
    const store = new KubernetesInstanceStore(client);
    const created = await store.create(draft(namespace));
    if (created.kind !== 'written') throw new Error(JSON.stringify(created));
    await store.writeStatus(created.instance, freshStatus());
    const { body } = await server.request<{ status: { conditions: { type: string }[] } }>(
      'GET',
      instancePath(namespace, 'a'),
    );
    expect(body.status.conditions.map(({ type }) => type)).toEqual(['Fresh', 'Healthy', 'PodSynced']);
    await client.close();
  });

  it('is refused with a message that names the object and the missing right, when its account may not write', async () => {
    const namespace = await makeNamespace(server);
    const client = await connect(await server.createServiceAccountKubeconfig(namespace, 'nobody'));
    const store = new KubernetesInstanceStore(client);
    const outcome = await store.create(draft(namespace));
    expect(outcome).toMatchObject({ kind: 'refused', reason: 'Forbidden' });
    expect('message' in outcome && outcome.message).toContain(`creating HeartbeatInstance ${namespace}/a: 403`);
    expect('message' in outcome && outcome.message).toContain('cannot create resource "heartbeatinstances"');
    await client.close();
  });

  it('is refused as invalid when the schema does not allow the object', async () => {
    const namespace = await makeNamespace(server);
    const client = await connect(server.connection.kubeconfig);
    const store = new KubernetesInstanceStore(client);
    const outcome = await store.create({ ...draft(namespace), identity: identityFor('no spaces') });
    expect(outcome).toMatchObject({ kind: 'refused', reason: 'Invalid' });
    await client.close();
  });

  it('says unreachable when nobody listens, with the code of the cause', async () => {
    const client = await connect(await server.kubeconfigFor({ token: 'any', port: 1 }));
    const store = new KubernetesInstanceStore(client);
    const outcome = await store.create(draft('default'));
    expect(outcome.kind).toBe('unreachable');
    expect('message' in outcome && outcome.message).toMatch(/^creating HeartbeatInstance default\/a: .*ECONNREFUSED/);
    await client.close();
  });
});

describe('the custom resource', () => {
  it('does not let anyone change an identity', async () => {
    const namespace = await makeNamespace(server);
    await createInstance(server, namespace, 'a');
    for (const part of ['domain', 'projectId', 'serviceId', 'instanceId']) {
      const { status, body } = await server.request('PATCH', instancePath(namespace, 'a'), {
        spec: { [part]: 'other' },
      });
      expect(status).toBe(422);
      expect(JSON.stringify(body)).toContain('the identity of an instance cannot be changed');
    }
  });

  it.each([
    ['an empty domain', { domain: '' }],
    ['a domain of 257 characters', { domain: 'd'.repeat(257) }],
    ['a line break in the domain', { domain: 'a\nb' }],
    ['a control character in the project', { projectId: 'a\u0007' }],
    ['a service of 65 characters', { serviceId: 's'.repeat(65) }],
    ['a slash in the instance', { instanceId: 'a/b' }],
    ['no instance', { instanceId: undefined }],
  ])('refuses %s', async (_what, part) => {
    const object = {
      apiVersion: 'heartbeat-operator.io/v1alpha1',
      kind: 'HeartbeatInstance',
      metadata: { name: 'a' },
      spec: { ...identityFor('a'), ...part },
    };
    const { status } = await server.request('POST', `${instancesPath('default')}?dryRun=All`, object);
    expect(status).toBe(422);
  });

  it.each([
    ['a Pod found by evidence that we do not know', { podRef: { ...POD_REF, matchedBy: 'Address' } }],
    ['a Pod without its namespace', { podRef: { ...POD_REF, namespace: undefined } }],
    ['a report that service-center does not know', { reported: { value: 'SLEEPING', time: '2026-11-25T10:00:00Z' } }],
    ['a report without its time', { reported: { value: 'UP' } }],
  ])('refuses %s', async (_what, status) => {
    const namespace = await makeNamespace(server);
    await createInstance(server, namespace, 'a');
    const reply = await server.request('PATCH', `${instancePath(namespace, 'a')}/status`, { status });
    expect(reply.status).toBe(422);
  });

  it('accepts an identity at its limits, counted in characters and not in bytes', async () => {
    const object = {
      apiVersion: 'heartbeat-operator.io/v1alpha1',
      kind: 'HeartbeatInstance',
      metadata: { name: 'a' },
      spec: {
        domain: 'é'.repeat(256),
        projectId: '🙂'.repeat(64),
        serviceId: 'ß'.repeat(64),
        instanceId: '.'.repeat(64),
      },
    };
    const { status } = await server.request('POST', `${instancesPath('default')}?dryRun=All`, object);
    expect(status).toBe(201);
  });

  it('shows the verdict, its reason, the time to live and the Pod in kubectl get, and selects by verdict', async () => {
    const namespace = await makeNamespace(server);
    await createInstance(server, namespace, 'a');
    await server.request('PATCH', `${instancePath(namespace, 'a')}/status`, {
      status: {
        healthy: 'False',
        conditions: [
          {
            type: 'Healthy',
            status: 'False',
            reason: 'HeartbeatExpired',
            message: 'No heartbeat.',
            lastTransitionTime: new Date().toISOString(),
          },
        ],
        effective: { intervalSeconds: 30, times: 3, ttlSeconds: 120, source: 'Default' },
        podRef: { namespace, name: 'pod-a', uid: 'u', matchedBy: 'PodIP' },
      },
    });
    const table = await server.kubectl('get', 'hbi', '-n', namespace, '--field-selector', 'status.healthy=False');
    const [head, row, ...others] = table.trim().split('\n');
    expect(head?.split(/\s+/)).toEqual(['NAME', 'SERVICE', 'HEALTHY', 'REASON', 'SINCE', 'TTL', 'POD', 'AGE']);
    expect(row?.split(/\s+/).toSpliced(4, 1)).toEqual([
      'a',
      'service',
      'False',
      'HeartbeatExpired',
      '120',
      'pod-a',
      expect.stringMatching(/^\d+s$/),
    ]);
    expect(others).toEqual([]);
  });

  it('is explained by kubectl', async () => {
    const text = await server.kubectl('explain', 'heartbeatinstances.spec.heartbeat');
    expect(text).toContain('How many heartbeats in a row may be missed');
  });
});
