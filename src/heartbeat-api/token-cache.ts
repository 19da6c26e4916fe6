import { hash } from 'node:crypto';
import { podSender, type Sender } from '../liveness/sender.ts';
import type { TokenVerdict } from '../liveness/token-verdict.ts';
import { Turns } from './turns.ts';

/** What is known of a token at a moment. */
export type TokenStanding =
  /** It proves this sender. */
  | { readonly kind: 'found'; readonly sender: Sender }
  | { readonly kind: 'refused'; readonly why: string }
  /** The API server is being asked, and nothing that still counts was known before. */
  | { readonly kind: 'reviewing' }
  /** Nothing is known, and the API server cannot be asked now. */
  | { readonly kind: 'unreachable' };

export interface TokenCacheParts {
  /** Asks the API server; resolves in bounded time. */
  readonly review: (token: string) => Promise<TokenVerdict>;
  /** How often it may be asked about tokens that are not known to be good. Anybody can send such. */
  readonly unprovedReviews: ReviewRate;
  /** How often it may be asked once more about tokens that were good. Apart, so that a flood of bad ones leaves it alone. */
  readonly repeatedReviews: ReviewRate;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Milliseconds since the Unix epoch, in which a token says when it ends. */
  readonly wallMs: () => number;
  /** Hears of every review; for metrics and logs. */
  readonly onReviewed: (verdict: TokenVerdict) => void;
  /** Tokens that are remembered, about 400 bytes each: two for each Pod, since a token is replaced once an hour. */
  readonly tokensMax: number;
}

/** Whether one more may go now. */
export interface ReviewRate {
  take(nowMs: number): boolean;
}

/**
 * A fiftieth of what an API server is built for (5,000 a second). After a start, a fleet of 10,000 Pods is known in a
 * minute and a half.
 */
export const UNPROVED_REVIEWS = { perSecond: 100, burst: 1_000 } as const;

/** With more than 6,000 Pods, each is asked about less often than once in `GOOD_MS`. */
export const REPEATED_REVIEWS = { perSecond: 100, burst: 100 } as const;

/** Answers come within 10 ms, so that these are hundreds a second. When they are slow, most connections stay free for others. */
const UNPROVED_AT_ONCE = 6;
const REPEATED_AT_ONCE = 2;

/** A deployment starts many Pods at once. More than these would wait for longer than anybody does for them. */
const WAITING_MAX = 500;

/** So late, at the most, it is noticed that the Pod of a token was deleted. */
const GOOD_MS = 60_000;

/** A sender that was refused does not come again sooner, and what was wrong may have been put right. */
const BAD_MS = 10_000;

/** While nobody answers, one round of reviews in this time tries it. */
const HELD_MS = 1_000;

/** A token of the API server has about 1,200 characters. */
const TOKEN_LENGTH_MAX = 4_096;

/** What is bound to a Pod is a signed JWT. Nothing else is worth a question. */
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

const UNREACHABLE: TokenStanding = { kind: 'unreachable' };
const REVIEWING: TokenStanding = { kind: 'reviewing' };

/** One token, without its text. */
export class KnownToken {
  readonly digest: string;
  /** What the last review that was answered said. */
  standing: TokenStanding = UNREACHABLE;
  /** From when it should be asked about again. */
  dueAtMs = Number.NEGATIVE_INFINITY;
  /** Until when a good answer counts if there is no newer one. */
  goodUntilMs = Number.NEGATIVE_INFINITY;
  /** The question that is under way. Never rejects. */
  review: Promise<void> | undefined;

  constructor(digest: string) {
    this.digest = digest;
  }
}

/** Whether a text can be a token at all. */
export function isTokenLike(text: string): boolean {
  return text.length <= TOKEN_LENGTH_MAX && JWT.test(text);
}

/**
 * What the API server said about tokens, so that it is not asked once for each heartbeat.
 *
 * - A good token is asked about again after a minute, while it goes on to count. Nobody waits for that. If there is no
 *   answer it counts until it ends, which it says itself and may be believed about: it was verified.
 * - A bad one is refused for ten seconds without a question.
 * - However many bad ones come, the number of questions is bounded, and so is what is remembered of them: beyond that
 *   each costs a hash.
 */
