import type { Cancel, Clock } from '../clock.ts';

/**
 * A signal that fires after a time or with another signal, whichever is first.
 *
 * `AbortSignal.any` with `AbortSignal.timeout` does the same, but leaves its timer and its place on the other signal
 * behind for the whole time, which at some hundred calls a second adds up.
 */
export class CallTimeout {
  readonly #controller = new AbortController();
  readonly #cancelTimer: Cancel;
  readonly #outer: AbortSignal | undefined;
  readonly #onOuterAbort = (): void => this.#controller.abort(this.#outer?.reason);

  constructor(clock: Clock, timeoutMs: number, outer?: AbortSignal) {
    this.#outer = outer;
    this.#cancelTimer = clock.schedule(timeoutMs, () => {
      this.#controller.abort(new Error(`no answer within ${timeoutMs / 1_000} s`));
    });
    if (outer?.aborted === true) this.#onOuterAbort();
    else outer?.addEventListener('abort', this.#onOuterAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** To be called when the call has ended. */
  clear(): void {
    this.#cancelTimer();
    this.#outer?.removeEventListener('abort', this.#onOuterAbort);
  }
}
