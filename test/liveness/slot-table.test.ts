import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flatten, SlotTable } from '../../src/liveness/slot-table.ts';

// Few enough that they meet; with empty, short and long ones.
const key = fc.constantFrom(
  '',
  'a',
  'b',
  'ab',
  'abc',
  'bbc',
  'instance-1',
  'instance-2',
  'é\u{1F600}',
  'x'.repeat(200),
);

describe('The slot table', () => {
  it('knows what a map from key to slot would know', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('add', 'remove'), key), { maxLength: 200, size: 'max' });
    fc.assert(
      fc.property(steps, (steps) => {
        const table = new SlotTable();
        const map = new Map<string, number>();
        for (const [kind, key] of steps) {
          const slot = kind === 'add' ? table.add(key) : table.remove(key);
          const owned = map.get(key);
          const isNew = kind === 'add' && owned === undefined;
          expect(slot).toBe(isNew ? slot : owned);
          if (kind === 'remove') map.delete(key);
          else if (slot !== undefined) map.set(key, slot);
          // No two keys share a slot.
          expect(new Set(map.values()).size).toBe(map.size);
          expect(table.size).toBe(map.size);
        }
        for (const [key, slot] of map) {
          expect(table.slotOf(key)).toBe(slot);
          expect(table.keyAt(slot)).toBe(key);
        }
        expect(new Set(table.keys())).toEqual(new Set(map.keys()));
      }),
    );
  });

  it('reuses the slot of a removed key, so that columns do not grow with every key that ever was', () => {
    const table = new SlotTable();
    table.add('stays');
    for (let round = 0; round < 1_000; round += 1) {
      expect(table.add(`comes-and-goes-${round}`)).toBe(1);
      table.remove(`comes-and-goes-${round}`);
    }
    expect([table.size, table.keyAt(1)]).toEqual([1, undefined]);
  });

  it('gives ten thousand keys that differ only at the end ten thousand slots', () => {
    const table = new SlotTable();
    const slots = new Set(Array.from({ length: 10_000 }, (_, index) => table.add(`acme\nshop\ncart\n${index}`)));
    expect(slots.size).toBe(10_000);
    expect(Math.max(...slots)).toBe(9_999);
  });

  it('a flattened key is the same key', () => {
    for (const text of ['', 'plain', 'acme\nshop\ncart\n1', '"quoted" \\ and é\u{1F600}'])
      expect(flatten(text)).toBe(text);
  });
});
