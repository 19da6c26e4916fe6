/* oxlint-disable vitest/expect-expect -- What a test expects is often said by expectStaleExactlyAt. */
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { InstanceKey } from '../../src/liveness/instance-key.ts';
import { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { DEFAULT_SELF_DOUBT, SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { addressSender, podSender, type Sender, UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import { key, SECOND, TTL } from '../support/builders.ts';

const A = key('a');
const B = key('b');
const HOME = addressSender('10.0.0.1');
const ELSEWHERE = addressSender('10.0.0.2');

let doubt: SelfDoubt;
let engine: LivenessEngine;

beforeEach(() => {
  doubt = new SelfDoubt();
  engine = new LivenessEngine(doubt);
});

/** Everything that becomes stale at `nowMs`. */
function takeStale(nowMs: number): readonly InstanceKey[] {
  return engine.takeStale(nowMs, 1_000).keys;
}

/** The one claim most tests make: fresh until just before `deadlineMs`, stale at it. */
function expectStaleExactlyAt(deadlineMs: number, instance = A): void {
  expect(engine.look(instance)?.deadlineMs).toBe(deadlineMs);
  expect(takeStale(deadlineMs - 1)).toEqual([]);
  expect(engine.look(instance)?.kind).not.toBe('stale');
  expect(takeStale(deadlineMs)).toEqual([instance]);
  expect(engine.look(instance)).toMatchObject({ kind: 'stale', deadlineMs });
}

describe('An instance that beats', () => {
  it('is fresh until one millisecond before its deadline and stale at it', () => {
    engine.adopt(A, TTL, 1_000, HOME);
    expectStaleExactlyAt(1_000 + TTL);
  });

  it('is given a full time to live by each heartbeat', () => {
    engine.adopt(A, TTL, 0, HOME);
    for (const nowMs of [30_000, 60_000, 179_999]) expect(engine.record(A, nowMs, HOME)).toBe('renewed');
    expectStaleExactlyAt(179_999 + TTL);
  });

  it('is kept fresh by a heartbeat in the last millisecond, and marked if that was the last', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.record(A, TTL - 1, HOME);
    expect(takeStale(TTL)).toEqual([]);
    expectStaleExactlyAt(TTL - 1 + TTL);
  });

  it('that is heard past its deadline but before anybody judged stays fresh', () => {
    engine.adopt(A, TTL, 0, HOME);
    expect(engine.record(A, TTL + 5, HOME)).toBe('renewed');
    expect(takeStale(TTL + 5)).toEqual([]);
    expectStaleExactlyAt(TTL + 5 + TTL);
  });

  it('recovers by one heartbeat after it became stale, and becomes stale again a time to live later', () => {
    engine.adopt(A, TTL, 0, HOME);
    takeStale(TTL);
    expect(engine.record(A, TTL + 1, HOME)).toBe('recovered');
    expect(engine.record(A, TTL + 1, HOME)).toBe('renewed');
    expectStaleExactlyAt(TTL + 1 + TTL);
  });

  it('is adopted only once: the second time is a heartbeat', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.adopt(A, 5 * TTL, 10_000, HOME);
    expect(engine.size).toBe(1);
    expect(engine.look(A)).toMatchObject({ ttlMs: TTL, lastHeardMs: 10_000 });
  });

  it('that nobody knows is unknown, and nothing is noted of it', () => {
    expect(engine.record(A, 0, HOME)).toBe('unknown');
    expect([engine.size, engine.look(A), engine.nextDueMs()]).toEqual([0, undefined, undefined]);
  });
});

describe('Receipts out of order', () => {
  it('leave the newest in force', () => {
    engine.adopt(A, TTL, 10_000, HOME);
    for (const nowMs of [40_000, 20_000, 35_000]) engine.record(A, nowMs, HOME);
    expect(engine.look(A)?.lastHeardMs).toBe(40_000);
    expectStaleExactlyAt(40_000 + TTL);
  });

  it('do not recover an instance that became stale after a newer one', () => {
    engine.adopt(A, TTL, 10_000, HOME);
    takeStale(10_000 + TTL);
    expect(engine.record(A, 9_000, HOME)).toBe('renewed');
    expect(engine.look(A)).toMatchObject({ kind: 'stale', deadlineMs: 10_000 + TTL });
  });

  it('do not take time from an instance whose object was deleted', () => {
    engine.adopt(A, TTL, 10_000, HOME);
    engine.record(A, 40_000, HOME);
    engine.disown(A);
    expect(engine.record(A, 20_000, HOME)).toBe('renewed');
    expect(engine.look(A)).toMatchObject({ isDisowned: true, deadlineMs: 40_000 + TTL });
    expect(engine.record(A, 50_000, HOME)).toBe('appeared');
    expectStaleExactlyAt(50_000 + TTL);
  });

  it('do not take from a restored instance the full time that it was given', () => {
    engine.restore(A, TTL, 'unheard', 10_000);
    expect(engine.record(A, 9_000, HOME)).toBe('confirmed');
    expectStaleExactlyAt(10_000 + TTL);
  });

  it('do not take from a resumed instance the full time that it was given', () => {
    engine.restore(A, TTL, 'unheard', 0);
    engine.pause(A);
    engine.resume(A, 10_000);
    engine.record(A, 9_000, HOME);
    expectStaleExactlyAt(10_000 + TTL);
  });
});

describe('The sender of an instance', () => {
  it('is that of its last heartbeat, and a heartbeat from another one moves it', () => {
    engine.adopt(A, TTL, 0, HOME);
    expect(engine.look(A)?.sender).toBe(HOME);
    expect(engine.record(A, 1_000, HOME)).toBe('renewed');
    expect(engine.record(A, 2_000, ELSEWHERE)).toBe('moved');
    expect(engine.record(A, 3_000, ELSEWHERE)).toBe('renewed');
    expect(engine.look(A)?.sender).toBe(ELSEWHERE);
  });

  it('that moves keeps the instance fresh all the same: nobody is silent who is heard from elsewhere', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.record(A, 60_000, ELSEWHERE);
    expectStaleExactlyAt(60_000 + TTL);
  });

  it('is not moved by a heartbeat that comes late', () => {
    engine.adopt(A, TTL, 10_000, HOME);
    expect(engine.record(A, 9_000, ELSEWHERE)).toBe('renewed');
    expect(engine.look(A)?.sender).toBe(HOME);
  });

  it.each([
    { kind: 'awaiting', receipt: 'appeared' },
    { kind: 'unheard', receipt: 'confirmed' },
    { kind: 'stale', receipt: 'recovered' },
  ] as const)(
    'is unknown of one restored as $kind until its first heartbeat, which says more than that it moved',
    (row) => {
      engine.restore(A, TTL, row.kind, 0);
      expect(engine.look(A)?.sender).toBe(UNKNOWN_SENDER);
      expect(engine.record(A, 1_000, HOME)).toBe(row.receipt);
      expect(engine.look(A)?.sender).toBe(HOME);
    },
  );

  it('is told of a stale one that recovers from elsewhere as a recovery', () => {
    engine.adopt(A, TTL, 0, HOME);
    takeStale(TTL);
    expect(engine.record(A, 2 * TTL, ELSEWHERE)).toBe('recovered');
    expect(engine.look(A)?.sender).toBe(ELSEWHERE);
  });

  it('of a paused one may move, though it neither recovers nor is confirmed', () => {
    engine.adopt(A, TTL, 0, HOME);
    takeStale(TTL);
    engine.pause(A);
    expect(engine.record(A, 2 * TTL, ELSEWHERE)).toBe('moved');
    expect(engine.record(A, 3 * TTL, ELSEWHERE)).toBe('renewed');
  });

  it('may be told later than that it was heard, by the same receipt once more', () => {
    engine.adopt(A, TTL, 10_000, UNKNOWN_SENDER);
    expect(engine.record(A, 10_000, HOME)).toBe('moved');
    expect(engine.look(A)).toMatchObject({ sender: HOME, lastHeardMs: 10_000 });
    expect(engine.record(A, 10_000, ELSEWHERE)).toBe('renewed');
    expect(engine.look(A)?.sender).toBe(HOME);
  });

  it('is not told by an older receipt, whose sender may be another', () => {
    engine.adopt(A, TTL, 10_000, UNKNOWN_SENDER);
    expect(engine.record(A, 9_999, ELSEWHERE)).toBe('renewed');
    expect(engine.look(A)?.sender).toBe(UNKNOWN_SENDER);
  });

  it('that says nothing any more is forgotten, and the next heartbeat tells it anew, whoever sends it', () => {
    engine.adopt(A, TTL, 10_000, HOME);
    engine.forgetSender(A);
    engine.forgetSender(B);
    expect(engine.look(A)).toMatchObject({ kind: 'fresh', sender: UNKNOWN_SENDER, lastHeardMs: 10_000 });
    expect(engine.record(A, 20_000, HOME)).toBe('moved');
    expectStaleExactlyAt(20_000 + TTL);
  });

  it('stays with an instance whose object was deleted, and goes with one that is forgotten', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.disown(A);
    expect(engine.look(A)?.sender).toBe(HOME);
    engine.forget(A);
    engine.restore(A, TTL, 'unheard', 1_000);
    expect(engine.look(A)?.sender).toBe(UNKNOWN_SENDER);
  });
});

