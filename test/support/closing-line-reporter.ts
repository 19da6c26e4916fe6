import type { Reporter, SerializedError, TestModule, Vitest } from 'vitest/node';

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Ends the output of a run with one line that says how it went: `N passed, N failed`, and `, N skipped` when some
 * were.
 *
 * The default reporter prints at the end of the run as well, and the teardown of a global setup may print after it.
 * So our line waits for the exit of the process; in watch mode, where there is none, it comes at once.
 */
export default class ClosingLineReporter implements Reporter {
  #vitest: Vitest | undefined;
  #line = closingLine({ passed: 0, failed: 0, skipped: 0 });

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
    if (!vitest.config.watch) {
      process.once('exit', () => process.stdout.write(this.#line));
    }
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    this.#line = closingLine(countTests(modules, unhandledErrors.length));
    if (this.#vitest?.config.watch === true) {
      process.stdout.write(this.#line);
    }
  }
}

/** A test that was never run, because the run was cut short, counts as skipped. */
export function countTests(modules: readonly TestModule[], unhandledErrorCount: number): TestCounts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const module of modules) {
    const failedBefore = counts.failed;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      counts[state === 'pending' ? 'skipped' : state] += 1;
    }
    // A file that cannot be loaded or whose hook fails has no failed test of its own, and must not pass for a good one.
    if (module.state() === 'failed' && counts.failed === failedBefore) {
      counts.failed += 1;
    }
  }
  // They fail the run as a failed test does.
  return { ...counts, failed: counts.failed + unhandledErrorCount };
}

export function closingLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`;
}
