import { type Clock, systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/settings.ts';
import type { Backend } from '../../src/operator/backend.ts';
import type { Narrator } from '../../src/operator/observers.ts';
import { Operator } from '../../src/operator/operator.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import type { Logger } from 'pino';

const VERSION = '0.0.0-bench';

export interface OperatorOptions {
  readonly backend: (parts: { config: Config; logger: Logger; metrics: Metrics; version: string }) => Promise<Backend>;
  readonly settings?: Partial<Config>;
  readonly clock?: Clock;
  readonly narrator?: Narrator;
}

export interface BuiltOperator {
  readonly operator: Operator;
  readonly metrics: Metrics;
}

/** The whole operator as `npm start` builds it, on free ports of loopback and for a large fleet. */
export async function buildOperator({
  backend,
  settings,
  clock = systemClock,
  narrator,
}: OperatorOptions): Promise<BuiltOperator> {
  const read = readConfig(
    [],
    {},
    {
      heartbeatAddress: '127.0.0.1',
      heartbeatPort: 0,
      managementAddress: '127.0.0.1',
      managementPort: 0,
      newInstancesBurst: 200_000,
      instancesMax: 200_000,
      ...settings,
    },
  );
  if (read.kind === 'mistakes') throw new Error(read.mistakes.join('\n'));
  const { config } = read;
  const logger = await createLogger({ level: config.logLevel, format: 'json', version: VERSION });
  const metrics = new Metrics(VERSION);
  const operator = new Operator({
    config,
    clock,
    logger,
    metrics,
    backend: await backend({ config, logger, metrics, version: VERSION }),
    version: VERSION,
    ...(narrator && { narrator }),
  });
  return { operator, metrics };
}

/** Resolves when the engine knows so many instances. */
export async function untilKnown(metrics: Metrics, instances: number): Promise<void> {
  for (let look = 0; look < 1_200; look += 1) {
    const gauge = await metrics.registry.getSingleMetric('heartbeat_operator_instances')?.get();
    const known = gauge?.values.reduce((sum, { value }) => sum + value, 0);
    if (known === instances) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`the operator did not take in ${instances} instances`);
}

/** Resolves when no worker works and no key has waited for a worker for a while. */
export async function untilSettled(metrics: Metrics, withinMs = 120_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  let quietLooks = 0;
  while (quietLooks < 5) {
    if (performance.now() > deadlineMs) throw new Error(`the work queue was not empty within ${withinMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    quietLooks = (await isQueueEmpty(metrics)) ? quietLooks + 1 : 0;
  }
}

async function isQueueEmpty(metrics: Metrics): Promise<boolean> {
  for (const name of ['workqueue_depth', 'controller_runtime_active_workers']) {
    const metric = await metrics.registry.getSingleMetric(name)?.get();
    if (metric === undefined) throw new Error(`there is no metric ${name}`);
    if (metric.values.some(({ value }) => value !== 0)) return false;
  }
  return true;
}