describe('When an instance was first heard', () => {
  it('is the moment of its first heartbeat by us, and no later one moves it', () => {
    engine.adopt(A, TTL, 1_000, HOME);
    engine.record(A, 30_000, HOME);
    takeStale(30_000 + TTL);
    engine.record(A, 10 * TTL, ELSEWHERE);
    expect(engine.look(A)).toMatchObject({ firstHeardMs: 1_000, lastHeardMs: 10 * TTL });
  });

  it.each(['awaiting', 'unheard', 'stale'] as const)('is unknown of one restored as %s until we hear it', (kind) => {
    engine.restore(A, TTL, kind, 0);
    expect(engine.look(A)?.firstHeardMs).toBeUndefined();
    engine.record(A, 5_000, HOME);
    engine.record(A, 6_000, HOME);
    expect(engine.look(A)?.firstHeardMs).toBe(5_000);
  });

  it('begins anew with one that was forgotten', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.forget(A);
    engine.adopt(A, TTL, 9_000, HOME);
    expect(engine.look(A)?.firstHeardMs).toBe(9_000);
  });

  it('is remembered of every instance when there are more than there was room for', () => {
    for (let index = 0; index < 3_000; index += 1) engine.adopt(key(`i${index}`), TTL, index, HOME);
    expect([0, 1, 1_500, 2_999].map((index) => engine.look(key(`i${index}`))?.firstHeardMs)).toEqual([
      0, 1, 1_500, 2_999,
    ]);
  });
});

