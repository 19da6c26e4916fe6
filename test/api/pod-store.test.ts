import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { PodOutcome } from '../../src/controller/ports.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import type { ApiClient } from '../../src/kubernetes/api-client.ts';
import { ListenerUnion } from '../../src/kubernetes/listener-union.ts';
import { decodeNode, nodesPath } from '../../src/kubernetes/node-resource.ts';
import { decodePod, podPath, podsPath, podStatusPath } from '../../src/kubernetes/pod-resource.ts';
import { KubernetesPodStore, podConditionGenerationSupported } from '../../src/kubernetes/pod-store.ts';
import { Reflector } from '../../src/kubernetes/reflector.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import { connect, makeNamespace } from '../kubernetes/support/instances-on-server.ts';
import { RecordingObserver } from '../kubernetes/support/recording-observer.ts';
import { podCondition } from '../support/builders.ts';

const server = sharedControlPlane();

const OUR_TYPE = 'heartbeat-operator.io/Healthy';

/** A Pod as a person sees it with kubectl. */
interface PodObject {
  readonly metadata: {
    readonly uid: string;
    readonly resourceVersion: string;
    readonly managedFields: readonly {
      readonly manager: string;
      readonly operation: string;
      readonly fieldsV1: object;
    }[];
  };
  readonly spec: object;
  readonly status: { readonly conditions?: readonly { readonly type: string }[] };
}

const NOW = '2026-11-25T10:00:00Z';

/** What the kubelet says of a Pod that runs and waits for nothing but our gate. */
const RUNNING = {
  phase: 'Running',
  hostIP: '10.0.0.1',
  podIP: '10.1.0.7',
  podIPs: [{ ip: '10.1.0.7' }, { ip: 'fd00::7' }],
  startTime: NOW,
  conditions: [
    { type: 'Ready', status: 'False', reason: 'ReadinessGatesNotReady', message: 'not yet', lastTransitionTime: NOW },
    { type: 'ContainersReady', status: 'True', lastTransitionTime: NOW },
    { type: 'example.com/Registered', status: 'True', reason: 'Done', lastTransitionTime: NOW },
  ],
  containerStatuses: [
    { name: 'app', image: 'app', imageID: 'app', ready: true, restartCount: 2, state: { running: { startedAt: NOW } } },
  ],
};

let namespace: string;
let client: ApiClient;
let store: KubernetesPodStore;

beforeAll(async () => {
  namespace = await makeNamespace(server);
  client = await connect(server.connection.kubeconfig);
  store = new KubernetesPodStore(client, { knowsGeneration: true });
});
afterAll(() => client.close());

async function done<Body>(reply: Promise<{ readonly status: number; readonly body: Body }>): Promise<Body> {
  const { status, body } = await reply;
  if (status >= 300) throw new Error(`the server refused: ${status} ${JSON.stringify(body)}`);
  return body;
}

async function makePod(name: string, where = namespace): Promise<ObservedPod> {
  const spec = {
    containers: [{ name: 'app', image: 'app' }],
    readinessGates: [{ conditionType: OUR_TYPE }],
  };
  const metadata = { name, labels: { app: 'web' } };
  return decodePod(await done(server.request('POST', podsPath(where), { metadata, spec })));
}

/** As the kubelet: it writes the whole status but for the conditions of others. */
async function writeStatus(name: string, status: object): Promise<ObservedPod> {
  return decodePod(
    await done(
      server.request('PATCH', podStatusPath(namespace, name), { status }, 'application/strategic-merge-patch+json'),
    ),
  );
}

async function deletePod(name: string, where = namespace): Promise<void> {
  await done(server.request('DELETE', podPath(where, name)));
}

function podObject(name: string): Promise<PodObject> {
  return done(server.request<PodObject>('GET', podPath(namespace, name)));
}

function podOf(outcome: PodOutcome): ObservedPod {
  if (outcome.kind !== 'pod') throw new Error(`no Pod: ${JSON.stringify(outcome)}`);
  return outcome.pod;
}

