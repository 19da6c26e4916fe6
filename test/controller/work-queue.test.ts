import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { WorkQueue, type WorkQueueObserver } from '../../src/controller/work-queue.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { silentQueueObserver } from '../support/recording-observer.ts';

let clock: FakeClock;
let queue: WorkQueue<string>;

beforeEach(() => {
  clock = new FakeClock();
  queue = new WorkQueue(clock, silentQueueObserver);
});

/** Takes what is in the queue now, and is done with each at once. */
async function drained(): Promise<(string | undefined)[]> {
  const keys: (string | undefined)[] = [];
  while (queue.depth > 0) {
    const key = await queue.get();
    keys.push(key);
    if (key !== undefined) queue.done(key);
  }
  return keys;
}

describe('The work queue', () => {
  it('hands keys out in the order in which they went in', async () => {
    for (const key of ['c', 'a', 'b']) queue.add(key);
    expect(await drained()).toEqual(['c', 'a', 'b']);
  });

  it('hands out what was added in the background when nothing else waits, in its order', async () => {
    queue.addInBackground('new-1');
    queue.addInBackground('new-2');
    queue.add('silent-1');
    queue.addInBackground('new-3');
    queue.add('silent-2');
    expect([queue.depth, queue.backgroundDepth]).toEqual([5, 3]);
    expect(await drained()).toEqual(['silent-1', 'silent-2', 'new-1', 'new-2', 'new-3']);
    expect([queue.depth, queue.backgroundDepth]).toEqual([0, 0]);
  });

  it('brings a key forward that waits in the background and is added otherwise, and hands it out once', async () => {
    queue.addInBackground('a');
    queue.addInBackground('b');
    queue.add('c');
    queue.add('b');
    expect([queue.depth, queue.backgroundDepth]).toEqual([3, 1]);
    expect(await drained()).toEqual(['c', 'b', 'a']);
  });

  it('leaves a key in front that is added in the background as well', async () => {
    queue.add('b');
    queue.add('a');
    queue.addInBackground('b');
    expect(await drained()).toEqual(['b', 'a']);
  });

  it('hands a key in the background to an idle worker at once, and while it is worked on takes it as any other', async () => {
    const taken = queue.get();
    queue.addInBackground('a');
    expect(await taken).toBe('a');
    queue.addInBackground('a');
    queue.addInBackground('b');
    queue.done('a');
    expect(await drained()).toEqual(['a', 'b']);
  });

  it('drains the background, too, when it is shut down', async () => {
    queue.addInBackground('a');
    queue.shutDown();
    expect(await queue.get()).toBe('a');
    expect(await queue.get()).toBeUndefined();
  });

  it('hands a key out once that was added three times', async () => {
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    expect(queue.depth).toBe(2);
    expect(await drained()).toEqual(['a', 'b']);
  });

  it('does not hand a key to a second worker, but once more to the next when the first is done', async () => {
    queue.add('a');
    expect(await queue.get()).toBe('a');
    queue.add('a');
    queue.add('a');
    queue.add('b');
    expect(queue.depth).toBe(1);
    expect(await queue.get()).toBe('b');
    queue.done('a');
    expect(await queue.get()).toBe('a');
    queue.done('a');
    expect(queue.depth).toBe(0);
  });

  it('puts a key that was added while it was worked on behind those that wait', async () => {
    queue.add('a');
    await queue.get();
    queue.add('a');
    queue.add('b');
    queue.done('a');
    expect(await drained()).toEqual(['b', 'a']);
  });

  it('serves workers that wait in the order in which they came', async () => {
    const first = queue.get();
    const second = queue.get();
    queue.add('a');
    queue.add('b');
    expect([await first, await second]).toEqual(['a', 'b']);
  });

  it('is not disturbed by being done with a key that nobody has', async () => {
    queue.add('a');
    queue.done('a');
    queue.done('b');
    expect(await drained()).toEqual(['a']);
  });

  it('keeps its order over thousands of keys', async () => {
    const keys = Array.from({ length: 5_000 }, (_, index) => `${index}`);
    for (const key of keys) queue.add(key);
    expect(await drained()).toEqual(keys);
  });
});