describe('An instance restored from its object', () => {
  it('as awaiting may stay silent for ever, and is judged from its first heartbeat on', () => {
    engine.restore(A, TTL, 'awaiting', 0);
    expect(takeStale(1_000 * TTL)).toEqual([]);
    expect(engine.look(A)).toMatchObject({ kind: 'awaiting', lastHeardMs: undefined, deadlineMs: undefined });
    expect(engine.record(A, 1_000 * TTL, HOME)).toBe('appeared');
    expectStaleExactlyAt(1_001 * TTL);
  });

  it('as unheard has a full time to live from then on', () => {
    engine.restore(A, TTL, 'unheard', 5_000);
    expect(engine.look(A)).toMatchObject({ kind: 'unheard', lastHeardMs: undefined });
    expectStaleExactlyAt(5_000 + TTL);
    expect(engine.look(A)?.lastHeardMs).toBeUndefined();
  });

  it('as unheard is confirmed by its first heartbeat', () => {
    engine.restore(A, TTL, 'unheard', 5_000);
    expect(engine.record(A, 6_000, HOME)).toBe('confirmed');
    expectStaleExactlyAt(6_000 + TTL);
  });

  it('as stale stays stale, is not handed over again, and recovers by a heartbeat', () => {
    engine.restore(A, TTL, 'stale', 5_000);
    expect(takeStale(1_000 * TTL)).toEqual([]);
    expect(engine.look(A)).toMatchObject({ kind: 'stale', deadlineMs: undefined });
    expect(engine.record(A, 1_000 * TTL, HOME)).toBe('recovered');
    expectStaleExactlyAt(1_001 * TTL);
  });

  it.each(['awaiting', 'unheard', 'stale'] as const)('as %s keeps what is known of it if it has been heard', (kind) => {
    engine.adopt(A, TTL, 0, HOME);
    engine.record(A, 30_000, HOME);
    engine.restore(A, 9 * TTL, kind, 60_000);
    expect(engine.look(A)).toMatchObject({ kind: 'fresh', ttlMs: TTL });
    expectStaleExactlyAt(30_000 + TTL);
  });
});

describe('A new time to live', () => {
  it.each([
    { what: 'a longer one', ttlMs: 3 * TTL },
    { what: 'a shorter one', ttlMs: TTL / 10 },
    { what: 'one shorter than the silence so far', ttlMs: 1 },
  ])('counts from the edit: $what', ({ ttlMs }) => {
    engine.adopt(A, TTL, 0, HOME);
    engine.retime(A, ttlMs, 100_000);
    expect(takeStale(100_000)).toEqual([]);
    expectStaleExactlyAt(100_000 + ttlMs);
  });

  it('that is the same as before changes nothing', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.retime(A, TTL, 100_000);
    expectStaleExactlyAt(TTL);
  });

  it('leaves a stale instance stale at the deadline that it missed', () => {
    engine.adopt(A, TTL, 0, HOME);
    takeStale(TTL);
    engine.retime(A, 100 * TTL, TTL + 1);
    expect(engine.look(A)).toMatchObject({ kind: 'stale', deadlineMs: TTL, ttlMs: 100 * TTL });
    engine.record(A, 2 * TTL, HOME);
    expectStaleExactlyAt(102 * TTL);
  });

  it('is remembered of one that awaits its first heartbeat, and of one that is paused', () => {
    engine.restore(A, TTL, 'awaiting', 0);
    engine.retime(A, SECOND, 10);
    engine.adopt(B, TTL, 0, HOME);
    engine.pause(B);
    engine.retime(B, SECOND, 10);
    expect(takeStale(1_000 * TTL)).toEqual([]);
    engine.record(A, 2_000_000, HOME);
    expectStaleExactlyAt(2_001_000);
    engine.resume(B, 3_000_000);
    expectStaleExactlyAt(3_001_000, B);
  });

  it('of one that nobody knows does nothing', () => {
    engine.retime(A, SECOND, 10);
    expect(engine.size).toBe(0);
  });
});

