import { beforeEach, describe, expect, it } from 'vitest';
import { ResourceCache, type StoredObject } from '../../src/controller/resource-cache.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

interface Thing extends StoredObject {
  readonly words: string;
}

const thing = (uid: string, version: number | string, words = ''): Thing => ({
  uid,
  resourceVersion: String(version),
  words,
});

let cache: ResourceCache<Thing>;
let told: string[];

beforeEach(() => {
  told = [];
  cache = new ResourceCache<Thing>(new FakeClock(), {
    changed: ({ uid, words }, before) => told.push(`changed ${uid} ${before?.words ?? 'nothing'} → ${words}`),
    removed: ({ uid, words }) => told.push(`removed ${uid} ${words}`),
    synced() {
      told.push('synced');
      return Promise.resolve();
    },
  });
});

const news = (): string[] => told.splice(0);
const uids = (): string[] => [...cache.values()].map(({ uid }) => uid);

describe('A list of all objects', () => {
  it('is taken in, told object by object, and then the cache is synced', async () => {
    expect(cache.isSynced).toBe(false);
    await cache.replaced([thing('a', 1, 'one'), thing('b', 2, 'two')]);
    expect(news()).toEqual(['changed a nothing → one', 'changed b nothing → two', 'synced']);
    expect([cache.isSynced, cache.size, uids()]).toEqual([true, 2, ['a', 'b']]);
    expect(cache.get('a')).toEqual(thing('a', 1, 'one'));
  });

  it('of nothing makes the cache synced, too', async () => {
    await cache.replaced([]);
    expect([news(), cache.isSynced]).toEqual([['synced'], true]);
  });

  it('is taken in only when what depends on it is done', async () => {
    const begun = Promise.withResolvers<void>();
    const cache = new ResourceCache<Thing>(new FakeClock(), {
      changed: () => undefined,
      removed: () => undefined,
      synced: () => begun.promise,
    });
    let isTakenIn = false;
    const taking = cache.replaced([thing('a', 1)]).finally(() => {
      isTakenIn = true;
    });
    await settle();
    expect([cache.isSynced, isTakenIn]).toEqual([true, false]);
    begun.resolve();
    await taking;
    expect(isTakenIn).toBe(true);
  });

  it('after a break tells what changed and what is gone, and that it is synced no second time', async () => {
    await cache.replaced([thing('same', 1), thing('changes', 2, 'before'), thing('goes', 3, 'last words')]);
    news();
    await cache.replaced([thing('same', 1), thing('changes', 5, 'after'), thing('comes', 6, 'new')]);
    expect(news()).toEqual([
      'changed changes before → after',
      'changed comes nothing → new',
      'removed goes last words',
    ]);
    expect(uids()).toEqual(['same', 'changes', 'comes']);
  });

  it('that is older than the answer to a write of ours does not undo it', async () => {
    await cache.replaced([thing('a', 10, 'read')]);
    cache.written(thing('a', 20, 'written'));
    await cache.replaced([thing('a', 10, 'read')]);
    expect(cache.get('a')?.words).toBe('written');
  });

  it('of thousands lets the event loop turn now and then, and takes in answers to our writes meanwhile', async () => {
    const clock = new FakeClock();
    const cache = new ResourceCache<Thing>(clock, {
      changed: () => undefined,
      removed: () => undefined,
      synced: () => Promise.resolve(),
    });
    let turns = 0;
    clock.turn = () => {
      turns += 1;
      if (turns === 5) cache.written(thing('i0', 9_000, 'written'));
      return Promise.resolve();
    };
    await cache.replaced(Array.from({ length: 5_000 }, (_, index) => thing(`i${index}`, index + 1)));
    expect([turns, cache.size, cache.get('i0')?.words]).toEqual([10, 5_000, 'written']);
  });
});

describe('A change that is heard', () => {
  beforeEach(async () => {
    await cache.replaced([thing('a', 10, 'ten')]);
    news();
  });

  it('is told with what was there before', () => {
    cache.changed(thing('a', 11, 'eleven'));
    expect(news()).toEqual(['changed a ten → eleven']);
  });

  it('of a deletion is told once, with what was known last', () => {
    cache.removed(thing('a', 12, 'as the watch tells it'));
    cache.removed(thing('a', 12));
    expect(news()).toEqual(['removed a ten']);
    expect([cache.size, cache.get('a')]).toEqual([0, undefined]);
  });

  it('of the deletion of one that was never heard of is no news', () => {
    cache.removed(thing('b', 12));
    expect(news()).toEqual([]);
  });

  it('I16: of a namesake is told as one that goes and one that comes, since the uid tells them apart', () => {
    cache.removed(thing('a', 11));
    cache.changed(thing('a-again', 12, 'new'));
    expect(news()).toEqual(['removed a ten', 'changed a-again nothing → new']);
  });

  it('that is older than what is known is no news', () => {
    cache.changed(thing('a', 9, 'nine'));
    expect([news(), cache.get('a')?.words]).toEqual([[], 'ten']);
  });
});

describe('The answer to a write of ours', () => {
  beforeEach(async () => {
    await cache.replaced([thing('a', 10, 'ten')]);
    news();
  });

  it('can be read at once, and is told as any change', () => {
    cache.written(thing('a', 11, 'written'));
    expect([cache.get('a')?.words, news()]).toEqual(['written', ['changed a ten → written']]);
  });

  it('does not undo what the watch has told of already', () => {
    cache.changed(thing('a', 12, 'later'));
    cache.written(thing('a', 11, 'written'));
    expect(cache.get('a')?.words).toBe('later');
  });

  it('is not undone by older news from the watch', () => {
    cache.written(thing('a', 12, 'written'));
    cache.changed(thing('a', 11, 'earlier'));
    expect(cache.get('a')?.words).toBe('written');
  });

  it('does not bring back one whose end the watch has told of', () => {
    cache.removed(thing('a', 12));
    cache.written(thing('a', 11));
    expect(cache.get('a')).toBeUndefined();
  });

  it('compares versions as numbers, even those that a double cannot hold', () => {
    cache.changed(thing('a', 99, 'two digits'));
    cache.written(thing('a', 100, 'three digits'));
    expect(cache.get('a')?.words).toBe('three digits');
    cache.changed(thing('a', '18446744073709551614', 'early'));
    cache.written(thing('a', '18446744073709551615', 'late'));
    expect(cache.get('a')?.words).toBe('late');
  });
});
