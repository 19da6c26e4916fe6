import { describe, expect, it } from 'vitest';
import { track } from '../../src/controller/instance-tracking.ts';
import type { ObservedInstance } from '../../src/health/observed-instance.ts';
import { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { condition, freshStatus, key, observed, TIMING, TTL } from '../support/builders.ts';

const NOW = 50_000;

function tracked(object: Partial<ObservedInstance>, engine = new LivenessEngine(new SelfDoubt())) {
  return track(engine, observed('a', object), TIMING, NOW);
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
  it('whose person wishes for a timing is judged by it from now on', () => {
    const engine = new LivenessEngine(new SelfDoubt());
    engine.adopt(key('a'), TTL, 0);
    const heartbeat = { intervalSeconds: 5, times: 1 };
    expect(tracked({ heartbeat }, engine)).toMatchObject({ kind: 'fresh', ttlMs: 10_000, deadlineMs: NOW + 10_000 });
  });

  it('that is paused is not judged, and is judged again when it no longer is', () => {
    const engine = new LivenessEngine(new SelfDoubt());
    engine.adopt(key('a'), TTL, 0);
    expect(tracked({ paused: true }, engine).isPaused).toBe(true);
    expect(tracked({}, engine)).toMatchObject({ isPaused: false, kind: 'fresh', deadlineMs: NOW + TTL });
  });

  it('of an instance that was heard changes nothing of what is believed', () => {
    const engine = new LivenessEngine(new SelfDoubt());
    engine.adopt(key('a'), TTL, 40_000);
    expect(tracked(withFresh('False'), engine)).toMatchObject({ kind: 'fresh', deadlineMs: 40_000 + TTL });
  });
});
