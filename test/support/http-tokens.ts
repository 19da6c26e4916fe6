import type { TokenVerdict } from '../../src/liveness/token-verdict.ts';

/** A token as Pods have them, but for the signature. Nobody can tell two of the same Pod and end apart. */
export function podToken(pod: string, claims: Readonly<Record<string, unknown>> = {}): string {
  return [{ alg: 'RS256' }, { sub: pod, ...claims }].map(encode).concat('c2lnbmF0dXJl').join('.');
}

/** The uid of the Pod that has the token. */
export function uidOf(pod: string): string {
  return `uid-of-${pod}`;
}

export function bearer(token: string): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` };
}

/** The API server's reviews: Pods that begin with `pod` exist, unless they were deleted. */
export class TokenReviews {
  /** The Pods whose tokens were asked about, in order. */
  readonly asked: string[] = [];
  readonly deleted = new Set<string>();
  /** Whether there is an answer at all. */
  isReachable = true;
  /** While this is set, no answer comes. */
  hold: Promise<void> | undefined;

  readonly review = async (token: string): Promise<TokenVerdict> => {
    const pod = podOf(token);
    this.asked.push(pod);
    await this.hold;
    if (!this.isReachable) return { kind: 'unreachable', message: 'nobody answers' };
    const exists = pod.startsWith('pod') && !this.deleted.has(pod);
    return exists
      ? { kind: 'pod', uid: uidOf(pod), name: pod, namespace: 'shop' }
      : { kind: 'refused', why: 'no such Pod' };
  };
}

function encode(claims: object): string {
  return Buffer.from(JSON.stringify(claims)).toString('base64url');
}

function podOf(token: string): string {
  const [, payload = ''] = token.split('.');
  const { sub } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { readonly sub: string };
  return sub;
}
