import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_SELF_DOUBT, SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { MINUTE, SECOND, TTL } from '../support/builders.ts';

/** The loop's beat: a turn every 50 ms. */
const BEAT = 50;
const CAP = 3 * TTL;

/** Turns at every beat from one moment to another, as a loop that is well. */
function beat(doubt: SelfDoubt, fromMs: number, untilMs: number): void {
  for (let nowMs = fromMs; nowMs <= untilMs; nowMs += BEAT) doubt.observeTurn(nowMs);
}

/** A loop that turned at each of these moments, and not between them. */
function turnedAt(...moments: readonly number[]): SelfDoubt {
  const doubt = new SelfDoubt();
  for (const nowMs of moments) doubt.observeTurn(nowMs);
  return doubt;
}

function deadline(doubt: SelfDoubt, silentSinceMs: number, ttlMs = TTL): number {
  return doubt.deadline(silentSinceMs, ttlMs).deadlineMs;
}

describe('A deadline read through self-doubt', () => {
  it('is the time to live while the loop is well', () => {
    const doubt = new SelfDoubt();
    beat(doubt, 0, 10 * SECOND);
    expect(doubt.deadline(3 * SECOND, TTL)).toEqual({ deadlineMs: 3 * SECOND + TTL, isCapped: false });
    expect(doubt.totalMs).toBe(0);
  });

  it.each([
    { what: 'a pause of 200 ms is no stall', stall: [10_000, 10_200], extension: 0 },
    { what: 'a stall that nobody noticed gives back its length', stall: [10_000, 10_201], extension: 201 },
    { what: 'a stall of just under a second gives back its length', stall: [10_000, 10_999], extension: 999 },
    { what: 'a noticeable stall gives a full time to live after its end', stall: [10_000, 11_000], extension: 11_000 },
    {
      what: 'a stall longer than the time to live gives a full one after its end',
      stall: [10_000, 610_000],
      extension: 610_000,
    },
    {
      what: 'a stall that begins just before the deadline counts',
      stall: [TTL - 1, TTL + 4_999],
      extension: TTL + 4_999,
    },
    { what: 'a stall that begins at the deadline comes too late', stall: [TTL, TTL + 5_000], extension: 0 },
  ])('$what', ({ stall: [fromMs = 0, untilMs = 0], extension }) => {
    expect(deadline(turnedAt(fromMs, untilMs), 0)).toBe(TTL + extension);
  });

  it('is not moved by a stall that ended before the silence began', () => {
    const doubt = turnedAt(0, 50, 5_050, 5_100);
    expect(deadline(doubt, 5_050)).toBe(5_050 + TTL);
    expect(deadline(doubt, 5_049)).toBe(5_049 + TTL + 1);
  });

  it('counts of a stall that was under way when the silence began only the rest', () => {
    const doubt = turnedAt(0, 900);
    expect(deadline(doubt, 600)).toBe(600 + TTL + 300);
  });

  it('moves by at least the length of a single stall, wherever it lies in the silence', () => {
    fc.assert(
      fc.property(
        fc.record({
          ttlMs: fc.integer({ min: 1, max: 10 * MINUTE }),
          stallMs: fc.integer({ min: 201, max: 100 * MINUTE }),
        }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        ({ ttlMs, stallMs }, share) => {
          const fromMs = Math.floor(ttlMs * share);
          const doubt = turnedAt(fromMs, fromMs + stallMs);
          expect(deadline(doubt, 0, ttlMs)).toBeGreaterThanOrEqual(ttlMs + stallMs);
          expect(doubt.deadline(0, ttlMs).isCapped).toBe(false);
        },
      ),
    );
  });

  it('leaves a full time to live after the end of every noticeable stall that is under the cap', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 50, max: 200 }), fc.integer({ min: 1_000, max: 5_000 })), {
          maxLength: 12,
          size: 'max',
        }),
        (stalls) => {
          const doubt = turnedAt(0);
          let nowMs = 0;
          for (const [pauseMs, stallMs] of stalls) {
            doubt.observeTurn((nowMs += pauseMs));
            doubt.observeTurn((nowMs += stallMs));
            expect(deadline(doubt, 0)).toBeGreaterThanOrEqual(nowMs + TTL);
          }
        },
      ),
    );
  });

  it('never comes before the plain one, nor later than every stall can excuse', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(60_000), fc.nat(60_000)), { maxLength: 60, size: 'max' }),
        fc.nat(600_000),
        fc.integer({ min: 1, max: 200_000 }),
        (steps, silentSinceMs, ttlMs) => {
          const doubt = turnedAt(0);
          let nowMs = 0;
          let longestMs = 0;
          for (const [pauseMs, stallMs] of steps) {
            for (const endMs = nowMs + pauseMs; nowMs < endMs; )
              doubt.observeTurn((nowMs = Math.min(nowMs + 200, endMs)));
            doubt.observeTurn((nowMs += stallMs));
            if (stallMs > 200) longestMs = Math.max(longestMs, stallMs);
          }
          const { deadlineMs } = doubt.deadline(silentSinceMs, ttlMs);
          const capMs = Math.max(60_000, 3 * ttlMs);
          expect(deadlineMs).toBeGreaterThanOrEqual(silentSinceMs + ttlMs);
          // The cap, and above it one last period in full with the time to live after it.
          expect(deadlineMs).toBeLessThanOrEqual(silentSinceMs + ttlMs + capMs + longestMs + ttlMs);
        },
      ),
    );
  });

  it('excuses a single stall in full, even one of a day', () => {
    const day = 24 * 60 * MINUTE;
    const doubt = turnedAt(SECOND, SECOND + day);
    expect(doubt.deadline(0, TTL)).toEqual({ deadlineMs: SECOND + day + TTL, isCapped: false });
  });

  it('takes nothing from a second stall once the first has used up the cap', () => {
    const doubt = turnedAt(SECOND, SECOND + 2 * CAP);
    const before = doubt.deadline(0, TTL);
    doubt.observeTurn(SECOND + 2 * CAP + 5 * SECOND);
    expect(before.isCapped).toBe(false);
    expect(doubt.deadline(0, TTL)).toEqual({ deadlineMs: before.deadlineMs, isCapped: true });
  });

  it.each([201, 900, 1_000, 30_000])(
    'is met in bounded time although the loop stalls for ever, %d ms at a time',
    (stallMs) => {
      const doubt = turnedAt(0);
      let nowMs = 0;
      while (nowMs < deadline(doubt, 0) && nowMs < 100 * TTL) doubt.observeTurn((nowMs += stallMs));
      expect(nowMs).toBeGreaterThanOrEqual(TTL + CAP);
      expect(nowMs).toBeLessThanOrEqual(TTL + CAP + TTL + 2 * stallMs);
      expect(doubt.deadline(0, TTL).isCapped).toBe(true);
    },
  );

  it('has at least a minute of cap, however short the time to live', () => {
    const doubt = turnedAt(0);
    let nowMs = 0;
    while (nowMs < deadline(doubt, 0, SECOND) && nowMs < 10 * MINUTE) doubt.observeTurn((nowMs += 300));
    expect(nowMs).toBeGreaterThanOrEqual(MINUTE);
    expect(nowMs).toBeLessThanOrEqual(MINUTE + 2 * SECOND);
  });

  it('moves by the time between two turns in which somebody was shed', () => {
    const doubt = turnedAt(0, 50);
    doubt.shed();
    doubt.observeTurn(100);
    doubt.observeTurn(150);
    expect(deadline(doubt, 0)).toBe(TTL + 50);
    expect(doubt.totalMs).toBe(50);
  });

  it('counts time that is deaf for two reasons only once', () => {
    const doubt = turnedAt(0);
    doubt.stopListening(100);
    doubt.startListening(700);
    doubt.observeTurn(800);
    expect(doubt.totalMs).toBe(600);
    expect(deadline(doubt, 0)).toBe(TTL + 600);
  });
});

