import type { Cancel, Clock } from '../clock.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { InstanceCache } from './instance-cache.ts';

const BEAT_MS = 1_000;

/** A stored time of a last heartbeat is at least this old before it is written anew, however few instances there are. */
const SHORTEST_REFRESH_MS = 300_000;

/** A walk takes a little longer than the time after which an entry is due, so that each visit finds it due. */
const WALK_STRETCH = 1.05;

/** How old the stored time of a last heartbeat may become: five minutes, or longer so that `instances` stay in the budget. */
export function refreshMs(instances: number, writesPerSecond: number): number {
  return Math.max(SHORTEST_REFRESH_MS, (instances / writesPerSecond) * 1_000);
}

/**
 * Walks over all instances, evenly, once in every refresh time, and enqueues each: the reconciler writes the time of
 * the last heartbeat if it has become too old, and finds what an event may have missed.
 */
export class Refresher {
  readonly #clock: Clock;
  readonly #cache: InstanceCache;
  readonly #enqueue: (key: InstanceKey) => void;
  readonly #writesPerSecond: number;
  /** The part of an instance that the last beat still owed. */
  #owed = 0;
  #cancel: Cancel | undefined;
  #isStopped = false;

  constructor(clock: Clock, cache: InstanceCache, writesPerSecond: number, enqueue: (key: InstanceKey) => void) {
    this.#clock = clock;
    this.#cache = cache;
    this.#writesPerSecond = writesPerSecond;
    this.#enqueue = enqueue;
  }

  start(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#clock.schedule(BEAT_MS, () => {
      this.#beat();
      this.start();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #beat(): void {
    const walkMs = refreshMs(this.#cache.size, this.#writesPerSecond) * WALK_STRETCH;
    this.#owed += (this.#cache.size * BEAT_MS) / walkMs;
    const count = Math.floor(this.#owed);
    this.#owed -= count;
    for (const key of this.#cache.walk(count)) this.#enqueue(key);
  }
}
