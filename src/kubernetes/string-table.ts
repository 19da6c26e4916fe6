/**
 * Makes equal texts one string in memory.
 *
 * Every object that is parsed brings its own copies of the namespace, the reasons and the messages;
 * over a hundred thousand cached objects these copies would be most of the cache.
 */
export class StringTable {
  readonly #sizeMax: number;
  readonly #strings = new Map<string, string>();

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  /** The first string equal to `text` that was given. */
  intern(text: string): string {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    // Starting over forgets what is no longer in use; what still is comes back with the next objects.
    if (this.#strings.size >= this.#sizeMax) this.#strings.clear();
    this.#strings.set(text, text);
    return text;
  }
}
