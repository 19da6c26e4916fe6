import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { readConfig } from '../../src/config/config.ts';
import type { Config } from '../../src/config/settings.ts';
import type { InstanceStore } from '../../src/controller/ports.ts';
import { MemoryInstanceStore } from '../../src/memory/memory-instance-store.ts';
import type { Backend } from '../../src/operator/backend.ts';
import { memoryBackend } from '../../src/operator/memory-backend.ts';
import { Operator } from '../../src/operator/operator.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

/** The whole operator on a store in memory, with real HTTP on free ports of the loopback. */
export interface TestOperator {
  readonly operator: Operator;
  readonly store: MemoryInstanceStore;
  readonly metrics: Metrics;
  /** What was logged, one object a line. */
  readonly log: Record<string, unknown>[];
}

export interface TestOperatorParts {
  readonly config?: Partial<Config>;
  /** The store as the operator sees it; for failures. */
  readonly asSeen?: (store: MemoryInstanceStore) => InstanceStore;
  /** Until this resolves, nothing stored is told. */
  readonly known?: Promise<void>;
}

const LOOPBACK: Partial<Config> = {
  heartbeatAddress: '127.0.0.1',
  heartbeatPort: 0,
  managementAddress: '127.0.0.1',
  managementPort: 0,
  drainSeconds: 0,
};

/** Built, not started. Stops when the test ends. */
export function buildTestOperator({ config = {}, asSeen, known }: TestOperatorParts = {}): TestOperator {
  const store = new MemoryInstanceStore(() => systemClock.wallMs());
  const log: TestOperator['log'] = [];
  const metrics = new Metrics('1.2.3');
  const backend: Backend = {
    ...memoryBackend(() => systemClock.wallMs()),
    store: asSeen?.(store) ?? store,
    start(listeners, fail) {
      const tell = async (): Promise<void> => {
        await listeners.pods.replaced([]);
        await listeners.nodes.replaced([]);
        await listeners.policies.replaced([]);
        await known;
        await store.listen(listeners.instances);
      };
      tell().catch(fail);
    },
  };
  const operator = new Operator({
    config: { ...defaultConfig(), ...LOOPBACK, ...config },
    clock: systemClock,
    logger: pino({ base: null }, { write: (line) => log.push(JSON.parse(line) as Record<string, unknown>) }),
    metrics,
    backend,
    version: '1.2.3',
  });
  onTestFinished(() => operator.stop(AbortSignal.abort()));
  return { operator, store, metrics, log };
}

export interface StartedOperator extends TestOperator {
  readonly heartbeatPort: number;
  readonly managementPort: number;
  /** A management path's reply. */
  readonly get: (path: string) => Promise<{ readonly status: number; readonly text: string }>;
  /** Sends a heartbeat over a connection that is used again. */
  readonly beat: (instanceId: string) => Promise<{ readonly status: number; readonly text: string }>;
}

export async function startTestOperator(parts: TestOperatorParts = {}): Promise<StartedOperator> {
  const built = buildTestOperator(parts);
  const ports = await built.operator.start();
  return {
    ...built,
    ...ports,
    get: (path) => ask(`http://127.0.0.1:${ports.managementPort}${path}`, 'GET'),
    beat: (instanceId) =>
      ask(
        `http://127.0.0.1:${ports.heartbeatPort}/v4/default/registry/microservices/shop/instances/${instanceId}/heartbeat`,
        'PUT',
      ),
  };
}

async function ask(url: string, method: string): Promise<{ readonly status: number; readonly text: string }> {
  const reply = await fetch(url, { method, headers: { 'x-domain-name': 'acme' } });
  return { status: reply.status, text: await reply.text() };
}

function defaultConfig(): Config {
  const result = readConfig([], {});
  if (result.kind === 'mistakes') throw new Error(result.mistakes.join('\n'));
  return result.config;
}
