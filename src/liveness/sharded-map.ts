/** So many small maps: one huge map stops the event loop for tens of milliseconds when it grows. */
const SHARD_COUNT = 256;

/** A map for very many keys that differ at their ends, in which no single call takes long. */
export class ShardedMap<Key extends string, Value> {
  readonly #shards: Map<Key, Value>[] = Array.from({ length: SHARD_COUNT }, () => new Map<Key, Value>());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(key: Key): boolean {
    return this.#shardOf(key).has(key);
  }

  get(key: Key): Value | undefined {
    return this.#shardOf(key).get(key);
  }

  set(key: Key, value: Value): void {
    const shard = this.#shardOf(key);
    const before = shard.size;
    shard.set(key, value);
    this.#size += shard.size - before;
  }

  /** Whether the key was there. */
  delete(key: Key): boolean {
    const isDeleted = this.#shardOf(key).delete(key);
    if (isDeleted) this.#size -= 1;
    return isDeleted;
  }

  /** Goes on well while the map changes: what is there all the time comes exactly once. */
  *keys(): Generator<Key, undefined> {
    for (const shard of this.#shards) yield* shard.keys();
    return undefined;
  }

  *values(): Generator<Value, undefined> {
    for (const shard of this.#shards) yield* shard.values();
    return undefined;
  }

  /** The ends of keys differ most: ids are counted or drawn at random. */
  #shardOf(key: Key): Map<Key, Value> {
    const end = key.length;
    const mixed = key.charCodeAt(end - 1) + 31 * key.charCodeAt(end - 2) + 131 * key.charCodeAt(end - 3);
    // NaN for a key of fewer than three characters becomes 0 here.
    const shard = this.#shards[mixed & (SHARD_COUNT - 1)];
    if (shard === undefined) throw new RangeError('a shard for every remainder');
    return shard;
  }
}