describe('A key that is added for later', () => {
  it('comes at its exact moment', async () => {
    queue.addAfter('a', 100);
    await clock.advance(99);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(await drained()).toEqual(['a']);
  });

  it('comes now when the delay is nothing or less', async () => {
    queue.addAfter('a', 0);
    queue.addAfter('b', -5);
    expect(await drained()).toEqual(['a', 'b']);
  });

  it.each([
    [100, 500],
    [500, 100],
  ])('twice, after %d ms and after %d ms, comes once at the earlier moment', async (first, second) => {
    queue.addAfter('a', first);
    queue.addAfter('a', second);
    await clock.advance(99);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(await drained()).toEqual(['a']);
    await clock.advance(1_000);
    expect(queue.depth).toBe(0);
  });

  it('comes in the order of its moment, whatever was added first', async () => {
    queue.addAfter('late', 300);
    queue.addAfter('early', 100);
    queue.addAfter('middle', 200);
    await clock.advance(300);
    expect(await drained()).toEqual(['early', 'middle', 'late']);
  });

  it('waits for a worker that has it', async () => {
    queue.add('a');
    await queue.get();
    queue.addAfter('a', 100);
    await clock.advance(100);
    expect(queue.depth).toBe(0);
    queue.done('a');
    expect(await drained()).toEqual(['a']);
  });

  it('needs one timer, however many keys there are', () => {
    for (let index = 0; index < 1_000; index += 1) queue.addAfter(`${index}`, 1_000 - index);
    expect(clock.timers).toEqual([1]);
  });

  it('is not lost when timers run late', async () => {
    queue.addAfter('a', 100);
    queue.addAfter('b', 200);
    await clock.stall(10_000);
    expect(await drained()).toEqual(['a', 'b']);
  });
});

describe('A key that failed', () => {
  it('waits ever longer, and from the start again once it is forgotten', async () => {
    const waitMs = async (): Promise<number> => {
      const startMs = clock.nowMs();
      queue.addRateLimited('a');
      const [atMs = 0] = clock.timers;
      await clock.advance(atMs - startMs);
      expect(await drained()).toEqual(['a']);
      return atMs - startMs;
    };
    expect([await waitMs(), await waitMs(), await waitMs()]).toEqual([5, 10, 20]);
    expect(queue.failures('a')).toBe(3);
    queue.forget('a');
    expect(queue.failures('a')).toBe(0);
    expect(await waitMs()).toBe(5);
  });

  it('waits no longer than the ceiling that is given', () => {
    for (let count = 0; count < 20; count += 1) queue.addRateLimited('a', 5_000);
    queue.addRateLimited('b', 1);
    expect(clock.timers).toEqual([1]);
  });

  it('does not delay another', async () => {
    for (let count = 0; count < 20; count += 1) queue.addRateLimited('poison');
    queue.addRateLimited('a');
    await clock.advance(5);
    expect(await drained()).toContain('a');
  });
});

describe('A queue that is shut down', () => {
  it('hands out what is queued and then says that there is no more', async () => {
    queue.add('a');
    queue.add('b');
    queue.shutDown();
    expect([await queue.get(), await queue.get(), await queue.get()]).toEqual(['a', 'b', undefined]);
  });

  it('tells workers that wait', async () => {
    const waiting = [queue.get(), queue.get()];
    queue.shutDown();
    expect(await Promise.all(waiting)).toEqual([undefined, undefined]);
  });

  it('takes no more keys and drops the delayed ones', async () => {
    queue.addAfter('delayed', 100);
    queue.shutDown();
    queue.add('late');
    queue.addAfter('later', 100);
    queue.addRateLimited('failed');
    await clock.advance(10_000);
    expect(clock.timers).toEqual([]);
    expect(await queue.get()).toBeUndefined();
  });

  it('still hands out a key that was added while it was worked on', async () => {
    queue.add('a');
    await queue.get();
    queue.add('a');
    queue.shutDown();
    queue.done('a');
    expect(await queue.get()).toBe('a');
    queue.done('a');
    expect(await queue.get()).toBeUndefined();
  });
});

describe('What a queue tells', () => {
  it('is how long keys waited and were worked on', async () => {
    const told: string[] = [];
    const observer: WorkQueueObserver = {
      added: () => told.push('added'),
      retried: () => told.push('retried'),
      started: (waitedMs) => told.push(`started after ${waitedMs}`),
      finished: (workedMs) => told.push(`finished after ${workedMs}`),
    };
    queue = new WorkQueue(clock, observer);
    queue.add('a');
    await clock.advance(30);
    await queue.get();
    await clock.advance(7);
    queue.add('a');
    queue.done('a');
    await clock.advance(2);
    await queue.get();
    queue.addRateLimited('a');
    expect(told).toEqual(['added', 'started after 30', 'added', 'finished after 7', 'started after 2', 'retried']);
  });

  it('is how long the work that is under way has taken', async () => {
    expect(queue.workInProgress()).toEqual({ totalMs: 0, longestMs: 0 });
    queue.add('a');
    queue.add('b');
    await queue.get();
    await clock.advance(10);
    await queue.get();
    await clock.advance(5);
    expect(queue.workInProgress()).toEqual({ totalMs: 20, longestMs: 15 });
  });
});

