import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { resourceName } from '../../src/health/resource-name.ts';
import { keyOf } from '../../src/liveness/instance-key.ts';
import type { ControlPlane } from '../../test/control-plane/control-plane.ts';
import { type Figure, figure, type Measurement, type MeasurementOptions } from '../measurement.ts';
import type { BareClientOptions } from '../processes/bare-client.ts';
import { Child } from '../processes/child-process.ts';
import type { ClusterOperatorOptions } from '../processes/operator-on-cluster.ts';
import { sendBatch } from '../support/batch.ts';
import { INSTANCES_PATH, type StoredInstance, untilHealthy, withCluster } from '../support/bench-cluster.ts';
import { identityAt } from '../support/fleet.ts';
import { median, percentile } from '../support/statistics.ts';

const INSTANCES = 1_000;
/** As many as the operator has workers. */
const CONNECTIONS = 16;
const TTL_SECONDS = 10;
const SHORT_TTL_SECONDS = 1;
const GIVE_UP_MS = 120_000;

const OPERATOR = new URL('../processes/operator-on-cluster.ts', import.meta.url);
const BARE = new URL('../processes/bare-client.ts', import.meta.url);

/** How long after its deadline the verdict on a silent instance stands in a real API. */
export const verdicts: Measurement = {
  name: 'verdicts',
  title: 'from the deadline to the verdict in a real API server',
  run: (options) =>
    withCluster(async (controlPlane) => [
      ...(await measureOne(controlPlane, options)),
      ...(await measureMany(controlPlane, options)),
    ]),
};

/** One instance, seen from outside: from its last heartbeat and its time to live to the event of a watch. */
async function measureOne(controlPlane: ControlPlane, options: MeasurementOptions): Promise<readonly Figure[]> {
  const delays: number[] = [];
  const watch = await HealthyWatch.open(controlPlane, resourceName(keyOf(identityAt(INSTANCES))));
  const operator = new Child(OPERATOR, { environment: { KUBECONFIG: controlPlane.kubeconfig } });
  try {
    const port = await operator.ask<number>('start', timing(SHORT_TTL_SECONDS));
    for (let round = 0; round < (options.isQuick ? 5 : 11); round += 1) {
      await beatUntilHealthy(port, watch);
      const lastHeartbeatMs = performance.now();
      await sendBatch(port, [INSTANCES]);
      const seenMs = await watch.until('False');
      delays.push(seenMs - lastHeartbeatMs - SHORT_TTL_SECONDS * 1000);
    }
  } finally {
    await operator.end();
    await watch.close();
  }
  // The object goes, so that the fleet is alone.
  await controlPlane.request('DELETE', `${INSTANCES_PATH}/${resourceName(keyOf(identityAt(INSTANCES)))}`);
  options.report(`one instance: ${delays.map((delayMs) => delayMs.toFixed(0)).join(', ')} ms`);
  return [
    figure('deadline to verdict in the API, one instance, median', median(delays), 'ms'),
    figure('deadline to verdict in the API, one instance, longest', Math.max(...delays), 'ms'),
  ];
}

/** One heartbeat would do, but after a start nothing is written before all that is stored is known. */
async function beatUntilHealthy(port: number, watch: HealthyWatch): Promise<void> {
  const startMs = performance.now();
  while (watch.healthy !== 'True') {
    if (performance.now() - startMs > GIVE_UP_MS) throw new Error('no heartbeat made it healthy');
    await sendBatch(port, [INSTANCES]);
    await delay((SHORT_TTL_SECONDS * 1000) / 4);
  }
}

/** A thousand deadlines in one moment, beside a bare client that has to write as much. */
async function measureMany(controlPlane: ControlPlane, options: MeasurementOptions): Promise<readonly Figure[]> {
  const operator: number[][] = [];
  const bare: number[][] = [];
  const measureOperator = async (): Promise<void> => {
    operator.push(await silenceFleet(controlPlane));
  };
  const measureBare = async (): Promise<void> => {
    bare.push(await writeBare(controlPlane));
  };
  for (let round = 0; round < (options.isQuick ? 2 : 4); round += 1) {
    const [first, second] = round % 2 === 0 ? [measureOperator, measureBare] : [measureBare, measureOperator];
    await first();
    await second();
    options.report(`${INSTANCES} at once: operator ${spread(operator.at(-1))}, bare client ${spread(bare.at(-1))}`);
  }
  return [
    figure('p99 of 1,000 verdicts, operator to bare client', middle(operator, 99) / middle(bare, 99)),
    figure('p50 of 1,000 verdicts, operator', middle(operator, 50), 'ms'),
    figure('p50 of 1,000 verdicts, bare client', middle(bare, 50), 'ms'),
    figure('p99 of 1,000 verdicts, operator', middle(operator, 99), 'ms'),
    figure('p99 of 1,000 verdicts, bare client', middle(bare, 99), 'ms'),
  ];
}

