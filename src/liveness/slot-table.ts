import { ShardedMap } from './sharded-map.ts';

/**
 * Small integers for strings: each key in the table owns a slot, so that what is known about it can lie in columns.
 *
 * A slot is reused after its key was removed.
 */
export class SlotTable<Key extends string> {
  readonly #slots = new ShardedMap<Key, number>();
  readonly #keys: (Key | undefined)[] = [];
  readonly #freeSlots: number[] = [];

  get size(): number {
    return this.#slots.size;
  }

  /** The slot of `key`, or undefined if it is not in the table. */
  slotOf(key: Key): number | undefined {
    return this.#slots.get(key);
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
    const existing = this.#slots.get(key);
    if (existing !== undefined) return existing;
    const slot = this.#freeSlots.pop() ?? this.#keys.length;
    this.#keys[slot] = key;
    this.#slots.set(key, slot);
    return slot;
  }

  /** Frees the slot of `key` and returns it, or undefined if there was none. */
  remove(key: Key): number | undefined {
    const slot = this.#slots.get(key);
    if (slot === undefined) return undefined;
    this.#slots.delete(key);
    this.#keys[slot] = undefined;
    this.#freeSlots.push(slot);
    return slot;
  }

  *keys(): Generator<Key, undefined> {
    for (const key of this.#keys) if (key !== undefined) yield key;
    return undefined;
  }
}

/** A copy on its own. A string made by slicing or joining keeps its parents alive, a whole request for instance. */
export function flatten<Key extends string>(key: Key): Key {
  return JSON.parse(JSON.stringify(key)) as Key;
}
