import type { Cancel, Clock } from '../../src/clock.ts';

/** A Sunday in 2025; any moment that is no round number of anything. */
const WALL_START_MS = 1_763_000_000_123;

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
}

/**
 * A clock that stands still until a test moves it.
 *
 * `advance` is time as it should pass: each timer runs at its exact moment. `stall` is time in which the process was
 * stopped: it passes first, and every timer that fell due runs late. `jumpWall` is somebody who sets the calendar.
 * All that was set in motion has come to rest when they resolve.
 */
export class FakeClock implements Clock {
  #nowMs = 0;
  #wallMs = WALL_START_MS;
  #timers: Timer[] = [];
  #scheduled = 0;
  #arrivals: (() => void)[] = [];

  readonly nowMs = (): number => this.#nowMs;
  readonly wallMs = (): number => this.#wallMs;

  schedule(delayMs: number, task: () => void): Cancel {
    this.#scheduled += 1;
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#scheduled, task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  async turn(): Promise<void> {
    await Promise.resolve();
    for (const arrive of this.#arrivals.splice(0)) arrive();
  }

  /** When each timer that is set will run, earliest first. */
  get timers(): readonly number[] {
    return this.#timers.map((timer) => timer.atMs).sort((a, b) => a - b);
  }

  /** Something that lies in a socket's buffer: it is read in the next turn of the event loop that somebody asks for. */
  arriveOnTurn(task: () => void): void {
    this.#arrivals.push(task);
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    // Work may take longer than the time that was to pass; then what falls due meanwhile runs as well.
    const untilMs = (): number => Math.max(endMs, this.#nowMs);
    for (let timer = this.#takeDue(untilMs()); timer !== undefined; timer = this.#takeDue(untilMs())) {
      this.#moveTo(Math.max(this.#nowMs, timer.atMs));
      timer.task();
      await settle();
    }
    this.#moveTo(untilMs());
    await settle();
  }

  async stall(ms: number): Promise<void> {
    await settle();
    this.work(ms);
    await this.advance(0);
  }

  /** Work that takes so long, and lets nothing else run meanwhile. */
  work(ms: number): void {
    this.#moveTo(this.#nowMs + ms);
  }

  jumpWall(ms: number): void {
    this.#wallMs += ms;
  }

  /** A new process: no timer is set, monotonic time has a new start, and the calendar goes on. */
  startAnew(): void {
    this.#timers = [];
    this.#arrivals = [];
    this.#nowMs = 0;
  }

  #takeDue(endMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs > endMs) continue;
      if (first === undefined || timer.atMs < first.atMs || (timer.atMs === first.atMs && timer.order < first.order)) {
        first = timer;
      }
    }
    if (first !== undefined) this.#timers = this.#timers.filter((other) => other !== first);
    return first;
  }

  #moveTo(nowMs: number): void {
    this.#wallMs += nowMs - this.#nowMs;
    this.#nowMs = nowMs;
  }
}

/** Resolves when no promise has anything left to do: the event loop turns only when all of them rest. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
