import type { Cancel, Clock } from '../clock.ts';
import { DeadlineQueue } from '../liveness/deadline-queue.ts';
import { ShardedMap } from '../liveness/sharded-map.ts';
import { SlotTable } from '../liveness/slot-table.ts';
import { retryDelayMs } from './retry-backoff.ts';

/**
 * Keys waiting for a worker, with the semantics of client-go's work queue:
 *
 * - fair: keys come out in the order in which they went in; those added in the background wait until no other waits,
 *   as the low priority of controller-runtime's queue;
 * - never twice at once: a key is handed to one worker at a time;
 * - coalescing: a key that is added ten times before a worker takes it comes out once; added while a worker has it,
 *   it comes out once more when that worker is done;
 * - a key can be added later (`addAfter`), or ever later after failures (`addRateLimited`);
 * - it drains: after `shutDown` what is queued still comes out, then `get` answers undefined.
 */
export class WorkQueue<Key extends string> {
  readonly #clock: Clock;
  readonly #observer: WorkQueueObserver;
  /** Keys to be worked on, with the moment they were added. One that is running as well is not in `#order` yet. */
  readonly #waiting = new ShardedMap<Key, number>();
  /** Keys that a worker has, with the moment it took them. */
  readonly #running = new Map<Key, number>();
  readonly #order = new Fifo<Key>();
  readonly #background = new Fifo<Key>();
  /** The keys that wait in the background; one that is added otherwise leaves it, and its place there is skipped. */
  readonly #inBackground = new Set<Key>();
  readonly #idleWorkers: ((key: Key | undefined) => void)[] = [];
  readonly #failures = new Map<Key, number>();
  readonly #delayed = new SlotTable<Key>();
  readonly #delays = new DeadlineQueue();
  #alarm: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  #isShutDown = false;

  constructor(clock: Clock, observer: WorkQueueObserver) {
    this.#clock = clock;
    this.#observer = observer;
  }

  /** How many keys wait for a worker now. */
  get depth(): number {
    return this.#order.size + this.#inBackground.size;
  }

  /** How many of these wait in the background. */
  get backgroundDepth(): number {
    return this.#inBackground.size;
  }

  /** How long the keys in work have been worked on, in milliseconds: all together, and the longest. */
  workInProgress(): { readonly totalMs: number; readonly longestMs: number } {
    const nowMs = this.#clock.nowMs();
    let totalMs = 0;
    let longestMs = 0;
    for (const sinceMs of this.#running.values()) {
      totalMs += nowMs - sinceMs;
      longestMs = Math.max(longestMs, nowMs - sinceMs);
    }
    return { totalMs, longestMs };
  }