describe('Our condition on a Pod', () => {
  it('I12: is written beside the conditions of others, and all else of the Pod stays as it was', async () => {
    await makePod('beside');
    const target = await writeStatus('beside', RUNNING);
    const before = await podObject('beside');
    const shown = podCondition({ status: 'False', reason: 'HeartbeatExpired', message: 'Nothing — since 10 s.' });
    const after = podOf(await store.writeCondition(target, shown));
    expect(after).toEqual({ ...target, condition: shown, resourceVersion: after.resourceVersion });

    const { metadata, spec, status } = await podObject('beside');
    expect(spec).toEqual(before.spec);
    expect({ ...metadata, managedFields: [], resourceVersion: '' }).toEqual({
      ...before.metadata,
      managedFields: [],
      resourceVersion: '',
    });
    const { conditions = [], ...others } = status;
    const { conditions: conditionsBefore, ...othersBefore } = before.status;
    expect(others).toEqual(othersBefore);
    expect(conditions.filter(({ type }) => type !== OUR_TYPE)).toEqual(conditionsBefore);
    expect(conditions.filter(({ type }) => type === OUR_TYPE)).toEqual([
      {
        type: OUR_TYPE,
        status: 'False',
        reason: 'HeartbeatExpired',
        message: 'Nothing — since 10 s.',
        lastProbeTime: null,
        lastTransitionTime: new Date(shown.lastTransitionSeconds * 1_000).toISOString().replace('.000', ''),
        observedGeneration: 1,
      },
    ]);
  });

  it('I12: is the only thing of the Pod that we own', async () => {
    const target = await makePod('owned');
    await store.writeCondition(target, podCondition());
    const { metadata } = await podObject('owned');
    const ours = metadata.managedFields.filter(({ manager }) => manager === 'heartbeat-operator');
    expect(ours).toMatchObject([{ operation: 'Apply', subresource: 'status' }]);
    expect(Object.keys(ours[0]?.fieldsV1 ?? {})).toEqual(['f:status']);
    expect(ours[0]?.fieldsV1).toEqual({
      'f:status': {
        'f:conditions': {
          [`k:{"type":"${OUR_TYPE}"}`]: {
            '.': {},
            'f:lastTransitionTime': {},
            'f:message': {},
            'f:observedGeneration': {},
            'f:reason': {},
            'f:status': {},
            'f:type': {},
          },
        },
      },
    });
  });

  it('I15: is not written again when it says the same', async () => {
    const target = await makePod('again');
    const first = podOf(await store.writeCondition(target, podCondition()));
    expect(podOf(await store.writeCondition(first, podCondition()))).toEqual(first);
    const { metadata } = await podObject('again');
    expect(metadata.resourceVersion).toBe(first.resourceVersion);
  });

  it('takes the place of what stood there, also when it was planned on an older state of the Pod', async () => {
    const target = await makePod('older');
    await store.writeCondition(target, podCondition());
    await writeStatus('older', RUNNING);
    const closed = podCondition({ status: 'False', reason: 'HeartbeatExpired', observedGeneration: 7 });
    expect(podOf(await store.writeCondition(target, closed))).toMatchObject({
      condition: closed,
      addresses: ['10.1.0.7', 'fd00::7'],
      isReadyButForGate: true,
    });
  });

  it('takes the place of what somebody else wrote under its type', async () => {
    const target = await makePod('forced');
    await writeStatus('forced', { conditions: [{ type: OUR_TYPE, status: 'False', reason: 'ByHand' }] });
    expect(podOf(await store.writeCondition(target, podCondition())).condition).toEqual(podCondition());
  });

  it('stays when the kubelet writes its own conditions', async () => {
    const target = await makePod('kubelet');
    await store.writeCondition(target, podCondition());
    const running = await writeStatus('kubelet', RUNNING);
    expect(running).toMatchObject({ condition: podCondition(), isReadyButForGate: true, restarts: 2 });
  });

  it('has no generation for a server that does not know it', async () => {
    const target = await makePod('unknowing');
    const unknowing = new KubernetesPodStore(client, { knowsGeneration: false });
    const written = podOf(await unknowing.writeCondition(target, podCondition({ observedGeneration: 5 })));
    expect(written.condition).toEqual(podCondition({ observedGeneration: 0 }));
  });

  it('I16: is not written to a Pod that was made again under its name', async () => {
    const former = await makePod('namesake');
    await deletePod('namesake');
    await makePod('namesake');
    const before = await podObject('namesake');
    expect(await store.writeCondition(former, podCondition())).toEqual({ kind: 'absent' });
    expect(await podObject('namesake')).toEqual(before);
  });

  it('I16: of a Pod that is gone is absent', async () => {
    const target = await makePod('gone');
    await deletePod('gone');
    expect(await store.writeCondition(target, podCondition())).toEqual({ kind: 'absent' });
  });

  it('is refused with the name of the Pod and the missing right, when our account may not write it', async () => {
    const target = await makePod('forbidden');
    const nobody = await connect(await server.createServiceAccountKubeconfig(namespace, 'nobody'));
    const outcome = await new KubernetesPodStore(nobody, { knowsGeneration: true }).writeCondition(
      target,
      podCondition(),
    );
    expect(outcome).toMatchObject({
      kind: 'refused',
      reason: 'Forbidden',
      message: expect.stringContaining(`writing the condition of Pod ${namespace}/forbidden: 403`),
    });
    expect('message' in outcome && outcome.message).toContain('cannot patch resource "pods/status"');
    await nobody.close();
  });
});

