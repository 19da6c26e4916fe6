import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { HOUR } from '../support/builders.ts';

/** A timer of Node that is set for longer than 2^31 - 1 milliseconds fires at once. */
describe("The system's clock", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('runs a task once, after its time', () => {
    let runs = 0;
    systemClock.schedule(1_000, () => {
      runs += 1;
    });
    vi.advanceTimersByTime(999);
    expect(runs).toBe(0);
    vi.advanceTimersByTime(100_000);
    expect(runs).toBe(1);
  });

  it('keeps a wait of a year, which is longer than a timer of Node can', () => {
    let runs = 0;
    systemClock.schedule(365 * 24 * HOUR, () => {
      runs += 1;
    });
    vi.advanceTimersByTime(364 * 24 * HOUR);
    expect(runs).toBe(0);
    vi.advanceTimersByTime(2 * 24 * HOUR);
    expect(runs).toBe(1);
  });

  it.each([HOUR, 40 * 24 * HOUR])('does not run a task of %d ms that was cancelled, however late', (delayMs) => {
    let runs = 0;
    const cancel = systemClock.schedule(delayMs, () => {
      runs += 1;
    });
    vi.advanceTimersByTime(delayMs - 1);
    cancel();
    vi.advanceTimersByTime(100 * 24 * HOUR);
    expect(runs).toBe(0);
  });
});
