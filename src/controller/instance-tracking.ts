import type { EffectiveTiming, ObservedInstance } from '../health/observed-instance.ts';
import type { Belief, LivenessEngine } from '../liveness/liveness-engine.ts';

/** What is in force for an instance. */
export interface Tracking {
  readonly timing: EffectiveTiming;
  readonly isPaused: boolean;
}

/**
 * Brings the engine in line with an object: known, and timed and paused as is in force.
 *
 * @returns what is believed of the instance then.
 */
export function track(
  engine: LivenessEngine,
  instance: ObservedInstance,
  { timing, isPaused }: Tracking,
  nowMs: number,
): Belief {
  const { key } = instance;
  const ttlMs = timing.ttlSeconds * 1000;
  engine.restore(key, ttlMs, restoredKind(instance), nowMs);
  engine.retime(key, ttlMs, nowMs);
  if (isPaused) engine.pause(key);
  else engine.resume(key, nowMs);
  const belief = engine.look(key);
  if (belief === undefined) throw new Error('a restored instance is known');
  return belief;
}

/** What an object says of an instance that this process has not heard. */
function restoredKind(instance: ObservedInstance): 'awaiting' | 'unheard' | 'stale' {
  const { status } = instance;
  // An object that we made was made for a heartbeat; only its first status is missing.
  if (status?.fresh === undefined) return instance.managed ? 'unheard' : 'awaiting';
  switch (status.fresh.status) {
    case 'True':
      return 'unheard';
    case 'False':
      return 'stale';
    case 'Unknown':
      return status.lastHeartbeatWallMs === undefined ? 'awaiting' : 'unheard';
  }
}
