import { beforeAll, describe, expect, test } from 'vitest';
import { V4_ERRORS } from '../../src/heartbeat-api/v4-refusal.ts';
import { type ControllerState, type MetricSources, registerGauges } from '../../src/telemetry/gauges.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { startTestOperator } from '../support/http-operator.ts';

const INSTANCE_CONTROLLER: ControllerState = {
  controller: 'heartbeatinstance',
  queueDepth: { total: 4, background: 1 },
  workInProgress: { totalMs: 2_500, longestMs: 2_000 },
  activeWorkers: 2,
  maxWorkers: 16,
};

const POD_CONTROLLER: ControllerState = {
  controller: 'pod',
  queueDepth: { total: 1, background: 0 },
  workInProgress: { totalMs: 0, longestMs: 0 },
  activeWorkers: 1,
  maxWorkers: 16,
};

const SOURCES: MetricSources = {
  instances: () => ({ fresh: 3, stale: 1 }),
  selfDoubtMs: () => 1_500,
  controllers: () => [INSTANCE_CONTROLLER, POD_CONTROLLER],
  podsHeld: () => ({ StormHold: 8, RateLimited: 0 }),
  storms: () => ({ workload: 1, node: 0, all: 0 }),
  objects: () => ({ pods: 12, nodes: 2 }),
  reflectors: () => [
    { resource: 'heartbeatinstances', isSynced: true, lastHeardSeconds: 1_700_000_000.5, ageSeconds: 0 },
    { resource: 'pods', isSynced: false, lastHeardSeconds: undefined, ageSeconds: 2.5 },
  ],
};

