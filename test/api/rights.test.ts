import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Access, missingRights, neededRights } from '../../src/kubernetes/access-review.ts';
import type { ApiClient } from '../../src/kubernetes/api-client.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import { connect, makeNamespace } from '../kubernetes/support/instances-on-server.ts';

const server = sharedControlPlane();

const CONFIG_MAPS = { group: '', resource: 'configmaps', namespace: 'heartbeat-operator' };
const INJECTION = { group: 'admissionregistration.k8s.io', name: 'heartbeat-operator-gate' };

function deployed(name: string): string {
  return fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));
}

/** What the API server would say. */
async function can(account: string, access: Access): Promise<boolean> {
  const { status, body } = await server.request<{ status: { allowed: boolean } }>(
    'POST',
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    { spec: { user: `system:serviceaccount:heartbeat-operator:${account}`, resourceAttributes: access } },
  );
  expect(status).toBe(201);
  return body.status.allowed;
}

beforeAll(async () => {
  for (const name of ['namespace.yaml', 'service-account.yaml', 'rbac.yaml']) {
    await server.kubectl('apply', '-f', deployed(name));
  }
});

describe('the account of the operator', () => {
  let operator: ApiClient;

  beforeAll(async () => {
    operator = await connect(await server.createServiceAccountKubeconfig('heartbeat-operator', 'heartbeat-operator'));
  });
  afterAll(() => operator.close());

  it('has every right that the operator asks for', async () => {
    expect(await missingRights(operator, 'heartbeat-operator')).toEqual([]);
  });

  it('may watch the marker of an uninstall by its name, and no other ConfigMap', async () => {
    const path = '/api/v1/namespaces/heartbeat-operator/configmaps';
    const marker = { fieldSelector: 'metadata.name=heartbeat-operator-release' };
    expect((await operator.request({ method: 'GET', path, query: marker })).kind).toBe('ok');
    expect((await operator.request({ method: 'GET', path })).kind).toBe('forbidden');
    expect((await operator.request({ method: 'GET', path: `${path}/kube-root-ca.crt` })).kind).toBe('forbidden');
  });

  it.each<[string, Access]>([
    ['change the spec of a Pod', { group: '', resource: 'pods', verb: 'patch' }],
    ['delete a Pod', { group: '', resource: 'pods', verb: 'delete' }],
    ['replace the status of a Pod', { group: '', resource: 'pods', subresource: 'status', verb: 'update' }],
    ['evict a Pod', { group: '', resource: 'pods', subresource: 'eviction', verb: 'create' }],
    ['change a node', { group: '', resource: 'nodes', verb: 'patch' }],
    ['write a policy', { group: 'heartbeat-operator.io', resource: 'heartbeatpolicies', verb: 'patch' }],
    ['set the marker of an uninstall', { ...CONFIG_MAPS, verb: 'create' }],
    ['end the injection of the gate', { ...INJECTION, resource: 'mutatingadmissionpolicies', verb: 'delete' }],
    ['read a Secret', { group: '', resource: 'secrets', namespace: 'heartbeat-operator', verb: 'get' }],
  ])('may not %s', async (_what, access) => {
    expect(await can('heartbeat-operator', access)).toBe(false);
  });
});

describe('the account of the command that opens all Pods', () => {
  const account = 'heartbeat-operator-release';

  it('may delete the injection of the gate by its name, and no other policy', async () => {
    for (const resource of ['mutatingadmissionpolicies', 'mutatingadmissionpolicybindings']) {
      expect(await can(account, { ...INJECTION, resource, verb: 'delete' })).toBe(true);
      expect(await can(account, { ...INJECTION, resource, verb: 'delete', name: 'another' })).toBe(false);
      expect(await can(account, { ...INJECTION, resource, verb: 'update' })).toBe(false);
    }
  });

  it('may set the marker and read it, and change no ConfigMap', async () => {
    const marker = { ...CONFIG_MAPS, name: 'heartbeat-operator-release' };
    expect(await can(account, { ...CONFIG_MAPS, verb: 'create' })).toBe(true);
    expect(await can(account, { ...marker, verb: 'get' })).toBe(true);
    expect(await can(account, { ...CONFIG_MAPS, verb: 'get', name: 'another' })).toBe(false);
    expect(await can(account, { ...marker, verb: 'update' })).toBe(false);
    expect(await can(account, { ...CONFIG_MAPS, namespace: 'default', verb: 'create' })).toBe(false);
  });
});

describe('an account without rights', () => {
  it('misses all of them, each by its name', async () => {
    const namespace = await makeNamespace(server);
    const nobody = await connect(await server.createServiceAccountKubeconfig(namespace, 'nobody'));
    const missing = await missingRights(nobody, 'heartbeat-operator');
    await nobody.close();

    expect(missing).toHaveLength(neededRights('heartbeat-operator').length);
    expect(missing).toContain('list heartbeatinstances');
    expect(missing).toContain('patch pods/status');
    expect(missing).toContain('watch configmaps heartbeat-operator-release in heartbeat-operator');
  });
});