describe('A closed listener', () => {
  it('is deaf from the moment it closes until it is open again', () => {
    const doubt = turnedAt(0);
    doubt.stopListening(10 * SECOND);
    expect(doubt.isListening).toBe(false);
    beat(doubt, 10 * SECOND, 40 * SECOND);
    doubt.startListening(40 * SECOND);
    expect(doubt.isListening).toBe(true);
    expect(doubt.totalMs).toBe(30 * SECOND);
    expect(deadline(doubt, 0)).toBe(40 * SECOND + TTL);
  });

  it('that is closed or opened twice counts from the first time on', () => {
    const doubt = new SelfDoubt();
    doubt.startListening(0);
    doubt.stopListening(1_000);
    doubt.stopListening(2_000);
    doubt.startListening(3_000);
    doubt.startListening(4_000);
    expect(doubt.totalMs).toBe(2_000);
  });

  it('counts a stall that happens meanwhile as part of its own time', () => {
    const doubt = turnedAt(0);
    doubt.stopListening(50);
    doubt.observeTurn(5_000);
    doubt.startListening(6_000);
    doubt.observeTurn(6_050);
    expect(doubt.totalMs).toBe(5_950);
  });
});

describe('The turn of the loop', () => {
  it('tells how long it did not turn, and nothing when it was on time', () => {
    const doubt = new SelfDoubt();
    expect([1_000_000, 1_000_050, 1_000_250, 1_000_451, 1_003_451].map((nowMs) => doubt.observeTurn(nowMs))).toEqual([
      0, 0, 0, 201, 3_000,
    ]);
    expect(doubt.totalMs).toBe(3_201);
  });
});

describe('More than 1,024 deaf periods', () => {
  it('are merged, and a silence through all of them is still judged at the cap', () => {
    const doubt = turnedAt(0);
    let nowMs = 0;
    for (let stall = 0; stall < 5_000; stall += 1) doubt.observeTurn((nowMs += 300));
    const { deadlineMs, isCapped } = doubt.deadline(0, TTL);
    expect(isCapped).toBe(true);
    expect(deadlineMs).toBeGreaterThanOrEqual(TTL + CAP);
    expect(deadlineMs).toBeLessThanOrEqual(TTL + CAP + 300);
  });

  it('leave the deadline of a silence that began after most of them as exact as it was', () => {
    const doubt = turnedAt(0);
    let nowMs = 0;
    for (let stall = 0; stall < 5_000; stall += 1) doubt.observeTurn((nowMs += 300));
    const silentSinceMs = nowMs - 3 * 300 + 100;
    expect(deadline(doubt, silentSinceMs)).toBe(silentSinceMs + TTL + 800);
  });

  it('do not take back what a single long stall had given', () => {
    const doubt = turnedAt(SECOND, 60 * MINUTE);
    const promised = deadline(doubt, 0);
    let nowMs = 60 * MINUTE;
    for (let turn = 0; turn < 1_024; turn += 1) {
      doubt.shed();
      doubt.observeTurn((nowMs += BEAT));
    }
    expect(promised).toBe(60 * MINUTE + TTL);
    expect(nowMs).toBeLessThan(promised);
    expect(deadline(doubt, 0)).toBeGreaterThanOrEqual(promised);
  });
});

describe('The default numbers', () => {
  it('notice the loss of four beats of the loop, and give a minute and three times to live at most', () => {
    expect(DEFAULT_SELF_DOUBT).toEqual({ stallMs: 4 * BEAT, noticeableMs: SECOND, capMs: MINUTE, capTtls: 3 });
  });
});
