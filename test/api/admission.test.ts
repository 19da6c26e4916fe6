import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApiClient, ApiResult } from '../../src/kubernetes/api-client.ts';
import { ControlPlane } from '../control-plane/control-plane.ts';
import { connect } from '../kubernetes/support/instances-on-server.ts';
import { eventually } from '../support/instances-in-cluster.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy', import.meta.url));
const HEALTHY = 'heartbeat-operator.io/Healthy';
const NAMESPACE = 'default';
/** A policy is in force when the API server has heard of it through a watch of its own. */
const IN_FORCE_WITHIN_MS = 30_000;

const STRATEGIC_MERGE = 'application/strategic-merge-patch+json';
const JSON_MERGE = 'application/merge-patch+json';
const MAIN = { name: 'main', image: 'none' };

const APPLY = 'application/apply-patch+yaml';

interface Condition {
  readonly type: string;
  readonly status: string;
}

interface PodObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels: unknown;
    readonly ownerReferences?: unknown;
  };
  readonly spec: { readonly readinessGates?: readonly { readonly conditionType: string }[] };
  readonly status: { readonly conditions: readonly Condition[] };
}

let server: ControlPlane;
/** What `kubectl apply -k deploy` printed the first and the second time. */
let applied: string;
let appliedAgain: string;

beforeAll(async () => {
  // With the controller manager, which checks the types of what our policy says.
  server = await ControlPlane.start({ controllerManager: true });
  applied = await server.kubectl('apply', '-k', DEPLOY);
  appliedAgain = await server.kubectl('apply', '-k', DEPLOY);
});

afterAll(() => server.stop());

