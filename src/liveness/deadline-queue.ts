import { grownFloat64, grownInt32, grownLength } from './columns.ts';

const ABSENT = -1;

/**
 * Slots ordered by the moment they fall due, earliest first; each slot at most once.
 *
 * A binary heap that knows where each slot stands, so that a deadline moves in place: `set` and `remove` cost
 * O(log n), `earliest` O(1).
 */
export class DeadlineQueue {
  /** The heap: the slot at each position. */
  #heap = new Int32Array(0);
  #size = 0;
  /** By slot: its position in the heap, or ABSENT. */
  #positions = new Int32Array(0);
  /** By slot: when it falls due; meaningless while absent. */
  #deadlines = new Float64Array(0);

  get size(): number {
    return this.#size;
  }

  /** Puts `slot` at `deadlineMs`, wherever it stood before. */
  set(slot: number, deadlineMs: number): void {
    this.#reserve(slot);
    const position = this.#positionOf(slot);
    const before = this.#deadlineOf(slot);
    this.#deadlines[slot] = deadlineMs;
    if (position === ABSENT) {
      this.#place(slot, this.#size);
      this.#size += 1;
      this.#rise(this.#size - 1);
    } else if (deadlineMs < before) {
      this.#rise(position);
    } else {
      this.#sink(position);
    }
  }

  /** Takes `slot` out; one that is absent stays absent. */
  remove(slot: number): void {
    const position = this.#positionOf(slot);
    if (position === ABSENT) return;
    this.#positions[slot] = ABSENT;
    this.#size -= 1;
    if (position === this.#size) return;
    this.#place(this.#slotAt(this.#size), position);
    this.#rise(position);
    this.#sink(position);
  }

  /** The slot that falls due first, or undefined when the queue is empty. */
  earliest(): number | undefined {
    return this.#size === 0 ? undefined : this.#slotAt(0);
  }

  /** When `slot` falls due, or undefined if it is not in the queue. */
  deadlineMs(slot: number): number | undefined {
    return this.#positionOf(slot) === ABSENT ? undefined : this.#deadlineOf(slot);
  }

  #reserve(slot: number): void {
    if (slot < this.#positions.length) return;
    const length = grownLength(this.#positions.length, slot);
    this.#positions = grownInt32(this.#positions, length, ABSENT);
    this.#deadlines = grownFloat64(this.#deadlines, length, 0);
    this.#heap = grownInt32(this.#heap, length, 0);
  }

  #rise(from: number): void {
    const slot = this.#slotAt(from);
    const deadlineMs = this.#deadlineOf(slot);
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      const parentSlot = this.#slotAt(parent);
      if (this.#deadlineOf(parentSlot) <= deadlineMs) break;
      this.#place(parentSlot, position);
      position = parent;
    }
    this.#place(slot, position);
  }

  #sink(from: number): void {
    const slot = this.#slotAt(from);
    const deadlineMs = this.#deadlineOf(slot);
    let position = from;
    for (;;) {
      let child = 2 * position + 1;
      if (child >= this.#size) break;
      const right = child + 1;
      if (right < this.#size && this.#deadlineOf(this.#slotAt(right)) < this.#deadlineOf(this.#slotAt(child))) {
        child = right;
      }
      const childSlot = this.#slotAt(child);
      if (this.#deadlineOf(childSlot) >= deadlineMs) break;
      this.#place(childSlot, position);
      position = child;
    }
    this.#place(slot, position);
  }

  #place(slot: number, position: number): void {
    this.#heap[position] = slot;
    this.#positions[slot] = position;
  }

  // The fallbacks below are never taken for a reserved slot; they satisfy the checked index access.
  #slotAt(position: number): number {
    return this.#heap[position] ?? ABSENT;
  }

  #positionOf(slot: number): number {
    return this.#positions[slot] ?? ABSENT;
  }

  #deadlineOf(slot: number): number {
    return this.#deadlines[slot] ?? Number.POSITIVE_INFINITY;
  }
}
