import { setTimeout as delay } from 'node:timers/promises';
import type { Metrics } from '../../src/telemetry/metrics.ts';
import { buildOperator, untilKnown, untilSettled } from '../support/build-operator.ts';
import { HaltingClock } from '../support/halting-clock.ts';
import { type Stalls, StallSampler } from '../support/stall-sampler.ts';
import { type FleetBackend, storedFleetBackend } from '../support/stored-fleet.ts';
import { answerParent } from './child-process.ts';

/** The operator with a stored fleet, and how long its event loop stands still. */
export interface StallsOptions {
  readonly file: string;
  readonly instances: number;
  readonly ttlSeconds: number;
}

/** All of a fleet is written within this, or something hangs. */
const WRITTEN_WITHIN_MS = 120_000;

const clock = new HaltingClock();
let backend: FleetBackend | undefined;
let metrics: Metrics | undefined;
let sampler: StallSampler | undefined;

answerParent({
  /** Takes in the fleet. With `atOnce` the clock stands still meanwhile, so that all deadlines are one moment. */
  async load({ file, instances, ttlSeconds, atOnce }: StallsOptions & { readonly atOnce: boolean }) {
    const built = await buildOperator({
      backend: () => {
        backend = storedFleetBackend({ file, keepsList: true });
        return Promise.resolve(backend);
      },
      clock,
      settings: { defaultIntervalSeconds: ttlSeconds / 4, defaultTimes: 3 },
    });
    metrics = built.metrics;
    if (atOnce) clock.halt();
    const loading = new StallSampler();
    const { managementPort } = await built.operator.start();
    await untilKnown(metrics, instances);
    await untilSettled(metrics);
    const stalls = await loading.stop();
    clock.resume();
    return { managementPort, stalls };
  },

  /** Waits until the whole fleet has fallen silent and every verdict is written. */
  async massSilence(instances: number): Promise<Stalls & { readonly seconds: number }> {
    const silence = new StallSampler();
    const startMs = performance.now();
    while ((await transitions()) < instances) {
      if (performance.now() - startMs > WRITTEN_WITHIN_MS) throw new Error('not every verdict was written');
      await delay(200);
    }
    return { ...(await silence.stop()), seconds: (performance.now() - startMs) / 1000 };
  },

  async listAnew(): Promise<Stalls> {
    const listing = new StallSampler();
    await backend?.listAnew();
    if (metrics !== undefined) await untilSettled(metrics);
    return listing.stop();
  },

  startSampling() {
    sampler = new StallSampler();
  },

  stopSampling: () => sampler?.stop(),
});

async function transitions(): Promise<number> {
  const metric = await metrics?.transitions.get();
  return metric?.values.reduce((sum, { value }) => sum + value, 0) ?? 0;
}
