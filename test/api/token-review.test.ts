import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiClient } from '../../src/kubernetes/api-client.ts';
import { reviewToken } from '../../src/kubernetes/token-review.ts';
import { TOKEN_AUDIENCE } from '../../src/liveness/token-verdict.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import { connect, makeNamespace } from '../kubernetes/support/instances-on-server.ts';

const server = sharedControlPlane();
let client: ApiClient;
let namespace: string;

beforeAll(async () => {
  namespace = await makeNamespace(server);
  client = await connect(server.connection.kubeconfig);
  await create('serviceaccounts', { metadata: { name: 'cart' } });
});
afterAll(() => client.close());

interface Created {
  readonly metadata: { readonly uid: string };
}

async function create<Body>(path: string, body: object): Promise<Body> {
  const reply = await server.request<Body>('POST', `/api/v1/namespaces/${namespace}/${path}`, body);
  if (reply.status !== 201) throw new Error(`creating ${path}: ${JSON.stringify(reply)}`);
  return reply.body;
}

/** A Pod that nobody runs. Resolves with its uid. */
async function createPod(name: string): Promise<string> {
  const { metadata } = await create<Created>('pods', {
    metadata: { name },
    spec: { serviceAccountName: 'cart', containers: [{ name: 'main', image: 'none' }] },
  });
  return metadata.uid;
}

/** A token of the account `cart`, for us and bound to no Pod unless `spec` says otherwise. */
async function requestToken(spec: object = {}): Promise<string> {
  const issued = await create<{ readonly status: { readonly token: string } }>('serviceaccounts/cart/token', {
    spec: { audiences: [TOKEN_AUDIENCE], expirationSeconds: 600, ...spec },
  });
  return issued.status.token;
}

const boundTo = (name: string, uid: string) => ({ boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } });

describe('A token, put to a real API server', () => {
  it('that is bound to a Pod and for us proves that Pod, also to an account that may do nothing but ask', async () => {
    const uid = await createPod('cart-0');
    const token = await requestToken(boundTo('cart-0', uid));
    const proof = { kind: 'pod', uid, name: 'cart-0', namespace };
    expect(await reviewToken(client, token)).toEqual(proof);

    const kubeconfig = await server.createServiceAccountKubeconfig(namespace, 'reviewer');
    const reviewer = await connect(kubeconfig);
    expect(await reviewToken(reviewer, token)).toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('403 Forbidden'),
    });
    await allowReviews('reviewer');
    await expect.poll(() => reviewToken(reviewer, token)).toEqual(proof);
    await reviewer.close();
  });

  it('that is for another audience is refused', async () => {
    const uid = await createPod('cart-1');
    const token = await requestToken({ ...boundTo('cart-1', uid), audiences: ['vault'] });
    expect(await reviewToken(client, token)).toEqual({
      kind: 'refused',
      why: expect.stringContaining(
        'token audiences ["vault"] is invalid for the target audiences ["heartbeat-operator"]',
      ),
    });
  });

  it('that is for us among others is good', async () => {
    const uid = await createPod('cart-2');
    const token = await requestToken({ ...boundTo('cart-2', uid), audiences: ['vault', TOKEN_AUDIENCE] });
    expect(await reviewToken(client, token)).toMatchObject({ kind: 'pod', uid });
  });

  it('that is bound to no Pod is refused, and says so', async () => {
    expect(await reviewToken(client, await requestToken())).toEqual({
      kind: 'refused',
      why: 'the token is bound to no Pod: use one that a Pod has mounted',
    });
  });

  it.each([
    ['is garbage', 'garbage'],
    ['looks like a token', 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwb2QifQ.c2lnbmF0dXJl'],
  ])('that %s is refused', async (_title, token) => {
    expect(await reviewToken(client, token)).toMatchObject({
      kind: 'refused',
      why: expect.stringContaining('the API server does not accept the token'),
    });
  });

  it('that was changed is refused', async () => {
    const uid = await createPod('cart-3');
    const [head = '', claims = '', signature = ''] = (await requestToken(boundTo('cart-3', uid))).split('.');
    const forged = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as Record<string, unknown>;
    const text = JSON.stringify({ ...forged, exp: 4_000_000_000 });
    const token = [head, Buffer.from(text).toString('base64url'), signature].join('.');
    expect(await reviewToken(client, token)).toMatchObject({ kind: 'refused' });
  });

  it('of a Pod that was deleted is refused, also when another Pod has its name by now', async () => {
    const uid = await createPod('cart-4');
    const token = await requestToken(boundTo('cart-4', uid));
    const later = await requestToken(boundTo('cart-4', uid));
    expect(await reviewToken(client, token)).toMatchObject({ kind: 'pod', uid });
    await server.request('DELETE', `/api/v1/namespaces/${namespace}/pods/cart-4?gracePeriodSeconds=0`);

    // One that it was not asked about before is refused at once, the other when the API server's memory of it ends.
    expect(await reviewToken(client, later)).toMatchObject({ kind: 'refused' });
    await createPod('cart-4');
    await expect
      .poll(() => reviewToken(client, token), { timeout: 30_000, interval: 500 })
      .toMatchObject({ kind: 'refused' });
    expect(await reviewToken(client, later)).toMatchObject({ kind: 'refused' });
  });
});

/** The one right that reviews take, as `deploy/` grants it. */
async function allowReviews(account: string): Promise<void> {
  const name = `${namespace}-${account}`;
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const rules = [{ apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] }];
  await server.request('POST', `${rbac}/clusterroles`, { metadata: { name }, rules });
  await server.request('POST', `${rbac}/clusterrolebindings`, {
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace }],
  });
}
