import { expect, test } from 'vitest';
import type { TestModule } from 'vitest/node';
import { closingLine, countTests } from './closing-line-reporter.ts';

type TestState = 'passed' | 'failed' | 'skipped' | 'pending';

/** The parts of a module that the reporter looks at. */
function moduleOf(state: 'passed' | 'failed', testStates: readonly TestState[]): TestModule {
  return {
    state: () => state,
    children: { allTests: () => testStates.map((state) => ({ result: () => ({ state }) })) },
  } as unknown as TestModule;
}

test('the tests of all files are added up', () => {
  const modules = [moduleOf('passed', ['passed', 'skipped']), moduleOf('failed', ['passed', 'failed', 'pending'])];

  expect(countTests(modules, 0)).toEqual({ passed: 2, failed: 1, skipped: 2 });
});

test('a file that failed without a failed test counts as one, so that the line cannot look good', () => {
  expect(countTests([moduleOf('failed', ['skipped'])], 0)).toEqual({ passed: 0, failed: 1, skipped: 1 });
});

test('an error outside of all tests counts as a failed one', () => {
  expect(countTests([moduleOf('passed', ['passed'])], 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test('skipped tests are named only when there are some', () => {
  expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe('3 passed, 0 failed\n');
  expect(closingLine({ passed: 3, failed: 1, skipped: 2 })).toBe('3 passed, 1 failed, 2 skipped\n');
});
