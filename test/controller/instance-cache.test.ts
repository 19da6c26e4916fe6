import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { InstanceCache } from '../../src/controller/instance-cache.ts';
import type { ObservedInstance } from '../../src/health/observed-instance.ts';
import { identityOf } from '../../src/liveness/instance-key.ts';
import { freshStatus, key, observed } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

let cache: InstanceCache;
let told: string[];

beforeEach(() => {
  told = [];
  cache = new InstanceCache(new FakeClock(), {
    changed: (key) => told.push(`changed ${identityOf(key).instanceId}`),
    vanished: (key) => told.push(`vanished ${identityOf(key).instanceId}`),
    synced() {
      told.push('synced');
      return Promise.resolve();
    },
  });
});

/** What was told since this was asked last. */
function news(): string[] {
  return told.splice(0);
}

function at(resourceVersion: number, parts: Partial<ObservedInstance> = {}, id = 'a'): ObservedInstance {
  return observed(id, { resourceVersion: String(resourceVersion), ...parts });
}

describe('A list of all objects', () => {
  it('is taken in, told object by object, and then the cache is synced', async () => {
    expect(cache.isSynced).toBe(false);
    await cache.replaced([at(1, {}, 'a'), at(2, {}, 'b')]);
    expect(news()).toEqual(['changed a', 'changed b', 'synced']);
    expect(cache.isSynced).toBe(true);
    expect(cache.size).toBe(2);
    expect(cache.get(key('a'))).toEqual({ winner: at(1, {}, 'a'), duplicates: [] });
  });

  it('is taken in only when what depends on it is done', async () => {
    const begun = Promise.withResolvers<void>();
    const cache = new InstanceCache(new FakeClock(), {
      changed: () => undefined,
      vanished: () => undefined,
      synced: () => begun.promise,
    });
    let isTakenIn = false;
    const taking = cache.replaced([at(1)]).finally(() => {
      isTakenIn = true;
    });
    await settle();
    expect([cache.isSynced, isTakenIn]).toEqual([true, false]);
    begun.resolve();
    await taking;
    expect(isTakenIn).toBe(true);
  });

  it('of nothing makes the cache synced, too', async () => {
    await cache.replaced([]);
    expect(news()).toEqual(['synced']);
  });

  it('after a break tells only what changed, and what vanished meanwhile', async () => {
    await cache.replaced([at(1, {}, 'same'), at(2, {}, 'changes'), at(3, {}, 'goes')]);
    news();
    await cache.replaced([at(1, {}, 'same'), at(5, {}, 'changes'), at(6, {}, 'comes')]);
    expect(news()).toEqual(['changed changes', 'changed comes', 'vanished goes']);
    expect(cache.has(key('goes'))).toBe(false);
    expect(cache.byName('default', 'goes')).toBeUndefined();
  });

  it('does not tell of an object that has the name of another namespace as if it were the same', async () => {
    await cache.replaced([at(1, {}, 'a'), at(2, { namespace: 'shop', key: key('b') }, 'a')]);
    news();
    await cache.replaced([at(1, {}, 'a')]);
    expect(news()).toEqual(['vanished b']);
    expect(cache.has(key('a'))).toBe(true);
  });

  it('that is older than the answer to a write of ours does not undo it', async () => {
    await cache.replaced([at(10)]);
    cache.written(at(20, { generation: 2 }));
    await cache.replaced([at(10)]);
    expect(cache.get(key('a'))?.winner.generation).toBe(2);
  });

  it('of thousands lets the event loop turn now and then', async () => {
    const clock = new FakeClock();
    let turns = 0;
    clock.turn = () => {
      turns += 1;
      return Promise.resolve();
    };
    const cache = new InstanceCache(clock, { changed: () => {}, vanished: () => {}, synced: () => Promise.resolve() });
    await cache.replaced(Array.from({ length: 5_000 }, (_, index) => at(index + 1, {}, `i${index}`)));
    // Once for what is new, once for what is gone.
    expect(turns).toBe(20);
    expect(cache.size).toBe(5_000);
  });
});

describe('A change that is heard', () => {
  beforeEach(async () => {
    await cache.replaced([at(10)]);
    news();
  });

  it('is told and can be read', () => {
    cache.changed(at(11, { paused: true }));
    expect(news()).toEqual(['changed a']);
    expect(cache.get(key('a'))?.winner.paused).toBe(true);
    expect(cache.byName('default', 'a')?.paused).toBe(true);
  });

  it('of a deletion is told as vanished', () => {
    cache.removed(at(11));
    expect(news()).toEqual(['vanished a']);
    expect([cache.size, cache.get(key('a'))]).toEqual([0, undefined]);
  });

  it('of the deletion of an object whose creation was not heard is told all the same', () => {
    cache.removed(at(12, {}, 'b'));
    expect(news()).toEqual(['vanished b']);
  });

  it('of a name that now has another identity moves it', () => {
    cache.changed(at(11, { key: key('b') }));
    expect(news()).toEqual(['vanished a', 'changed b']);
    expect([cache.has(key('a')), cache.has(key('b')), cache.size]).toEqual([false, true, 1]);
  });
});

