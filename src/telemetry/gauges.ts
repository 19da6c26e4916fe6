import { Counter, Gauge, type Registry } from 'prom-client';
import { type ControllerName, queueLabels } from './labels.ts';

/** What is read from the running operator when it is scraped. */
export interface MetricSources {
  instances(): Readonly<Record<string, number>>;
  selfDoubtMs(): number;
  controllers(): readonly ControllerState[];
  reflectors(): readonly ReflectorState[];
  /** Pods that a brake keeps in service, by which. */
  podsHeld(): Readonly<Record<string, number>>;
  /** Storms that are under way, by the kind of the group. */
  storms(): Readonly<Record<string, number>>;
  /** Pods, nodes and policies that are known. */
  objects(): Readonly<Record<string, number>>;
}

export interface ControllerState {
  readonly controller: ControllerName;
  /** Keys that wait for a worker: all, and those of them that wait in the background. */
  readonly queueDepth: { readonly total: number; readonly background: number };
  readonly workInProgress: { readonly totalMs: number; readonly longestMs: number };
  readonly activeWorkers: number;
  readonly maxWorkers: number;
}

export interface ReflectorState {
  readonly resource: string;
  readonly isSynced: boolean;
  /** Seconds since the Unix epoch of the last news, or undefined before the first. */
  readonly lastHeardSeconds: number | undefined;
  /** For how long changes may have been missed; 0 while the watch is open. */
  readonly ageSeconds: number;
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
  reflectorGauge(
    'heartbeat_operator_cache_age_seconds',
    'For how long changes of a resource may have been missed; 0 while its watch is open.',
    (state) => state.ageSeconds,
  );
  gauge('heartbeat_operator_objects', 'Objects that are known, by their resource.', ['resource'], (self) => {
    for (const [resource, count] of Object.entries(sources.objects())) self.set({ resource }, count);
  });
  gauge('heartbeat_operator_pods_held', 'Silent Pods that a brake keeps in service, by which.', ['reason'], (self) => {
    for (const [reason, count] of Object.entries(sources.podsHeld())) self.set({ reason }, count);
  });
  gauge(
    'heartbeat_operator_storms_active',
    'Storms that are under way, by the kind of the group.',
    ['group'],
    (self) => {
      for (const [group, count] of Object.entries(sources.storms())) self.set({ group }, count);
    },
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

  gauge('controller_runtime_active_workers', 'Workers that are reconciling now.', ['controller'], (self) => {
    for (const { controller, activeWorkers } of sources.controllers()) self.set({ controller }, activeWorkers);
  });
  gauge('controller_runtime_max_concurrent_reconciles', 'How many workers there are.', ['controller'], (self) => {
    for (const { controller, maxWorkers } of sources.controllers()) self.set({ controller }, maxWorkers);
  });
  gauge('workqueue_depth', 'Keys that wait for a worker.', ['name', 'controller', 'priority'], (self) => {
    for (const { controller, queueDepth } of sources.controllers()) {
      const { total, background } = queueDepth;
      self.set({ ...queueLabels(controller), priority: '0' }, total - background);
      // controller-runtime's number for what can wait.
      self.set({ ...queueLabels(controller), priority: '-100' }, background);
    }
  });
  gauge(
    'workqueue_unfinished_work_seconds',
    'How long the keys in work have been worked on, all together.',
    ['name', 'controller'],
    (self) => {
      for (const { controller, workInProgress } of sources.controllers()) {
        self.set(queueLabels(controller), workInProgress.totalMs / 1000);
      }
    },
  );
  gauge(
    'workqueue_longest_running_processor_seconds',
    'How long the oldest key in work has been worked on.',
    ['name', 'controller'],
    (self) => {
      for (const { controller, workInProgress } of sources.controllers()) {
        self.set(queueLabels(controller), workInProgress.longestMs / 1000);
      }
    },
  );
}
