import { beforeEach, describe, expect, it } from 'vitest';
import { Controller } from '../../src/controller/controller.ts';
import type { ReconcileResult } from '../../src/controller/reconciler.ts';
import { WorkQueue } from '../../src/controller/work-queue.ts';
import { identityOf, type InstanceKey } from '../../src/liveness/instance-key.ts';
import { key, MINUTE, SECOND } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { RecordingObserver, silentQueueObserver } from '../support/recording-observer.ts';

const DONE: ReconcileResult = { kind: 'done' };
const UNREACHABLE: ReconcileResult = { kind: 'failed', failure: { kind: 'unreachable', message: 'refused' } };
const REFUSED: ReconcileResult = { kind: 'failed', failure: { kind: 'refused', reason: 'Invalid', message: 'no' } };

let clock: FakeClock;
let queue: WorkQueue<InstanceKey>;
let observer: RecordingObserver;
/** Each pass: which instance, and when. */
let passes: { id: string; atMs: number }[];

beforeEach(() => {
  clock = new FakeClock();
  queue = new WorkQueue(clock, silentQueueObserver);
  observer = new RecordingObserver();
  passes = [];
});

type Reconcile = (id: string, pass: number) => ReconcileResult | Promise<ReconcileResult>;

function started(reconcile: Reconcile, workers = 4): Controller<InstanceKey> {
  const controller = new Controller({
    clock,
    queue,
    observer,
    workers,
    async reconcile(key) {
      const id = identityOf(key).instanceId;
      passes.push({ id, atMs: clock.nowMs() });
      return reconcile(id, passes.filter((pass) => pass.id === id).length);
    },
  });
  controller.start();
  return controller;
}

function add(...ids: readonly string[]): void {
  for (const id of ids) queue.add(key(id));
}

/** When passes over `id` began. */
function momentsOf(id: string): number[] {
  return passes.filter((pass) => pass.id === id).map((pass) => pass.atMs);
}

/** Work that takes so long. */
function after(ms: number, result: ReconcileResult = DONE): Promise<ReconcileResult> {
  return new Promise((resolve) => clock.schedule(ms, () => resolve(result)));
}

describe('The workers', () => {
  it('work on as many keys at once as there are workers, and on the others afterwards', async () => {
    const controller = started(() => after(100), 3);
    add('a', 'b', 'c', 'd', 'e');
    await clock.advance(50);
    expect(controller.activeWorkers).toBe(3);
    expect(passes.map((pass) => pass.id)).toEqual(['a', 'b', 'c']);
    await clock.advance(200);
    expect(passes.map((pass) => pass.id)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(controller.activeWorkers).toBe(0);
    expect(observer.results).toEqual(Array.from({ length: 5 }, () => 'success'));
  });

  it('give heartbeats a turn of the event loop after every five milliseconds of work', async () => {
    started(() => {
      clock.work(2);
      return DONE;
    });
    const passesAtTurn: number[] = [];
    const noteTurn = (): void => {
      passesAtTurn.push(passes.length);
      clock.arriveOnTurn(noteTurn);
    };
    clock.arriveOnTurn(noteTurn);
    await clock.advance(0);
    add(...Array.from({ length: 30 }, (_, index) => `i${index}`));
    await clock.advance(0);
    expect(passes).toHaveLength(30);
    const between = passesAtTurn.map((count, index) => count - (passesAtTurn[index - 1] ?? 0));
    expect(passesAtTurn.length).toBeGreaterThanOrEqual(30 / (3 + 4));
    // Three passes use up the slice; each of four workers may have begun one when the turn is asked for.
    expect(Math.max(...between)).toBeLessThanOrEqual(3 + 4);
  });
});

describe('What becomes of a key', () => {
  it('that is done is nothing more', async () => {
    started(() => DONE);
    add('a');
    await clock.advance(MINUTE);
    expect(momentsOf('a')).toEqual([0]);
  });

  it('that is to be looked at again comes again then', async () => {
    started((_id, pass) => (pass === 1 ? { kind: 'lookAgain', afterMs: 700 } : DONE));
    add('a');
    await clock.advance(MINUTE);
    expect(momentsOf('a')).toEqual([0, 700]);
    expect(observer.results).toEqual(['requeue_after', 'success']);
  });

  it('that met a conflict comes again soon, which is no failure', async () => {
    started((_id, pass) => (pass <= 2 ? { kind: 'conflict' } : DONE));
    add('a');
    await clock.advance(MINUTE);
    expect(momentsOf('a')).toEqual([0, 5, 15]);
    expect(observer.results).toEqual(['requeue', 'requeue', 'success']);
    expect(observer.failures).toEqual([]);
    expect(queue.failures(key('a'))).toBe(0);
  });

  it('that is refused comes again ever later, at least once a minute', async () => {
    started(() => REFUSED);
    add('a');
    await clock.advance(5 * MINUTE);
    const moments = momentsOf('a');
    const waits = moments.slice(1).map((atMs, index) => atMs - (moments[index] ?? 0));
    expect(waits.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(Math.max(...waits)).toBe(MINUTE);
    expect(observer.failures.slice(0, 2)).toEqual([
      { id: 'a', kind: 'refused', failures: 1, cause: 'no' },
      { id: 'a', kind: 'refused', failures: 2, cause: 'no' },
    ]);
  });

  it('that always fails blocks nobody, even with a single worker', async () => {
    started((id) => (id === 'poison' ? REFUSED : DONE), 1);
    add('poison', 'a');
    await clock.advance(MINUTE);
    add('b');
    await clock.advance(0);
    expect(momentsOf('a')).toEqual([0]);
    expect(momentsOf('b')).toEqual([MINUTE]);
  });

  it('over which a pass threw is reported with its cause, tried again, and ends well', async () => {
    const mistake = new Error('a mistake of ours');
    started((_id, pass) => {
      if (pass <= 2) throw mistake;
      return DONE;
    });
    add('a');
    await clock.advance(MINUTE);
    expect(momentsOf('a')).toEqual([0, 5, 15]);
    expect(observer.failures).toEqual([
      { id: 'a', kind: 'threw', failures: 1, cause: mistake },
      { id: 'a', kind: 'threw', failures: 2, cause: mistake },
    ]);
    expect(observer.results).toEqual(['error', 'error', 'success']);
  });

  it('that is added while it is worked on is worked on once more, with what is true then', async () => {
    started(() => after(100));
    add('a');
    await clock.advance(50);
    add('a');
    await clock.advance(MINUTE);
    expect(momentsOf('a')).toEqual([0, 100]);
  });
});

describe('While the store cannot be reached', () => {
  it('a single worker tries again after a tenth of a second, doubling up to five seconds, and recovers', async () => {
    let isDown = true;
    started(() => (isDown ? UNREACHABLE : DONE), 1);
    add('a');
    await clock.advance(30 * SECOND);
    expect(observer.holds).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000]);
    isDown = false;
    await clock.advance(5 * SECOND);
    expect(observer.results.at(-1)).toBe('success');
    const passesThen = passes.length;
    await clock.advance(MINUTE);
    expect(passes).toHaveLength(passesThen);
  });

  it('everyone waits, not only the key that found out', async () => {
    started((id, pass) => (id === 'a' && pass <= 3 ? UNREACHABLE : DONE), 1);
    add('a');
    await clock.advance(0);
    add('b');
    await clock.advance(99);
    expect(momentsOf('b')).toEqual([]);
    await clock.advance(SECOND);
    expect(momentsOf('b')).toHaveLength(1);
  });

  it('workers that find out at the same moment count as one, so that a short outage is not held against all for long', async () => {
    let isDown = true;
    started(() => after(10, isDown ? UNREACHABLE : DONE), 16);
    add(...Array.from({ length: 16 }, (_, index) => `i${index}`));
    await clock.advance(10);
    isDown = false;
    expect(observer.holds).toEqual([100]);
    await clock.advance(SECOND);
    expect(observer.results.filter((result) => result === 'success')).toHaveLength(16);
  });

  it('each key is tried again within five seconds of its return, however long it was away', async () => {
    let isDown = true;
    started(() => (isDown ? UNREACHABLE : DONE), 4);
    const ids = Array.from({ length: 20 }, (_, index) => `i${index}`);
    add(...ids);
    await clock.advance(10 * MINUTE);
    isDown = false;
    const returnMs = clock.nowMs();
    await clock.advance(10 * SECOND + 100);
    for (const id of ids) expect(momentsOf(id).some((atMs) => atMs >= returnMs)).toBe(true);
    expect(observer.results.filter((result) => result === 'success')).toHaveLength(20);
  });

  it('a first success ends the doubling', async () => {
    started((id, pass) => (pass <= (id === 'a' ? 4 : 1) ? UNREACHABLE : DONE), 1);
    add('a');
    await clock.advance(10 * SECOND);
    expect(observer.holds).toEqual([100, 200, 400, 800]);
    add('b');
    await clock.advance(10 * SECOND);
    expect(observer.holds).toEqual([100, 200, 400, 800, 100]);
  });
});