/** Each series with its value, as `name{labels}` → value. */
function seriesOf(exposition: string): Map<string, number> {
  const lines = exposition.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

async function scrape(metrics: Metrics): Promise<Map<string, number>> {
  return seriesOf(await metrics.registry.metrics());
}

/** What the process says of itself, whose labels are Node's. */
const isOfNode = (name: string): boolean => /^(nodejs|process)_/.test(name);

function gaugesOf(sources: MetricSources): Metrics {
  const metrics = new Metrics('1.2.3');
  registerGauges(metrics.registry, sources);
  return metrics;
}

describe('from the start', () => {
  let series: Map<string, number>;
  beforeAll(async () => {
    series = await scrape(gaugesOf({ ...SOURCES, instances: () => ({}), selfDoubtMs: () => 0, reflectors: () => [] }));
  });

  test.each([
    ['renewed', '200'],
    ['confirmed', '200'],
    ['appeared', '200'],
    ['recovered', '200'],
    ['invalidParameters', '400'],
    ['unknownInstance', '400'],
    ['tooManyNew', '503'],
    ['noAuthorization', '401'],
    ['unauthorized', '401'],
    ['foreignSender', '403'],
    ['unproved', '503'],
    ['bodyTooLarge', '413'],
    ['internal', '500'],
  ])('heartbeats that come to %s are counted as 0', (result, code) => {
    expect(series.get(`heartbeat_operator_heartbeats_total{result="${result}",code="${code}"}`)).toBe(0);
  });

  test.each([
    'heartbeat_operator_connections_dropped_total',
    'heartbeat_operator_instances_created_total',
    'heartbeat_operator_instances_removed_total',
    'heartbeat_operator_self_doubt_capped_total',
    'heartbeat_operator_self_doubt_seconds_total',
    'heartbeat_operator_new_instances_refused_total{reason="rate"}',
    'heartbeat_operator_new_instances_refused_total{reason="total"}',
    'heartbeat_operator_status_writes_total{kind="transition"}',
    'heartbeat_operator_status_writes_total{kind="refresh"}',
    'heartbeat_operator_transitions_total{to="True",reason="HeartbeatReceived"}',
    'heartbeat_operator_transitions_total{to="False",reason="HeartbeatExpired"}',
    'controller_runtime_reconcile_total{controller="heartbeatinstance",result="success"}',
    'controller_runtime_reconcile_total{controller="heartbeatinstance",result="error"}',
    'controller_runtime_reconcile_total{controller="pod",result="success"}',
    'workqueue_adds_total{name="pod",controller="pod"}',
    'heartbeat_operator_pod_writes_total{status="False",reason="HeartbeatExpired"}',
    'heartbeat_operator_pod_write_failures_total{result="refused"}',
    'heartbeat_operator_pod_ready_unconfirmed_total',
    'heartbeat_operator_storms_total{group="node"}',
    'heartbeat_operator_identity_conflicts_total',
    'heartbeat_operator_token_reviews_total{result="pod"}',
    'heartbeat_operator_reports_total{result="stored"}',
    'heartbeat_operator_reports_total{result="notStored"}',
    'heartbeat_operator_events_dropped_total{why="queueFull"}',
    'heartbeat_operator_events_dropped_total{why="spam"}',
    'heartbeat_operator_events_dropped_total{why="failed"}',
    'heartbeat_operator_events_dropped_total{why="stopped"}',
    'controller_runtime_reconcile_errors_total{controller="heartbeatinstance"}',
    'controller_runtime_reconcile_panics_total{controller="heartbeatinstance"}',
    'workqueue_adds_total{name="heartbeatinstance",controller="heartbeatinstance"}',
    'workqueue_retries_total{name="heartbeatinstance",controller="heartbeatinstance"}',
    'heartbeat_operator_heartbeat_duration_seconds_count',
    'heartbeat_operator_detection_delay_seconds_count',
    'heartbeat_operator_event_loop_stall_seconds_count',
  ])('%s is 0, so that a rate over it exists', (name) => {
    expect(series.get(name)).toBe(0);
  });

  test('the version that runs is told', () => {
    expect(series.get(`heartbeat_operator_build_info{version="1.2.3",node_version="${process.version}"}`)).toBe(1);
  });
});

test('every refusal of the API can be counted, with its own HTTP code', async () => {
  const metrics = new Metrics('1.2.3');
  for (const [name, { status }] of Object.entries(V4_ERRORS)) metrics.heartbeatAnswered(name, status, 1);

  const series = await scrape(metrics);

  for (const [name, { status }] of Object.entries(V4_ERRORS)) {
    expect(series.get(`heartbeat_operator_heartbeats_total{result="${name}",code="${status}"}`)).toBe(1);
  }
});

test('heartbeats are counted once each, however often they are scraped', async () => {
  const metrics = new Metrics('1.2.3');
  metrics.heartbeatAnswered('renewed', 200, 2);
  await Promise.all([scrape(metrics), scrape(metrics)]);
  metrics.heartbeatAnswered('renewed', 200, 2);

  const [first, second] = await Promise.all([scrape(metrics), scrape(metrics)]);

  const name = 'heartbeat_operator_heartbeats_total{result="renewed",code="200"}';
  expect([first.get(name), second.get(name)]).toEqual([2, 2]);
  expect(first.get('heartbeat_operator_heartbeat_duration_seconds_sum')).toBeCloseTo(0.004);
});

test('states of the running operator are read at the moment of the scrape, in base units', async () => {
  let depth = { total: 4, background: 1 };
  const metrics = gaugesOf({
    ...SOURCES,
    controllers: () => [{ ...INSTANCE_CONTROLLER, queueDepth: depth }, POD_CONTROLLER],
  });
  await scrape(metrics);
  depth = { total: 9, background: 2 };

  expect(Object.fromEntries(await scrape(metrics))).toMatchObject({
    'heartbeat_operator_instances{state="fresh"}': 3,
    'heartbeat_operator_instances{state="stale"}': 1,
    heartbeat_operator_self_doubt_seconds_total: 1.5,
    'workqueue_depth{name="heartbeatinstance",controller="heartbeatinstance",priority="0"}': 7,
    'workqueue_depth{name="heartbeatinstance",controller="heartbeatinstance",priority="-100"}': 2,
    'workqueue_unfinished_work_seconds{name="heartbeatinstance",controller="heartbeatinstance"}': 2.5,
    'workqueue_longest_running_processor_seconds{name="heartbeatinstance",controller="heartbeatinstance"}': 2,
    'controller_runtime_active_workers{controller="heartbeatinstance"}': 2,
    'controller_runtime_max_concurrent_reconciles{controller="heartbeatinstance"}': 16,
    'heartbeat_operator_reflector_synced{resource="heartbeatinstances"}': 1,
    'heartbeat_operator_reflector_synced{resource="pods"}': 0,
    'heartbeat_operator_reflector_last_event_timestamp_seconds{resource="heartbeatinstances"}': 1_700_000_000.5,
    'heartbeat_operator_reflector_last_event_timestamp_seconds{resource="pods"}': 0,
    'heartbeat_operator_cache_age_seconds{resource="heartbeatinstances"}': 0,
    'heartbeat_operator_cache_age_seconds{resource="pods"}': 2.5,
    'heartbeat_operator_objects{resource="pods"}': 12,
    'heartbeat_operator_pods_held{reason="StormHold"}': 8,
    'heartbeat_operator_storms_active{group="workload"}': 1,
    'controller_runtime_active_workers{controller="pod"}': 1,
    'workqueue_depth{name="pod",controller="pod",priority="0"}': 1,
  });
});

test('a reconciliation that fails counts as a result and as an error, one that is tried again only as a result', async () => {
  const metrics = new Metrics('1.2.3');
  metrics.reconciled('heartbeatinstance', 'error', 10);
  metrics.reconciled('heartbeatinstance', 'requeue', 10);

  const series = await scrape(metrics);

  expect(series.get('controller_runtime_reconcile_total{controller="heartbeatinstance",result="error"}')).toBe(1);
  expect(series.get('controller_runtime_reconcile_total{controller="heartbeatinstance",result="requeue"}')).toBe(1);
  expect(series.get('controller_runtime_reconcile_errors_total{controller="heartbeatinstance"}')).toBe(1);
});

test('two operators in one process count apart', async () => {
  const [one, other] = [new Metrics('1'), new Metrics('2')];

  one.heartbeatAnswered('renewed', 200, 1);

  const name = 'heartbeat_operator_heartbeats_total{result="renewed",code="200"}';
  expect([(await scrape(one)).get(name), (await scrape(other)).get(name)]).toEqual([1, 0]);
});

describe('the names', () => {
  type Exposed = { readonly name: string; readonly type: string; readonly help: string };
  const exposed = async (): Promise<Exposed[]> =>
    ((await gaugesOf(SOURCES).registry.getMetricsAsJSON()) as unknown as Exposed[]).filter(
      ({ name }) => !isOfNode(name),
    );

  test('are in snake case and begin with whose they are', async () => {
    for (const { name } of await exposed()) {
      expect(name).toMatch(/^(heartbeat_operator|controller_runtime|workqueue|rest_client)(_[a-z0-9]+)+$/);
    }
  });

  test('end with _total exactly when they are counters', async () => {
    for (const { name, type } of await exposed())
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
  });

  test('of histograms end with their unit, and no name has a unit that is none of the base units', async () => {
    const all = await exposed();
    for (const { name } of all.filter(({ type }) => type === 'histogram')) expect(name).toMatch(/_seconds$/);
    for (const { name } of all) {
      expect(name).not.toMatch(/(milliseconds|_ms|_minutes|kilobytes|_kib|_mb|percent)(_|$)/);
    }
  });

  test('do not repeat a label, nor end with a suffix that Prometheus adds', async () => {
    for (const { name } of await exposed()) expect(name).not.toMatch(/_(bucket|sum|count)$/);
  });

  test('have a help text each, which is a sentence', async () => {
    for (const { name, help } of await exposed())
      expect([name, help]).toEqual([name, expect.stringMatching(/^[A-Z].*\S$/)]);
  });

  test('of labels are in snake case and none of the reserved ones', async () => {
    const labels = (await gaugesOf(SOURCES).registry.metrics()).matchAll(/[{,]([^=,{}]+)="/g);
    for (const [, label] of labels) expect(label).toMatch(/^(?!__)[a-z][a-z0-9_]*$/);
  });
});

test('a thousand instances make no series more than one instance does', async () => {
  const { beat, metrics, store } = await startTestOperator();
  const ours = async (): Promise<string[]> =>
    [...(await scrape(metrics)).keys()].filter((name) => !isOfNode(name)).sort();
  await beat('i-0');
  await beat('i-0');
  await expect.poll(() => store.list().every(({ status }) => status !== undefined)).toBe(true);
  const withOne = await ours();

  for (let first = 0; first < 1_000; first += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, index) => beat(`i-${first + index}`)));
  }
  await expect
    .poll(() => store.list().filter(({ status }) => status?.healthySummary === 'True').length, { timeout: 5_000 })
    .toBe(1_000);

  expect(await ours()).toEqual(withOne);
});
