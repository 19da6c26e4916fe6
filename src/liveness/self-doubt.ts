/**
 * Time in which we could not hear is no silence of theirs.
 *
 * The process may be stopped, the event loop blocked, the listener closed. Each such *deaf period* is written down
 * here, and a deadline is read through this log: it moves by the time we were deaf, and after a period that senders
 * can have noticed it leaves them a full time to live, as after a restart, since they may be backing off.
 *
 * The sum of extensions in one silence is capped: once it has reached the cap, later periods add nothing, so that an
 * operator that is ill for good still judges. A single period is always excused in full, however long.
 */
export interface SelfDoubtOptions {
  /** Two turns of the event loop further apart than this, in milliseconds, are a deaf period. */
  readonly stallMs: number;
  /** A deaf period of this length, in milliseconds, can have made a sender give up on a request. */
  readonly noticeableMs: number;
  /** The least cap on the extensions of one silence, in milliseconds; never less than `capTtls` times to live. */
  readonly capMs: number;
  readonly capTtls: number;
}

export const DEFAULT_SELF_DOUBT: SelfDoubtOptions = {
  // Half of the shortest beat of the loop that keeps the log is noise; a tenth of a second is not.
  stallMs: 200,
  // The shortest client time-out seen in the field is 3 s; people with curl use one second.
  noticeableMs: 1_000,
  capMs: 60_000,
  capTtls: 3,
};

interface DeafPeriod {
  readonly fromMs: number;
  readonly untilMs: number;
  /** How much of it we were deaf: all of it, unless it is several periods in one. */
  readonly deafMs: number;
  readonly isMerged: boolean;
}

export interface DoubtedDeadline {
  readonly deadlineMs: number;
  /** Whether the cap kept a deaf period from moving the deadline. */
  readonly isCapped: boolean;
}

/** More periods than this are merged from the oldest on, so that the log stays small. */
const PERIODS_MAX = 1_024;

export class SelfDoubt {
  readonly #options: SelfDoubtOptions;
  readonly #periods: DeafPeriod[] = [];
  #lastTurnMs: number | undefined;
  #deafSinceMs: number | undefined;
  #isShedding = false;
  #totalMs = 0;

  constructor(options: SelfDoubtOptions = DEFAULT_SELF_DOUBT) {
    this.#options = options;
  }

  get isListening(): boolean {
    return this.#deafSinceMs === undefined;
  }

  /** All deaf time that has ended, in milliseconds. */
  get totalMs(): number {
    return this.#totalMs;
  }

  /**
   * Notes that the event loop turned at `nowMs`. To be called often, and before every verdict.
   *
   * @returns the length of the stall that ended now, in milliseconds; 0 if there was none.
   */
  observeTurn(nowMs: number): number {
    const lastTurnMs = this.#lastTurnMs ?? nowMs;
    this.#lastTurnMs = nowMs;
    const gapMs = nowMs - lastTurnMs;
    const isStall = gapMs > this.#options.stallMs;
    if ((isStall || this.#isShedding) && this.isListening) this.#note(lastTurnMs, nowMs);
    this.#isShedding = false;
    return isStall ? gapMs : 0;
  }

  /** Somebody who may have been a known instance was turned away: the time between two turns counts as deaf. */
  shed(): void {
    this.#isShedding = true;
  }

  /** The listener closed. Nobody is judged until it is open again. */
  stopListening(nowMs: number): void {
    this.#deafSinceMs ??= nowMs;
  }

  startListening(nowMs: number): void {
    if (this.#deafSinceMs === undefined) return;
    this.#note(this.#deafSinceMs, nowMs);
    this.#lastTurnMs = nowMs;
    this.#deafSinceMs = undefined;
  }

  /** When an instance whose silence counts from `silentSinceMs` is stale, given all that is known of our own health. */
  deadline(silentSinceMs: number, ttlMs: number): DoubtedDeadline {
    const capMs = Math.max(this.#options.capMs, this.#options.capTtls * ttlMs);
    const plainMs = silentSinceMs + ttlMs;
    let deadlineMs = plainMs;
    let isCapped = false;
    for (let index = this.#firstPeriodAfter(silentSinceMs); index < this.#periods.length; index += 1) {
      const period = this.#periods[index];
      if (period === undefined || period.fromMs >= deadlineMs) break;
      const leftMs = capMs - (deadlineMs - plainMs);
      if (leftMs <= 0) return { deadlineMs, isCapped: true };
      const deafMs = Math.min(period.deafMs, period.untilMs - silentSinceMs);
      if (period.isMerged) {
        deadlineMs += Math.min(deafMs, leftMs);
        isCapped = deafMs > leftMs;
        continue;
      }
      deadlineMs += deafMs;
      if (deafMs >= this.#options.noticeableMs) deadlineMs = Math.max(deadlineMs, period.untilMs + ttlMs);
    }
    return { deadlineMs, isCapped };
  }

  #note(fromMs: number, untilMs: number): void {
    const deafMs = untilMs - fromMs;
    this.#totalMs += deafMs;
    this.#periods.push({ fromMs, untilMs, deafMs, isMerged: false });
    if (this.#periods.length > PERIODS_MAX) this.#mergeOldest();
  }

  /** Makes one of the two oldest neighbours that were short, so that what a long one gave stays exact. */
  #mergeOldest(): void {
    const isShort = (period: DeafPeriod | undefined): boolean =>
      period !== undefined && (period.isMerged || period.deafMs < this.#options.noticeableMs);
    const found = this.#periods.findIndex((period, index) => isShort(period) && isShort(this.#periods[index + 1]));
    const index = Math.max(found, 0);
    const first = this.#periods[index];
    const second = this.#periods[index + 1];
    if (first === undefined || second === undefined) return;
    this.#periods.splice(index, 2, {
      fromMs: first.fromMs,
      untilMs: second.untilMs,
      deafMs: first.deafMs + second.deafMs,
      isMerged: true,
    });
  }

  #firstPeriodAfter(momentMs: number): number {
    let index = this.#periods.length;
    while (index > 0 && (this.#periods[index - 1]?.untilMs ?? 0) > momentMs) index -= 1;
    return index;
  }
}
