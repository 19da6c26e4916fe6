import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextCondition, sameCondition, type ConditionStatus } from '../../src/health/condition.ts';
import { condition } from '../support/builders.ts';

const verdict = { status: 'False', reason: 'HeartbeatExpired', message: 'No heartbeat.' } as const;

describe('A condition', () => {
  it('that was not there before changed now', () => {
    expect(nextCondition(undefined, verdict, 4, 1_763_000_000)).toEqual({
      status: 'False',
      reason: 'HeartbeatExpired',
      message: 'No heartbeat.',
      lastTransitionSeconds: 1_763_000_000,
      observedGeneration: 4,
    });
  });

  it('keeps its transition time when only reason, message and generation are new', () => {
    const before = condition({ status: 'False', lastTransitionSeconds: 7, reason: 'Other', message: 'Other.' });
    expect(nextCondition(before, verdict, 4, 1_763_000_000)).toEqual({
      ...verdict,
      lastTransitionSeconds: 7,
      observedGeneration: 4,
    });
  });

  it('moves its transition time with every flip, and only then', () => {
    const status = fc.constantFrom<ConditionStatus>('True', 'False', 'Unknown');
    fc.assert(
      fc.property(status, status, fc.string(), fc.nat(9), (from, to, text, generation) => {
        const before = condition({ status: from, lastTransitionSeconds: 7 });
        const after = nextCondition(before, { status: to, reason: text, message: text }, generation, 8);
        expect(after.lastTransitionSeconds).toBe(from === to ? 7 : 8);
      }),
    );
  });
});

describe('Two conditions', () => {
  it('are the same when every part is', () => {
    expect(sameCondition(condition(), condition())).toBe(true);
    expect(sameCondition(undefined, undefined)).toBe(true);
  });

  it.each([
    { status: 'False' },
    { reason: 'Other' },
    { message: 'Other.' },
    { lastTransitionSeconds: 1 },
    { observedGeneration: 2 },
  ] as const)('differ when one has %j', (part) => {
    expect(sameCondition(condition(), condition(part))).toBe(false);
  });

  it('differ when only one is there', () => {
    expect(sameCondition(condition(), undefined)).toBe(false);
    expect(sameCondition(undefined, condition())).toBe(false);
  });
});
