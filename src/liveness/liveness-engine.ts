import { grownFloat64, grownLength, grownUint8 } from './columns.ts';
import { DeadlineQueue } from './deadline-queue.ts';
import type { InstanceKey } from './instance-key.ts';
import type { SelfDoubt } from './self-doubt.ts';
import { type Sender, UNKNOWN_SENDER } from './sender.ts';
import { SlotTable } from './slot-table.ts';

/**
 * What we believe about every instance, in memory, from nothing but the moments at which we heard it.
 *
 * A heartbeat only moves a number (`silentSinceMs`). Each instance that can become stale has one entry in the
 * deadline queue, at a moment that may have been overtaken by later heartbeats; when that moment comes, the real
 * deadline is computed, and the entry either moves there or the instance is stale. So a heartbeat costs one look-up,
 * and a deadline is met to the millisecond.
 *
 * All time comes in as `nowMs`, monotonic. Nothing here reads a clock, counts or logs.
 */
export class LivenessEngine {
  readonly #selfDoubt: SelfDoubt;
  readonly #slots = new SlotTable<InstanceKey>();
  readonly #deadlines = new DeadlineQueue();
  readonly #counts: Record<BeliefKind | 'paused', number> = { awaiting: 0, unheard: 0, fresh: 0, stale: 0, paused: 0 };

  /** By slot: when it was first heard by this process; NaN before that. */
  #firstHeardMs = new Float64Array(0);
  /** By slot: when it was last heard by this process; NaN before that. */
  #lastHeardMs = new Float64Array(0);
  /** By slot: the moment from which silence counts; of a stale one the deadline that passed, NaN if that was before our time. */
  #silentSinceMs = new Float64Array(0);
  #ttlMs = new Float64Array(0);
  #states = new Uint8Array(0);
  /** By slot: who sent its last heartbeat. */
  readonly #senders: Sender[] = [];