  /** Adds a key to be worked on now. After `shutDown` nothing is added. */
  add(key: Key): void {
    if (this.#isShutDown) return;
    if (this.#waiting.has(key)) {
      if (this.#inBackground.delete(key)) this.#order.push(key);
      return;
    }
    this.#observer.added();
    this.#waiting.set(key, this.#clock.nowMs());
    if (!this.#running.has(key)) this.#offer(key, this.#order);
  }

  /** Adds a key that can wait: it comes out when no other key waits. One that waits already is left where it is. */
  addInBackground(key: Key): void {
    if (this.#running.has(key)) this.add(key);
    if (this.#isShutDown || this.#waiting.has(key)) return;
    this.#observer.added();
    this.#waiting.set(key, this.#clock.nowMs());
    if (this.#idleWorkers.length === 0) this.#inBackground.add(key);
    this.#offer(key, this.#background);
  }

  /** Adds a key when `delayMs` has passed. If it is delayed already, the earlier moment counts. */
  addAfter(key: Key, delayMs: number): void {
    if (this.#isShutDown) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const atMs = this.#clock.nowMs() + delayMs;
    const slot = this.#delayed.add(key);
    if (atMs < (this.#delays.deadlineMs(slot) ?? Number.POSITIVE_INFINITY)) this.#delays.set(slot, atMs);
    this.#setAlarm();
  }

  /**
   * Adds a key after a delay that grows with each failure in a row.
   *
   * @param longestDelayMs a ceiling for this time, when what failed is not the key's fault.
   */
  addRateLimited(key: Key, longestDelayMs = Number.POSITIVE_INFINITY): void {
    const failures = this.failures(key) + 1;
    this.#failures.set(key, failures);
    this.#observer.retried();
    this.addAfter(key, Math.min(retryDelayMs(failures), longestDelayMs));
  }

  /** Ends the series of failures of a key. */
  forget(key: Key): void {
    this.#failures.delete(key);
  }

  /** How many times in a row a key has failed. */
  failures(key: Key): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, as soon as there is one; undefined when the queue is shut down and empty. Call `done` with it. */
  get(): Promise<Key | undefined> {
    const key = this.#order.shift() ?? this.#shiftBackground();
    if (key !== undefined) {
      this.#start(key);
      return Promise.resolve(key);
    }
    if (this.#isShutDown) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#idleWorkers.push(resolve));
  }

  /** The worker is done with `key`. If it was added meanwhile, it goes to the end of the queue. */
  done(key: Key): void {
    const sinceMs = this.#running.get(key);
    if (sinceMs === undefined) return;
    this.#running.delete(key);
    this.#observer.finished(this.#clock.nowMs() - sinceMs);
    if (this.#waiting.has(key)) this.#offer(key, this.#order);
  }

  /** Takes no more keys, drops the delayed ones, and lets the workers finish what is queued. */
  shutDown(): void {
    this.#isShutDown = true;
    this.#alarm?.cancel();
    if (this.depth > 0) return;
    for (const resolve of this.#idleWorkers.splice(0)) resolve(undefined);
  }

  #shiftBackground(): Key | undefined {
    for (;;) {
      const key = this.#background.shift();
      if (key === undefined || this.#inBackground.delete(key)) return key;
    }
  }

  #offer(key: Key, line: Fifo<Key>): void {
    const worker = this.#idleWorkers.shift();
    if (worker === undefined) {
      line.push(key);
    } else {
      this.#start(key);
      worker(key);
    }
  }

  #start(key: Key): void {
    const nowMs = this.#clock.nowMs();
    this.#observer.started(nowMs - (this.#waiting.get(key) ?? nowMs));
    this.#waiting.delete(key);
    this.#running.set(key, nowMs);
  }

  #setAlarm(): void {
    const slot = this.#delays.earliest();
    const atMs = slot === undefined ? undefined : this.#delays.deadlineMs(slot);
    if (atMs === undefined || (this.#alarm !== undefined && this.#alarm.atMs <= atMs)) return;
    this.#alarm?.cancel();
    const cancel = this.#clock.schedule(atMs - this.#clock.nowMs(), () => {
      this.#alarm = undefined;
      this.#addDue();
    });
    this.#alarm = { atMs, cancel };
  }

  #addDue(): void {
    const nowMs = this.#clock.nowMs();
    for (;;) {
      const slot = this.#delays.earliest();
      if (slot === undefined || (this.#delays.deadlineMs(slot) ?? Number.POSITIVE_INFINITY) > nowMs) break;
      const key = this.#delayed.keyAt(slot);
      this.#delays.remove(slot);
      if (key === undefined) continue;
      this.#delayed.remove(key);
      this.add(key);
    }
    this.#setAlarm();
  }
}

/** Hears what a queue does; for metrics. */
export interface WorkQueueObserver {
  added(): void;
  retried(): void;
  /** A worker took a key that had waited for `waitedMs`. */
  started(waitedMs: number): void;
  /** A worker was done with a key after `workedMs`. */
  finished(workedMs: number): void;
}

/** First in, first out, in constant time: an array that forgets its taken half now and then. */
class Fifo<Item> {
  #items: Item[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#head += 1;
    if (this.#head >= 1_024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
