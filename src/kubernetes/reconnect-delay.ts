export interface ReconnectDelayLimits {
  readonly minMs: number;
  readonly maxMs: number;
  /** So long without a failure, and the next one is the first again. */
  readonly forgetAfterMs: number;
}

/**
 * The numbers of client-go and kube-rs, but for the longest: they wait up to 30 s. Verdicts wait for the end of an
 * outage here, and one operator that asks every few seconds is no load.
 */
export const RECONNECT_DELAY_LIMITS: ReconnectDelayLimits = { minMs: 800, maxMs: 5_000, forgetAfterMs: 120_000 };

/** How long to wait before the next attempt: twice as long after each failure, and never the same for all clients. */
export class ReconnectDelay {
  readonly #limits: ReconnectDelayLimits;
  readonly #random: () => number;
  #failures = 0;
  #failedAtMs = Number.NEGATIVE_INFINITY;

  /** @param random as `Math.random` */
  constructor(limits: ReconnectDelayLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
  }

  /** Notes a failure; the wait is between the present step and twice of it, and at most `maxMs`. */
  afterFailure(nowMs: number): number {
    const { minMs, maxMs, forgetAfterMs } = this.#limits;
    if (nowMs - this.#failedAtMs > forgetAfterMs) this.#failures = 0;
    this.#failedAtMs = nowMs;
    const step = minMs * 2 ** this.#failures;
    if (step < maxMs) this.#failures += 1;
    return Math.min(step, maxMs / 2) * (1 + this.#random());
  }
}