export class TokenCache {
  readonly #parts: TokenCacheParts;
  /** By digest; those that were asked about last are at the end. */
  readonly #tokens = new Map<string, KnownToken>();
  readonly #unproved: Lane;
  readonly #repeated: Lane;
  #heldUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: TokenCacheParts) {
    this.#parts = parts;
    this.#unproved = { rate: parts.unprovedReviews, turns: new Turns(UNPROVED_AT_ONCE) };
    this.#repeated = { rate: parts.repeatedReviews, turns: new Turns(REPEATED_AT_ONCE) };
  }

  get size(): number {
    return this.#tokens.size;
  }

  /** The token as far as it is known, or undefined if it is not, and may not be asked about now. */
  find(token: string): KnownToken | undefined {
    const digest = hash('sha256', token, 'base64');
    const known = this.#tokens.get(digest);
    if (known !== undefined) return known;
    const added = new KnownToken(digest);
    return this.#begin(added, token) ? added : undefined;
  }

  /** How the token stands now. Asks about it if that is due. */
  standing(known: KnownToken, token: string): TokenStanding {
    const nowMs = this.#parts.nowMs();
    if (known.review === undefined && nowMs >= known.dueAtMs) this.#begin(known, token);
    const isGood = known.standing.kind === 'found';
    if (isGood && nowMs < known.goodUntilMs) return known.standing;
    if (known.review !== undefined) return REVIEWING;
    return isGood ? UNREACHABLE : known.standing;
  }

  /** Whether a question about the token has begun. */
  #begin(known: KnownToken, token: string): boolean {
    const nowMs = this.#parts.nowMs();
    const lane = known.standing.kind === 'found' ? this.#repeated : this.#unproved;
    if (this.#isHeld(nowMs) || lane.turns.waitingCount >= WAITING_MAX || !lane.rate.take(nowMs)) return false;
    known.review = this.#review(known, token, lane);
    this.#remember(known);
    return true;
  }

  async #review(known: KnownToken, token: string, lane: Lane): Promise<void> {
    await lane.turns.enter();
    // Those that waited for their turn while it became clear that nobody answers do not try it too.
    if (!this.#isHeld(this.#parts.nowMs())) this.#take(known, token, await this.#ask(token));
    lane.turns.leave();
    known.review = undefined;
  }

  async #ask(token: string): Promise<TokenVerdict> {
    try {
      return await this.#parts.review(token);
    } catch (error) {
      return { kind: 'unreachable', message: `reviewing a token: ${String(error)}` };
    }
  }

  #take(known: KnownToken, token: string, verdict: TokenVerdict): void {
    const nowMs = this.#parts.nowMs();
    switch (verdict.kind) {
      case 'pod':
        known.standing = { kind: 'found', sender: podSender(verdict.uid) };
        known.dueAtMs = nowMs + GOOD_MS;
        known.goodUntilMs = Math.max(known.dueAtMs, this.#endMs(token, nowMs));
        break;
      case 'refused':
        known.standing = { kind: 'refused', why: verdict.why };
        known.dueAtMs = nowMs + BAD_MS;
        break;
      case 'unreachable':
        // What was known before still stands.
        this.#heldUntilMs = nowMs + HELD_MS;
        break;
    }
    this.#parts.onReviewed(verdict);
  }

  #isHeld(nowMs: number): boolean {
    return nowMs < this.#heldUntilMs;
  }

  /** The moment at which a verified token ends by its own word, on our monotonic clock. */
  #endMs(token: string, nowMs: number): number {
    const endSeconds = expiryOf(token);
    return endSeconds === undefined ? nowMs : nowMs + endSeconds * 1000 - this.#parts.wallMs();
  }

  #remember(known: KnownToken): void {
    this.#tokens.delete(known.digest);
    this.#tokens.set(known.digest, known);
    if (this.#tokens.size <= this.#parts.tokensMax) return;
    const [oldest] = this.#tokens.keys();
    if (oldest !== undefined) this.#tokens.delete(oldest);
  }
}

/** Reviews of one sort. */
interface Lane {
  readonly rate: ReviewRate;
  readonly turns: Turns;
}

/** The claim `exp`, in seconds since the Unix epoch. */
function expiryOf(token: string): number | undefined {
  const [, payload = ''] = token.split('.');
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    if (typeof claims !== 'object' || claims === null || !('exp' in claims)) return undefined;
    return typeof claims.exp === 'number' && Number.isFinite(claims.exp) ? claims.exp : undefined;
  } catch {
    return undefined;
  }
}
