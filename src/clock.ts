/**
 * The one door to time. Decisions use `nowMs`, which only ever moves forward and knows nothing of the calendar;
 * `wallMs` is for showing a moment to people and for the coarse timestamps of objects.
 */
export interface Clock {
  /** Monotonic milliseconds since an arbitrary start, with a fraction. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch. May jump in both directions; decides nothing about liveness. */
  wallMs(): number;
  /** Runs `task` once after `delayMs` at the earliest. Does not keep the process alive. */
  schedule(delayMs: number, task: () => void): Cancel;
  /** Resolves after one turn of the event loop: what waits on the sockets gets its chance. */
  turn(): Promise<void>;
}

export type Cancel = () => void;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  schedule(delayMs, task) {
    const timer = setTimeout(task, Math.max(0, delayMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
};