describe('A paused instance', () => {
  it('is not judged, has no deadline, and is still heard', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.pause(A);
    expect(takeStale(100 * TTL)).toEqual([]);
    expect(engine.record(A, 100 * TTL, HOME)).toBe('renewed');
    expect(engine.look(A)).toMatchObject({ kind: 'fresh', isPaused: true, lastHeardMs: 100 * TTL });
    expect(engine.look(A)?.deadlineMs).toBeUndefined();
  });

  it('that was heard lately is fresh when it is resumed, with a full time to live', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.pause(A);
    engine.record(A, 10 * TTL, HOME);
    engine.resume(A, 10 * TTL + 5_000);
    expect(engine.look(A)?.kind).toBe('fresh');
    expectStaleExactlyAt(11 * TTL + 5_000);
  });

  it('that was silent meanwhile must be heard first, and is stale if it is not within a time to live', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.pause(A);
    engine.resume(A, 10 * TTL);
    expect(engine.look(A)?.kind).toBe('unheard');
    expectStaleExactlyAt(11 * TTL);
  });

  it('that was stale is given a full time to live, too', () => {
    engine.adopt(A, TTL, 0, HOME);
    takeStale(TTL);
    engine.pause(A);
    engine.resume(A, 10 * TTL);
    expectStaleExactlyAt(11 * TTL);
  });

  it('that awaits its first heartbeat goes on awaiting it when resumed', () => {
    engine.restore(A, TTL, 'awaiting', 0);
    engine.pause(A);
    engine.resume(A, 5_000);
    expect(engine.look(A)).toMatchObject({ kind: 'awaiting', isPaused: false });
    expect(takeStale(100 * TTL)).toEqual([]);
  });

  it('whose first heartbeat comes has appeared, and is not judged even then', () => {
    engine.restore(A, TTL, 'awaiting', 0);
    engine.pause(A);
    expect(engine.record(A, 1_000, HOME)).toBe('appeared');
    expect(engine.record(A, 2_000, HOME)).toBe('renewed');
    expect(takeStale(100 * TTL)).toEqual([]);
  });

  it('is paused and resumed once, however often that is said', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.resume(A, 50_000);
    expect(engine.look(A)?.deadlineMs).toBe(TTL);
    engine.pause(A);
    engine.pause(A);
    expect(engine.counts.paused).toBe(1);
    engine.resume(A, 60_000);
    engine.resume(A, 90_000);
    expectStaleExactlyAt(60_000 + TTL);
  });

  it('and one that nobody knows make no difference', () => {
    engine.pause(A);
    engine.resume(A, 0);
    expect(engine.size).toBe(0);
  });
});

