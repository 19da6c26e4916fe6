import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import type { LoopObserver } from '../../src/controller/ports.ts';
import { Sweeper } from '../../src/controller/sweeper.ts';
import { type InstanceKey, keyOf } from '../../src/liveness/instance-key.ts';
import { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { addressSender } from '../../src/liveness/sender.ts';
import { flatten } from '../../src/liveness/slot-table.ts';
import { identityAt } from '../support/fleet.ts';
import { type Stalls, StallSampler } from '../support/stall-sampler.ts';
import { answerParent } from './child-process.ts';

/** The engine and the sweeper, with a fleet whose deadlines come all at once and have all moved. */
const TTL_MS = 3_000;
const HOME = addressSender('10.0.0.1');
/** Heartbeats arrive in the middle of the time to live. */
const HEARD_AFTER_MS = 1_500;
const HEARD_IN_TURN = 1_000;

answerParent({
  async sweep(instances: number): Promise<Stalls> {
    const selfDoubt = new SelfDoubt();
    const engine = new LivenessEngine(selfDoubt);
    const keys = Array.from({ length: instances }, (_, index) => flatten(keyOf(identityAt(index))));
    const startMs = systemClock.nowMs();
    for (const key of keys) engine.adopt(key, TTL_MS, startMs, HOME);
    const sweeper = new Sweeper({
      clock: systemClock,
      engine,
      selfDoubt,
      observer: silentObserver,
      enqueue: fellSilent,
      isJudging: () => true,
      crash: (error) => {
        throw error;
      },
    });
    sweeper.start();
    await delay(HEARD_AFTER_MS - (systemClock.nowMs() - startMs));
    await hear(engine, keys, startMs + HEARD_AFTER_MS);
    const sampler = new StallSampler();
    // Until a little after the first deadlines: each has moved by then, and none has come.
    await delay(TTL_MS + HEARD_AFTER_MS / 2 - (systemClock.nowMs() - startMs));
    const stalls = await sampler.stop();
    sweeper.stop();
    const dueMs = engine.nextDueMs() ?? 0;
    if (dueMs < startMs + HEARD_AFTER_MS + TTL_MS) throw new Error('not every deadline has moved');
    return stalls;
  },
});

async function hear(engine: LivenessEngine, keys: readonly InstanceKey[], nowMs: number): Promise<void> {
  for (const [index, key] of keys.entries()) {
    engine.record(key, nowMs, HOME);
    if (index % HEARD_IN_TURN === 0) await systemClock.turn();
  }
}

function fellSilent(key: InstanceKey): never {
  throw new Error(`${key} was heard and is taken for silent`);
}

const silentObserver: LoopObserver = {
  transitioned: () => undefined,
  created: () => undefined,
  removed: () => undefined,
  refreshed: () => undefined,
  bound: () => undefined,
  reported: () => undefined,
  reconciled: () => undefined,
  failed: () => undefined,
  held: () => undefined,
  newIdentityRefused: () => undefined,
  stalled: () => undefined,
  capped: () => undefined,
};
