import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NewIdentityLimit } from '../../src/controller/new-identity-limit.ts';

const OPTIONS = { perSecond: 10, burst: 5, total: 100 };
const ADMITTED = { kind: 'admitted' };

/** How many of `count` new identities at one moment are admitted. */
function admittedAt(limit: NewIdentityLimit, nowMs: number, count: number): number {
  return Array.from({ length: count }, () => limit.admit(nowMs, 0)).filter(({ kind }) => kind === 'admitted').length;
}

describe('The limit on new identities', () => {
  it('admits a burst, refuses the next, and says when to come again', () => {
    const limit = new NewIdentityLimit(OPTIONS, 0);
    expect(admittedAt(limit, 0, 5)).toBe(5);
    expect(limit.admit(0, 5)).toEqual({ kind: 'refused', reason: 'rate', retryAfterSeconds: 1 });
  });

  it('admits one more as soon as its time has come, and not a millisecond before', () => {
    const limit = new NewIdentityLimit(OPTIONS, 0);
    admittedAt(limit, 0, 5);
    expect(limit.admit(99, 5).kind).toBe('refused');
    expect(limit.admit(100, 5)).toEqual(ADMITTED);
    expect(limit.admit(100, 5).kind).toBe('refused');
  });

  it('names a time after which there is really room, when one comes in ten seconds', () => {
    const limit = new NewIdentityLimit({ perSecond: 0.1, burst: 1, total: 100 }, 0);
    limit.admit(0, 0);
    const refused = limit.admit(500, 1);
    expect(refused).toEqual({ kind: 'refused', reason: 'rate', retryAfterSeconds: 10 });
    expect(limit.admit(500 + 10_000, 1)).toEqual(ADMITTED);
  });

  it('saves up no more than a burst, however long nobody came', () => {
    const limit = new NewIdentityLimit(OPTIONS, 0);
    expect(admittedAt(limit, 1e9, 50)).toBe(5);
  });

  it('refuses everyone while there are as many as there may be, without using up the rate', () => {
    const limit = new NewIdentityLimit(OPTIONS, 0);
    expect(limit.admit(0, 100)).toEqual({ kind: 'refused', reason: 'total', retryAfterSeconds: 60 });
    expect(limit.admit(0, 101).kind).toBe('refused');
    expect(limit.admit(0, 99)).toEqual(ADMITTED);
    expect(admittedAt(limit, 0, 10)).toBe(4);
  });

  it('never admits more than the burst and the rate allow together, however they come', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(300), { maxLength: 200, size: 'max' }), (pauses) => {
        const limit = new NewIdentityLimit(OPTIONS, 0);
        let nowMs = 0;
        let admitted = 0;
        for (const pauseMs of pauses) {
          nowMs += pauseMs;
          if (limit.admit(nowMs, 0).kind === 'admitted') admitted += 1;
        }
        expect(admitted).toBeLessThanOrEqual(5 + (nowMs / 1000) * 10 + 1e-6);
      }),
    );
  });

  it('gains nothing from heartbeats whose heads were read out of order', () => {
    const limit = new NewIdentityLimit(OPTIONS, 0);
    let admitted = 0;
    for (let round = 0; round < 100; round += 1) {
      admitted += admittedAt(limit, 1_000, 1) + admittedAt(limit, 0, 1);
    }
    expect(admitted).toBeLessThanOrEqual(15);
  });
});
