import { constants, PerformanceObserver } from 'node:perf_hooks';

/** Between two turns of the event loop. All in milliseconds. */
interface Gap {
  readonly startMs: number;
  readonly endMs: number;
  /** How long our thread ran; the rest was taken by others on the machine. */
  readonly ranMs: number;
}

/** What an entry of type `gc` is; the general type knows no details. */
interface CollectionEntry {
  readonly startTime: number;
  readonly duration: number;
  readonly detail: { readonly kind: number };
}

export interface Stalls {
  /** The longest time that one turn took of the thread, without major collections. */
  readonly longestMs: number;
  /** The longest turn as the clock saw it: with collections, and with what neighbours on the machine took. */
  readonly longestWallMs: number;
  readonly longestMajorCollectionMs: number;
  readonly turns: number;
}

/** Only the longest gaps matter; short ones are not kept. */
const KEPT_FROM_MS = 2;

/**
 * Watches how long single turns of the event loop take, by taking part in every one of them.
 *
 * A shared machine takes the processor away from us now and then, so the thread's own time is what counts. A major
 * collection is V8's work and depends on the heap alone; it is told apart.
 */
export class StallSampler {
  readonly #gaps: Gap[] = [];
  readonly #collections: { readonly startMs: number; readonly endMs: number }[] = [];
  readonly #observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) this.#noteCollection(entry as unknown as CollectionEntry);
  });
  #turns = 0;
  #isRunning = true;

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] });
    let lastMs = performance.now();
    let lastRanMs = threadMs();
    const turn = (): void => {
      const nowMs = performance.now();
      const nowRanMs = threadMs();
      this.#turns += 1;
      if (nowMs - lastMs >= KEPT_FROM_MS) {
        // Some kernels count a thread's time in ticks of 4 ms, so that it may seem to have run for longer.
        this.#gaps.push({ startMs: lastMs, endMs: nowMs, ranMs: Math.min(nowRanMs - lastRanMs, nowMs - lastMs) });
      }
      lastMs = nowMs;
      lastRanMs = nowRanMs;
      if (this.#isRunning) setImmediate(turn);
    };
    setImmediate(turn);
  }

  async stop(): Promise<Stalls> {
    this.#isRunning = false;
    // Entries of collections are handed over in a later turn.
    await new Promise((resolve) => setTimeout(resolve, 50));
    this.#observer.disconnect();
    const lengths = this.#collections.map(({ startMs, endMs }) => endMs - startMs);
    return {
      longestMs: longest(this.#gaps.map((gap) => gap.ranMs - this.#collectedMs(gap))),
      longestWallMs: longest(this.#gaps.map(({ startMs, endMs }) => endMs - startMs)),
      longestMajorCollectionMs: longest(lengths),
      turns: this.#turns,
    };
  }

  #noteCollection({ startTime, duration, detail }: CollectionEntry): void {
    if (detail.kind !== constants.NODE_PERFORMANCE_GC_MAJOR) return;
    this.#collections.push({ startMs: startTime, endMs: startTime + duration });
  }

  #collectedMs({ startMs, endMs }: Gap): number {
    let sumMs = 0;
    for (const collection of this.#collections) {
      sumMs += Math.max(0, Math.min(endMs, collection.endMs) - Math.max(startMs, collection.startMs));
    }
    return sumMs;
  }
}

function longest(values: readonly number[]): number {
  return values.reduce((max, value) => Math.max(max, value), 0);
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