describe('An instance whose object was deleted', () => {
  it('stays known while it beats, and its next heartbeat says that it appeared', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.disown(A);
    expect(engine.look(A)).toMatchObject({ kind: 'fresh', isDisowned: true });
    expect(engine.record(A, 30_000, HOME)).toBe('appeared');
    expect(engine.look(A)).toMatchObject({ kind: 'fresh', isDisowned: false });
    expectStaleExactlyAt(30_000 + TTL);
  });

  // Who else remembers something of it is to forget that too.
  it('is forgotten and handed over when its deadline passes in silence, at the exact moment', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.disown(A);
    expect(takeStale(TTL - 1)).toEqual([]);
    expect(engine.size).toBe(1);
    expect(takeStale(TTL)).toEqual([A]);
    expect(engine.size).toBe(0);
  });

  it.each(['awaiting', 'stale'] as const)('is forgotten at once when it was %s', (kind) => {
    engine.restore(A, TTL, kind, 0);
    engine.disown(A);
    expect([engine.size, engine.look(A)]).toEqual([0, undefined]);
  });

  it('has an object again when one is made, and is judged as before', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.disown(A);
    engine.restore(A, TTL, 'awaiting', 50_000);
    expect(engine.look(A)).toMatchObject({ kind: 'fresh', isDisowned: false });
    expectStaleExactlyAt(TTL);
  });

  it('and made again is not called fresh until it is heard, if it was unheard before', () => {
    engine.restore(A, TTL, 'unheard', 0);
    engine.disown(A);
    engine.restore(A, TTL, 'awaiting', 50_000);
    expect(engine.look(A)).toMatchObject({ isDisowned: false, lastHeardMs: undefined });
    expect(engine.look(A)?.kind).not.toBe('fresh');
  });

  it('counts as what it is', () => {
    engine.restore(A, TTL, 'unheard', 0);
    engine.adopt(B, TTL, 0, HOME);
    engine.disown(A);
    engine.disown(B);
    expect(engine.look(A)?.kind).toBe('unheard');
    expect(engine.counts).toMatchObject({ unheard: 1, fresh: 1 });
  });

  it('and made again after a pause in which it was silent is not called fresh until it is heard', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.pause(A);
    engine.resume(A, 10 * TTL);
    engine.disown(A);
    engine.restore(A, TTL, 'awaiting', 10 * TTL + 1);
    expect(engine.look(A)?.kind).toBe('unheard');
    expectStaleExactlyAt(11 * TTL);
  });

  it('is no longer paused', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.pause(A);
    engine.disown(A);
    expect(engine.counts).toMatchObject({ paused: 0, fresh: 1 });
    takeStale(TTL);
    expect(engine.size).toBe(0);
  });

  it('twice is deleted once', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.disown(A);
    engine.disown(A);
    engine.disown(B);
    expect(engine.size).toBe(1);
  });
});

describe('A forgotten instance', () => {
  it('is unknown, is not handed over, and can be adopted anew', () => {
    engine.adopt(A, TTL, 0, HOME);
    engine.forget(A);
    engine.forget(A);
    expect(engine.record(A, 1_000, HOME)).toBe('unknown');
    expect(takeStale(100 * TTL)).toEqual([]);
    engine.adopt(A, TTL, 200 * TTL, HOME);
    expectStaleExactlyAt(201 * TTL);
  });

  it('leaves nothing behind for the one that takes its slot', () => {
    engine.adopt(A, TTL, 0, HOME);
    takeStale(TTL);
    engine.forget(A);
    engine.restore(B, TTL, 'unheard', 500_000);
    expect(engine.look(B)).toEqual({
      kind: 'unheard',
      isPaused: false,
      isDisowned: false,
      ttlMs: TTL,
      firstHeardMs: undefined,
      lastHeardMs: undefined,
      sender: UNKNOWN_SENDER,
      deadlineMs: 500_000 + TTL,
    });
  });
});

describe('Handing over', () => {
  it('takes at most so many at a time, earliest first, and says whether there may be more', () => {
    for (let index = 9; index >= 0; index -= 1) engine.adopt(key(`i${index}`), TTL, index, HOME);
    const first = engine.takeStale(TTL + 9, 4);
    const second = engine.takeStale(TTL + 9, 4);
    const third = engine.takeStale(TTL + 9, 4);
    expect(first).toEqual({ keys: ['i0', 'i1', 'i2', 'i3'].map(key), cappedCount: 0, hasMore: true });
    expect(second).toEqual({ keys: ['i4', 'i5', 'i6', 'i7'].map(key), cappedCount: 0, hasMore: true });
    expect(third).toEqual({ keys: ['i8', 'i9'].map(key), cappedCount: 0, hasMore: false });
  });

  it('counts entries that only moved, so that a turn is bounded, and still finds the silent one behind them', () => {
    for (let index = 0; index < 10; index += 1) engine.adopt(key(`beats-${index}`), TTL, 0, HOME);
    engine.adopt(A, TTL, 1, HOME);
    for (let index = 0; index < 10; index += 1) engine.record(key(`beats-${index}`), 60_000, HOME);
    expect(engine.takeStale(TTL + 1, 10)).toEqual({ keys: [], cappedCount: 0, hasMore: true });
    expect(engine.takeStale(TTL + 1, 10)).toEqual({ keys: [A], cappedCount: 0, hasMore: false });
  });

  it('names each instance once', () => {
    engine.adopt(A, TTL, 0, HOME);
    expect(takeStale(TTL)).toEqual([A]);
    expect(takeStale(10 * TTL)).toEqual([]);
  });

  it('is due no later than the first deadline', () => {
    expect(engine.nextDueMs()).toBeUndefined();
    engine.adopt(A, TTL, 1_000, HOME);
    engine.adopt(B, TTL / 2, 5_000, HOME);
    expect(engine.nextDueMs()).toBe(5_000 + TTL / 2);
    engine.forget(B);
    expect(engine.nextDueMs()).toBe(1_000 + TTL);
  });
});

