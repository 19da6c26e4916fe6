import { describe, expect, it } from 'vitest';
import type { ApiRequest, ApiResult } from '../../src/kubernetes/api-client.ts';
import { reviewToken } from '../../src/kubernetes/token-review.ts';
import type { TokenVerdict } from '../../src/liveness/token-verdict.ts';

const TOKEN = 'a.b.c';
const NO_POD = 'the token is bound to no Pod: use one that a Pod has mounted';

/** The status of a review of a Pod's token, unless `parts` say otherwise. */
function statusOf(parts: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return { authenticated: true, user: userOf(), audiences: ['heartbeat-operator'], ...parts };
}

function userOf(parts: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return { username: 'system:serviceaccount:shop:cart', uid: 'uid-of-account', extra: extraOf(), ...parts };
}

function extraOf(parts: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    'authentication.kubernetes.io/pod-name': ['cart-0'],
    'authentication.kubernetes.io/pod-uid': ['uid-of-cart-0'],
    'authentication.kubernetes.io/node-name': ['node-1'],
    ...parts,
  };
}

/** The verdict when the API server gives this answer, and what it was asked. */
async function review(result: ApiResult): Promise<{ verdict: TokenVerdict; requests: readonly ApiRequest[] }> {
  const requests: ApiRequest[] = [];
  const client = {
    request(request: ApiRequest) {
      requests.push(request);
      return Promise.resolve(result);
    },
  };
  return { verdict: await reviewToken(client, TOKEN), requests };
}

const verdictFor = async (status: unknown): Promise<TokenVerdict> =>
  (await review({ kind: 'ok', status: 201, body: { kind: 'TokenReview', status } })).verdict;

describe('A token', () => {
  it('is put to the API server with our audience, on connections that verdicts do not use', async () => {
    const { requests } = await review({ kind: 'ok', status: 201, body: { status: statusOf() } });
    expect(requests).toMatchObject([
      {
        method: 'POST',
        path: '/apis/authentication.k8s.io/v1/tokenreviews',
        body: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenReview',
          spec: { token: TOKEN, audiences: ['heartbeat-operator'] },
        },
        lane: 'review',
        timeoutMs: 5_000,
      },
    ]);
  });

  it('that is bound to a Pod proves that Pod', async () => {
    expect(await verdictFor(statusOf())).toEqual({
      kind: 'pod',
      uid: 'uid-of-cart-0',
      name: 'cart-0',
      namespace: 'shop',
    });
  });

  it.each([
    ['is not accepted', { authenticated: false }, 'the API server does not accept the token'],
    ['has no status to speak of', {}, 'the API server does not accept the token'],
    [
      'is said to be accepted in words',
      { ...statusOf(), authenticated: 'true' },
      'the API server does not accept the token',
    ],
    [
      'is not accepted for a reason',
      { authenticated: false, error: '[invalid bearer token,\n token has expired]' },
      'the API server does not accept the token: [invalid bearer token, token has expired]',
    ],
    [
      'is not accepted for a long reason',
      { error: 'x'.repeat(1_000) },
      `the API server does not accept the token: ${'x'.repeat(199)}…`,
    ],
    [
      'is for another audience',
      statusOf({ audiences: ['vault'] }),
      'the token is not for the audience heartbeat-operator',
    ],
    ['is for no audience', statusOf({ audiences: [] }), 'the token is not for the audience heartbeat-operator'],
    [
      'was reviewed by a server that knows no audiences',
      statusOf({ audiences: undefined }),
      'the token is not for the audience heartbeat-operator',
    ],
    ['is a person', statusOf({ user: userOf({ username: 'jane', extra: {} }) }), NO_POD],
    ['is an account without a Pod', statusOf({ user: userOf({ extra: {} }) }), NO_POD],
    ['has no extras', statusOf({ user: userOf({ extra: undefined }) }), NO_POD],
    ['has no user', statusOf({ user: undefined }), NO_POD],
    [
      'has a Pod without uid',
      statusOf({ user: userOf({ extra: extraOf({ 'authentication.kubernetes.io/pod-uid': undefined }) }) }),
      NO_POD,
    ],
    [
      'has two Pods',
      statusOf({ user: userOf({ extra: extraOf({ 'authentication.kubernetes.io/pod-uid': ['a', 'b'] }) }) }),
      NO_POD,
    ],
    [
      'has an empty uid',
      statusOf({ user: userOf({ extra: extraOf({ 'authentication.kubernetes.io/pod-uid': [''] }) }) }),
      NO_POD,
    ],
    // Who may impersonate can set extras, but a Pod has only service accounts.
    ['claims a Pod and is no service account', statusOf({ user: userOf({ username: 'system:node:node-1' }) }), NO_POD],
  ])('that %s is refused', async (_title, status, why) => {
    expect(await verdictFor(status)).toEqual({ kind: 'refused', why });
  });

  it.each([
    { kind: 'unreachable', message: 'reviewing a token: no answer within 5 s' },
    { kind: 'throttled', retryAfterMs: 1_000, message: 'reviewing a token: 429' },
    { kind: 'forbidden', message: 'reviewing a token: 403 Forbidden' },
    { kind: 'unauthorized', message: 'reviewing a token: 401 Unauthorized' },
    { kind: 'absent', message: 'reviewing a token: 404' },
    { kind: 'invalid', message: 'reviewing a token: 400 BadRequest' },
  ] as const)('is neither good nor bad when the review is $kind', async (failure) => {
    expect((await review(failure)).verdict).toEqual({ kind: 'unreachable', message: failure.message });
  });

  it.each([
    ['nothing', undefined],
    ['a text', 'hello'],
    ['an object without a status', { kind: 'TokenReview' }],
  ])('is neither good nor bad when something else answers with %s', async (_title, body) => {
    expect((await review({ kind: 'ok', status: 200, body })).verdict).toEqual({
      kind: 'unreachable',
      message: 'reviewing a token: not a TokenReview',
    });
  });
});
