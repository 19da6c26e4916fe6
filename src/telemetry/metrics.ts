import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { TalliedHistogram } from './tallied-histogram.ts';
import { type ControllerName, CONTROLLERS, queueLabels } from './labels.ts';

const HEARTBEAT_SECONDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];
const DETECTION_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const STALL_SECONDS = [0.2, 0.3, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const API_SECONDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
/** controller-runtime's range with fewer steps. */
const RECONCILE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60];
/** client-go's decades. */
const QUEUE_SECONDS = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000];

interface QueueObserver {
  added(): void;
  retried(): void;
  started(waitedMs: number): void;
  finished(workedMs: number): void;
}

/**
 * The metrics that count what happens. docs/metrics.md explains each, and a test holds the two together.
 *
 * No label grows with the number of instances. Heartbeats are counted in plain numbers, which are folded into
 * the metric when it is scraped.
 */
export class Metrics {
  readonly registry = new Registry();
  /** Counts by result, then by code. */
  readonly #heartbeatTally = new Map<string, Map<number, { count: number }>>();

  readonly #heartbeats = this.#counter(
    'heartbeat_operator_heartbeats_total',
    'Heartbeats answered, by result and HTTP code.',
    ['result', 'code'],
    () => this.#foldHeartbeats(),
  );
  readonly #heartbeatDuration = new TalliedHistogram(
    this.registry,
    'heartbeat_operator_heartbeat_duration_seconds',
    'From reading the head of a heartbeat to its answer.',
    HEARTBEAT_SECONDS,
  );
  readonly newInstancesRefused = this.#counter(
    'heartbeat_operator_new_instances_refused_total',
    'New instances that were refused because too many came (rate) or are there (total).',
    ['reason'],
  );
  readonly connectionsDropped = this.#counter(
    'heartbeat_operator_connections_dropped_total',
    'Connections turned away on the heartbeat port because too many were open.',
  );
  readonly transitions = this.#counter(
    'heartbeat_operator_transitions_total',
    'Changes of the condition Healthy that were written, by its new status and reason.',
    ['to', 'reason'],
  );
  readonly detectionDelay = this.#histogram(
    'heartbeat_operator_detection_delay_seconds',
    'From the deadline of a silent instance to the answer to the write of its condition.',
    [],
    DETECTION_SECONDS,
  );
  readonly statusWrites = this.#counter(
    'heartbeat_operator_status_writes_total',
    'Statuses written, by whether they changed the verdict (transition) or not (refresh).',
    ['kind'],
  );
  readonly instancesCreated = this.#counter(
    'heartbeat_operator_instances_created_total',
    'Objects created for instances that appeared.',
  );
  readonly instancesRemoved = this.#counter(
    'heartbeat_operator_instances_removed_total',
    'Objects removed after their instance stayed silent for the retention time.',
  );
  readonly eventLoopStall = this.#histogram(
    'heartbeat_operator_event_loop_stall_seconds',
    'Times in which the event loop did not turn, or the process was stopped.',
    [],
    STALL_SECONDS,
  );
  readonly selfDoubtCapped = this.#counter(
    'heartbeat_operator_self_doubt_capped_total',
    'Verdicts that would have waited longer if self-doubt had no cap.',
  );

  readonly podWrites = this.#counter(
    'heartbeat_operator_pod_writes_total',
    'Conditions written to Pods, by their status and reason.',
    ['status', 'reason'],
  );
  readonly podWriteFailures = this.#counter(
    'heartbeat_operator_pod_write_failures_total',
    'Conditions that could not be written to a Pod, by what the call came to.',
    ['result'],
  );
  readonly podDetectionDelay = this.#histogram(
    'heartbeat_operator_pod_detection_delay_seconds',
    'From the deadline of a silent instance to the answer to the write to its Pod.',
    [],
    DETECTION_SECONDS,
  );
  readonly podReadyDelay = this.#histogram(
    'heartbeat_operator_pod_ready_delay_seconds',
    'From the write to a gated Pod until its Ready was seen to follow.',
    [],
    DETECTION_SECONDS,
  );
  readonly podReadyUnconfirmed = this.#counter(
    'heartbeat_operator_pod_ready_unconfirmed_total',
    'Writes to a gated Pod that its Ready did not follow in time.',
  );
  readonly storms = this.#counter('heartbeat_operator_storms_total', 'Storms that began, by the kind of the group.', [
    'group',
  ]);
  readonly identityConflicts = this.#counter(
    'heartbeat_operator_identity_conflicts_total',
    'Times that heartbeats of a bound instance were found to come from elsewhere than its Pod.',
  );
  readonly policyWrites = this.#counter('heartbeat_operator_policy_writes_total', 'Statuses of policies written.');
  readonly tokenReviews = this.#counter(
    'heartbeat_operator_token_reviews_total',
    'Tokens of senders that were reviewed, by the result.',
    ['result'],
  );
  readonly reports = this.#counter(
    'heartbeat_operator_reports_total',
    'Reports of applications about themselves, by what became of them.',
    ['result'],
  );
  readonly events = this.#counter('heartbeat_operator_events_total', 'Kubernetes Events written, by reason.', [
    'reason',
  ]);
  readonly eventsDropped = this.#counter(
    'heartbeat_operator_events_dropped_total',
    'Kubernetes Events that were not written, by why.',
    ['why'],
  );

  readonly reflectorRestarts = this.#counter(
    'heartbeat_operator_reflector_restarts_total',
    'Lists that had to begin afresh, by reason.',
    ['resource', 'reason'],
  );
  readonly lists = this.#counter('heartbeat_operator_list_total', 'Lists read, by result.', ['resource', 'result']);
  readonly watches = this.#counter('heartbeat_operator_watch_total', 'Watches opened, by result.', [
    'resource',
    'result',
  ]);
  readonly undecodable = this.#counter(
    'heartbeat_operator_undecodable_objects_total',
    'Objects from the API server that could not be read and are left out.',
    ['resource'],
  );

  readonly #reconciles = this.#counter('controller_runtime_reconcile_total', 'Reconciliations, by result.', [
    'controller',
    'result',
  ]);
  readonly #reconcileErrors = this.#counter(
    'controller_runtime_reconcile_errors_total',
    'Reconciliations that failed.',
    ['controller'],
  );
  readonly #reconcilePanics = this.#counter(
    'controller_runtime_reconcile_panics_total',
    'Reconciliations that threw, by a mistake of ours.',
    ['controller'],
  );
  readonly #reconcileTime = this.#histogram(
    'controller_runtime_reconcile_time_seconds',
    'How long a reconciliation took.',
    ['controller'],
    RECONCILE_SECONDS,
  );
  readonly #queueAdds = this.#counter('workqueue_adds_total', 'Keys added to the queue.', ['name', 'controller']);
  readonly #queueRetries = this.#counter('workqueue_retries_total', 'Keys added again after a failure.', [
    'name',
    'controller',
  ]);
  readonly #queueDuration = this.#histogram(
    'workqueue_queue_duration_seconds',
    'How long a key waited for a worker.',
    ['name', 'controller'],
    QUEUE_SECONDS,
  );
  readonly #workDuration = this.#histogram(
    'workqueue_work_duration_seconds',
    'How long a worker had a key.',
    ['name', 'controller'],
    QUEUE_SECONDS,
  );

  readonly apiRequests = this.#counter(
    'rest_client_requests_total',
    'Calls to the API server, by status code, method and host.',
    ['code', 'method', 'host'],
  );
  readonly apiDuration = this.#histogram(
    'rest_client_request_duration_seconds',
    'How long the API server took to answer.',
    ['verb', 'host'],
    API_SECONDS,
  );

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: 'heartbeat_operator_build_info',
      help: 'The version that runs; always 1.',
      labelNames: ['version', 'node_version'],
      registers: [this.registry],
    }).set({ version, node_version: process.version }, 1);
    this.#startAtZero();
  }

  heartbeatAnswered(result: string, code: number, durationMs: number): void {
    this.#tally(result, code).count += 1;
    this.#heartbeatDuration.observe(durationMs / 1000);
  }

  reconciled(controller: ControllerName, result: string, workedMs: number): void {
    this.#reconciles.inc({ controller, result });
    this.#reconcileTime.observe({ controller }, workedMs / 1000);
    if (result === 'error') this.#reconcileErrors.inc({ controller });
  }

  reconcilePanicked(controller: ControllerName): void {
    this.#reconcilePanics.inc({ controller });
  }

  /** The observer of a controller's work queue. */
  queueObserver(controller: ControllerName): QueueObserver {
    const labels = queueLabels(controller);
    return {
      added: () => this.#queueAdds.inc(labels),
      retried: () => this.#queueRetries.inc(labels),
      started: (waitedMs) => this.#queueDuration.observe(labels, waitedMs / 1000),
      finished: (workedMs) => this.#workDuration.observe(labels, workedMs / 1000),
    };
  }

  /** A rate over a counter exists only once it has a value: those whose labels are known begin at zero. */
  #startAtZero(): void {
    for (const result of ['renewed', 'confirmed', 'appeared', 'recovered']) this.#tally(result, 200);
    for (const result of ['invalidParameters', 'unknownInstance']) this.#tally(result, 400);
    this.#tally('bodyTooLarge', 413);
    this.#tally('internal', 500);
    for (const result of ['noAuthorization', 'unauthorized']) this.#tally(result, 401);
    this.#tally('foreignSender', 403);
    for (const result of ['tooManyNew', 'unproved']) this.#tally(result, 503);
    this.transitions.inc({ to: 'True', reason: 'HeartbeatReceived' }, 0);
    this.transitions.inc({ to: 'False', reason: 'HeartbeatExpired' }, 0);
    for (const reason of ['rate', 'total']) this.newInstancesRefused.inc({ reason }, 0);
    for (const kind of ['transition', 'refresh']) this.statusWrites.inc({ kind }, 0);
    this.podWrites.inc({ status: 'True', reason: 'HeartbeatReceived' }, 0);
    this.podWrites.inc({ status: 'False', reason: 'HeartbeatExpired' }, 0);
    for (const result of ['absent', 'throttled', 'unreachable', 'refused']) this.podWriteFailures.inc({ result }, 0);
    for (const group of ['workload', 'node', 'all']) this.storms.inc({ group }, 0);
    for (const result of ['pod', 'refused', 'unreachable']) this.tokenReviews.inc({ result }, 0);
    for (const result of ['stored', 'notStored']) this.reports.inc({ result }, 0);
    for (const why of ['queueFull', 'spam', 'failed', 'stopped']) this.eventsDropped.inc({ why }, 0);
    for (const controller of CONTROLLERS) {
      for (const result of ['success', 'requeue_after', 'requeue', 'error'])
        this.#reconciles.inc({ controller, result }, 0);
      this.#reconcileErrors.inc({ controller }, 0);
      this.#reconcilePanics.inc({ controller }, 0);
      this.#queueAdds.inc(queueLabels(controller), 0);
      this.#queueRetries.inc(queueLabels(controller), 0);
    }
  }

  #tally(result: string, code: number): { count: number } {
    let byCode = this.#heartbeatTally.get(result);
    if (byCode === undefined) this.#heartbeatTally.set(result, (byCode = new Map()));
    let tally = byCode.get(code);
    if (tally === undefined) byCode.set(code, (tally = { count: 0 }));
    return tally;
  }

  #foldHeartbeats(): void {
    this.#heartbeats.reset();
    for (const [result, byCode] of this.#heartbeatTally) {
      for (const [code, { count }] of byCode) this.#heartbeats.inc({ result, code }, count);
    }
  }

  #counter(name: string, help: string, labelNames: string[] = [], collect: () => void = () => {}): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry], collect });
  }

  #histogram(name: string, help: string, labelNames: string[], buckets: number[]): Histogram {
    return new Histogram({ name, help, labelNames, buckets, registers: [this.registry] });
  }
}
