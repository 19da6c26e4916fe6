import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeadlineQueue } from '../../src/liveness/deadline-queue.ts';

type Step =
  | { readonly kind: 'set'; readonly slot: number; readonly deadlineMs: number }
  | { readonly kind: 'remove'; readonly slot: number }
  | { readonly kind: 'takeEarliest' };

const slot = fc.nat(200);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('set' as const), slot, deadlineMs: fc.nat(500) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), slot }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'takeEarliest' as const }) },
);

describe('The deadline queue', () => {
  it('always names the slot that a sorted array would name', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
        const queue = new DeadlineQueue();
        let sorted: { slot: number; deadlineMs: number }[] = [];
        for (const step of steps) {
          const taken = step.kind === 'takeEarliest' ? queue.earliest() : step.slot;
          if (taken !== undefined) {
            sorted = sorted.filter((entry) => entry.slot !== taken);
            if (step.kind === 'set') {
              queue.set(taken, step.deadlineMs);
              sorted.push({ slot: taken, deadlineMs: step.deadlineMs });
              sorted.sort((a, b) => a.deadlineMs - b.deadlineMs);
            } else {
              queue.remove(taken);
            }
          }
          expect(queue.size).toBe(sorted.length);
          const earliest = queue.earliest();
          // Of several that fall due together any may be named.
          expect(earliest === undefined ? undefined : queue.deadlineMs(earliest)).toBe(sorted[0]?.deadlineMs);
        }
        for (const entry of sorted) expect(queue.deadlineMs(entry.slot)).toBe(entry.deadlineMs);
      }),
    );
  });

  it('hands out everything earliest first, however it was put in and moved', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(slot, fc.double({ min: 0, max: 1e12, noNaN: true }))), (entries) => {
        const queue = new DeadlineQueue();
        for (const [slot, deadlineMs] of entries) queue.set(slot, deadlineMs);
        const drained: number[] = [];
        for (let slot = queue.earliest(); slot !== undefined; slot = queue.earliest()) {
          drained.push(queue.deadlineMs(slot) ?? Number.NaN);
          queue.remove(slot);
        }
        expect(drained).toEqual([...new Map(entries).values()].sort((a, b) => a - b));
      }),
    );
  });

  it('stays in order when a slot is removed and an earlier one from elsewhere takes its place', () => {
    const queue = new DeadlineQueue();
    for (const [slot, deadlineMs] of [0, 10, 1, 11, 12, 2, 3].entries()) queue.set(slot, deadlineMs);
    queue.remove(3);
    const drained: (number | undefined)[] = [];
    for (let slot = queue.earliest(); slot !== undefined; slot = queue.earliest()) {
      drained.push(queue.deadlineMs(slot));
      queue.remove(slot);
    }
    expect(drained).toEqual([0, 1, 2, 3, 10, 12]);
  });

  it('is empty before anything is put in', () => {
    const queue = new DeadlineQueue();
    expect([queue.size, queue.earliest(), queue.deadlineMs(0)]).toEqual([0, undefined, undefined]);
  });

  it('leaves everything in place when a slot is removed that is not in it', () => {
    const queue = new DeadlineQueue();
    queue.set(3, 30);
    queue.remove(4);
    queue.remove(4_000_000);
    expect([queue.size, queue.earliest()]).toEqual([1, 3]);
  });
});
