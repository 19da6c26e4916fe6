/** Every shard is a small map of its own: one huge map stops the event loop for tens of milliseconds when it rehashes. */
const SHARD_COUNT = 256;

/**
 * Small integers for strings: each key in the table owns a slot, so that what is known about it can lie in columns.
 *
 * A slot is reused after its key was removed.
 */
export class SlotTable<Key extends string> {
  readonly #shards: Map<Key, number>[] = Array.from({ length: SHARD_COUNT }, () => new Map<Key, number>());
  readonly #keys: (Key | undefined)[] = [];
  readonly #freeSlots: number[] = [];

  get size(): number {
    return this.#keys.length - this.#freeSlots.length;
  }

  /** The slot of `key`, or undefined if it is not in the table. */
  slotOf(key: Key): number | undefined {
    return this.#shardOf(key).get(key);
  }

  /** The key that owns `slot`, or undefined if it is free. */
  keyAt(slot: number): Key | undefined {
    return this.#keys[slot];
  }

  /**
   * Gives `key` a slot. A key that has one keeps it.
   *
   * The string is kept: one that was sliced or joined from larger ones should be {@link flatten}ed before.
   */
  add(key: Key): number {
    const shard = this.#shardOf(key);
    const existing = shard.get(key);
    if (existing !== undefined) return existing;
    const slot = this.#freeSlots.pop() ?? this.#keys.length;
    this.#keys[slot] = key;
    shard.set(key, slot);
    return slot;
  }

  /** Frees the slot of `key` and returns it, or undefined if there was none. */
  remove(key: Key): number | undefined {
    const shard = this.#shardOf(key);
    const slot = shard.get(key);
    if (slot === undefined) return undefined;
    shard.delete(key);
    this.#keys[slot] = undefined;
    this.#freeSlots.push(slot);
    return slot;
  }

  *keys(): Generator<Key, undefined> {
    for (const key of this.#keys) if (key !== undefined) yield key;
    return undefined;
  }

  /** The ends of keys differ most: ids are counted or drawn at random. */
  #shardOf(key: Key): Map<Key, number> {
    const end = key.length;
    const mixed = key.charCodeAt(end - 1) + 31 * key.charCodeAt(end - 2) + 131 * key.charCodeAt(end - 3);
    // NaN for a key of fewer than three characters becomes 0 here.
    const shard = this.#shards[mixed & (SHARD_COUNT - 1)];
    if (shard === undefined) throw new RangeError('a shard for every remainder');
    return shard;
  }
}

/** A copy on its own. A string made by slicing or joining keeps its parents alive, a whole request for instance. */
export function flatten<Key extends string>(key: Key): Key {
  return JSON.parse(JSON.stringify(key)) as Key;
}
