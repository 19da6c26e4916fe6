/** Several values for a key, and no empty sets left behind. */
export class IndexMap<Key, Value> {
  readonly #sets = new Map<Key, Set<Value>>();

  get(key: Key): ReadonlySet<Value> {
    return this.#sets.get(key) ?? NONE;
  }

  add(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([value]));
    else set.add(value);
  }

  remove(key: Key, value: Value): void {
    const set = this.#sets.get(key);
    if (set?.delete(value) === true && set.size === 0) this.#sets.delete(key);
  }
}

const NONE: ReadonlySet<never> = new Set<never>();
