import { beforeEach, describe, expect, it } from 'vitest';
import { InstanceCache } from '../../src/controller/instance-cache.ts';
import type { InstanceStore, WriteOutcome } from '../../src/controller/ports.ts';
import { Reconciler } from '../../src/controller/reconciler.ts';
import { resourceName } from '../../src/health/resource-name.ts';
import { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { addressSender } from '../../src/liveness/sender.ts';
import { SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { MemoryInstanceStore } from '../../src/memory/memory-instance-store.ts';
import { HOUR, identity, key, MINUTE, SECOND, TIMING, TTL } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';
import { noPods } from '../support/no-pods.ts';
import { RecordingObserver } from '../support/recording-observer.ts';

const A = key('a');
const SENDER = addressSender('127.0.0.1');
const LOOK_AGAIN_NOW = { kind: 'lookAgain', afterMs: 0 };
const DONE = { kind: 'done' };

let clock: FakeClock;
let engine: LivenessEngine;
let cache: InstanceCache;
let memory: MemoryInstanceStore;
let store: FaultyStore;
let observer: RecordingObserver;
let reconciler: Reconciler;

beforeEach(() => {
  clock = new FakeClock();
  engine = new LivenessEngine(new SelfDoubt());
  cache = new InstanceCache(clock, {
    changed: () => undefined,
    vanished: (key) => engine.disown(key),
    synced: () => Promise.resolve(),
  });
  memory = new MemoryInstanceStore(clock.wallMs);
  store = new FaultyStore(memory, clock);
  observer = new RecordingObserver();
  reconciler = reconcilerOn(store);
});

function reconcilerOn(store: InstanceStore, statusWritesPerSecond = 10): Reconciler {
  return new Reconciler({
    clock,
    engine,
    cache,
    ...noPods(clock, engine, cache),
    store,
    observer,
    namespace: 'default',
    defaultTiming: TIMING,
    statusWritesPerSecond,
    retentionMs: HOUR,
  });
}

/** All that is stored is known, and every change is heard. */
function listen(): Promise<void> {
  return memory.listen(cache);
}

describe('An instance without an object', () => {
  it('is left alone while it is not known yet what is stored', async () => {
    engine.adopt(A, TTL, 0, SENDER);
    expect(await reconciler.reconcile(A)).toEqual(DONE);
    expect([memory.list(), engine.size]).toEqual([[], 1]);
  });

  it('that beats gets one with its status in one pass, and is looked at once more', async () => {
    await listen();
    engine.adopt(A, TTL, 0, SENDER);
    expect(await reconciler.reconcile(A)).toEqual(LOOK_AGAIN_NOW);
    expect(memory.list()).toMatchObject([{ key: A, name: resourceName(A), status: { healthySummary: 'True' } }]);
    expect(await reconciler.reconcile(A)).toEqual(DONE);
    expect(observer.createdIds).toEqual(['a']);
    expect(observer.transitions).toMatchObject([{ id: 'a', from: undefined, to: 'True', delayMs: undefined }]);
  });

  it.each(['awaiting', 'unheard', 'stale'] as const)('that is %s is forgotten', async (kind) => {
    await listen();
    engine.restore(A, TTL, kind, 0);
    expect(await reconciler.reconcile(A)).toEqual(DONE);
    expect([memory.list(), engine.size]).toEqual([[], 0]);
  });

  it('because it was deleted gets none before its next heartbeat', async () => {
    await listen();
    engine.adopt(A, TTL, 0, SENDER);
    engine.disown(A);
    expect(await reconciler.reconcile(A)).toEqual(DONE);
    expect(memory.list()).toEqual([]);
    engine.record(A, 1_000, SENDER);
    await reconciler.reconcile(A);
    expect(memory.list()).toHaveLength(1);
  });

  it('and of which nothing is known is nothing to us', async () => {
    await listen();
    expect(await reconciler.reconcile(A)).toEqual(DONE);
    expect(store.writes).toEqual([]);
  });

  it('whose name is taken by an object of another is reported as refused, with the name', async () => {
    memory.createByPerson('default', resourceName(A), identity('b'));
    await listen();
    engine.adopt(A, TTL, 0, SENDER);
    const result = await reconciler.reconcile(A);
    expect(result).toMatchObject({ kind: 'failed', failure: { kind: 'refused', reason: 'Other' } });
    expect(JSON.stringify(result)).toContain(`default/${resourceName(A)}`);
    expect(engine.look(A)?.kind).toBe('fresh');
  });

  it('whose name exists although we have not heard of it is looked at again', async () => {
    await listen();
    engine.adopt(A, TTL, 0, SENDER);
    store.failNext({ kind: 'exists' });
    expect(await reconciler.reconcile(A)).toEqual({ kind: 'conflict' });
  });

  it('whose own object is heard of while we are told that it exists is looked at again, and nobody is blamed', async () => {
    await listen();
    engine.adopt(A, TTL, 0, SENDER);
    const overtaken: InstanceStore = {
      ...storeParts(),
      create(): Promise<WriteOutcome> {
        // An earlier attempt made it; its answer was lost, and the watch is faster than this answer.
        memory.createByPerson('default', resourceName(A), identity('a'));
        return Promise.resolve({ kind: 'exists' });
      },
    };
    expect(await reconcilerOn(overtaken).reconcile(A)).toEqual({ kind: 'conflict' });
  });
});

function storeParts(): InstanceStore {
  return {
    create: store.create.bind(store),
    writeStatus: store.writeStatus.bind(store),
    own: store.own.bind(store),
    report: store.report.bind(store),
    remove: store.remove.bind(store),
  };
}

describe('While the watch is slow', () => {
  it('each pass stands on the answer to the write before it', async () => {
    // All that is stored is known, and nothing more is heard.
    await cache.replaced([]);
    engine.adopt(A, TTL, 0, SENDER);
    expect(await reconciler.reconcile(A)).toEqual(LOOK_AGAIN_NOW);
    expect(await reconciler.reconcile(A)).toEqual(DONE);
    engine.takeStale(TTL, 1);
    expect(await reconciler.reconcile(A)).toEqual(LOOK_AGAIN_NOW);
    expect(store.writes.map(({ kind, outcome }) => `${kind}: ${outcome}`)).toEqual([
      'create: written',
      'writeStatus: written',
      'writeStatus: written',
    ]);
    expect(memory.list()).toMatchObject([{ status: { healthySummary: 'False' } }]);
  });
});

describe('A pass over an object', () => {
  beforeEach(async () => {
    await listen();
    engine.adopt(A, TTL, 0, SENDER);
    await reconciler.reconcile(A);
    await reconciler.reconcile(A);
    store.writes.length = 0;
  });

  it('twice is as good as once', async () => {
    const before = memory.list();
    for (let pass = 0; pass < 3; pass += 1) expect(await reconciler.reconcile(A)).toEqual(DONE);
    expect([memory.list(), store.writes]).toEqual([before, []]);
  });

  it('tells how late a verdict is', async () => {
    engine.takeStale(TTL, 1);
    await clock.advance(TTL + 70);
    await reconciler.reconcile(A);
    expect(observer.transitions.at(-1)).toEqual({ id: 'a', from: 'True', to: 'False', delayMs: 70 });
  });

  it('that wrote a verdict waits for the time to remove the object', async () => {
    await clock.advance(TTL);
    engine.takeStale(TTL, 1);
    expect(await reconciler.reconcile(A)).toEqual(LOOK_AGAIN_NOW);
    expect(await reconciler.reconcile(A)).toEqual({ kind: 'lookAgain', afterMs: HOUR });
    await clock.advance(HOUR);
    expect(await reconciler.reconcile(A)).toEqual(DONE);
    expect([memory.list(), engine.size, observer.removedIds]).toEqual([[], 0, ['a']]);
  });

  it('does not remove an object that was heard of again while it was planned', async () => {
    await clock.advance(TTL);
    engine.takeStale(TTL, 1);
    await reconciler.reconcile(A);
    await clock.advance(HOUR);
    store.failNext({ kind: 'conflict' });
    expect(await reconciler.reconcile(A)).toEqual({ kind: 'conflict' });
    expect(memory.list()).toHaveLength(1);
  });

  it.each([
    [{ kind: 'conflict' }, { kind: 'conflict' }],
    [{ kind: 'absent' }, DONE],
    [
      { kind: 'unreachable', message: 'gone' },
      { kind: 'failed', failure: { kind: 'unreachable', message: 'gone' } },
    ],
    [
      { kind: 'throttled', retryAfterMs: 5, message: 'slow' },
      { kind: 'failed', failure: { kind: 'throttled', retryAfterMs: 5, message: 'slow' } },
    ],
    [
      { kind: 'refused', reason: 'Forbidden', message: 'no' },
      { kind: 'failed', failure: { kind: 'refused', reason: 'Forbidden', message: 'no' } },
    ],
  ] as const)('whose write comes to %j comes to %j, and tells of no transition', async (outcome, result) => {
    engine.takeStale(TTL, 1);
    store.failNext(outcome);
    const told = observer.transitions.length;
    expect(await reconciler.reconcile(A)).toEqual(result);
    expect(observer.transitions).toHaveLength(told);
    expect(memory.list()).toMatchObject([{ status: { healthySummary: 'True' } }]);
  });

  it('refreshes the time of the last heartbeat, within a budget that verdicts do not share', async () => {
    const frugal = reconcilerOn(store, 1);
    engine.adopt(key('b'), TTL, 0, SENDER);
    await frugal.reconcile(key('b'));
    await clock.advance(6 * MINUTE);
    for (const id of ['a', 'b']) engine.record(key(id), clock.nowMs(), SENDER);
    expect(await frugal.reconcile(A)).toEqual(LOOK_AGAIN_NOW);
    expect(await frugal.reconcile(key('b'))).toEqual(DONE);
    expect(observer.refreshCount).toBe(1);

    engine.takeStale(clock.nowMs() + TTL, 10);
    await frugal.reconcile(key('b'));
    expect(observer.transitions.at(-1)).toMatchObject({ id: 'b', to: 'False' });

    await clock.advance(SECOND);
    engine.record(key('b'), clock.nowMs(), SENDER);
    await frugal.reconcile(key('b'));
    expect(observer.transitions.at(-1)).toMatchObject({ id: 'b', to: 'True' });
  });

  it('tells duplicates even if the one that counts needs nothing', async () => {
    await clock.advance(5 * SECOND);
    memory.createByPerson('default', 'twin', identity('a'));
    await reconciler.reconcile(A);
    expect(memory.get('default', 'twin')?.status?.fresh?.reason).toBe('DuplicateIdentity');
    expect(memory.get('default', resourceName(A))?.status?.fresh?.reason).toBe('HeartbeatReceived');
  });
});