function podPath(name: string, subresource?: string): string {
  const path = `/api/v1/namespaces/${NAMESPACE}/pods/${name}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

async function readPod(name: string): Promise<PodObject> {
  return (await server.request<PodObject>('GET', podPath(name))).body;
}

async function expectOk(reply: Promise<{ readonly status: number; readonly body: unknown }>): Promise<void> {
  const { status, body } = await reply;
  if (status >= 300) throw new Error(`the server refused: ${status} ${JSON.stringify(body)}`);
}

/** A Pod as a kubelet that runs it would show it, with a condition and a gate of somebody else. */
async function makeRunningPod(name: string): Promise<PodObject> {
  await expectOk(
    server.request('POST', `/api/v1/namespaces/${NAMESPACE}/pods`, {
      metadata: {
        name,
        labels: { app: 'web' },
        annotations: { note: 'a' },
        finalizers: ['example.com/wait'],
      },
      spec: {
        containers: [{ name: 'main', image: 'none' }],
        readinessGates: [{ conditionType: HEALTHY }, { conditionType: 'example.com/Registered' }],
      },
    }),
  );
  const at = '2026-11-25T10:00:00Z';
  const container = { name: 'main', image: 'none', imageID: 'none', restartCount: 0 };
  await expectOk(
    server.request('PATCH', podPath(name, 'status'), {
      status: {
        phase: 'Running',
        observedGeneration: 1,
        hostIP: '10.0.0.1',
        hostIPs: [{ ip: '10.0.0.1' }],
        podIP: '10.1.0.1',
        podIPs: [{ ip: '10.1.0.1' }, { ip: 'fd00::1' }],
        startTime: at,
        containerStatuses: [{ ...container, ready: true, started: true, state: { running: { startedAt: at } } }],
        conditions: [
          { type: 'PodScheduled', status: 'True', lastTransitionTime: at, observedGeneration: 1 },
          { type: 'ContainersReady', status: 'True', lastTransitionTime: at },
          { type: 'Ready', status: 'False', lastTransitionTime: at, reason: 'ReadinessGatesNotReady' },
          { type: 'example.com/Registered', status: 'True', lastTransitionTime: at },
        ],
      },
    }),
  );
  return readPod(name);
}

/** Sets our condition as the operator does. */
function applyOurCondition(client: ApiClient, pod: PodObject, status: string): Promise<ApiResult> {
  return client.request({
    method: 'PATCH',
    path: podPath(pod.metadata.name, 'status'),
    contentType: APPLY,
    query: { fieldManager: 'heartbeat-operator', force: 'true' },
    body: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: pod.metadata.name, uid: pod.metadata.uid },
      status: {
        conditions: [
          {
            type: HEALTHY,
            status,
            reason: 'HeartbeatExpired',
            message: 'No heartbeat.',
            lastTransitionTime: '2026-11-25T10:00:00Z',
            observedGeneration: 1,
          },
        ],
      },
    },
  });
}

function patchStatus(
  client: ApiClient,
  name: string,
  body: unknown,
  contentType: string = STRATEGIC_MERGE,
): Promise<ApiResult> {
  return client.request({ method: 'PATCH', path: podPath(name, 'status'), contentType, body });
}

function conditionStatuses(pod: PodObject): Record<string, string> {
  return Object.fromEntries(pod.status.conditions.map(({ type, status }) => [type, status]));
}

async function connectAs(account: string, namespace = 'heartbeat-operator'): Promise<ApiClient> {
  return connect(await server.createServiceAccountKubeconfig(namespace, account));
}

async function untilConfined(client: ApiClient, podName: string): Promise<void> {
  await eventually(async () => {
    const { kind } = await client.request({
      method: 'PATCH',
      path: podPath(podName, 'status'),
      contentType: STRATEGIC_MERGE,
      query: { dryRun: 'All' },
      body: { status: { reason: 'Changed' } },
    });
    if (kind !== 'forbidden') throw new Error(`the policy is not in force: ${kind}`);
  }, IN_FORCE_WITHIN_MS);
}

type Change = readonly [what: string, patch: object];

/** What could be done with `patch pods/status`, and is not ours to do. */
const FOREIGN_CONDITIONS: readonly Change[] = [
  ['the condition Ready', { status: { conditions: [{ type: 'Ready', status: 'True' }] } }],
  ['the condition ContainersReady', { status: { conditions: [{ type: 'ContainersReady', status: 'False' }] } }],
  ['the message of a foreign condition', { status: { conditions: [{ type: 'Ready', message: 'changed' }] } }],
  ['a new condition of another type', { status: { conditions: [{ type: 'example.com/New', status: 'True' }] } }],
  ['a type that only looks like ours', { status: { conditions: [{ type: `${HEALTHY}2`, status: 'True' }] } }],
  [
    'the absence of a foreign condition',
    { status: { conditions: [{ $patch: 'delete', type: 'example.com/Registered' }] } },
  ],
  [
    'Ready together with our condition',
    {
      status: {
        conditions: [
          { type: HEALTHY, status: 'True' },
          { type: 'Ready', status: 'True' },
        ],
      },
    },
  ],
];

const METADATA: readonly Change[] = [
  ['a label', { metadata: { labels: { app: 'other' } } }],
  ['a new label', { metadata: { labels: { new: 'label' } } }],
  ['the absence of a label', { metadata: { labels: { app: null } } }],
  ['an annotation', { metadata: { annotations: { note: 'b' } } }],
  ['the absence of all annotations', { metadata: { annotations: null } }],
  ['the absence of a finalizer', { metadata: { finalizers: null } }],
];

const OTHER_STATUS: readonly Change[] = [
  ['the phase', { status: { phase: 'Failed' } }],
  ['the reason of the Pod', { status: { reason: 'Evicted' } }],
  ['the message of the Pod', { status: { message: 'changed' } }],
  ['the address of the Pod', { status: { podIP: '10.9.9.9', podIPs: [{ $patch: 'replace' }, { ip: '10.9.9.9' }] } }],
  ['the absence of addresses', { status: { podIP: null, podIPs: null } }],
  ['the address of the host', { status: { hostIP: '10.9.9.9', hostIPs: [{ $patch: 'replace' }, { ip: '10.9.9.9' }] } }],
  ['the start time', { status: { startTime: '2020-01-01T00:00:00Z' } }],
  ['the nominated node', { status: { nominatedNodeName: 'node-1' } }],
  ['the observed generation', { status: { observedGeneration: 7 } }],
  ['the state of a container', { status: { containerStatuses: [{ name: 'main', ready: false, image: 'none' }] } }],
  ['the absence of containers', { status: { containerStatuses: null } }],
  ['the resize of the Pod', { status: { resize: 'Infeasible' } }],
  ['a state of ephemeral containers', { status: { ephemeralContainerStatuses: [{ name: 'debug', image: 'none' }] } }],
];

describe('kubectl apply -k deploy', () => {
  test('makes everything on a fresh server, and changes nothing the second time', () => {
    const objects = applied.trim().split('\n');
    expect(objects.filter((line) => !line.endsWith(' created'))).toEqual([]);
    expect(objects.join('\n')).toContain(
      'validatingadmissionpolicybinding.admissionregistration.k8s.io/heartbeat-operator-pods',
    );
    expect(appliedAgain.replaceAll(' unchanged', ' created')).toBe(applied);
  });

  test('gives the server a policy whose types it finds nothing wrong with', async () => {
    const path = '/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/heartbeat-operator-pods';
    const checked = await eventually(async () => {
      const { body } = await server.request<{ status?: { typeChecking?: object } }>('GET', path);
      expect(body.status?.typeChecking).toBeDefined();
      return body.status?.typeChecking;
    }, IN_FORCE_WITHIN_MS);
    expect(checked).toEqual({});
  });

  test('does not bring the injection of the gate', () => {
    expect(applied).not.toContain('mutatingadmissionpolicy');
  });
});

describe.each(['heartbeat-operator', 'heartbeat-operator-release'])('I12: the account %s', (account) => {
  const podName = `of-${account}`;
  let client: ApiClient;

  beforeAll(async () => {
    client = await connectAs(account);
    await makeRunningPod(podName);
    await untilConfined(client, podName);
  });
  afterAll(() => client.close());

  test('may set our condition and change it, and everything else of the Pod stays', async () => {
    const before = await readPod(podName);
    for (const status of ['False', 'True']) {
      expect(await applyOurCondition(client, before, status)).toMatchObject({ kind: 'ok' });
      const after = await readPod(podName);
      expect(conditionStatuses(after)).toEqual({ ...conditionStatuses(before), [HEALTHY]: status });
      const others = after.status.conditions.filter(({ type }) => type !== HEALTHY);
      expect({ ...after.status, conditions: others }).toEqual(before.status);
      expect(after.metadata.labels).toEqual(before.metadata.labels);
    }
  });

  describe.each([
    ['a condition of a Pod other than heartbeat-operator.io/Healthy', FOREIGN_CONDITIONS],
    ['the metadata of a Pod', METADATA],
    ['a field of the status of a Pod other than the conditions', OTHER_STATUS],
  ])('may not change %s:', (what, changes) => {
    test.each(changes)('%s', async (_what, patch) => {
      const before = await readPod(podName);
      const result = await patchStatus(client, podName, patch);
      expect(result.kind).toBe('forbidden');
      expect('message' in result && result.message).toContain(`the heartbeat operator may not change ${what}`);
      expect(await readPod(podName)).toEqual(before);
    });
  });

  test.each([
    ['the spec', { spec: { activeDeadlineSeconds: 1 } }],
    [
      'the owners',
      { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'a', uid: 'no-such-uid' }] } },
    ],
  ])('changes nothing by writing %s to the status', async (_what, patch) => {
    const before = await readPod(podName);
    await patchStatus(client, podName, patch);
    expect(await readPod(podName)).toEqual(before);
  });

  test.each([
    ['change the spec of a Pod', 'PATCH', podPath(podName), { spec: { activeDeadlineSeconds: 1 } }],
    ['label a Pod', 'PATCH', podPath(podName), { metadata: { labels: { app: 'other' } } }],
    ['delete a Pod', 'DELETE', podPath(podName), undefined],
    ['evict a Pod', 'POST', podPath(podName, 'eviction'), { metadata: { name: podName } }],
  ] as const)('may not %s', async (_what, method, path, body) => {
    const before = await readPod(podName);
    const result = await client.request({ method, path, body, ...(method === 'PATCH' && { contentType: JSON_MERGE }) });
    expect(result.kind).toBe('forbidden');
    expect(await readPod(podName)).toEqual(before);
  });
});

describe('I12: the confinement of our accounts', () => {
  let operator: ApiClient;

  beforeAll(async () => {
    operator = await connectAs('heartbeat-operator');
  });
  afterAll(() => operator.close());

  test('holds in every namespace', async () => {
    const path = '/api/v1/namespaces/kube-system/pods';
    await eventually(
      () => expectOk(server.request('POST', path, { metadata: { name: 'a' }, spec: { containers: [MAIN] } })),
      IN_FORCE_WITHIN_MS,
    );
    const result = await operator.request({
      method: 'PATCH',
      path: `${path}/a/status`,
      contentType: STRATEGIC_MERGE,
      body: { status: { phase: 'Failed' } },
    });
    expect(result.kind).toBe('forbidden');
  });

  test('lets other conditions change their order, as a merge may do', async () => {
    await makeRunningPod('reordered');
    const { status } = await readPod('reordered');
    const conditions = [{ type: HEALTHY, status: 'True' }, ...status.conditions.toReversed()];
    expect(await patchStatus(operator, 'reordered', { status: { conditions } }, JSON_MERGE)).toMatchObject({
      kind: 'ok',
    });
  });

  test('does not stand in the way of our condition on a Pod that is being deleted', async () => {
    const pod = await makeRunningPod('terminating');
    await expectOk(server.request('DELETE', podPath('terminating')));
    expect(await applyOurCondition(operator, pod, 'True')).toMatchObject({ kind: 'ok' });
    expect((await patchStatus(operator, 'terminating', { metadata: { finalizers: null } })).kind).toBe('forbidden');
  });

  test('does not stand in the way of our condition on a Pod that no node has touched', async () => {
    await expectOk(
      server.request('POST', '/api/v1/namespaces/default/pods', {
        metadata: { name: 'untouched' },
        spec: { containers: [MAIN] },
      }),
    );
    expect(await applyOurCondition(operator, await readPod('untouched'), 'True')).toMatchObject({ kind: 'ok' });
  });

  test('leaves the refusal of another uid to the server', async () => {
    const pod = await makeRunningPod('namesake');
    const other = { ...pod, metadata: { ...pod.metadata, uid: '00000000-0000-0000-0000-000000000000' } };
    const result = await applyOurCondition(operator, other, 'True');
    expect(result.kind).toBe('invalid');
    expect('message' in result && result.message).toContain('metadata.uid');
  });

  test('concerns nobody else: not the administrator, and not a namesake in another namespace', async () => {
    await makeRunningPod('of-others');
    await server.kubectl('create', 'clusterrole', 'pod-writer', '--verb=patch', '--resource=pods/status');
    await server.kubectl(
      'create',
      'clusterrolebinding',
      'pod-writer',
      '--clusterrole=pod-writer',
      '--serviceaccount=default:heartbeat-operator',
    );
    const namesake = await connectAs('heartbeat-operator', 'default');
    const ready = { status: { conditions: [{ type: 'Ready', status: 'True' }] } };
    expect(await patchStatus(namesake, 'of-others', ready)).toMatchObject({ kind: 'ok' });
    await namesake.close();

    await expectOk(server.request('PATCH', podPath('of-others', 'status'), { status: { phase: 'Failed' } }));
    await expectOk(
      server.request('PATCH', podPath('of-others'), { metadata: { labels: { app: 'b' }, finalizers: null } }),
    );
    await expectOk(server.request('DELETE', podPath('of-others')));
  });

  describe('when somebody has given the account all rights there are', () => {
    beforeAll(async () => {
      await server.kubectl(
        'create',
        'clusterrolebinding',
        'too-much',
        '--clusterrole=cluster-admin',
        '--serviceaccount=heartbeat-operator:heartbeat-operator',
      );
      await makeRunningPod('coveted');
    });
    afterAll(() => server.kubectl('delete', 'clusterrolebinding', 'too-much'));

    const allPods = `/api/v1/namespaces/${NAMESPACE}/pods`;
    const debug = { name: 'debug', image: 'none', terminationMessagePolicy: 'File' };
    test.each([
      [
        'create a Pod',
        'POST',
        allPods,
        { metadata: { name: 'new' }, spec: { containers: [{ name: 'a', image: 'b' }] } },
      ],
      ['change an image', 'PATCH', podPath('coveted'), { spec: { containers: [{ name: 'main', image: 'other' }] } }],
      ['label a Pod', 'PATCH', podPath('coveted'), { metadata: { labels: { app: 'other' } } }],
      ['change the phase by an update', 'PUT', podPath('coveted', 'status'), undefined],
      ['debug a Pod', 'PATCH', podPath('coveted', 'ephemeralcontainers'), { spec: { ephemeralContainers: [debug] } }],
      ['evict a Pod', 'POST', podPath('coveted', 'eviction'), { metadata: { name: 'coveted' } }],
      ['run a command in a Pod', 'POST', `${podPath('coveted', 'exec')}?command=true`, undefined],
      ['delete a Pod', 'DELETE', podPath('coveted'), undefined],
      ['delete all Pods', 'DELETE', allPods, undefined],
    ] as const)('it still may not %s', async (_what, method, path, body) => {
      const before = await readPod('coveted');
      const changed = { ...before, apiVersion: 'v1', kind: 'Pod', status: { ...before.status, phase: 'Failed' } };
      const result = await operator.request({
        method,
        path,
        body: method === 'PUT' ? changed : body,
        ...(method === 'PATCH' && { contentType: STRATEGIC_MERGE }),
      });
      expect(result.kind).toBe('forbidden');
      expect('message' in result && result.message).toContain('the heartbeat operator may');
      expect(await readPod('coveted')).toEqual(before);
    });

    test('it still may set our condition', async () => {
      expect(await applyOurCondition(operator, await readPod('coveted'), 'True')).toMatchObject({ kind: 'ok' });
    });
  });
});

describe('I18: kubectl apply -k deploy/gates', () => {
  const ENABLED = { 'heartbeat-operator.io/gate': 'enabled' };

  interface NewPod {
    readonly labels: Readonly<Record<string, string>>;
    readonly gates?: readonly string[];
    readonly namespace?: string;
  }

  /** The gates of a Pod as the server would store it. */
  async function gatesOf({ labels, gates, namespace = NAMESPACE }: NewPod): Promise<readonly string[]> {
    const { status, body } = await server.request<PodObject>(
      'POST',
      `/api/v1/namespaces/${namespace}/pods?dryRun=All`,
      {
        metadata: { generateName: 'gated-', labels },
        spec: {
          containers: [
            {
              ...MAIN,
              // What our own namespace asks of a Pod.
              securityContext: {
                allowPrivilegeEscalation: false,
                runAsNonRoot: true,
                capabilities: { drop: ['ALL'] },
                seccompProfile: { type: 'RuntimeDefault' },
              },
            },
          ],
          ...(gates !== undefined && { readinessGates: gates.map((conditionType) => ({ conditionType })) }),
        },
      },
    );
    if (status !== 201) throw new Error(`the server refused: ${status} ${JSON.stringify(body)}`);
    return (body.spec.readinessGates ?? []).map(({ conditionType }) => conditionType);
  }

  function untilNewPodsHave(gates: readonly string[]): Promise<void> {
    return eventually(async () => {
      const found = await gatesOf({ labels: ENABLED });
      if (found.join() !== gates.join()) throw new Error(`a new Pod has the gates [${found.join()}]`);
    }, IN_FORCE_WITHIN_MS);
  }

  let gatesApplied: string;
  let gatesAppliedAgain: string;

  beforeAll(async () => {
    await untilNewPodsHave([]);
    gatesApplied = await server.kubectl('apply', '-k', `${DEPLOY}/gates`);
    gatesAppliedAgain = await server.kubectl('apply', '-k', `${DEPLOY}/gates`);
    await untilNewPodsHave([HEALTHY]);
  });

  test('makes the policy and its binding, and changes nothing the second time', () => {
    const made = ['mutatingadmissionpolicy', 'mutatingadmissionpolicybinding'];
    const lines = made.map((kind) => `${kind}.admissionregistration.k8s.io/heartbeat-operator-gate created`);
    expect(gatesApplied.trim().split('\n').toSorted()).toEqual(lines.toSorted());
    expect(gatesAppliedAgain.replaceAll(' unchanged', ' created')).toBe(gatesApplied);
  });

  test.each<[string, NewPod, readonly string[]]>([
    ['that carries the label and has no gate', { labels: ENABLED }, [HEALTHY]],
    ['that carries the label and has an empty list', { labels: ENABLED, gates: [] }, [HEALTHY]],
    [
      'that carries the label and has another gate',
      { labels: ENABLED, gates: ['example.com/Registered'] },
      ['example.com/Registered', HEALTHY],
    ],
    ['that carries the label and has the gate already', { labels: ENABLED, gates: [HEALTHY] }, [HEALTHY]],
    [
      'that carries the label and has the gate among others',
      { labels: ENABLED, gates: [HEALTHY, 'example.com/Registered'] },
      [HEALTHY, 'example.com/Registered'],
    ],
  ])('a new Pod %s has the gate once', async (_which, pod, gates) => {
    expect(await gatesOf(pod)).toEqual(gates);
  });

  test.each<[string, NewPod]>([
    ['without the label', { labels: { app: 'web' } }],
    ['that opted out', { labels: { 'heartbeat-operator.io/gate': 'disabled' } }],
    ['of kube-system', { labels: ENABLED, namespace: 'kube-system' }],
    ['of our own namespace', { labels: ENABLED, namespace: 'heartbeat-operator' }],
  ])('a new Pod %s does not get the gate', async (_which, pod) => {
    await eventually(() => gatesOf(pod), IN_FORCE_WITHIN_MS);
    expect(await gatesOf(pod)).toEqual([]);
  });

  test('a Pod that the label is added to later stays without the gate', async () => {
    await makeRunningPod('labelled-later');
    const before = await readPod('labelled-later');
    await expectOk(server.request('PATCH', podPath('labelled-later'), { metadata: { labels: ENABLED } }));
    expect((await readPod('labelled-later')).spec).toEqual(before.spec);
  });

  test('the account of the command that opens all Pods ends it, and new Pods are without the gate again', async () => {
    const release = await connectAs('heartbeat-operator-release');
    const group = '/apis/admissionregistration.k8s.io/v1';
    for (const resource of ['mutatingadmissionpolicybindings', 'mutatingadmissionpolicies']) {
      const path = `${group}/${resource}/heartbeat-operator-gate`;
      expect(await release.request({ method: 'DELETE', path })).toMatchObject({ kind: 'ok' });
    }
    await release.close();
    await untilNewPodsHave([]);
    expect(await gatesOf({ labels: ENABLED })).toEqual([]);
  });
});