  constructor(selfDoubt: SelfDoubt) {
    this.#selfDoubt = selfDoubt;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** How many instances are believed what; a paused one counts as paused and nothing else. */
  get counts(): Readonly<Record<BeliefKind | 'paused', number>> {
    return this.#counts;
  }

  /**
   * Notes a heartbeat that was read at `nowMs`. Receipts may come out of order; the newest counts. Who sent it may be
   * told later than that it came, by the same receipt once more.
   *
   * @returns what it changed; `unknown` if there is no such instance, and then nothing is noted.
   */
  record(key: InstanceKey, nowMs: number, sender: Sender): Receipt {
    const slot = this.#slots.slotOf(key);
    if (slot === undefined) return 'unknown';
    const state = this.#stateOf(slot);
    if (nowMs <= this.#lastHeardOf(slot)) return this.#learnSender(slot, nowMs, sender);
    this.#noteHeard(slot, nowMs);
    const hasMoved = this.#senders[slot] !== sender;
    if (hasMoved) this.#senders[slot] = sender;
    // Time that was granted from a later moment stays granted. Of a stale one this is no such moment.
    const isGranted = nowMs <= this.#silentSinceOf(slot) && (state & State.Kind) !== State.Stale;
    if (!isGranted) this.#silentSinceMs[slot] = nowMs;
    if (state === State.Fresh) return hasMoved ? 'moved' : 'renewed';
    this.#setState(slot, State.Fresh | (state & State.Paused));
    this.#schedule(slot);
    if ((state & State.Disowned) !== 0) return 'appeared';
    const receipt = RECEIPTS[state & State.Kind] ?? 'renewed';
    // A paused one is not judged: it is neither confirmed nor does it recover.
    if (receipt === 'appeared' || (state & State.Paused) === 0) return receipt;
    return hasMoved ? 'moved' : 'renewed';
  }

  /** Takes in an instance that was unknown and has just been heard. A known one is merely recorded. */
  adopt(key: InstanceKey, ttlMs: number, nowMs: number, sender: Sender): void {
    const slot = this.#add(key, ttlMs, nowMs, State.Fresh);
    if (slot === undefined) {
      this.record(key, nowMs, sender);
      return;
    }
    this.#noteHeard(slot, nowMs);
    this.#senders[slot] = sender;
  }

  /**
   * Takes in an instance whose object was there before it was heard.
   *
   * - `awaiting`: it was never heard by anyone; it may stay silent for ever.
   * - `unheard`: it was fresh before our time. Its silence counts from `nowMs`, not from a stored moment: while we
   *   were away we could not hear it.
   * - `stale`: it was stale before our time, and is until it is heard.
   *
   * One that is known already keeps what is believed of it; if its object had been deleted, it has one again.
   */
  restore(key: InstanceKey, ttlMs: number, kind: Exclude<BeliefKind, 'fresh'>, nowMs: number): void {
    const known = this.#slots.slotOf(key);
    if (known !== undefined) {
      this.#setState(known, this.#stateOf(known) & ~State.Disowned);
      return;
    }
    const slot = this.#add(key, ttlMs, nowMs, RESTORED_STATES[kind]);
    if (slot !== undefined && kind === 'stale') this.#silentSinceMs[slot] = Number.NaN;
  }

  /** Changes the time to live. The new one counts from `nowMs`, so nobody becomes stale by the change alone. */
  retime(key: InstanceKey, ttlMs: number, nowMs: number): void {
    const slot = this.#slots.slotOf(key);
    if (slot === undefined || this.#ttlMs[slot] === ttlMs) return;
    this.#ttlMs[slot] = ttlMs;
    this.#countSilenceFrom(slot, nowMs);
  }

  /** Stops judging an instance; it is still heard. */
  pause(key: InstanceKey): void {
    const slot = this.#slots.slotOf(key);
    if (slot === undefined || (this.#stateOf(slot) & State.Paused) !== 0) return;
    this.#setState(slot, this.#stateOf(slot) | State.Paused);
    this.#deadlines.remove(slot);
  }

  /** Judges an instance again. Its silence counts from `nowMs`; one that was not heard lately must be heard first. */
  resume(key: InstanceKey, nowMs: number): void {
    const slot = this.#slots.slotOf(key);
    if (slot === undefined || (this.#stateOf(slot) & State.Paused) === 0) return;
    const state = this.#stateOf(slot);
    const kind = state & State.Kind;
    const isHeardLately = nowMs - this.#lastHeardOf(slot) < this.#ttlOf(slot);
    const isExpected = kind === State.Awaiting || isHeardLately;
    this.#setState(slot, (isExpected ? kind : State.Unheard) | (state & State.Disowned));
    this.#silentSinceMs[slot] = nowMs;
    this.#schedule(slot);
  }

  /**
   * The object of an instance was deleted. If it is believed to beat it stays known, so that its next heartbeat is
   * answered and reported as `appeared`; else it is forgotten, as it is when no heartbeat comes in time (`takeStale`).
   */
  disown(key: InstanceKey): void {
    const slot = this.#slots.slotOf(key);
    if (slot === undefined) return;
    const kind = this.#stateOf(slot) & State.Kind;
    if (kind !== State.Fresh && kind !== State.Unheard) {
      this.forget(key);
      return;
    }
    this.#setState(slot, kind | State.Disowned);
    this.#schedule(slot);
  }

  forget(key: InstanceKey): void {
    const slot = this.#slots.remove(key);
    if (slot === undefined) return;
    this.#deadlines.remove(slot);
    this.#senders[slot] = UNKNOWN_SENDER;
    this.#uncount(this.#stateOf(slot));
  }

  /** Who sent the last heartbeat says nothing any more: the next one is `moved`, whoever sends it. */
  forgetSender(key: InstanceKey): void {
    const slot = this.#slots.slotOf(key);
    if (slot !== undefined) this.#senders[slot] = UNKNOWN_SENDER;
  }

  /** What is believed of an instance, or undefined if it is not known. */
  look(key: InstanceKey): Belief | undefined {
    const slot = this.#slots.slotOf(key);
    if (slot === undefined) return undefined;
    const state = this.#stateOf(slot);
    const lastHeardMs = momentOf(this.#lastHeardOf(slot));
    const silentSinceMs = this.#silentSinceOf(slot);
    const kind = state & State.Kind;
    const isPaused = (state & State.Paused) !== 0;
    return {
      kind: BELIEF_KINDS[kind] ?? 'awaiting',
      isPaused,
      isDisowned: (state & State.Disowned) !== 0,
      ttlMs: this.#ttlOf(slot),
      firstHeardMs: momentOf(this.#firstHeardMs[slot]),
      lastHeardMs,
      sender: this.#senders[slot] ?? UNKNOWN_SENDER,
      deadlineMs: isPaused ? undefined : this.#beliefDeadline(kind, silentSinceMs, this.#ttlOf(slot)),
    };
  }

  /** When the next deadline may fall due, or undefined when nothing is waiting for one. May be too early, never too late. */
  nextDueMs(): number | undefined {
    const slot = this.#deadlines.earliest();
    return slot === undefined ? undefined : this.#deadlines.deadlineMs(slot);
  }

  /**
   * Turns instances whose deadline has come at `nowMs` stale, earliest first, and forgets those that have no object.
   *
   * At most `limit` entries are looked at, so that a call takes a bounded time; call again while `hasMore`.
   * While the listener is closed nobody is judged.
   */
  takeStale(nowMs: number, limit: number): StaleBatch {
    const keys: InstanceKey[] = [];
    let cappedCount = 0;
    if (!this.#selfDoubt.isListening) return { keys, cappedCount, hasMore: false };
    for (let looked = 0; looked < limit; looked += 1) {
      const slot = this.#deadlines.earliest();
      if (slot === undefined || (this.#deadlines.deadlineMs(slot) ?? Number.POSITIVE_INFINITY) > nowMs) {
        return { keys, cappedCount, hasMore: false };
      }
      const { deadlineMs, isCapped } = this.#selfDoubt.deadline(this.#silentSinceOf(slot), this.#ttlOf(slot));
      if (deadlineMs > nowMs) {
        this.#deadlines.set(slot, deadlineMs);
        continue;
      }
      if (isCapped) cappedCount += 1;
      const key = this.#slots.keyAt(slot);
      if (key === undefined) throw new Error('a slot in the deadline queue has a key');
      if ((this.#stateOf(slot) & State.Disowned) !== 0) {
        this.forget(key);
      } else {
        this.#deadlines.remove(slot);
        this.#setState(slot, State.Stale);
        this.#silentSinceMs[slot] = deadlineMs;
      }
      keys.push(key);
    }
    return { keys, cappedCount, hasMore: true };
  }

  keys(): IteratorObject<InstanceKey> {
    return this.#slots.keys();
  }

  #add(key: InstanceKey, ttlMs: number, nowMs: number, state: number): number | undefined {
    if (this.#slots.slotOf(key) !== undefined) return undefined;
    const slot = this.#slots.add(key);
    this.#reserve(slot);
    this.#firstHeardMs[slot] = Number.NaN;
    this.#lastHeardMs[slot] = Number.NaN;
    this.#senders[slot] = UNKNOWN_SENDER;
    this.#silentSinceMs[slot] = nowMs;
    this.#ttlMs[slot] = ttlMs;
    this.#states[slot] = state;
    this.#count(state);
    this.#schedule(slot);
    return slot;
  }

  /** A receipt that is not the newest changes nothing, unless it tells the sender of the newest, who was not known. */
  #learnSender(slot: number, nowMs: number, sender: Sender): Receipt {
    const isTold = this.#senders[slot] !== UNKNOWN_SENDER || sender === UNKNOWN_SENDER;
    if (isTold || nowMs < this.#lastHeardOf(slot)) return 'renewed';
    this.#senders[slot] = sender;
    return 'moved';
  }

  #noteHeard(slot: number, nowMs: number): void {
    this.#lastHeardMs[slot] = nowMs;
    if (Number.isNaN(this.#firstHeardMs[slot])) this.#firstHeardMs[slot] = nowMs;
  }

  #countSilenceFrom(slot: number, nowMs: number): void {
    if ((this.#stateOf(slot) & State.Kind) === State.Stale) return;
    this.#silentSinceMs[slot] = nowMs;
    this.#schedule(slot);
  }

  /** Puts the instance where its deadline is, if it can become stale. */
  #schedule(slot: number): void {
    const state = this.#stateOf(slot);
    const kind = state & State.Kind;
    const canBecomeStale = (kind === State.Fresh || kind === State.Unheard) && (state & State.Paused) === 0;
    if (canBecomeStale) this.#deadlines.set(slot, this.#silentSinceOf(slot) + this.#ttlOf(slot));
    else this.#deadlines.remove(slot);
  }

  #beliefDeadline(kind: number, silentSinceMs: number, ttlMs: number): number | undefined {
    if (kind === State.Awaiting) return undefined;
    if (kind === State.Stale) return Number.isNaN(silentSinceMs) ? undefined : silentSinceMs;
    return this.#selfDoubt.deadline(silentSinceMs, ttlMs).deadlineMs;
  }

  #setState(slot: number, state: number): void {
    this.#uncount(this.#stateOf(slot));
    this.#states[slot] = state;
    this.#count(state);
  }

  #count(state: number): void {
    this.#counts[countedAs(state)] += 1;
  }

  #uncount(state: number): void {
    this.#counts[countedAs(state)] -= 1;
  }

  #reserve(slot: number): void {
    if (slot < this.#states.length) return;
    const length = grownLength(this.#states.length, slot);
    this.#firstHeardMs = grownFloat64(this.#firstHeardMs, length, 0);
    this.#lastHeardMs = grownFloat64(this.#lastHeardMs, length, 0);
    this.#silentSinceMs = grownFloat64(this.#silentSinceMs, length, 0);
    this.#ttlMs = grownFloat64(this.#ttlMs, length, 0);
    this.#states = grownUint8(this.#states, length);
  }

  // The fallbacks below are never taken for a slot that has a key; they satisfy the checked index access.
  #stateOf(slot: number): number {
    return this.#states[slot] ?? State.Awaiting;
  }

  #lastHeardOf(slot: number): number {
    return this.#lastHeardMs[slot] ?? Number.NaN;
  }

  #silentSinceOf(slot: number): number {
    return this.#silentSinceMs[slot] ?? Number.NaN;
  }

  #ttlOf(slot: number): number {
    return this.#ttlMs[slot] ?? Number.POSITIVE_INFINITY;
  }
}

/**
 * What a heartbeat changed.
 *
 * - `renewed`: nothing but a number.
 * - `moved`: it comes from another sender than the one before; nothing else.
 * - `confirmed`: one that was believed fresh from before our time was heard by us.
 * - `appeared`: the first heartbeat of one that was expected, or of one whose object was deleted.
 * - `recovered`: it was stale.
 * - `unknown`: there is no such instance.
 */
export type Receipt = 'renewed' | 'moved' | 'confirmed' | 'appeared' | 'recovered' | 'unknown';

/**
 * - `awaiting`: its object is there, nobody has heard it yet.
 * - `unheard`: believed fresh before our time, or before it was paused; not heard since, deadline running.
 * - `fresh`: heard, deadline running.
 * - `stale`: silent past its deadline.
 */
export type BeliefKind = 'awaiting' | 'unheard' | 'fresh' | 'stale';

export interface Belief {
  readonly kind: BeliefKind;
  readonly isPaused: boolean;
  /** Its object was deleted while it was believed to beat. */
  readonly isDisowned: boolean;
  readonly ttlMs: number;
  /** When this process first heard it. */
  readonly firstHeardMs: number | undefined;
  /** When this process last heard it. */
  readonly lastHeardMs: number | undefined;
  /** Who sent its last heartbeat. */
  readonly sender: Sender;
  /** When it becomes stale, or of a stale one when it did; undefined if nothing is running or it was before our time. */
  readonly deadlineMs: number | undefined;
}

export interface StaleBatch {
  /** Those that are stale now, or forgotten. */
  readonly keys: readonly InstanceKey[];
  /** How many of them would have had more time if self-doubt had no cap. */
  readonly cappedCount: number;
  readonly hasMore: boolean;
}

/** A belief as one byte: its kind in two bits, and two flags. */
const State = {
  Awaiting: 0,
  Unheard: 1,
  Fresh: 2,
  Stale: 3,
  Kind: 0b0011,
  /** Its object was deleted while it was believed to beat. */
  Disowned: 0b0100,
  Paused: 0b1000,
} as const;

const BELIEF_KINDS: readonly BeliefKind[] = ['awaiting', 'unheard', 'fresh', 'stale'];
const RECEIPTS: readonly Receipt[] = ['appeared', 'confirmed', 'renewed', 'recovered'];
const RESTORED_STATES = { awaiting: State.Awaiting, unheard: State.Unheard, stale: State.Stale } as const;

/** A moment in a column, where NaN stands for none. */
function momentOf(value: number | undefined): number | undefined {
  return value === undefined || Number.isNaN(value) ? undefined : value;
}

function countedAs(state: number): BeliefKind | 'paused' {
  if ((state & State.Paused) !== 0) return 'paused';
  return BELIEF_KINDS[state & State.Kind] ?? 'awaiting';
}
