import { figure, type Figure, type Measurement, type MeasurementOptions } from '../measurement.ts';
import { Child } from '../processes/child-process.ts';
import type { LoadOptions, LoadResult } from '../processes/load-generator.ts';
import { median } from '../support/statistics.ts';

const INSTANCES = 10_000;
const CONNECTIONS = 64;
/** The whole fleet is heard, and so known, well within this. */
const APPEAR_MS = 1_500;
/** The code is compiled for what it does from now on: known instances. */
const WARM_UP_MS = 3_000;
/** Short, so that what slows the machine for a while slows both. */
const SLICE_MS = 400;
const SLICES = 6;

const SERVERS = {
  operator: new URL('../processes/operator-server.ts', import.meta.url),
  bare: new URL('../processes/bare-server.ts', import.meta.url),
} as const;
const GENERATOR = new URL('../processes/load-generator.ts', import.meta.url);

interface Slice {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Pair {
  readonly operator: Slice;
  readonly bare: Slice;
}

/**
 * What a heartbeat costs, beside what the barest server of Node costs for the same request.
 *
 * Both servers are loaded in turn, and only neighbours in time are compared. One process may be compiled and laid out
 * better than the next, so there are many. CPU time is what counts: others on the
 * machine change throughput and latency, but that less.
 */
export const heartbeats: Measurement = {
  name: 'heartbeats',
  title: `heartbeats of ${INSTANCES} known instances over ${CONNECTIONS} connections`,
  async run({ isQuick, report }: MeasurementOptions) {
    const pairs: Pair[] = [];
    for (let round = 0; round < (isQuick ? 2 : 9); round += 1) {
      const ofRound = await measureRound();
      pairs.push(...ofRound);
      report(
        `CPU of a heartbeat: operator ${middle(ofRound, 'operator', 'cpuMicroseconds').toFixed(1)} µs, bare server ${middle(ofRound, 'bare', 'cpuMicroseconds').toFixed(1)} µs, ratio ${middleRatio(ofRound, 'cpuMicroseconds').toFixed(2)}`,
      );
    }
    return figures(pairs);
  },
};

async function measureRound(): Promise<readonly Pair[]> {
  const operator = new LoadedServer(SERVERS.operator);
  const bare = new LoadedServer(SERVERS.bare);
  try {
    await operator.warmUp();
    await bare.warmUp();
    const pairs: Pair[] = [];
    for (let index = 0; index < SLICES; index += 1) {
      if (index % 2 === 0) {
        pairs.push({ operator: await operator.measure(), bare: await bare.measure() });
      } else {
        const first = await bare.measure();
        pairs.push({ operator: await operator.measure(), bare: first });
      }
    }
    return pairs;
  } finally {
    await Promise.all([operator.end(), bare.end()]);
  }
}

/** A server on a core of its own, and a generator on the other. */
class LoadedServer {
  readonly #server: Child;
  readonly #generator = new Child(GENERATOR, { core: 1 });

  constructor(script: URL) {
    this.#server = new Child(script, { core: 0 });
  }

  async warmUp(): Promise<void> {
    const port = await this.#server.ask<number>('start');
    const options: LoadOptions = { port, connections: CONNECTIONS, instances: INSTANCES };
    await this.#generator.ask('connect', options);
    await this.#generator.ask('load', APPEAR_MS);
    await this.#server.ask('settle');
    await this.#generator.ask('load', WARM_UP_MS);
  }

  async measure(): Promise<Slice> {
    const before = await this.#server.ask<NodeJS.CpuUsage>('cpuUsage');
    const { answered, seconds, p50Ms, p99Ms } = await this.#generator.ask<LoadResult>('load', SLICE_MS);
    const after = await this.#server.ask<NodeJS.CpuUsage>('cpuUsage');
    const cpuMicroseconds = (after.user - before.user + after.system - before.system) / answered;
    return { perSecond: answered / seconds, cpuMicroseconds, p50Ms, p99Ms };
  }

  async end(): Promise<void> {
    await Promise.all([this.#server.end(), this.#generator.end()]);
  }
}

function middle(pairs: readonly Pair[], server: keyof Pair, name: keyof Slice): number {
  return median(pairs.map((pair) => pair[server][name]));
}

function middleRatio(pairs: readonly Pair[], name: keyof Slice): number {
  return median(pairs.map(({ operator, bare }) => operator[name] / bare[name]));
}

function figures(pairs: readonly Pair[]): readonly Figure[] {
  return [
    figure('CPU of a heartbeat, operator to bare server', middleRatio(pairs, 'cpuMicroseconds')),
    figure('throughput, operator to bare server', middleRatio(pairs, 'perSecond')),
    figure('CPU of a heartbeat, operator', middle(pairs, 'operator', 'cpuMicroseconds'), 'µs'),
    figure('CPU of a heartbeat, bare server', middle(pairs, 'bare', 'cpuMicroseconds'), 'µs'),
    figure('heartbeats a second, operator', middle(pairs, 'operator', 'perSecond'), '/s'),
    figure('heartbeats a second, bare server', middle(pairs, 'bare', 'perSecond'), '/s'),
    figure('p50 latency, operator', middle(pairs, 'operator', 'p50Ms'), 'ms'),
    figure('p50 latency, bare server', middle(pairs, 'bare', 'p50Ms'), 'ms'),
    figure('p99 latency, operator', middle(pairs, 'operator', 'p99Ms'), 'ms'),
    figure('p99 latency, bare server', middle(pairs, 'bare', 'p99Ms'), 'ms'),
  ];
}
