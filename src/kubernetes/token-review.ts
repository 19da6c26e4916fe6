import { TOKEN_AUDIENCE, type TokenVerdict } from '../liveness/token-verdict.ts';
import type { ApiClient } from './api-client.ts';
import { isRecord } from './api-error.ts';

/**
 * The API server answers within milliseconds. Nobody waits this long for it, but the answer to a slow review is still
 * there for the next heartbeat; much longer, and a few that hang would keep all others from being asked.
 */
const REVIEW_TIMEOUT_MS = 5_000;

/** The API server's own words are passed on to the sender of the token, in a refusal. */
const REASON_LENGTH_MAX = 200;

const POD_NAME = 'authentication.kubernetes.io/pod-name';
const POD_UID = 'authentication.kubernetes.io/pod-uid';

/** The name of a service account among the users: namespace, then name. */
const ACCOUNT = /^system:serviceaccount:([^:]+):[^:]+$/;

/**
 * Asks the API server whose token this is.
 *
 * Only a token for our audience that is bound to a Pod proves anything. The API server refuses one whose Pod was
 * deleted, though for about ten seconds it may answer from memory. That we may not ask, or ask wrongly, is no fault of
 * the sender's and counts as unreachable.
 */
export async function reviewToken(client: Pick<ApiClient, 'request'>, token: string): Promise<TokenVerdict> {
  const result = await client.request({
    action: 'reviewing a token',
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/tokenreviews',
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, audiences: [TOKEN_AUDIENCE] },
    },
    // Verdicts must not wait behind reviews, of which anybody can cause some.
    lane: 'review',
    timeoutMs: REVIEW_TIMEOUT_MS,
  });
  if (result.kind !== 'ok') return { kind: 'unreachable', message: result.message };
  const status = isRecord(result.body) ? result.body['status'] : undefined;
  if (!isRecord(status)) return { kind: 'unreachable', message: 'reviewing a token: not a TokenReview' };
  return verdictOf(status);
}

function verdictOf(status: Readonly<Record<string, unknown>>): TokenVerdict {
  const { authenticated, audiences, user, error } = status;
  if (authenticated !== true) {
    const reason = typeof error === 'string' && error !== '' ? `: ${bounded(error)}` : '';
    return { kind: 'refused', why: `the API server does not accept the token${reason}` };
  }
  // A server that knows nothing of audiences says nothing of them, and has accepted a token for anybody.
  if (!Array.isArray(audiences) || !audiences.includes(TOKEN_AUDIENCE)) {
    return { kind: 'refused', why: `the token is not for the audience ${TOKEN_AUDIENCE}` };
  }
  return podOf(user) ?? { kind: 'refused', why: 'the token is bound to no Pod: use one that a Pod has mounted' };
}

function podOf(user: unknown): TokenVerdict | undefined {
  if (!isRecord(user) || !isRecord(user['extra']) || typeof user['username'] !== 'string') return undefined;
  const name = only(user['extra'][POD_NAME]);
  const uid = only(user['extra'][POD_UID]);
  const namespace = ACCOUNT.exec(user['username'])?.[1];
  if (name === undefined || uid === undefined || namespace === undefined) return undefined;
  return { kind: 'pod', uid, name, namespace };
}

/** Every extra is a list; these have one value. */
function only(values: unknown): string | undefined {
  const value: unknown = Array.isArray(values) && values.length === 1 ? values[0] : undefined;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function bounded(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length <= REASON_LENGTH_MAX ? line : `${line.slice(0, REASON_LENGTH_MAX - 1)}…`;
}
