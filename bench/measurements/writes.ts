import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import { SETTINGS } from '../../src/config/settings.ts';
import { refreshMs } from '../../src/controller/refresher.ts';
import type { ControlPlane } from '../../test/control-plane/control-plane.ts';
import { type Figure, figure, type Measurement, type MeasurementOptions } from '../measurement.ts';
import { Child } from '../processes/child-process.ts';
import type { ClusterOperatorOptions } from '../processes/operator-on-cluster.ts';
import type { VirtualFleetResult } from '../processes/virtual-fleet.ts';
import { sendBatch } from '../support/batch.ts';
import { countedWrites, storedInstances, untilHealthy, withCluster } from '../support/bench-cluster.ts';
import { heartbeatPath, identityAt } from '../support/fleet.ts';

const INSTANCES = 1_000;
const INTERVAL_SECONDS = 10;
const APPEARED_WITHIN_MS = 120_000;

const OPERATOR = new URL('../processes/operator-on-cluster.ts', import.meta.url);
const VIRTUAL = new URL('../processes/virtual-fleet.ts', import.meta.url);

/** What a fleet in which nothing happens costs the API server. */
export const writes: Measurement = {
  name: 'writes',
  title: `API writes of a steady fleet of ${INSTANCES}`,
  run: async (options) => [
    ...(await withCluster((controlPlane) => measureMinute(controlPlane, options))),
    ...(await measureVirtually()),
  ],
};

/** A minute on a real API server, which counts the writes itself. */
async function measureMinute(controlPlane: ControlPlane, { isQuick }: MeasurementOptions): Promise<readonly Figure[]> {
  const seconds = isQuick ? 20 : 60;
  const operator = new Child(OPERATOR, { environment: { KUBECONFIG: controlPlane.kubeconfig } });
  try {
    const timing: ClusterOperatorOptions = { intervalSeconds: INTERVAL_SECONDS, times: 3 };
    const port = await operator.ask<number>('start', timing);
    await untilHealthy(controlPlane, {
      instances: INSTANCES,
      withinMs: APPEARED_WITHIN_MS,
      meanwhile: () => sendBatch(port, Array(INSTANCES).keys()),
    });
    await beatSteadily(port, INTERVAL_SECONDS);
    const conditionsBefore = await conditions(controlPlane);
    const writesBefore = await countedWrites(controlPlane);
    await beatSteadily(port, seconds);
    const written = (await countedWrites(controlPlane)) - writesBefore;
    const conditionsAfter = await conditions(controlPlane);
    const changed = [...conditionsBefore].filter(([name, text]) => conditionsAfter.get(name) !== text).length;
    const computedPerSecond = INSTANCES / (refreshMs(INSTANCES, SETTINGS.statusWritesPerSecond.defaultValue) / 1000);
    return [
      figure('status writes a second, steady fleet', written / seconds, '/s'),
      figure('status writes a second, steady fleet, computed', computedPerSecond, '/s'),
      figure('condition changes, steady fleet', changed, 'changes'),
    ];
  } finally {
    await operator.end();
  }
}

async function measureVirtually(): Promise<readonly Figure[]> {
  const child = new Child(VIRTUAL);
  try {
    const result = await child.ask<VirtualFleetResult>('run', INSTANCES);
    return [
      figure('status writes a second, virtual half-hour', result.statusWrites / result.seconds, '/s'),
      figure('most status writes in a second, virtual half-hour', result.mostInOneSecond, 'writes'),
      figure('condition changes, virtual half-hour', result.conditionChanges, 'changes'),
    ];
  } finally {
    await child.end();
  }
}

/** Every instance sends its heartbeat once in each interval, evenly spread, over connections that are kept. */
async function beatSteadily(port: number, seconds: number): Promise<void> {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 8 });
  const periodMs = (INTERVAL_SECONDS * 1000) / INSTANCES;
  const beats = (seconds * 1000) / periodMs;
  const startMs = performance.now();
  for (let beat = 0; beat < beats; beat += 1) {
    const earlyMs = startMs + beat * periodMs - performance.now();
    if (earlyMs > 0) await delay(earlyMs);
    const identity = identityAt(beat % INSTANCES);
    const answer = await pool.request({
      method: 'PUT',
      path: heartbeatPath(identity),
      headers: { 'x-domain-name': identity.domain },
    });
    await answer.body.dump();
    if (answer.statusCode !== 200) throw new Error(`a heartbeat was answered with ${answer.statusCode}`);
  }
  await pool.close();
}

/** The conditions of every object as one text. */
async function conditions(controlPlane: ControlPlane): Promise<ReadonlyMap<string, string>> {
  const stored = await storedInstances(controlPlane);
  return new Map(stored.map(({ metadata, status }) => [metadata.name, JSON.stringify(status?.conditions)]));
}
