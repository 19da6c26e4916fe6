/* oxlint-disable unicorn/consistent-function-scoping -- A word that one group of tests uses stands in that group. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type ConflictState, IdentityConflicts } from '../../src/controller/identity-conflicts.ts';
import { key, MINUTE, SECOND, TTL } from '../support/builders.ts';

const A = key('a');
const NONE: ConflictState = { isActive: false, lookAgainMs: undefined };

let conflicts: IdentityConflicts;

beforeEach(() => {
  conflicts = new IdentityConflicts();
});

/** A heartbeat came from elsewhere at `atMs`, and is looked at `afterMs` later. */
const foreign = (atMs: number, ttlMs = 10 * SECOND, afterMs = 0): ConflictState =>
  conflicts.note(A, atMs, false, ttlMs, atMs + afterMs);
/** The last heartbeat came from the bound Pod. */
const own = (nowMs: number, ttlMs = 10 * SECOND): ConflictState => conflicts.note(A, undefined, false, ttlMs, nowMs);

/** The same, and its object says that there is a conflict. */
const stored = (nowMs: number): ConflictState => conflicts.note(A, undefined, true, 10 * SECOND, nowMs);

describe('A conflict about an identity', () => {
  it('is none while heartbeats come from the bound Pod alone', () => {
    expect([own(0), own(1_000), own(MINUTE)]).toEqual([NONE, NONE, NONE]);
  });

  it('does not begin with the first heartbeat from elsewhere: the address of the Pod may have changed', () => {
    expect(foreign(0)).toEqual({ isActive: false, lookAgainMs: MINUTE });
  });

  it('begins when they come from elsewhere for five seconds, to the millisecond', () => {
    foreign(0);
    expect(foreign(4_999).isActive).toBe(false);
    expect(foreign(5_000)).toEqual({ isActive: true, lookAgainMs: MINUTE });
  });

  it('does not begin by looking at one heartbeat again and again', () => {
    for (const afterMs of [0, 1_000, 5_000, 20_000]) expect(foreign(0, 10 * SECOND, afterMs).isActive).toBe(false);
  });

  it('begins though both senders take turns', () => {
    foreign(0);
    own(1_000);
    own(30_000);
    expect(foreign(31_000).isActive).toBe(true);
  });

  it('does not begin by heartbeats from elsewhere that are more than a minute apart', () => {
    foreign(0);
    expect(own(MINUTE)).toEqual(NONE);
    expect(foreign(MINUTE + 1).isActive).toBe(false);
  });

  it('goes on while its own Pod beats as well, and says when to look again', () => {
    foreign(0);
    foreign(5_000);
    expect(own(35_000)).toEqual({ isActive: true, lookAgainMs: 30_000 });
    expect(own(64_999)).toEqual({ isActive: true, lookAgainMs: 1 });
  });

  it('is over when nothing came from elsewhere for a minute', () => {
    foreign(0);
    foreign(5_000);
    expect(own(65_000)).toEqual(NONE);
    expect(own(65_001)).toEqual(NONE);
  });

  it('is over when nothing at all came for a minute, though what came last was from elsewhere', () => {
    foreign(0);
    foreign(5_000);
    expect(foreign(5_000, 10 * SECOND, MINUTE - 1).isActive).toBe(true);
    expect(foreign(5_000, 10 * SECOND, MINUTE)).toEqual(NONE);
    expect(foreign(5_000, 10 * SECOND, 2 * MINUTE)).toEqual(NONE);
  });

  it('is over when nothing came from elsewhere for two times to live, if that is longer', () => {
    foreign(0, TTL);
    foreign(5_000, TTL);
    expect(own(5_000 + 2 * TTL - 1, TTL)).toEqual({ isActive: true, lookAgainMs: 1 });
    expect(own(5_000 + 2 * TTL, TTL)).toEqual(NONE);
  });

  it('begins late again after it was over', () => {
    foreign(0);
    foreign(5_000);
    own(65_000);
    expect(foreign(65_001).isActive).toBe(false);
  });

  it('is forgotten with its instance', () => {
    foreign(0);
    foreign(5_000);
    conflicts.forget(A);
    conflicts.forget(A);
    expect(own(6_000)).toEqual(NONE);
  });

  it('of one instance is none of another', () => {
    foreign(0);
    foreign(5_000);
    expect(conflicts.note(key('b'), undefined, false, TTL, 6_000)).toEqual(NONE);
    expect(conflicts.note(key('b'), 6_000, false, TTL, 6_000).isActive).toBe(false);
  });

  it('that an earlier process found goes on until nothing came from elsewhere for a while', () => {
    expect(stored(0)).toEqual({ isActive: true, lookAgainMs: MINUTE });
    expect(stored(MINUTE - 1).isActive).toBe(true);
    expect(own(MINUTE)).toEqual(NONE);
  });
});
