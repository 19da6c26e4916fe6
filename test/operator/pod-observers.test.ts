import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Storm } from '../../src/brakes/storm.ts';
import { addressSender } from '../../src/liveness/sender.ts';
import { podObserver, policyObserver } from '../../src/operator/pod-observers.ts';
import { RepeatedWarning } from '../../src/telemetry/logger.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { key, MINUTE, pod, podCondition } from '../support/builders.ts';
import { policy } from '../support/pod-builders.ts';

let metrics: Metrics;
let log: Record<string, unknown>[];
let nowMs: number;
let pods: ReturnType<typeof podObserver>;
let policies: ReturnType<typeof policyObserver>;

beforeEach(() => {
  metrics = new Metrics('1.2.3');
  log = [];
  nowMs = 0;
  const logger = pino(
    { base: null, timestamp: false, formatters: { level: (level) => ({ level }) } },
    { write: (line) => log.push(JSON.parse(line) as Record<string, unknown>) },
  );
  const repeated = new RepeatedWarning(logger, () => nowMs);
  pods = podObserver(metrics, logger, repeated);
  policies = policyObserver(metrics, repeated);
});

/** What a scrape shows of one series; undefined if there is none. */
async function seriesOf(name: string): Promise<number | undefined> {
  const line = (await metrics.registry.metrics()).split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

const WITHDRAWN = podCondition({ status: 'False', reason: 'HeartbeatExpired', message: 'web-0 is silent.' });

const STORM: Storm = {
  scope: 'node',
  name: 'n1',
  beganMs: 0,
  silentCount: 6,
  reportedCount: 0,
  liveCount: 8,
  windowMs: 30_000,
  factor: undefined,
};

describe('A write to a Pod', () => {
  it('is counted by what was written, and is one line that says from what to what', async () => {
    const before = pod('web-0', { condition: podCondition() });
    pods.podWritten(before, WITHDRAWN, { tookMs: 10, delayMs: 250, instances: [] });
    expect(await seriesOf('heartbeat_operator_pod_writes_total{status="False",reason="HeartbeatExpired"}')).toBe(1);
    expect(log).toEqual([
      {
        level: 'info',
        pod: 'default/web-0',
        from: 'True',
        to: 'False',
        reason: 'HeartbeatExpired',
        message: 'web-0 is silent.',
        msg: 'pod condition written',
      },
    ]);
  });

  it('to a Pod that had no condition comes from None', () => {
    pods.podWritten(pod('web-0'), podCondition(), { tookMs: 10, delayMs: undefined, instances: [] });
    expect(log).toMatchObject([{ from: 'None', to: 'True' }]);
  });

  it('counts as a delay, in seconds, only when a deadline was the cause', async () => {
    pods.podWritten(pod('web-0'), WITHDRAWN, { tookMs: 10, delayMs: 250, instances: [] });
    pods.podWritten(pod('web-0'), podCondition(), { tookMs: 10, delayMs: undefined, instances: [] });
    expect(await seriesOf('heartbeat_operator_pod_detection_delay_seconds_count')).toBe(1);
    expect(await seriesOf('heartbeat_operator_pod_detection_delay_seconds_sum')).toBe(0.25);
  });

  it.each(['absent', 'throttled', 'unreachable', 'refused'] as const)(
    'that came to %s is counted as that, and as no write',
    async (result) => {
      pods.podWriteFailed(pod('web-0'), WITHDRAWN, result);
      expect(await seriesOf(`heartbeat_operator_pod_write_failures_total{result="${result}"}`)).toBe(1);
      expect(await seriesOf('heartbeat_operator_pod_writes_total{status="False",reason="HeartbeatExpired"}')).toBe(0);
    },
  );
});

describe('Ready', () => {
  it('that followed is a delay in seconds, and no line', async () => {
    pods.readyFollowed(pod('web-0'), 80);
    expect(await seriesOf('heartbeat_operator_pod_ready_delay_seconds_sum')).toBe(0.08);
    expect(log).toEqual([]);
  });

  it('that did not is counted each time, and warned of once a minute with how often it was left out', async () => {
    for (const name of ['web-0', 'web-1', 'web-2']) pods.readyDidNotFollow(pod(name));
    nowMs = MINUTE;
    pods.readyDidNotFollow(pod('web-3'));
    expect(await seriesOf('heartbeat_operator_pod_ready_unconfirmed_total')).toBe(4);
    expect(log).toMatchObject([
      { level: 'warn', pod: 'default/web-0' },
      { level: 'warn', pod: 'default/web-3', suppressed: 2 },
    ]);
  });
});

describe('A storm', () => {
  it('is counted by its kind when it begins, and says what was found', async () => {
    pods.stormBegan(STORM);
    expect(await seriesOf('heartbeat_operator_storms_total{group="node"}')).toBe(1);
    expect(await seriesOf('heartbeat_operator_storms_total{group="workload"}')).toBe(0);
    expect(log).toMatchObject([
      { level: 'warn', group: 'node', name: 'n1', message: '6 of 8 Pods on the node n1 fell silent within 30 s.' },
    ]);
  });

  it('that ended is a line that says why, and is not counted again', async () => {
    pods.stormEnded(STORM, 'maximumDuration');
    expect(await seriesOf('heartbeat_operator_storms_total{group="node"}')).toBe(0);
    expect(log).toMatchObject([{ level: 'warn', group: 'node', name: 'n1', why: 'maximumDuration' }]);
  });
});

describe('A hold', () => {
  it('is warned of once a minute for each brake, so that one does not hide another', () => {
    pods.podHeld(pod('web-0'), { reason: 'StormHold', message: 'a storm' });
    pods.podHeld(pod('web-1'), { reason: 'StormHold', message: 'a storm' });
    pods.podHeld(pod('web-2'), { reason: 'MinimumHealthyFloor', message: 'the last one' });
    expect(log.map(({ pod, reason }) => [pod, reason])).toEqual([
      ['default/web-0', 'StormHold'],
      ['default/web-2', 'MinimumHealthyFloor'],
    ]);
  });

  it('that ends is no line', () => {
    pods.podHeld(pod('web-0'), undefined);
    expect(log).toEqual([]);
  });
});

it('An identity conflict is counted, and warned of with the whole identity and the sender', async () => {
  pods.identityConflict(key('cart-1'), addressSender('10.0.0.9'));
  expect(await seriesOf('heartbeat_operator_identity_conflicts_total')).toBe(1);
  expect(log).toMatchObject([
    { domain: 'acme', projectId: 'shop', serviceId: 'cart', instanceId: 'cart-1', sender: '10.0.0.9' },
  ]);
});

describe('Reconciling a Pod', () => {
  it('is counted apart from that of instances', async () => {
    pods.reconciled('success', 20);
    expect(await seriesOf('controller_runtime_reconcile_total{controller="pod",result="success"}')).toBe(1);
    expect(await seriesOf('controller_runtime_reconcile_total{controller="heartbeatinstance",result="success"}')).toBe(
      0,
    );
  });

  it('that failed is warned of with the uid of the Pod', () => {
    pods.failed('uid-of-web-0', { kind: 'refused', reason: 'Forbidden', message: 'no' }, 3);
    expect(log).toMatchObject([{ level: 'warn', controller: 'pod', podUid: 'uid-of-web-0', failures: 3, error: 'no' }]);
  });

  it('that threw is an error with its stack, and a panic of the controller of Pods', async () => {
    pods.failed('uid-of-web-0', { kind: 'threw', error: new Error('mistake') }, 1);
    expect(await seriesOf('controller_runtime_reconcile_panics_total{controller="pod"}')).toBe(1);
    expect(log).toMatchObject([{ level: 'error', podUid: 'uid-of-web-0', error: expect.stringContaining('mistake') }]);
  });
});

describe('The status of a policy', () => {
  it('that was written is counted, and is no line', async () => {
    policies.policyWritten(policy('all'), policy('all'));
    expect(await seriesOf('heartbeat_operator_policy_writes_total')).toBe(1);
    expect(log).toEqual([]);
  });

  it.each([
    { of: policy('all'), named: { policy: 'default/all' } },
    { of: undefined, named: {} },
  ])('that could not be is warned of with its name, if it is about one: $named', async ({ of, named }) => {
    policies.policyFailed(of, 'no');
    expect(await seriesOf('heartbeat_operator_policy_writes_total')).toBe(0);
    expect(log).toEqual([{ level: 'warn', ...named, error: 'no', msg: 'status of a policy not written' }]);
  });
});
