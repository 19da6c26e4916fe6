import { describe, expect, it } from 'vitest';
import { track } from '../../src/controller/instance-tracking.ts';
import { effectiveTiming } from '../../src/health/health-plan.ts';
import type { EffectiveTiming, ObservedInstance } from '../../src/health/observed-instance.ts';
import { type Belief, LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { addressSender, UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import { condition, freshStatus, key, observed, TIMING, TTL } from '../support/builders.ts';

const NOW = 50_000;
const SENDER = addressSender('10.0.0.1');
const DEFAULT = effectiveTiming(undefined, undefined, TIMING);

function tracked(
  object: Partial<ObservedInstance>,
  engine = new LivenessEngine(new SelfDoubt()),
  timing: EffectiveTiming = DEFAULT,
): Belief {
  const { paused = false } = object;
  return track(engine, observed('a', object), { timing, isPaused: paused }, NOW);
}

const withFresh = (status: 'True' | 'False' | 'Unknown', lastHeartbeatWallMs?: number): Partial<ObservedInstance> => ({
  status: freshStatus({ fresh: condition({ status }), lastHeartbeatWallMs }),
});

describe('What an object says of an instance that was not heard yet', () => {
  it.each([
    { title: 'was fresh: it has a time to live', object: withFresh('True'), kind: 'unheard', deadlineMs: NOW + TTL },
    { title: 'was stale: it stays so', object: withFresh('False'), kind: 'stale', deadlineMs: undefined },
    {
      title: 'was never heard: it may stay silent',
      object: withFresh('Unknown'),
      kind: 'awaiting',
      deadlineMs: undefined,
    },
    {
      title: 'was heard and then paused or resumed: it has a time to live',
      object: withFresh('Unknown', 1),
      kind: 'unheard',
      deadlineMs: NOW + TTL,
    },
    {
      title: 'we made and could not finish: it has a time to live',
      object: {},
      kind: 'unheard',
      deadlineMs: NOW + TTL,
    },
    {
      title: 'a person made: it may stay silent',
      object: { managed: false },
      kind: 'awaiting',
      deadlineMs: undefined,
    },
    {
      title: 'we made and that has a status without conditions: it has a time to live',
      object: { status: freshStatus({ fresh: undefined }) },
      kind: 'unheard',
      deadlineMs: NOW + TTL,
    },
  ] as const)('$title', ({ object, kind, deadlineMs }) => {
    expect(tracked(object)).toMatchObject({ kind, deadlineMs, isPaused: false, lastHeardMs: undefined, ttlMs: TTL });
  });
});

describe('An object', () => {
  it('tells who sent the last heartbeat only as far as we heard one', () => {
    expect(tracked(withFresh('True')).sender).toBe(UNKNOWN_SENDER);
    const engine = new LivenessEngine(new SelfDoubt());
    engine.adopt(key('a'), TTL, 0, SENDER);
    expect(tracked(withFresh('True'), engine)).toMatchObject({ sender: SENDER, firstHeardMs: 0 });
  });

  it.each(['Policy', 'Spec'] as const)('is judged by the timing in force from its first moment: %s', (source) => {
    const timing: EffectiveTiming = { intervalSeconds: 5, times: 1, ttlSeconds: 10, source };
    expect(tracked(withFresh('True'), undefined, timing)).toMatchObject({ ttlMs: 10_000, deadlineMs: NOW + 10_000 });
  });

  it('whose timing in force changes is given the new time to live from now on', () => {
    const engine = new LivenessEngine(new SelfDoubt());
    engine.adopt(key('a'), TTL, 0, SENDER);
    const timing: EffectiveTiming = { intervalSeconds: 5, times: 1, ttlSeconds: 10, source: 'Policy' };
    expect(tracked({}, engine, timing)).toMatchObject({ kind: 'fresh', ttlMs: 10_000, deadlineMs: NOW + 10_000 });
  });

  it('that is paused is not judged, and is judged again when it no longer is', () => {
    const engine = new LivenessEngine(new SelfDoubt());
    engine.adopt(key('a'), TTL, 0, SENDER);
    expect(tracked({ paused: true }, engine).isPaused).toBe(true);
    expect(tracked({}, engine)).toMatchObject({ isPaused: false, kind: 'fresh', deadlineMs: NOW + TTL });
  });

  it('that says it is paused, and has no say, is judged', () => {
    const engine = new LivenessEngine(new SelfDoubt());
    const belief = track(engine, observed('a', { paused: true }), { timing: DEFAULT, isPaused: false }, NOW);
    expect(belief).toMatchObject({ isPaused: false, deadlineMs: NOW + TTL });
  });

  it('of an instance that was heard changes nothing of what is believed', () => {
    const engine = new LivenessEngine(new SelfDoubt());
    engine.adopt(key('a'), TTL, 40_000, SENDER);
    expect(tracked(withFresh('False'), engine)).toMatchObject({ kind: 'fresh', deadlineMs: 40_000 + TTL });
  });
});
