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
  /**
   * Resolves when what had already arrived on the sockets has been read and handled.
   * A verdict waits for this, so that a heartbeat which lies in a buffer counts.
   */
  settle(): Promise<void>;
}

export type Cancel = () => void;

/**
 * The turns of the event loop that bring a heartbeat from the kernel to its handler: one accepts the connection,
 * one reads the request, one is spare.
 */
const SETTLE_TURNS = 3;

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  schedule(delayMs, task) {
    const timer = setTimeout(task, Math.max(0, delayMs));
    timer.unref();
    return () => clearTimeout(timer);
  },
  async settle() {
    for (let turn = 0; turn < SETTLE_TURNS; turn += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  },
};