describe('When the store asks for a pause', () => {
  it('nobody writes before it is over, and then everyone does', async () => {
    const throttled: ReconcileResult = {
      kind: 'failed',
      failure: { kind: 'throttled', retryAfterMs: 7_000, message: 'slow down' },
    };
    started((id, pass) => (id === 'a' && pass === 1 ? throttled : DONE));
    add('a');
    await clock.advance(0);
    add('b', 'c');
    await clock.advance(6_999);
    expect(passes).toHaveLength(1);
    await clock.advance(1);
    expect([momentsOf('a'), momentsOf('b'), momentsOf('c')]).toEqual([[0, 7_000], [7_000], [7_000]]);
    expect(observer.holds).toEqual([7_000]);
  });
});

describe('A stop', () => {
  it('drains what is queued, and resolves when the last answer is there', async () => {
    const controller = started(() => after(100), 2);
    add('a', 'b', 'c');
    await clock.advance(10);
    let isStopped = false;
    const stopping = controller.stop().finally(() => {
      isStopped = true;
    });
    await clock.advance(150);
    expect(isStopped).toBe(false);
    await clock.advance(50);
    expect(isStopped).toBe(true);
    await stopping;
    expect(passes.map((pass) => pass.id)).toEqual(['a', 'b', 'c']);
  });

  it('resolves at once when there is nothing to do', async () => {
    const controller = started(() => DONE);
    await clock.advance(0);
    await controller.stop();
    expect(passes).toEqual([]);
  });

  it('takes no new keys, and tries none again that failed', async () => {
    const controller = started(() => REFUSED);
    add('a');
    await clock.advance(0);
    await controller.stop();
    add('b');
    await clock.advance(10 * MINUTE);
    expect(passes.map((pass) => pass.id)).toEqual(['a']);
    expect(clock.timers).toEqual([]);
  });

  it('does not wait for a hold', async () => {
    const throttled: ReconcileResult = {
      kind: 'failed',
      failure: { kind: 'throttled', retryAfterMs: 30_000, message: 'slow down' },
    };
    const controller = started((id) => (id === 'a' ? throttled : DONE), 1);
    add('a');
    await clock.advance(0);
    add('b');
    await clock.advance(0);
    let isStopped = false;
    void controller.stop().finally(() => {
      isStopped = true;
    });
    await clock.advance(0);
    expect(momentsOf('b')).toEqual([0]);
    expect(isStopped).toBe(true);
  });
});
