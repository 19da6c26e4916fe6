import { type Cancel, type Clock, systemClock } from '../../src/clock.ts';

/** The system's clock, but its monotonic time can stand still for a while: what happens meanwhile happens in one moment. */
export class HaltingClock implements Clock {
  #lostMs = 0;
  #haltedAtMs: number | undefined;

  nowMs = (): number => (this.#haltedAtMs ?? systemClock.nowMs()) - this.#lostMs;
  wallMs = (): number => systemClock.wallMs();
  schedule = (delayMs: number, task: () => void): Cancel => systemClock.schedule(delayMs, task);
  turn = (): Promise<void> => systemClock.turn();

  halt(): void {
    this.#haltedAtMs ??= systemClock.nowMs();
  }

  resume(): void {
    if (this.#haltedAtMs === undefined) return;
    this.#lostMs += systemClock.nowMs() - this.#haltedAtMs;
    this.#haltedAtMs = undefined;
  }
}
