import { join } from 'node:path';
import { fetch } from 'undici';
import { type Figure, figure, type Measurement } from '../measurement.ts';
import { Child } from '../processes/child-process.ts';
import type { Stalls } from '../support/stall-sampler.ts';
import { median } from '../support/statistics.ts';
import { writeStoredFleet } from '../support/stored-fleet.ts';
import { inTemporaryFolder } from '../support/temporary-folder.ts';

const INSTANCES = 100_000;
/** Long enough to scrape in peace. */
const LONG_TTL_SECONDS = 3_600;
/** Deadlines fall due this long after the fleet was taken in. */
const SHORT_TTL_SECONDS = 4;
const SCRAPES = 20;

const OPERATOR = new URL('../processes/operator-stalls.ts', import.meta.url);
const ENGINE = new URL('../processes/moved-deadlines.ts', import.meta.url);

/** How long the event loop stands still, and so how long a heartbeat waits at worst. */
export const stalls: Measurement = {
  name: 'stalls',
  title: `longest stalls of the event loop with ${INSTANCES} instances`,
  run: ({ isQuick, report }) => inTemporaryFolder((folder) => measure(folder, isQuick ? 1 : 3, report)),
};

async function measure(folder: string, rounds: number, report: (line: string) => void): Promise<readonly Figure[]> {
  const longLived = join(folder, 'long');
  const shortLived = join(folder, 'short');
  await writeStoredFleet(longLived, { instances: INSTANCES, ttlSeconds: LONG_TTL_SECONDS });
  await writeStoredFleet(shortLived, { instances: INSTANCES, ttlSeconds: SHORT_TTL_SECONDS });
  const results = new Map<string, Stalls[]>();
  const note = (name: string, result: Stalls): void => {
    results.set(name, [...(results.get(name) ?? []), result]);
    report(
      `${name}: ${result.longestMs.toFixed(1)} ms, by the clock ${result.longestWallMs.toFixed(1)} ms, major collection ${result.longestMajorCollectionMs.toFixed(1)} ms, ${result.turns} turns`,
    );
  };
  for (let round = 0; round < rounds; round += 1) {
    await measureSilence(shortLived, note);
    await measureMovedDeadlines(note);
    await measureReading(longLived, note);
  }
  return [...results].flatMap(([name, list]) => [
    figure(`longest stall, ${name}`, median(list.map(({ longestMs }) => longestMs)), 'ms'),
    figure(`longest stall by the clock, ${name}`, median(list.map(({ longestWallMs }) => longestWallMs)), 'ms'),
    figure(
      `longest major collection, ${name}`,
      median(list.map(({ longestMajorCollectionMs }) => longestMajorCollectionMs)),
      'ms',
    ),
  ]);
}

type Note = (name: string, result: Stalls) => void;

async function measureSilence(file: string, note: Note): Promise<void> {
  await withChild(OPERATOR, async (operator) => {
    await operator.ask('load', { file, instances: INSTANCES, ttlSeconds: SHORT_TTL_SECONDS, atOnce: true });
    note('mass silence', await operator.ask<Stalls>('massSilence', INSTANCES));
  });
}

async function measureMovedDeadlines(note: Note): Promise<void> {
  await withChild(ENGINE, async (engine) => note('deadlines that moved', await engine.ask<Stalls>('sweep', INSTANCES)));
}

async function measureReading(file: string, note: Note): Promise<void> {
  await withChild(OPERATOR, async (operator) => {
    const { managementPort, stalls } = await operator.ask<{ managementPort: number; stalls: Stalls }>('load', {
      file,
      instances: INSTANCES,
      ttlSeconds: LONG_TTL_SECONDS,
      atOnce: false,
    });
    note('taking in the fleet', stalls);
    await operator.ask('startSampling');
    await scrape(`http://127.0.0.1:${managementPort}`);
    note('scrapes and pages', await operator.ask<Stalls>('stopSampling'));
    note('listing anew', await operator.ask<Stalls>('listAnew'));
  });
}

/** What Prometheus and people ask for; pages from the beginning, the middle and the end. */
async function scrape(management: string): Promise<void> {
  for (let round = 0; round < SCRAPES; round += 1) {
    for (const path of [
      '/metrics',
      '/instances',
      '/instances?limit=500',
      `/instances?limit=500&continue=${INSTANCES / 2}`,
      `/instances?limit=500&continue=${INSTANCES - 500}`,
    ]) {
      const answer = await fetch(management + path);
      await answer.text();
      if (!answer.ok) throw new Error(`GET ${path}: ${answer.status}`);
    }
  }
}

async function withChild(script: URL, work: (child: Child) => Promise<void>): Promise<void> {
  const child = new Child(script);
  try {
    await work(child);
  } finally {
    await child.end();
  }
}