/** The median over all rounds of one percentile. */
function middle(rounds: readonly (readonly number[])[], percent: number): number {
  return median(rounds.map((times) => percentile(times, percent)));
}

/** A fresh operator, a fleet that is healthy, and then is heard no more. */
async function silenceFleet(controlPlane: ControlPlane): Promise<number[]> {
  const operator = new Child(OPERATOR, { environment: { KUBECONFIG: controlPlane.kubeconfig } });
  try {
    const port = await operator.ask<number>('start', timing(TTL_SECONDS));
    const beat = (): Promise<void> => sendBatch(port, Array(INSTANCES).keys());
    await untilHealthy(controlPlane, { instances: INSTANCES, withinMs: GIVE_UP_MS, meanwhile: beat });
    await beat();
    const before = (await operator.ask<readonly number[]>('delaysMs')).length;
    const startMs = performance.now();
    for (;;) {
      const delays = (await operator.ask<readonly number[]>('delaysMs')).slice(before);
      if (delays.length >= INSTANCES) return delays;
      if (performance.now() - startMs > GIVE_UP_MS)
        throw new Error(`${delays.length} of ${INSTANCES} verdicts were written`);
      await delay(500);
    }
  } finally {
    await operator.end();
  }
}

async function writeBare(controlPlane: ControlPlane): Promise<number[]> {
  const { server, certificateAuthorityPem, adminToken } = controlPlane.connection;
  const client = new Child(BARE);
  try {
    const options: BareClientOptions = {
      server,
      certificateAuthorityPem,
      token: adminToken,
      instancesPath: INSTANCES_PATH,
      connections: CONNECTIONS,
    };
    return await client.ask<number[]>('writeAll', options);
  } finally {
    await client.end();
  }
}

function timing(ttlSeconds: number): ClusterOperatorOptions {
  return { intervalSeconds: ttlSeconds, times: 0 };
}

function spread(times: readonly number[] = []): string {
  return `p50 ${percentile(times, 50).toFixed(0)}, p99 ${percentile(times, 99).toFixed(0)} ms`;
}

/** What a watch of one object says of its health, with the moments at which it said so. */
class HealthyWatch {
  readonly #controller = new AbortController();
  readonly #agent: Agent;
  readonly #failed = Promise.withResolvers<never>();
  #healthy: string | undefined;
  #heard = Promise.withResolvers<void>();

  private constructor(agent: Agent) {
    this.#agent = agent;
  }

  static async open(controlPlane: ControlPlane, name: string): Promise<HealthyWatch> {
    const { server, certificateAuthorityPem, adminToken } = controlPlane.connection;
    const watch = new HealthyWatch(new Agent({ connect: { ca: certificateAuthorityPem }, bodyTimeout: 0 }));
    const answer = await request(`${server}${INSTANCES_PATH}?watch=1&fieldSelector=metadata.name%3D${name}`, {
      dispatcher: watch.#agent,
      headers: { authorization: `Bearer ${adminToken}` },
      signal: watch.#controller.signal,
    });
    if (answer.statusCode !== 200)
      throw new Error(`watching ${name}: ${answer.statusCode} ${await answer.body.text()}`);
    watch.#read(answer.body).catch(watch.#failed.reject);
    // Closing it is no failure, and then nobody asks.
    watch.#failed.promise.catch(() => undefined);
    return watch;
  }

  /** What was seen last. */
  get healthy(): string | undefined {
    return this.#healthy;
  }

  /** Resolves with the moment when the object is seen to be so. */
  async until(healthy: 'False'): Promise<number> {
    const expired = delay(GIVE_UP_MS, 'expired' as const, { ref: false });
    while (this.#healthy !== healthy) {
      this.#heard = Promise.withResolvers();
      if ((await Promise.race([this.#heard.promise, this.#failed.promise, expired])) === 'expired') {
        throw new Error(`healthy was not ${healthy} within ${GIVE_UP_MS / 1000} s`);
      }
    }
    return performance.now();
  }

  async close(): Promise<void> {
    this.#controller.abort();
    await this.#agent.destroy();
  }

  async #read(body: NodeJS.ReadableStream): Promise<void> {
    for await (const line of createInterface({ input: body })) {
      const { object } = JSON.parse(line) as { object: StoredInstance };
      this.#healthy = object.status?.healthy;
      this.#heard.resolve();
    }
  }
}
