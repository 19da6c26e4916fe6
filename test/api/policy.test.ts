import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PolicyOutcome } from '../../src/controller/ports.ts';
import type { ObservedPolicy, PolicyStatus } from '../../src/health/observed-policy.ts';
import type { ApiClient } from '../../src/kubernetes/api-client.ts';
import { decodePolicy, policiesPath } from '../../src/kubernetes/policy-resource.ts';
import { KubernetesPolicyStore } from '../../src/kubernetes/policy-store.ts';
import type { ApiReply } from '../control-plane/api-server-access.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import { connect, makeNamespace } from '../kubernetes/support/instances-on-server.ts';

const crdFile = fileURLToPath(
  new URL('../../deploy/crds/heartbeat-operator.io_heartbeatpolicies.yaml', import.meta.url),
);
const server = sharedControlPlane();

let namespace: string;

beforeAll(async () => {
  await server.kubectl('apply', '--server-side', '-f', crdFile);
  await server.kubectl('wait', '--for=condition=Established', '--timeout=60s', '-f', crdFile);
  namespace = await makeNamespace(server);
});

interface PolicyObject {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly message?: string;
}

function post(name: string, spec: unknown, query = ''): Promise<ApiReply<PolicyObject>> {
  return server.request<PolicyObject>('POST', `${policiesPath(namespace)}${query}`, {
    apiVersion: 'heartbeat-operator.io/v1alpha1',
    kind: 'HeartbeatPolicy',
    metadata: { name },
    spec,
  });
}

/** As a person with kubectl. */
async function create(name: string, spec: unknown = { selector: {} }): Promise<ObservedPolicy> {
  const { status, body } = await post(name, spec);
  if (status !== 201) throw new Error(`the server refused: ${status} ${JSON.stringify(body)}`);
  return decodePolicy(body);
}

async function remove(name: string): Promise<void> {
  await server.request('DELETE', `${policiesPath(namespace)}/${name}`);
}

