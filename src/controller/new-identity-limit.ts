import { TokenBucket } from './token-bucket.ts';

export interface NewIdentityLimitOptions {
  /** New identities a second, once the burst is used up. */
  readonly perSecond: number;
  /** New identities that may come at once. */
  readonly burst: number;
  /** Identities in all, known ones included, above which no new one is taken in. */
  readonly total: number;
}

export type Admission =
  | { readonly kind: 'admitted' }
  | { readonly kind: 'refused'; readonly reason: 'rate' | 'total'; readonly retryAfterSeconds: number };

/** Nobody can tell when a full table has room again; a minute keeps a refused sender from asking all the time. */
const FULL_RETRY_SECONDS = 60;

const ADMITTED: Admission = { kind: 'admitted' };

/**
 * How many identities that nobody vouches for may appear: a token bucket and a total, so that a sender who makes up
 * ids can fill neither the cluster nor our memory. Known identities never come here.
 */
export class NewIdentityLimit {
  readonly #total: number;
  readonly #bucket: TokenBucket;

  constructor(options: NewIdentityLimitOptions, nowMs: number) {
    this.#total = options.total;
    this.#bucket = new TokenBucket(options.perSecond, options.burst, nowMs);
  }

  /** Asks for one new identity when there are `knownCount` already. */
  admit(nowMs: number, knownCount: number): Admission {
    if (knownCount >= this.#total) {
      return { kind: 'refused', reason: 'total', retryAfterSeconds: FULL_RETRY_SECONDS };
    }
    if (this.#bucket.take(nowMs)) return ADMITTED;
    return { kind: 'refused', reason: 'rate', retryAfterSeconds: Math.max(1, Math.ceil(this.#bucket.waitSeconds)) };
  }
}
