import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { judge } from './budgets.ts';
import type { Figure, Measurement } from './measurement.ts';
import { heartbeats } from './measurements/heartbeats.ts';
import { memory } from './measurements/memory.ts';
import { stalls } from './measurements/stalls.ts';
import { startUp } from './measurements/start-up.ts';
import { verdicts } from './measurements/verdicts.ts';
import { writes } from './measurements/writes.ts';
import { brokenBudgets, figureTable } from './report.ts';

/** `npm run bench [-- --only <name>] [--quick]`: measures, prints, compares with the budgets. */

const MEASUREMENTS: readonly Measurement[] = [heartbeats, memory, stalls, verdicts, writes, startUp];
const RESULTS = new URL('results.json', import.meta.url);

const { only, quick } = parseArgs({
  options: { only: { type: 'string', multiple: true, default: [] }, quick: { type: 'boolean', default: false } },
}).values;
const unknown = only.filter((name) => !MEASUREMENTS.some((measurement) => measurement.name === name));
if (unknown.length > 0) {
  print(`no measurement ${unknown.join(', ')}; there are: ${MEASUREMENTS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const chosen = MEASUREMENTS.filter(({ name }) => only.length === 0 || only.includes(name));
const figures: Figure[] = [];
const failures: string[] = [];
for (const measurement of chosen) {
  const { name, title } = measurement;
  print(`${name}: ${title}`);
  try {
    figures.push(...(await measurement.run({ isQuick: quick, report: (line) => print(`  ${line}`) })));
  } catch (error) {
    // The others are measured all the same; budgets without a figure count as broken.
    failures.push(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
  }
}

const results = judge(
  figures,
  chosen.map(({ name }) => name),
);
print(`\n${figureTable(figures, results)}\n`);
writeFileSync(
  RESULTS,
  `${JSON.stringify({ node: process.version, platform: process.platform, isQuick: quick, figures, budgets: results }, undefined, 2)}\n`,
);
const complaints = [...failures, ...brokenBudgets(results)];
for (const complaint of complaints) print(complaint);
process.exitCode = complaints.length === 0 ? 0 : 1;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
