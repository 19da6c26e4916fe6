import { expect, it } from 'vitest';
import { retryDelayMs } from '../../src/controller/retry-backoff.ts';

it.each([
  [1, 5],
  [2, 10],
  [3, 20],
  [10, 2_560],
  [14, 40_960],
  [15, 60_000],
  [16, 60_000],
  [2_000, 60_000],
])('a key that failed %d times in a row waits %d ms', (failures, delayMs) => {
  expect(retryDelayMs(failures)).toBe(delayMs);
});
