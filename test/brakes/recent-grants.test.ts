import { describe, expect, it } from 'vitest';
import { RecentGrants } from '../../src/brakes/recent-grants.ts';
import { MINUTE } from '../support/builders.ts';

describe('Recent grants', () => {
  it('count for the length of the window, to the millisecond', () => {
    const subject = new RecentGrants(MINUTE);
    subject.note('a', 0);
    subject.note('b', 10);
    expect(subject.countBesides('c', MINUTE - 1)).toBe(2);
    expect(subject.countBesides('c', MINUTE)).toBe(1);
    expect(subject.countBesides('c', MINUTE + 10)).toBe(0);
  });

  it('do not count against the Pod itself', () => {
    const subject = new RecentGrants(MINUTE);
    subject.note('a', 0);
    expect([subject.countBesides('a', 1), subject.countBesides('b', 1)]).toEqual([0, 1]);
  });

  it('count a Pod once, at its latest grant, and do not keep those before it for longer', () => {
    const subject = new RecentGrants(MINUTE);
    subject.note('a', 0);
    subject.note('b', 10);
    subject.note('a', 20);
    expect(subject.countBesides('c', 30)).toBe(2);
    expect(subject.countBesides('c', MINUTE + 10)).toBe(1);
    expect(subject.countBesides('c', MINUTE + 20)).toBe(0);
  });
});