describe('Self-doubt', () => {
  it('grants an instance that could not be heard a full time to live, and then it is stale', () => {
    engine.adopt(A, TTL, 0, HOME);
    doubt.observeTurn(1_000);
    doubt.observeTurn(1_000 + 3 * TTL);
    expect(takeStale(1_000 + 3 * TTL)).toEqual([]);
    expectStaleExactlyAt(1_000 + 4 * TTL);
  });

  it('grants nothing to an instance that is heard after the stall', () => {
    engine.adopt(A, TTL, 0, HOME);
    doubt.observeTurn(1_000);
    doubt.observeTurn(61_000);
    engine.record(A, 62_000, HOME);
    expectStaleExactlyAt(62_000 + TTL);
  });

  it('holds every verdict while the listener is closed, and passes it a time to live after it is open', () => {
    engine.adopt(A, TTL, 0, HOME);
    doubt.stopListening(1_000);
    expect(engine.takeStale(100 * TTL, 10)).toEqual({ keys: [], cappedCount: 0, hasMore: false });
    doubt.startListening(100 * TTL);
    expect(takeStale(100 * TTL)).toEqual([]);
    expectStaleExactlyAt(101 * TTL);
  });

  it('says of how many verdicts the cap was the cause', () => {
    engine.adopt(A, TTL, 0, HOME);
    for (let nowMs = 0; nowMs <= 6 * TTL; nowMs += 900) doubt.observeTurn(nowMs);
    engine.adopt(B, TTL, 5.5 * TTL, HOME);
    expect(engine.takeStale(6 * TTL, 10)).toEqual({ keys: [A], cappedCount: 1, hasMore: false });
    expect(engine.takeStale(8 * TTL, 10)).toEqual({ keys: [B], cappedCount: 0, hasMore: false });
  });
});

describe('The counts', () => {
  it('are at zero before anything is known, and name each kind once', () => {
    expect(engine.counts).toEqual({ awaiting: 0, unheard: 0, fresh: 0, stale: 0, paused: 0 });
    engine.adopt(A, TTL, 0, HOME);
    for (const kind of ['awaiting', 'unheard', 'stale'] as const) engine.restore(key(kind), TTL, kind, 0);
    engine.adopt(B, TTL, 0, HOME);
    engine.pause(B);
    expect(engine.counts).toEqual({ awaiting: 1, unheard: 1, fresh: 1, stale: 1, paused: 1 });
    expect([...engine.keys()].sort()).toEqual([A, B, key('awaiting'), key('unheard'), key('stale')].sort());
  });
});

/** The engine once more, in the plainest words: a map, and a look at everything each time. */
class NaiveEngine {
  readonly instances = new Map<InstanceKey, NaiveInstance>();
  readonly #doubt: SelfDoubt;

  constructor(doubt: SelfDoubt) {
    this.#doubt = doubt;
  }

  record(key: InstanceKey, atMs: number, sender: Sender): string {
    const it = this.instances.get(key);
    if (it === undefined) return 'unknown';
    if (it.lastHeardMs !== undefined && atMs <= it.lastHeardMs) {
      if (atMs < it.lastHeardMs || it.sender !== UNKNOWN_SENDER || sender === UNKNOWN_SENDER) return 'renewed';
      it.sender = sender;
      return 'moved';
    }
    const receipt = it.isDisowned ? 'appeared' : RECEIPTS[it.kind];
    it.silentSinceMs = it.kind === 'stale' ? atMs : Math.max(it.silentSinceMs, atMs);
    const told = it.isPaused && receipt !== 'appeared' ? 'renewed' : receipt;
    const hasMoved = it.sender !== sender;
    it.firstHeardMs ??= atMs;
    it.lastHeardMs = atMs;
    it.sender = sender;
    it.kind = 'fresh';
    it.isDisowned = false;
    return told === 'renewed' && hasMoved ? 'moved' : told;
  }

  adopt(key: InstanceKey, ttlMs: number, atMs: number, sender: Sender): void {
    if (this.instances.has(key)) this.record(key, atMs, sender);
    else this.#add(key, { kind: 'fresh', ttlMs, silentSinceMs: atMs, firstHeardMs: atMs, lastHeardMs: atMs, sender });
  }

  forgetSender(key: InstanceKey): void {
    const it = this.instances.get(key);
    if (it !== undefined) it.sender = UNKNOWN_SENDER;
  }

  restore(key: InstanceKey, ttlMs: number, kind: 'awaiting' | 'unheard' | 'stale', nowMs: number): void {
    const it = this.instances.get(key);
    if (it !== undefined) it.isDisowned = false;
    else this.#add(key, { kind, ttlMs, silentSinceMs: nowMs, ...NEVER_HEARD });
  }

