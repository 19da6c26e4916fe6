import type { Clock } from '../clock.ts';
import type { ResourceListener } from './ports.ts';
import { isNewer } from './resource-version.ts';

export interface StoredObject {
  readonly uid: string;
  readonly resourceVersion: string;
}

export interface ResourceCacheListener<T> {
  /** An object appeared or changed. */
  changed(item: T, before: T | undefined): void;
  removed(item: T): void;
  /** All there is has been heard for the first time. Awaited before anything else is told. */
  synced(): Promise<void>;
}

/** So many objects of a fresh list are taken in one turn of the event loop; heartbeats are answered in between. */
const PER_TURN = 500;

/**
 * All objects of one kind as last heard, by uid.
 *
 * It hears of our own writes twice: from the answer (`written`) and from the watch. The newer of both is kept.
 */
export class ResourceCache<T extends StoredObject> implements ResourceListener<T> {
  readonly #clock: Clock;
  readonly #listener: ResourceCacheListener<T>;
  readonly #items = new Map<string, T>();
  #isSynced = false;

  constructor(clock: Clock, listener: ResourceCacheListener<T>) {
    this.#clock = clock;
    this.#listener = listener;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get size(): number {
    return this.#items.size;
  }

  get(uid: string): T | undefined {
    return this.#items.get(uid);
  }

  values(): IterableIterator<T> {
    return this.#items.values();
  }

  async replaced(items: readonly T[]): Promise<void> {
    const kept = new Set<string>();
    for (const [index, item] of items.entries()) {
      if (index % PER_TURN === PER_TURN - 1) await this.#clock.turn();
      if (this.get(item.uid)?.resourceVersion !== item.resourceVersion) this.changed(item);
      kept.add(item.uid);
    }
    for (const item of this.#items.values()) if (!kept.has(item.uid)) this.removed(item);
    if (this.#isSynced) return;
    this.#isSynced = true;
    await this.#listener.synced();
  }

  changed(item: T): void {
    const before = this.get(item.uid);
    // What is known already, or was overtaken, is no news: told of it, its key would be worked on again at once.
    if (before !== undefined && !isNewer(item.resourceVersion, before.resourceVersion)) return;
    this.#items.set(item.uid, item);
    this.#listener.changed(item, before);
  }

  removed(item: T): void {
    const before = this.get(item.uid);
    if (before === undefined) return;
    this.#items.delete(item.uid);
    this.#listener.removed(before);
  }

  /** Takes the answer to a call of ours. Of one that is gone meanwhile nothing is kept. */
  written(item: T): void {
    if (this.#items.has(item.uid)) this.changed(item);
  }
}
