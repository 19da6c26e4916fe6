import { describe, expect, it } from 'vitest';
import { freshVerdict, healthyVerdict, Reason } from '../../src/health/instance-health.ts';
import type { EffectiveTiming } from '../../src/health/observed-instance.ts';
import { belief, condition, TIMING } from '../support/builders.ts';

const EFFECTIVE: EffectiveTiming = { ...TIMING, ttlSeconds: 120, source: 'Default' };
const wallMsOf = (momentMs: number): number => 1_763_000_000_000 + momentMs;
const NOBODY_WISHES = { outOfService: false, paused: false };

describe('Fresh', () => {
  it('of an unheard instance whose object says Unknown awaits the first heartbeat', () => {
    const before = condition({ status: 'Unknown', reason: Reason.DuplicateIdentity });
    const verdict = freshVerdict(belief(0, { kind: 'unheard' }), EFFECTIVE, before, wallMsOf);
    expect(verdict).toMatchObject({ status: 'Unknown', reason: Reason.AwaitingFirstHeartbeat });
  });

  it.each(['True', 'False'] as const)('of an unheard instance whose object says %s stays to the letter', (status) => {
    const before = condition({ status, reason: 'AnyReason', message: 'Any words.' });
    const verdict = freshVerdict(belief(0, { kind: 'unheard' }), EFFECTIVE, before, wallMsOf);
    expect(verdict).toMatchObject({ status, reason: 'AnyReason', message: 'Any words.' });
  });

  it('of a paused instance is Unknown whatever is believed of it', () => {
    for (const kind of ['awaiting', 'unheard', 'fresh', 'stale'] as const) {
      const verdict = freshVerdict(belief(0, { kind, isPaused: true }), EFFECTIVE, condition(), wallMsOf);
      expect(verdict).toMatchObject({ status: 'Unknown', reason: Reason.Paused });
    }
  });

  it('does not mention less than a millisecond that did not count, which is the rounding of two clocks', () => {
    const stale = belief(0, { kind: 'stale', lastHeardMs: 0, deadlineMs: 120_000.4 });
    expect(freshVerdict(stale, EFFECTIVE, undefined, wallMsOf).message).not.toContain('did not count');
  });

  it('of an instance that was stale before our time says no more than is known', () => {
    const stale = belief(0, { kind: 'stale', lastHeardMs: undefined, deadlineMs: undefined });
    expect(freshVerdict(stale, EFFECTIVE, undefined, wallMsOf)).toEqual({
      status: 'False',
      reason: Reason.NotHeardSinceObserverStart,
      message: 'No heartbeat for the whole time to live of 120 s (30 s × 4) since the operator started to listen.',
    });
  });
});

describe('Healthy', () => {
  it('copies status, reason and message of Fresh', () => {
    const fresh = { status: 'False', reason: Reason.HeartbeatExpired, message: 'No heartbeat.' } as const;
    expect(healthyVerdict(fresh, NOBODY_WISHES)).toEqual(fresh);
  });

  it("is a person's decision where there is one, even for a paused instance", () => {
    const fresh = { status: 'Unknown', reason: Reason.Paused, message: 'Paused.' } as const;
    const healthy = healthyVerdict(fresh, { outOfService: true, paused: true });
    expect(healthy).toMatchObject({ status: 'False', reason: Reason.OverriddenOutOfService });
  });
});

describe('Reasons', () => {
  it('are single CamelCase words, as Kubernetes asks', () => {
    for (const [name, reason] of Object.entries(Reason)) {
      expect(reason).toBe(name);
      expect(reason).toMatch(/^[A-Z][A-Za-z]+$/);
    }
  });
});
