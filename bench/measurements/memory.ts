import { join } from 'node:path';
import { type Figure, figure, type Measurement } from '../measurement.ts';
import { Child } from '../processes/child-process.ts';
import type { MemoryInUse } from '../processes/operator-memory.ts';
import { median } from '../support/statistics.ts';
import { writeStoredFleet } from '../support/stored-fleet.ts';
import { inTemporaryFolder } from '../support/temporary-folder.ts';

const ENGINE = new URL('../processes/engine-memory.ts', import.meta.url);
const OPERATOR = new URL('../processes/operator-memory.ts', import.meta.url);

const INSTANCES = 100_000;
const FEW_INSTANCES = 100;

/** What an instance takes: in the engine, and in a process that has it in its cache and its engine. */
export const memory: Measurement = {
  name: 'memory',
  title: `memory of ${INSTANCES} instances`,
  run: ({ isQuick, report }) => inTemporaryFolder((folder) => measure(folder, isQuick ? 1 : 3, report)),
};

async function measure(folder: string, rounds: number, report: (line: string) => void): Promise<readonly Figure[]> {
  const fleetOf = async (instances: number): Promise<object> => {
    const file = join(folder, String(instances));
    await writeStoredFleet(file, { instances, ttlSeconds: 120 });
    return { file, instances };
  };
  const fewStored = await fleetOf(FEW_INSTANCES);
  const manyStored = await fleetOf(INSTANCES);
  const engine: number[] = [];
  const processBytes: number[] = [];
  const withReserve: number[] = [];
  const live: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    engine.push(await askFresh<number>(ENGINE, 'bytesPerInstance', INSTANCES));
    const few = await askFresh<MemoryInUse>(OPERATOR, 'memoryInUse', fewStored);
    const many = await askFresh<MemoryInUse>(OPERATOR, 'memoryInUse', manyStored);
    processBytes.push(perInstance(few.bare.rss, many.bare.rss));
    withReserve.push(perInstance(few.withReserve.rss, many.withReserve.rss));
    live.push(perInstance(liveBytes(few.bare), liveBytes(many.bare)));
    report(
      `engine ${engine.at(-1)?.toFixed(0)} B; process ${megabytes(few.bare.rss)} to ${megabytes(many.bare.rss)} MB, with V8's reserve ${megabytes(few.withReserve.rss)} to ${megabytes(many.withReserve.rss)} MB`,
    );
  }
  return [
    figure('bytes per instance, engine', median(engine), 'B'),
    figure('bytes per instance, process', median(processBytes), 'B'),
    figure("bytes per instance, process with V8's reserve", median(withReserve), 'B'),
    figure('bytes per instance, live in the process', median(live), 'B'),
  ];
}

function perInstance(few: number, many: number): number {
  return (many - few) / (INSTANCES - FEW_INSTANCES);
}

function liveBytes({ heapUsed, external }: NodeJS.MemoryUsage): number {
  return heapUsed + external;
}

async function askFresh<Result>(script: URL, question: string, argument: unknown): Promise<Result> {
  const child = new Child(script, { flags: ['--expose-gc'] });
  try {
    return await child.ask<Result>(question, argument);
  } finally {
    await child.end();
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}
