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

/** The longest wait of a Node timer; a longer one would fire at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  schedule(delayMs, task) {
    if (delayMs > TIMER_MAX_MS) {
      let cancel = systemClock.schedule(TIMER_MAX_MS, () => {
        cancel = systemClock.schedule(delayMs - TIMER_MAX_MS, task);
      });
      return () => cancel();
    }
    const timer = setTimeout(task, Math.max(0, delayMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
};
