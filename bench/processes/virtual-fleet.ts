import type { Counter } from 'prom-client';
import { memoryBackend } from '../../src/operator/memory-backend.ts';
import { sendBatch } from '../support/batch.ts';
import { buildOperator } from '../support/build-operator.ts';
import { VirtualClock } from '../support/virtual-clock.ts';
import { answerParent } from './child-process.ts';

/** The operator on its memory store in virtual time: half an hour of a steady fleet takes seconds. */
export interface VirtualFleetResult {
  readonly statusWrites: number;
  readonly mostInOneSecond: number;
  readonly conditionChanges: number;
  readonly seconds: number;
}

const INTERVAL_SECONDS = 30;
/** By then the first refresh times have run out. */
const STEADY_FROM_SECOND = 600;
const STEADY_SECONDS = 1_800;

answerParent({
  async run(instances: number): Promise<VirtualFleetResult> {
    const clock = new VirtualClock();
    const { operator, metrics } = await buildOperator({
      backend: () => Promise.resolve(memoryBackend(clock.wallMs)),
      clock,
      settings: { defaultIntervalSeconds: INTERVAL_SECONDS, defaultTimes: 3 },
    });
    const { heartbeatPort } = await operator.start();
    let mostInOneSecond = 0;
    let writes = 0;
    let atStart = { writes: 0, changes: 0 };
    for (let second = 0; second < STEADY_FROM_SECOND + STEADY_SECONDS; second += 1) {
      if (second === STEADY_FROM_SECOND) atStart = { writes, changes: await counted(metrics.transitions) };
      // In each second the instances whose turn it is; none of them waits for another.
      const due: number[] = [];
      for (let index = second % INTERVAL_SECONDS; index < instances; index += INTERVAL_SECONDS) due.push(index);
      await sendBatch(heartbeatPort, due);
      await clock.runUntil((second + 1) * 1000);
      const now = await counted(metrics.statusWrites);
      if (second >= STEADY_FROM_SECOND) mostInOneSecond = Math.max(mostInOneSecond, now - writes);
      writes = now;
    }
    return {
      statusWrites: writes - atStart.writes,
      mostInOneSecond,
      conditionChanges: (await counted(metrics.transitions)) - atStart.changes,
      seconds: STEADY_SECONDS,
    };
  },
});

async function counted(counter: Counter): Promise<number> {
  return (await counter.get()).values.reduce((sum, { value }) => sum + value, 0);
}