  retime(key: InstanceKey, ttlMs: number, nowMs: number): void {
    const it = this.instances.get(key);
    if (it === undefined || it.ttlMs === ttlMs) return;
    it.ttlMs = ttlMs;
    it.silentSinceMs = nowMs;
  }

  pause(key: InstanceKey): void {
    const it = this.instances.get(key);
    if (it !== undefined) it.isPaused = true;
  }

  resume(key: InstanceKey, nowMs: number): void {
    const it = this.instances.get(key);
    if (it?.isPaused !== true) return;
    it.isPaused = false;
    it.silentSinceMs = nowMs;
    const isHeardLately = it.lastHeardMs !== undefined && nowMs - it.lastHeardMs < it.ttlMs;
    if (it.kind !== 'awaiting' && !isHeardLately) it.kind = 'unheard';
  }

  disown(key: InstanceKey): void {
    const it = this.instances.get(key);
    if (it === undefined) return;
    if (it.kind === 'awaiting' || it.kind === 'stale') this.instances.delete(key);
    it.isDisowned = true;
    it.isPaused = false;
  }

  forget(key: InstanceKey): void {
    this.instances.delete(key);
  }

  takeStale(nowMs: number, _limit: number): { readonly keys: readonly InstanceKey[] } {
    const keys: InstanceKey[] = [];
    if (!this.#doubt.isListening) return { keys };
    for (const [key, it] of this.instances) {
      if (it.isPaused || it.kind === 'awaiting' || it.kind === 'stale') continue;
      if (nowMs < this.#doubt.deadline(it.silentSinceMs, it.ttlMs).deadlineMs) continue;
      if (it.isDisowned) this.instances.delete(key);
      else it.kind = 'stale';
      keys.push(key);
    }
    return { keys };
  }

  #add(key: InstanceKey, parts: Omit<NaiveInstance, 'isPaused' | 'isDisowned'>): void {
    this.instances.set(key, { ...parts, isPaused: false, isDisowned: false });
  }
}

interface NaiveInstance {
  kind: 'awaiting' | 'unheard' | 'fresh' | 'stale';
  isPaused: boolean;
  isDisowned: boolean;
  ttlMs: number;
  silentSinceMs: number;
  firstHeardMs: number | undefined;
  lastHeardMs: number | undefined;
  sender: Sender;
}

const NEVER_HEARD = { firstHeardMs: undefined, lastHeardMs: undefined, sender: UNKNOWN_SENDER };

const RECEIPTS = { awaiting: 'appeared', unheard: 'confirmed', fresh: 'renewed', stale: 'recovered' } as const;
const KEYS = ['a', 'b'].map(key);

/** What happens next; `afterMs` after what happened before. */
type Step = { readonly afterMs: number; readonly key: InstanceKey } & (
  | { readonly kind: 'record'; readonly ageMs: number; readonly sender: Sender }
  | { readonly kind: 'adopt'; readonly ttlMs: number; readonly sender: Sender }
  | { readonly kind: 'retime'; readonly ttlMs: number }
  | { readonly kind: 'restore'; readonly ttlMs: number; readonly as: 'awaiting' | 'unheard' | 'stale' }
  | { readonly kind: 'pause' | 'resume' | 'disown' | 'forget' | 'forgetSender' | 'judge' | 'stall' | 'close' | 'open' }
);

function history(receiptAgesMs: fc.Arbitrary<number>): fc.Arbitrary<Step[]> {
  const base = { key: fc.constantFrom(...KEYS), afterMs: fc.nat(1_500) };
  const ttlMs = fc.constantFrom(500, 1_000, 5_000);
  const sender = fc.constantFrom(HOME, ELSEWHERE, podSender('uid-1'), UNKNOWN_SENDER);
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ ...base, kind: fc.constant('record' as const), ageMs: receiptAgesMs, sender }),
    },
    { weight: 2, arbitrary: fc.record({ ...base, kind: fc.constant('adopt' as const), ttlMs, sender }) },
    { weight: 2, arbitrary: fc.record({ ...base, kind: fc.constant('retime' as const), ttlMs }) },
    {
      weight: 3,
      arbitrary: fc.record({
        ...base,
        kind: fc.constant('restore' as const),
        ttlMs,
        as: fc.constantFrom('awaiting' as const, 'unheard' as const, 'stale' as const),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        ...base,
        kind: fc.constantFrom(
          'pause' as const,
          'resume' as const,
          'disown' as const,
          'forget' as const,
          'forgetSender' as const,
        ),
      }),
    },
    { weight: 8, arbitrary: fc.record({ ...base, kind: fc.constant('judge' as const) }) },
    { weight: 2, arbitrary: fc.record({ ...base, kind: fc.constant('stall' as const) }) },
    { weight: 1, arbitrary: fc.record({ ...base, kind: fc.constantFrom('close' as const, 'open' as const) }) },
  );
  return fc.array(step, { maxLength: 60, size: 'max' });
}