describe('the definition of the resource HeartbeatPolicy', () => {
  it('sets every default of a policy that says nothing but its selector', async () => {
    const { status, body } = await post('minimal', { selector: {} }, '?dryRun=All');
    expect(status).toBe(201);
    expect(body.spec).toEqual({
      selector: {},
      priority: 0,
      enforcement: 'Annotate',
      initial: 'Closed',
      openAfterSeconds: 600,
      minHealthy: 1,
      storm: { percent: 50, minimum: 5, maxDurationSeconds: 600 },
      withdrawalPercentPerMinute: 15,
    });
  });

  it('has the same defaults as the operator, which sets them for objects that lack them', async () => {
    const { metadata, spec } = (await post('same', { selector: {} }, '?dryRun=All')).body as PolicyObject & {
      readonly metadata: object;
    };
    const stored = { ...metadata, resourceVersion: '1' };
    expect(decodePolicy({ metadata: stored, spec })).toEqual(
      decodePolicy({ metadata: stored, spec: { selector: {} } }),
    );
  });

  it('takes a policy that says everything, at its limits', async () => {
    const spec = {
      selector: {
        matchLabels: { app: 'web', 'app.kubernetes.io/part-of': 'shop', empty: '' },
        matchExpressions: [
          { key: 'tier', operator: 'In', values: ['a', 'b'] },
          { key: 'tier', operator: 'NotIn', values: ['c'] },
          { key: 'example.com/canary', operator: 'Exists' },
          { key: 'legacy', operator: 'DoesNotExist', values: [] },
        ],
      },
      priority: -2147483648,
      heartbeat: { intervalSeconds: 86400, times: 1000 },
      enforcement: 'Gate',
      initial: 'Open',
      openAfterSeconds: 0,
      minHealthy: 0,
      storm: { percent: 100, minimum: 1, maxDurationSeconds: 86400 },
      withdrawalPercentPerMinute: 100,
    };
    const { status, body } = await post('whole', spec, '?dryRun=All');
    expect({ status, spec: body.spec }).toEqual({ status: 201, spec });
  });

  const longName = 'a'.repeat(64);
  it.each<[string, unknown, string]>([
    ['no selector', {}, 'spec.selector: Required value'],
    ['a selector that is null', { selector: null }, 'spec.selector: Required value'],
    ['a label name with a space', { selector: { matchLabels: { 'a b': 'c' } } }, 'a key must be the name of a label'],
    [
      'a label name that ends in a slash',
      { selector: { matchLabels: { 'a/': 'c' } } },
      'a key must be the name of a label',
    ],
    ['a label value with a space', { selector: { matchLabels: { app: 'a b' } } }, 'spec.selector.matchLabels.app'],
    ['a label value that is too long', { selector: { matchLabels: { app: longName } } }, 'may not be more than 63'],
    ['33 labels', { selector: { matchLabels: labels(33) } }, 'must have at most 32'],
    ['an operator that is not known', expression({ operator: 'Gt', values: ['1'] }), 'supported values: "In", "NotIn"'],
    ['no operator', expression({}), 'operator: Required value'],
    ['a key that is not a name', expression({ key: '-', operator: 'Exists' }), 'matchExpressions[0].key'],
    ['In without values', expression({ operator: 'In' }), 'In and NotIn need at least one value'],
    ['NotIn with an empty list', expression({ operator: 'NotIn', values: [] }), 'In and NotIn need at least one value'],
    ['Exists with a value', expression({ operator: 'Exists', values: ['a'] }), 'Exists and DoesNotExist take none'],
    [
      'DoesNotExist with a value',
      expression({ operator: 'DoesNotExist', values: [''] }),
      'Exists and DoesNotExist take none',
    ],
    ['65 values', expression({ operator: 'In', values: Object.keys(labels(65)) }), 'must have at most 64 items'],
    ['a priority beyond 32 bits', { selector: {}, priority: 2147483648 }, 'spec.priority'],
    [
      'a timing without times',
      { selector: {}, heartbeat: { intervalSeconds: 30 } },
      'spec.heartbeat.times: Required value',
    ],
    ['an interval of 0', timing(0, 3), 'spec.heartbeat.intervalSeconds'],
    ['an interval of more than a day', timing(86401, 3), 'less than or equal to 86400'],
    ['a negative times', timing(30, -1), 'spec.heartbeat.times'],
    ['times over 1000', timing(30, 1001), 'less than or equal to 1000'],
    ['another enforcement', { selector: {}, enforcement: 'gate' }, 'supported values: "Observe", "Annotate", "Gate"'],
    ['another initial', { selector: {}, initial: 'Ajar' }, 'supported values: "Open", "Closed"'],
    ['a negative openAfterSeconds', { selector: {}, openAfterSeconds: -1 }, 'greater than or equal to 0'],
    ['openAfterSeconds of more than a day', { selector: {}, openAfterSeconds: 86401 }, 'less than or equal to 86400'],
    ['a negative minHealthy', { selector: {}, minHealthy: -1 }, 'spec.minHealthy'],
    ['a minHealthy over 10000', { selector: {}, minHealthy: 10001 }, 'less than or equal to 10000'],
    ['a minHealthy in percent', { selector: {}, minHealthy: '50%' }, 'must be of type integer'],
    ['a storm at 0 percent', { selector: {}, storm: { percent: 0 } }, 'spec.storm.percent'],
    ['a storm at 101 percent', { selector: {}, storm: { percent: 101 } }, 'less than or equal to 100'],
    ['a storm of no Pods', { selector: {}, storm: { minimum: 0 } }, 'spec.storm.minimum'],
    ['a storm without duration', { selector: {}, storm: { maxDurationSeconds: 0 } }, 'spec.storm.maxDurationSeconds'],
    ['a rate of 0', { selector: {}, withdrawalPercentPerMinute: 0 }, 'spec.withdrawalPercentPerMinute'],
    ['a rate over 100', { selector: {}, withdrawalPercentPerMinute: 101 }, 'less than or equal to 100'],
  ])('refuses %s, and says what is wrong', async (_what, spec, message) => {
    const { status, body } = await post('wrong', spec, '?dryRun=All');
    expect(status).toBe(422);
    expect(body.message).toContain(message);
  });

  it('shows what is enforced and what was counted in kubectl get, with the priority when asked for more', async () => {
    const policy = await create('shown', { selector: {}, enforcement: 'Gate', priority: 7 });
    const client = await connect(server.connection.kubeconfig);
    await new KubernetesPolicyStore(client).writeStatus(policy, STATUS);
    await client.close();
    const rows = async (...more: string[]): Promise<string[][]> => {
      const table = await server.kubectl('get', 'hbp', 'shown', '-n', namespace, ...more);
      return table
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/));
    };

    const age = expect.stringMatching(/^\d+s$/);
    expect(await rows()).toEqual([
      ['NAME', 'ENFORCEMENT', 'PODS', 'FRESH', 'STALE', 'HELD', 'STORM', 'AGE'],
      ['shown', 'Gate', '5', '3', '2', '1', 'True', age],
    ]);
    expect(await rows('-o', 'wide')).toEqual([
      ['NAME', 'ENFORCEMENT', 'PRIORITY', 'PODS', 'FRESH', 'STALE', 'HELD', 'STORM', 'AGE'],
      ['shown', 'Gate', '7', '5', '3', '2', '1', 'True', age],
    ]);
    await remove('shown');
  });

  it('is explained by kubectl, field by field', async () => {
    const text = await server.kubectl('explain', 'heartbeatpolicies', '--recursive=false');
    expect(text).toContain('What the heartbeats of the instances in some Pods of a namespace mean');
    const fields = await server.kubectl('explain', 'hbp.spec');
    for (const field of ['selector', 'priority', 'enforcement', 'openAfterSeconds', 'minHealthy', 'storm']) {
      expect(fields).toContain(`  ${field}\t`);
    }
    // It shows no defaults of its own accord.
    expect(fields).toContain('Annotate if absent');
  });
});