describe('The answer to a write of ours', () => {
  beforeEach(async () => {
    await cache.replaced([at(10)]);
    news();
  });

  it('can be read at once, and is not told, since we know', () => {
    cache.written(at(11, { status: freshStatus() }));
    expect(cache.get(key('a'))?.winner.status).toEqual(freshStatus());
    expect(news()).toEqual([]);
  });

  it('is heard again from the watch without harm', () => {
    const written = at(11, { status: freshStatus() });
    cache.written(written);
    cache.changed(written);
    expect(cache.get(key('a'))?.winner).toEqual(written);
  });

  it('does not undo what the watch has told of already', () => {
    cache.changed(at(12, { paused: true }));
    cache.written(at(11));
    expect(cache.get(key('a'))?.winner.paused).toBe(true);
  });

  it('is not undone by older news from the watch', () => {
    cache.written(at(12, { generation: 3 }));
    cache.changed(at(11, { generation: 2 }));
    expect(cache.get(key('a'))?.winner.generation).toBe(3);
  });

  it('does not bring back an object whose end the watch has told of', () => {
    cache.removed(at(12));
    cache.written(at(11));
    expect(cache.has(key('a'))).toBe(false);
  });

  it('compares versions as numbers, even those that a double cannot hold', () => {
    cache.changed(at(99));
    cache.written(at(100, { generation: 2 }));
    expect(cache.get(key('a'))?.winner.generation).toBe(2);
    cache.changed({ ...at(0), resourceVersion: '18446744073709551614', generation: 3 });
    cache.written({ ...at(0), resourceVersion: '18446744073709551615', generation: 4 });
    expect(cache.get(key('a'))?.winner.generation).toBe(4);
  });
});

describe('Several objects of one identity', () => {
  const old = at(1, { createdSeconds: 100, name: 'old' });
  const young = at(2, { createdSeconds: 200, name: 'young' });
  const alsoYoung = at(3, { createdSeconds: 200, name: 'also-young' });

  it.each([
    [old, young, alsoYoung],
    [alsoYoung, young, old],
    [young, old, alsoYoung],
  ])('are ordered by age and then by name, in whatever order they come', async (...objects) => {
    await cache.replaced(objects);
    expect(cache.get(key('a'))).toEqual({ winner: old, duplicates: [alsoYoung, young] });
    expect(cache.size).toBe(1);
  });

  it('count as one: the oldest is the winner, whatever it is called', async () => {
    expect([...cache.winners()]).toEqual([]);
    const other = at(4, {}, 'b');
    await cache.replaced([young, other, old]);
    expect([...cache.winners()].map(({ name }) => name).sort()).toEqual(['b', 'old']);
    cache.removed({ ...old, resourceVersion: '11' });
    expect([...cache.winners()].map(({ name }) => name).sort()).toEqual(['b', 'young']);
  });

  it('go one by one, and the identity vanishes with the last', async () => {
    await cache.replaced([old, young]);
    news();
    cache.removed({ ...old, resourceVersion: '11' });
    expect(news()).toEqual(['changed a']);
    expect(cache.get(key('a'))).toEqual({ winner: young, duplicates: [] });
    cache.removed({ ...young, resourceVersion: '12' });
    expect(news()).toEqual(['vanished a']);
  });

  it('keep their order when one of them changes', async () => {
    await cache.replaced([old, young]);
    cache.changed({ ...young, resourceVersion: '11', paused: true });
    cache.written({ ...old, resourceVersion: '12', generation: 2 });
    expect(cache.get(key('a'))).toEqual({
      winner: { ...old, resourceVersion: '12', generation: 2 },
      duplicates: [{ ...young, resourceVersion: '11', paused: true }],
    });
  });
});

/** The next `count` on the walk. */
function ids(count: number): string[] {
  return [...cache.walk(count)].map((key) => identityOf(key).instanceId);
}

describe('The walk', () => {
  it('visits nobody in an empty cache, and never one twice at once', async () => {
    expect(ids(3)).toEqual([]);
    await cache.replaced([at(1, {}, 'a'), at(2, {}, 'b')]);
    expect(ids(5)).toEqual(['a', 'b']);
    expect(ids(1)).toEqual(['a']);
  });

  it('visits everyone once in a round, also when some change, go and come meanwhile', async () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('walk', 'change', 'remove', 'add'), fc.nat(19)), {
      maxLength: 100,
      size: 'max',
    });
    await fc.assert(
      fc.asyncProperty(steps, async (steps) => {
        const cache = new InstanceCache(new FakeClock(), {
          changed: () => {},
          vanished: () => {},
          synced: () => Promise.resolve(),
        });
        let version = 100;
        const next = (index: number): ObservedInstance => at((version += 1), {}, `i${index}`);
        await cache.replaced(Array.from({ length: 10 }, (_, index) => next(index)));
        // Those that are there all the time.
        const stay = new Set(Array.from({ length: 10 }, (_, index) => key(`i${index}`)));
        const visits: string[] = [];
        for (const [kind, index] of steps) {
          const isThere = cache.has(key(`i${index}`));
          if (kind === 'walk') visits.push(...cache.walk(1 + (index % 3)));
          else if (kind === 'change' && isThere) cache.changed(next(index));
          else if (kind === 'add' && !isThere) cache.changed(next(index));
          else if (kind === 'remove' && isThere) {
            cache.removed(next(index));
            stay.delete(key(`i${index}`));
          }
        }
        // Between two visits to one that stays, every other one that stays is visited once.
        for (const one of stay) {
          const turns = visits.flatMap((visited, index) => (visited === one ? [index] : []));
          for (const [round, start] of turns.entries()) {
            const end = turns[round + 1];
            if (end === undefined) break;
            const between = visits.slice(start + 1, end).filter((visited) => stay.has(visited as never));
            expect(between.sort()).toEqual([...stay].filter((other) => other !== one).sort());
          }
        }
      }),
    );
  });
});