describe('Reading a Pod', () => {
  it('shows it as it is now, past every cache', async () => {
    const target = await makePod('live');
    const running = await writeStatus('live', RUNNING);
    expect(await store.read(target)).toEqual({ kind: 'pod', pod: running });
    expect(running).toMatchObject({
      workload: 'Pod/live',
      labels: { app: 'web' },
      addresses: ['10.1.0.7', 'fd00::7'],
      hasGate: true,
      isReady: false,
      isReadyButForGate: true,
      restarts: 2,
    });
  });

  it('I6: shows that its deletion has begun', async () => {
    const target = await makePod('ending');
    const finalizers = ['example.com/wait'];
    await done(server.request('PATCH', podPath(namespace, 'ending'), { metadata: { finalizers } }));
    await deletePod('ending');
    expect(podOf(await store.read(target)).isTerminating).toBe(true);
    await done(server.request('PATCH', podPath(namespace, 'ending'), { metadata: { finalizers: null } }));
  });

  it('I16: is absent when it is gone, or another Pod has its name', async () => {
    const former = await makePod('replaced');
    await deletePod('replaced');
    expect(await store.read(former)).toEqual({ kind: 'absent' });
    const successor = await makePod('replaced');
    expect(await store.read(former)).toEqual({ kind: 'absent' });
    expect(await store.read(successor)).toEqual({ kind: 'pod', pod: successor });
  });

  it('is unreachable when nobody listens', async () => {
    const lost = await connect(await server.kubeconfigFor({ token: 'any', port: 1 }));
    const target = await makePod('unseen');
    expect(await new KubernetesPodStore(lost, { knowsGeneration: true }).read(target)).toMatchObject({
      kind: 'unreachable',
      message: expect.stringMatching(new RegExp(`^reading Pod ${namespace}/unseen: .*ECONNREFUSED`)),
    });
    await lost.close();
  });
});

describe('This server', () => {
  it('knows the generation of the conditions of Pods', async () => {
    expect(await podConditionGenerationSupported(client)).toBe(true);
  });
});

describe('Pods of several namespaces', () => {
  it('are heard as one list, and then each as it changes', async () => {
    const other = await makeNamespace(server);
    const here = await makeNamespace(server);
    const [first, second] = [await makePod('a', here), await makePod('b', other)];
    const lists: (readonly string[])[] = [];
    const pods = new Map<string, ObservedPod>();
    const union = new ListenerUnion<ObservedPod>({
      partCount: 2,
      clock: systemClock,
      listener: {
        replaced(items) {
          lists.push(items.map(({ uid }) => uid).sort());
          for (const item of items) pods.set(item.uid, item);
          return Promise.resolve();
        },
        changed: (item) => pods.set(item.uid, item),
        removed: (item) => pods.delete(item.uid),
      },
    });
    const reflectors = [here, other].flatMap((where, index) => {
      const listener = union.parts[index];
      const observer = new RecordingObserver();
      return listener === undefined
        ? []
        : [
            new Reflector({
              client,
              path: podsPath(where),
              decode: decodePod,
              listener,
              clock: systemClock,
              observer,
            }),
          ];
    });
    for (const reflector of reflectors) reflector.start();
    await Promise.all(reflectors.map((reflector) => reflector.whenSynced()));
    expect(lists).toEqual([[first.uid, second.uid].sort()]);

    await store.writeCondition(second, podCondition());
    await expect.poll(() => pods.get(second.uid)?.condition).toEqual(podCondition());
    await deletePod('a', here);
    await expect.poll(() => [...pods.keys()]).toEqual([second.uid]);
    expect(lists).toHaveLength(1);
    await Promise.all(reflectors.map((reflector) => reflector.stop()));
  });
});

describe('A Node', () => {
  it('is heard with its addresses, and whether it is ready', async () => {
    const name = `node-of-${namespace}`;
    await done(server.request('POST', nodesPath(), { metadata: { name } }));
    const status = {
      conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: '' }],
      addresses: [
        { type: 'InternalIP', address: '10.0.0.1' },
        { type: 'Hostname', address: name },
      ],
    };
    const body = await done(server.request('PATCH', `${nodesPath()}/${name}/status`, { status }));
    expect(decodeNode(body)).toMatchObject({ name, isReady: true, addresses: ['10.0.0.1'] });
    await done(server.request('DELETE', `${nodesPath()}/${name}`));
  });
});
