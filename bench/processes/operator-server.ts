import { systemClock } from '../../src/clock.ts';
import { memoryBackend } from '../../src/operator/memory-backend.ts';
import { buildOperator, untilSettled } from '../support/build-operator.ts';
import { answerParent } from './child-process.ts';

/** The operator on its memory store. */
const { operator, metrics } = await buildOperator({
  backend: () => Promise.resolve(memoryBackend(() => systemClock.wallMs())),
});

answerParent({
  start: async () => (await operator.start()).heartbeatPort,
  settle: () => untilSettled(metrics),
  cpuUsage: () => process.cpuUsage(),
});
