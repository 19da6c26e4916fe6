import type { Clock } from '../clock.ts';
import type { ReconcileObserver, WriteFailure } from './ports.ts';
import type { ReconcileResult } from './reconciler.ts';
import type { WorkQueue } from './work-queue.ts';

export interface ControllerParts<Key extends string> {
  readonly clock: Clock;
  readonly queue: WorkQueue<Key>;
  readonly reconcile: (key: Key) => Promise<ReconcileResult>;
  readonly observer: ReconcileObserver<Key>;
  /** How many keys are worked on at once, 1 or more. */
  readonly workers: number;
}

/** Workers use this much of a turn of the event loop together, in milliseconds; then heartbeats have their turn. */
const SLICE_MS = 5;

/** While the store cannot be reached, all workers wait: from a tenth of a second, doubling, up to five. */
const HOLD_FIRST_MS = 100;
const HOLD_LONGEST_MS = 5_000;

/**
 * The workers: take a key, reconcile it, decide what becomes of it.
 *
 * What becomes of a key after each result is decided in one place, `#settle`.
 */
export class Controller<Key extends string> {
  readonly #parts: ControllerParts<Key>;
  #workers: Promise<void>[] = [];
  #activeWorkers = 0;
  #sliceStartMs = 0;
  #turn: Promise<void> | undefined;
  #holdMs = 0;
  #heldUntilMs = 0;
  #isStopping = false;
  /** Each ends the wait of one worker. */
  readonly #wakers = new Set<() => void>();

  constructor(parts: ControllerParts<Key>) {
    this.#parts = parts;
  }

  get activeWorkers(): number {
    return this.#activeWorkers;
  }

  start(): void {
    this.#workers = Array.from({ length: this.#parts.workers }, () => this.#work());
  }

  /** Resolves when the queue is drained and the last write is answered. Holds are not waited for. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const wake of this.#wakers) wake();
    this.#parts.queue.shutDown();
    await Promise.all(this.#workers);
  }

  async #work(): Promise<void> {
    const { queue, clock, observer } = this.#parts;
    for (;;) {
      const key = await queue.get();
      if (key === undefined) return;
      await this.#waitWhileHeld();
      await this.#breathe();
      this.#activeWorkers += 1;
      const startMs = clock.nowMs();
      try {
        this.#settle(key, await this.#parts.reconcile(key), startMs);
      } catch (error) {
        queue.addRateLimited(key);
        observer.reconciled('error', clock.nowMs() - startMs);
        observer.failed(key, { kind: 'threw', error }, queue.failures(key));
      } finally {
        this.#activeWorkers -= 1;
        queue.done(key);
      }
    }
  }

  #settle(key: Key, result: ReconcileResult, startMs: number): void {
    const { queue, clock, observer } = this.#parts;
    const workedMs = clock.nowMs() - startMs;
    switch (result.kind) {
      case 'done':
        this.#holdMs = 0;
        queue.forget(key);
        observer.reconciled('success', workedMs);
        return;
      case 'lookAgain':
        this.#holdMs = 0;
        queue.forget(key);
        queue.addAfter(key, result.afterMs);
        observer.reconciled('requeue_after', workedMs);
        return;
      case 'conflict':
        this.#holdMs = 0;
        queue.addRateLimited(key);
        observer.reconciled('requeue', workedMs);
        return;
      case 'failed':
        this.#settleFailure(key, result.failure);
        observer.reconciled('error', workedMs);
        observer.failed(key, result.failure, queue.failures(key));
    }
  }

  #settleFailure(key: Key, failure: WriteFailure): void {
    const { queue } = this.#parts;
    switch (failure.kind) {
      case 'throttled':
        this.#hold(failure.retryAfterMs, failure.message);
        queue.addRateLimited(key, HOLD_LONGEST_MS);
        return;
      case 'unreachable':
        this.#holdLonger(failure.message);
        // Not the key's fault: it is tried again as soon as the store may be back.
        queue.addRateLimited(key, HOLD_LONGEST_MS);
        return;
      case 'refused':
        queue.addRateLimited(key);
    }
  }

  /** Doubles the hold, once for all workers that failed in the same moment. */
  #holdLonger(message: string): void {
    if (this.#parts.clock.nowMs() < this.#heldUntilMs) return;
    this.#holdMs = Math.min(Math.max(this.#holdMs * 2, HOLD_FIRST_MS), HOLD_LONGEST_MS);
    this.#hold(this.#holdMs, message);
  }

  #hold(holdMs: number, message: string): void {
    const untilMs = this.#parts.clock.nowMs() + holdMs;
    if (untilMs <= this.#heldUntilMs) return;
    this.#heldUntilMs = untilMs;
    this.#parts.observer.held(holdMs, message);
  }

  async #waitWhileHeld(): Promise<void> {
    const { clock } = this.#parts;
    while (!this.#isStopping && clock.nowMs() < this.#heldUntilMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = clock.schedule(this.#heldUntilMs - clock.nowMs(), resolve);
      this.#wakers.add(resolve);
      await promise;
      this.#wakers.delete(resolve);
      cancel();
    }
  }

  async #breathe(): Promise<void> {
    const { clock } = this.#parts;
    if (clock.nowMs() - this.#sliceStartMs < SLICE_MS) return;
    // One turn for all: were each worker to await its own, all would come back within one turn, one slice after the other.
    this.#turn ??= this.#nextSlice();
    await this.#turn;
  }

  async #nextSlice(): Promise<void> {
    const { clock } = this.#parts;
    await clock.turn();
    this.#sliceStartMs = clock.nowMs();
    this.#turn = undefined;
  }
}
