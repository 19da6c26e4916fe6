import { describe, expect, it } from 'vitest';
import { timeToLiveSeconds } from '../../src/liveness/time-to-live.ts';

describe('The time to live', () => {
  it.each([
    { intervalSeconds: 30, times: 3, seconds: 120 },
    { intervalSeconds: 1, times: 0, seconds: 1 },
    { intervalSeconds: 0.5, times: 1, seconds: 1 },
    { intervalSeconds: 5, times: 2, seconds: 15 },
    { intervalSeconds: 86_400, times: 1_000, seconds: 86_486_400 },
  ])('of an interval of $intervalSeconds s of which $times may be missed is $seconds s', (row) => {
    expect(timeToLiveSeconds(row)).toBe(row.seconds);
  });

  it.each([
    { intervalSeconds: 0, times: 3 },
    { intervalSeconds: -1, times: 3 },
    { intervalSeconds: Number.NaN, times: 3 },
    { intervalSeconds: 30, times: -1 },
    { intervalSeconds: 30, times: Number.NaN },
  ])('does not exist for an interval of $intervalSeconds s and $times times', (timing) => {
    expect(() => timeToLiveSeconds(timing)).toThrow(RangeError);
  });
});
