import type { InstanceKey } from '../liveness/instance-key.ts';

/** Heartbeats from elsewhere for so long are no accident: a Pod's new address is known within seconds. */
const PERSIST_MS = 5_000;

/** A conflict is over when no heartbeat came from elsewhere for so long, or for two times to live if that is longer. */
const QUIET_MS = 60_000;

interface Sightings {
  readonly firstMs: number;
  readonly lastMs: number;
}

export interface ConflictState {
  readonly isActive: boolean;
  /** When the answer may change by time alone. */
  readonly lookAgainMs: number | undefined;
}

const NONE: ConflictState = { isActive: false, lookAgainMs: undefined };

/**
 * For which bound instances heartbeats come from elsewhere.
 *
 * Both senders may take turns, so that the last heartbeat alone says little: a conflict begins late and ends late.
 */
export class IdentityConflicts {
  readonly #sightings = new Map<InstanceKey, Sightings>();

  /**
   * @param foreignAtMs when the last heartbeat came, if that was from elsewhere than the bound Pod.
   * @param isStored whether the object says so already: a conflict that an earlier process found must end late too.
   */
  note(
    key: InstanceKey,
    foreignAtMs: number | undefined,
    isStored: boolean,
    ttlMs: number,
    nowMs: number,
  ): ConflictState {
    const stored = isStored ? { firstMs: nowMs - PERSIST_MS, lastMs: nowMs } : undefined;
    const before = this.#sightings.get(key) ?? stored;
    const lastMs = foreignAtMs ?? before?.lastMs;
    if (lastMs === undefined) return NONE;
    const sightings: Sightings = { firstMs: before?.firstMs ?? lastMs, lastMs };
    const quietInMs = sightings.lastMs + Math.max(QUIET_MS, 2 * ttlMs) - nowMs;
    if (quietInMs <= 0) {
      this.#sightings.delete(key);
      return NONE;
    }
    this.#sightings.set(key, sightings);
    const isActive = sightings.lastMs - sightings.firstMs >= PERSIST_MS;
    return { isActive, lookAgainMs: quietInMs };
  }

  forget(key: InstanceKey): void {
    this.#sightings.delete(key);
  }
}