/** What a step changed or found out, in the engine or in the naive one. */
function carryOut(step: Step, engine: LivenessEngine | NaiveEngine, nowMs: number): unknown {
  const { key } = step;
  switch (step.kind) {
    case 'record':
      return engine.record(key, nowMs - step.ageMs, step.sender);
    case 'adopt':
      return engine.adopt(key, step.ttlMs, nowMs, step.sender);
    case 'restore':
      return engine.restore(key, step.ttlMs, step.as, nowMs);
    case 'retime':
      return engine.retime(key, step.ttlMs, nowMs);
    case 'pause':
      return engine.pause(key);
    case 'resume':
      return engine.resume(key, nowMs);
    case 'disown':
      return engine.disown(key);
    case 'forget':
      return engine.forget(key);
    case 'forgetSender':
      return engine.forgetSender(key);
    case 'judge':
      return [...engine.takeStale(nowMs, 1_000).keys].sort();
    case 'stall':
    case 'close':
    case 'open':
      return undefined;
  }
}

/** Lives a history twice, in the engine and in the naive one, and compares after each step. */
function live(steps: readonly Step[]): void {
  // Without a cap, so that all time that did not count can be told from outside.
  const doubt = new SelfDoubt({ ...DEFAULT_SELF_DOUBT, capMs: Number.POSITIVE_INFINITY });
  const engine = new LivenessEngine(doubt);
  const naive = new NaiveEngine(doubt);
  const deafPeriods: [fromMs: number, untilMs: number][] = [];
  let closedAtMs: number | undefined;
  let nowMs = 0;
  doubt.observeTurn(0);

  for (const step of steps) {
    if (step.kind === 'stall') {
      if (closedAtMs === undefined) deafPeriods.push([nowMs, nowMs + step.afterMs]);
      doubt.observeTurn((nowMs += step.afterMs));
    } else {
      for (const endMs = nowMs + step.afterMs; nowMs < endMs; ) {
        doubt.observeTurn((nowMs = Math.min(nowMs + 200, endMs)));
      }
    }
    if (step.kind === 'close') {
      doubt.stopListening(nowMs);
      closedAtMs ??= nowMs;
    } else if (step.kind === 'open') {
      doubt.startListening(nowMs);
      if (closedAtMs !== undefined) deafPeriods.push([closedAtMs, nowMs]);
      closedAtMs = undefined;
    }

    const before = new Map([...naive.instances].map(([key, it]) => [key, { ...it }]));
    // Everyone who was silent for its time to live and what was granted on top is marked, and nobody else.
    expect(carryOut(step, engine, nowMs)).toEqual(carryOut(step, naive, nowMs));
    expectAlike(engine, naive);
    // Whatever was granted: nobody who beat within its time to live of listening time is marked.
    const marked = [...naive.instances].filter(([key, it]) => it.kind === 'stale' && before.get(key)?.kind !== 'stale');
    for (const [key] of marked) {
      const { silentSinceMs = nowMs, ttlMs = 0 } = before.get(key) ?? {};
      expect(nowMs - silentSinceMs - deafMs(deafPeriods, silentSinceMs)).toBeGreaterThanOrEqual(ttlMs);
    }
  }
}

/** How much of the time since then nobody could be heard, by what happened and not by what the log says. */
function deafMs(deafPeriods: readonly [number, number][], sinceMs: number): number {
  return deafPeriods.reduce((sum, [fromMs, untilMs]) => {
    const lengthMs = untilMs - Math.max(fromMs, sinceMs);
    return lengthMs > 200 ? sum + lengthMs : sum;
  }, 0);
}

function expectAlike(engine: LivenessEngine, naive: NaiveEngine): void {
  expect(new Set(engine.keys())).toEqual(new Set(naive.instances.keys()));
  const counts = { awaiting: 0, unheard: 0, fresh: 0, stale: 0, paused: 0 };
  for (const [key, { silentSinceMs: _, ...believed }] of naive.instances) {
    counts[believed.isPaused ? 'paused' : believed.kind] += 1;
    expect(engine.look(key)).toMatchObject(believed);
  }
  expect(engine.counts).toEqual(counts);
  expect(engine.size).toBe(naive.instances.size);
}

describe('Over any history', () => {
  it('the engine believes what a naive map believes, marks nobody who beat in time, and everyone who did not', () => {
    fc.assert(fc.property(history(fc.constant(0)), live), { numRuns: 300 });
  });

  it('the same holds when receipts come out of order', () => {
    fc.assert(fc.property(history(fc.nat(3_000)), live), { numRuns: 300 });
  });
});
