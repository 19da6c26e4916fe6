import { Counter, Gauge, type Registry } from 'prom-client';
import { CONTROLLER, QUEUE_LABELS } from './labels.ts';

/** What is read from the running operator when it is scraped. */
export interface MetricSources {
  instances(): Readonly<Record<string, number>>;
  selfDoubtMs(): number;
  /** Keys that wait for a worker: all, and those of them that wait in the background. */
  queueDepth(): { readonly total: number; readonly background: number };
  workInProgress(): { readonly totalMs: number; readonly longestMs: number };
  activeWorkers(): number;
  maxWorkers(): number;
  reflectors(): readonly ReflectorState[];
}

export interface ReflectorState {
  readonly resource: string;
  readonly isSynced: boolean;
  /** Seconds since the Unix epoch of the last news, or undefined before the first. */
  readonly lastHeardSeconds: number | undefined;
}

/** The metrics that are states of the running operator. docs/metrics.md explains each. */
export function registerGauges(registry: Registry, sources: MetricSources): void {
  const gauge = (name: string, help: string, labelNames: string[], read: (gauge: Gauge) => void): void => {
    const created: Gauge = new Gauge({ name, help, labelNames, registers: [registry], collect: () => read(created) });
  };
  const reflectorGauge = (name: string, help: string, value: (state: ReflectorState) => number | undefined): void => {
    gauge(name, help, ['resource'], (self) => {
      for (const state of sources.reflectors()) self.set({ resource: state.resource }, value(state) ?? 0);
    });
  };

  gauge('heartbeat_operator_instances', 'Instances, by what is believed of them.', ['state'], (self) => {
    for (const [state, count] of Object.entries(sources.instances())) self.set({ state }, count);
  });
  reflectorGauge(
    'heartbeat_operator_reflector_synced',
    'Whether all objects of a resource have been heard of once.',
    (state) => Number(state.isSynced),
  );
  reflectorGauge(
    'heartbeat_operator_reflector_last_event_timestamp_seconds',
    'When the API server last sent anything about a resource; 0 before the first time.',
    (state) => state.lastHeardSeconds,
  );

  const selfDoubt: Counter = new Counter({
    name: 'heartbeat_operator_self_doubt_seconds_total',
    help: 'Time in which the operator could not hear; it counts as no silence of theirs.',
    registers: [registry],
    collect: () => {
      selfDoubt.reset();
      selfDoubt.inc(sources.selfDoubtMs() / 1000);
    },
  });

  gauge('controller_runtime_active_workers', 'Workers that are reconciling now.', ['controller'], (self) =>
    self.set({ controller: CONTROLLER }, sources.activeWorkers()),
  );
  gauge('controller_runtime_max_concurrent_reconciles', 'How many workers there are.', ['controller'], (self) =>
    self.set({ controller: CONTROLLER }, sources.maxWorkers()),
  );
  gauge('workqueue_depth', 'Keys that wait for a worker.', ['name', 'controller', 'priority'], (self) => {
    const { total, background } = sources.queueDepth();
    self.set({ ...QUEUE_LABELS, priority: '0' }, total - background);
    // controller-runtime's number for what can wait.
    self.set({ ...QUEUE_LABELS, priority: '-100' }, background);
  });
  gauge(
    'workqueue_unfinished_work_seconds',
    'How long the keys in work have been worked on, all together.',
    ['name', 'controller'],
    (self) => self.set(QUEUE_LABELS, sources.workInProgress().totalMs / 1000),
  );
  gauge(
    'workqueue_longest_running_processor_seconds',
    'How long the oldest key in work has been worked on.',
    ['name', 'controller'],
    (self) => self.set(QUEUE_LABELS, sources.workInProgress().longestMs / 1000),
  );
}
