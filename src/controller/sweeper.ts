import type { Cancel, Clock } from '../clock.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { LivenessEngine } from '../liveness/liveness-engine.ts';
import type { SelfDoubt } from '../liveness/self-doubt.ts';
import type { LoopObserver } from './ports.ts';

/**
 * How often the sweeper looks: a verdict is at most so much late, and a stall of the event loop shows as a missing beat.
 * A quarter of what counts as a stall.
 */
const BEAT_MS = 50;

/** Deadlines looked at in one turn of the event loop: about two milliseconds of work. */
const PER_TURN = 1_000;

/**
 * The turns of the event loop that bring a heartbeat from the kernel to the engine: one accepts the connection,
 * one reads the request, one is spare.
 */
const SETTLE_TURNS = 3;

/**
 * The heart's own beat: notices when we were deaf, and moves instances whose deadline has come to the queue.
 *
 * Timers run before sockets are read. So the moment of judgement is taken first, then what had arrived by then is
 * read, and only then is judged: a heartbeat that lay in a buffer counts.
 */
export class Sweeper {
  readonly #parts: SweeperParts;
  #cancel: Cancel | undefined;
  #isStopped = false;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#noteTurn();
    this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#parts.clock.schedule(BEAT_MS, () => {
      this.#beat().then(
        () => this.#schedule(),
        (error: unknown) => this.#parts.crash(error),
      );
    });
  }

  async #beat(): Promise<void> {
    const { engine, isJudging } = this.#parts;
    const nowMs = this.#noteTurn();
    if (!isJudging() || (engine.nextDueMs() ?? Number.POSITIVE_INFINITY) > nowMs) return;
    for (let turn = 0; turn < SETTLE_TURNS; turn += 1) await this.#turn();
    await this.#sweep(nowMs);
  }

  /** Hands over everything that was due at `judgedAtMs`, so much at a time. */
  async #sweep(judgedAtMs: number): Promise<void> {
    const { engine, enqueue, observer } = this.#parts;
    while (!this.#isStopped) {
      const { keys, cappedCount, hasMore } = engine.takeStale(judgedAtMs, PER_TURN);
      for (const key of keys) enqueue(key);
      if (cappedCount > 0) observer.capped(cappedCount);
      if (!hasMore) return;
      await this.#turn();
    }
  }

  async #turn(): Promise<void> {
    await this.#parts.clock.turn();
    this.#noteTurn();
  }

  /** Every turn is noted, so that a long sweep of short turns is not taken for a stall. */
  #noteTurn(): number {
    const { clock, selfDoubt, observer } = this.#parts;
    const nowMs = clock.nowMs();
    const stallMs = selfDoubt.observeTurn(nowMs);
    if (stallMs > 0) observer.stalled(stallMs);
    return nowMs;
  }
}

export interface SweeperParts {
  readonly clock: Clock;
  readonly engine: LivenessEngine;
  readonly selfDoubt: SelfDoubt;
  readonly observer: LoopObserver;
  readonly enqueue: (key: InstanceKey) => void;
  /** Whether it is known how long each instance may be silent; before that nobody is judged. */
  readonly isJudging: () => boolean;
  /** Called with a mistake of ours that leaves nobody to judge. */
  readonly crash: (error: unknown) => void;
}