type Step =
  | { readonly kind: 'add'; readonly key: string }
  | { readonly kind: 'addAfter'; readonly key: string; readonly delayMs: number }
  | { readonly kind: 'take' }
  | { readonly kind: 'finish'; readonly worker: number }
  | { readonly kind: 'wait'; readonly ms: number };

const key = fc.constantFrom('a', 'b', 'c', 'd');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), key }),
  fc.record({ kind: fc.constant('addAfter' as const), key, delayMs: fc.nat(100) }),
  fc.constant({ kind: 'take' as const }),
  fc.record({ kind: fc.constant('finish' as const), worker: fc.nat(10) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(100) }),
);

describe('Over any history', () => {
  it('no key is with two workers, no key that was added is lost, and the order of coming is the order of going', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (steps) => {
        const clock = new FakeClock();
        const queue = new WorkQueue<string>(clock, silentQueueObserver);
        /** What a worker will see next: keys that wait in order, and those that come when their worker is done. */
        let waiting: string[] = [];
        const again = new Set<string>();
        const delayed = new Map<string, number>();
        const running: string[] = [];

        const added = (key: string): void => {
          if (waiting.includes(key)) return;
          if (running.includes(key)) again.add(key);
          else waiting.push(key);
        };
        const passTime = async (ms: number): Promise<void> => {
          const due = [...delayed].filter(([, atMs]) => atMs <= clock.nowMs() + ms).sort((a, b) => a[1] - b[1]);
          for (const [key] of due) delayed.delete(key);
          await clock.advance(ms);
          // Those that fall due together may come in any order.
          for (const [key] of due) added(key);
        };
        const take = async (): Promise<void> => {
          const key = await queue.get();
          expect(waiting).toContain(key);
          expect(running).not.toContain(key);
          waiting = waiting.filter((other) => other !== key);
          running.push(key ?? '');
        };

        for (const step of steps) {
          switch (step.kind) {
            case 'add':
              queue.add(step.key);
              added(step.key);
              break;
            case 'addAfter':
              queue.addAfter(step.key, step.delayMs);
              if (step.delayMs === 0) added(step.key);
              else
                delayed.set(
                  step.key,
                  Math.min(delayed.get(step.key) ?? Number.POSITIVE_INFINITY, clock.nowMs() + step.delayMs),
                );
              break;
            case 'take':
              if (queue.depth > 0) await take();
              break;
            case 'finish': {
              const [key] = running.splice(step.worker % Math.max(1, running.length), 1);
              if (key === undefined) break;
              queue.done(key);
              if (again.delete(key)) waiting.push(key);
              break;
            }
            case 'wait':
              await passTime(step.ms);
          }
          expect(queue.depth).toBe(waiting.length);
        }
        await passTime(1_000);
        for (const key of running.splice(0)) {
          queue.done(key);
          if (again.delete(key)) waiting.push(key);
        }
        while (queue.depth > 0) {
          await take();
          queue.done(running.pop() ?? '');
        }
        expect({ waiting, again: again.size, delayed: delayed.size }).toEqual({ waiting: [], again: 0, delayed: 0 });
      }),
      { numRuns: 100 },
    );
  });

  it('many workers at once see each key alone, and each key that was added comes to one of them afterwards', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(key, { minLength: 1, maxLength: 60, size: 'max' }),
        fc.integer({ min: 1, max: 5 }),
        async (keys, workers) => {
          const clock = new FakeClock();
          const queue = new WorkQueue<string>(clock, silentQueueObserver);
          const running = new Set<string>();
          const lastAdded = new Map<string, number>();
          const lastStarted = new Map<string, number>();
          let moment = 0;
          const work = async (): Promise<void> => {
            for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
              expect(running).not.toContain(key);
              running.add(key);
              lastStarted.set(key, (moment += 1));
              await new Promise<void>((resolve) => clock.schedule(3, resolve));
              running.delete(key);
              queue.done(key);
            }
          };
          const working = Promise.all(Array.from({ length: workers }, work));
          for (const key of keys) {
            queue.add(key);
            lastAdded.set(key, (moment += 1));
            await clock.advance(1);
          }
          queue.shutDown();
          await clock.advance(1_000);
          await working;
          for (const [key, addedAt] of lastAdded) {
            // A key that went to a worker who waited was started within the call that added it.
            expect(lastStarted.get(key)).toBeGreaterThanOrEqual(addedAt - 1);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('a worker that waits has a key as soon as there is one', async () => {
    const waiting = queue.get();
    const keys: (string | undefined)[] = [];
    void waiting.then((key) => keys.push(key));
    await settle();
    expect(keys).toEqual([]);
    queue.add('a');
    await settle();
    expect(keys).toEqual(['a']);
  });
});
