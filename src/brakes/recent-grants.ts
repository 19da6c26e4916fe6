/**
 * The Pods that were granted a withdrawal within the last `windowMs`, so that there are never more than so many in
 * any window of that length, wherever it begins.
 *
 * Each Pod counts once, at its latest grant: one that could not be withdrawn is tried again.
 */
export class RecentGrants {
  readonly #windowMs: number;
  /** By uid, the oldest first. */
  readonly #grantedAtMs = new Map<string, number>();

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  note(uid: string, nowMs: number): void {
    this.#grantedAtMs.delete(uid);
    this.#grantedAtMs.set(uid, nowMs);
  }

  /** How many other Pods there are besides `uid`. */
  countBesides(uid: string, nowMs: number): number {
    for (const [oldUid, grantedAtMs] of this.#grantedAtMs) {
      if (nowMs - grantedAtMs < this.#windowMs) break;
      this.#grantedAtMs.delete(oldUid);
    }
    return this.#grantedAtMs.size - (this.#grantedAtMs.has(uid) ? 1 : 0);
  }
}