function labels(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`label-${index}`, '']));
}

function expression(part: object): unknown {
  return { selector: { matchExpressions: [{ key: 'tier', ...part }] } };
}

function timing(intervalSeconds: number, times: number): unknown {
  return { selector: {}, heartbeat: { intervalSeconds, times } };
}

const CONDITION = {
  status: 'True',
  reason: 'PolicyAccepted',
  message: 'The policy is used as it is written.',
  lastTransitionSeconds: 1_764_064_800,
  observedGeneration: 1,
} as const;

const STATUS: PolicyStatus = {
  observedGeneration: 1,
  pods: 5,
  counts: { live: 6, fresh: 3, stale: 2, unknown: 1, held: 1 },
  accepted: CONDITION,
  conflicted: { ...CONDITION, status: 'False', reason: 'NoConflict' },
  listening: { ...CONDITION, reason: 'Listening' },
  stormActive: { ...CONDITION, reason: 'WorkloadSilent' },
};

function written(outcome: PolicyOutcome): ObservedPolicy {
  if (outcome.kind !== 'written') throw new Error(JSON.stringify(outcome));
  return outcome.policy;
}

describe('the store of policies in the Kubernetes API', () => {
  let client: ApiClient;
  let store: KubernetesPolicyStore;
  let policy: ObservedPolicy;

  beforeAll(async () => {
    client = await connect(server.connection.kubeconfig);
    store = new KubernetesPolicyStore(client);
  });
  afterAll(() => client.close());

  beforeEach(async () => {
    await remove('a');
    policy = await create('a', { selector: { matchLabels: { app: 'web' } }, priority: 3 });
  });

  it('returns a written status as it was given, with a new resourceVersion and the rest as it was', async () => {
    const after = written(await store.writeStatus(policy, STATUS));
    expect(after.status).toEqual(STATUS);
    expect(after.resourceVersion).not.toBe(policy.resourceVersion);
    expect({ ...after, status: undefined, resourceVersion: policy.resourceVersion }).toEqual(policy);
  });

  it('replaces what was written before: conditions that are no longer there are gone', async () => {
    const before = written(await store.writeStatus(policy, STATUS));
    const less: PolicyStatus = { ...STATUS, observedGeneration: undefined, pods: 0, stormActive: undefined };
    expect(written(await store.writeStatus(before, less)).status).toEqual(less);
  });

  it('says conflict when a person has changed the policy since it was observed, and writes nothing', async () => {
    const path = `${policiesPath(namespace)}/a`;
    await server.request('PATCH', path, { spec: { priority: 4 } });
    expect(await store.writeStatus(policy, STATUS)).toEqual({ kind: 'conflict' });
    const { body } = await server.request('GET', path);
    expect(decodePolicy(body)).toMatchObject({ priority: 4, status: undefined });
  });

  it('says absent when the policy is gone', async () => {
    await remove('a');
    expect(await store.writeStatus(policy, STATUS)).toEqual({ kind: 'absent' });
  });

  it('does not write to a policy of the same name that was created anew', async () => {
    await remove('a');
    await create('a');
    expect(await store.writeStatus(policy, STATUS)).toEqual({ kind: 'conflict' });
  });

  it('is refused as invalid when the schema does not allow the status', async () => {
    const outcome = await store.writeStatus(policy, { ...STATUS, pods: -1 });
    expect(outcome).toMatchObject({ kind: 'refused', reason: 'Invalid' });
    expect('message' in outcome && outcome.message).toContain('status.pods');
  });

  it('is refused with a message that names the object and the missing right, when its account may not write', async () => {
    const nobody = await connect(await server.createServiceAccountKubeconfig(namespace, 'nobody'));
    const outcome = await new KubernetesPolicyStore(nobody).writeStatus(policy, STATUS);
    expect(outcome).toMatchObject({ kind: 'refused', reason: 'Forbidden' });
    expect('message' in outcome && outcome.message).toContain(
      `writing the status of HeartbeatPolicy ${namespace}/a: 403`,
    );
    await nobody.close();
  });

  it('says unreachable when nobody listens', async () => {
    const nowhere = await connect(await server.kubeconfigFor({ token: 'any', port: 1 }));
    const outcome = await new KubernetesPolicyStore(nowhere).writeStatus(policy, STATUS);
    expect(outcome.kind).toBe('unreachable');
    expect('message' in outcome && outcome.message).toContain('ECONNREFUSED');
    await nowhere.close();
  });
});
