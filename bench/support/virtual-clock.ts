import type { Cancel, Clock } from '../../src/clock.ts';

interface Alarm {
  readonly atMs: number;
  readonly task: () => void;
}

/** The turns of the real event loop in which everything that an alarm set off comes to rest. */
const TURNS_AFTER_ALARM = 4;

/** Time that passes as fast as the work in it is done. */
export class VirtualClock implements Clock {
  readonly #alarms = new Set<Alarm>();
  readonly #startWallMs = Date.UTC(2026, 0, 1);
  #nowMs = 0;

  nowMs = (): number => this.#nowMs;
  wallMs = (): number => this.#startWallMs + this.#nowMs;
  turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  schedule = (delayMs: number, task: () => void): Cancel => {
    const alarm = { atMs: this.#nowMs + Math.max(0, delayMs), task };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  };

  /** Lets time pass until `untilMs`, and everything happen that is due on the way, in order. */
  async runUntil(untilMs: number): Promise<void> {
    for (let alarm = this.#next(); alarm !== undefined && alarm.atMs <= untilMs; alarm = this.#next()) {
      this.#alarms.delete(alarm);
      this.#nowMs = Math.max(this.#nowMs, alarm.atMs);
      alarm.task();
      for (let turn = 0; turn < TURNS_AFTER_ALARM; turn += 1) await this.turn();
    }
    this.#nowMs = untilMs;
  }

  /** A handful wait at any time: they need no heap. */
  #next(): Alarm | undefined {
    let next: Alarm | undefined;
    for (const alarm of this.#alarms) if (next === undefined || alarm.atMs < next.atMs) next = alarm;
    return next;
  }
}
