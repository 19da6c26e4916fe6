import type { ObjectEvent } from '../controller/ports.ts';
import { eventName } from './event-resource.ts';

/** So long without a repetition, and a series is over: the time that client-go uses. */
const FINISHED_AFTER_MS = 6 * 60_000;

/** A series that goes on is written again no sooner than this. An event lives an hour, so it does not end meanwhile. */
const WRITE_AGAIN_AFTER_MS = 5 * 60_000;

/** client-go's bound on the events that it remembers. */
const SERIES_MAX = 4_096;

/** One event and its repetitions, as they are and as the API has them. */
export interface EventSeries {
  readonly event: ObjectEvent;
  readonly name: string;
  readonly firstWallMs: number;
  count: number;
  lastWallMs: number;
  /** The monotonic moment of the last repetition. */
  lastAtMs: number;
  /** The count that the API has; 0 before the event is there. */
  writtenCount: number;
  writesBegun: number;
  writeBegunAtMs: number;
  /** Whether a write of it waits or is under way. */
  isWriting: boolean;
  isRetry: boolean;
}

/** Which events are the same, and how often they happened. */
export class EventSeriesBook {
  /** The one that was repeated longest ago comes first. */
  readonly #series = new Map<string, EventSeries>();
  #serial = 0;

  get isEmpty(): boolean {
    return this.#series.size === 0;
  }

  /** Counts a repetition. @returns the series, or undefined if there is none that it would belong to */
  repeat(event: ObjectEvent, nowMs: number, wallMs: number): EventSeries | undefined {
    const key = keyOf(event);
    const series = this.#series.get(key);
    if (series === undefined || isFinished(series, nowMs)) return undefined;
    series.count += 1;
    series.lastAtMs = nowMs;
    series.lastWallMs = wallMs;
    this.#series.delete(key);
    this.#series.set(key, series);
    return series;
  }

  /** Begins a series with its first event. One of the same kind must have been taken out before. */
  begin(event: ObjectEvent, nowMs: number, wallMs: number): EventSeries {
    this.#serial += 1;
    const series: EventSeries = {
      event,
      name: eventName(event.regarding.name, wallMs, this.#serial),
      firstWallMs: wallMs,
      count: 1,
      lastWallMs: wallMs,
      lastAtMs: nowMs,
      writtenCount: 0,
      writesBegun: 0,
      writeBegunAtMs: nowMs,
      isWriting: false,
      isRetry: false,
    };
    this.#series.set(keyOf(event), series);
    return series;
  }

  /** Forgets a series, so that its next event begins a new one. */
  forget(series: EventSeries): void {
    const key = keyOf(series.event);
    if (this.#series.get(key) === series) this.#series.delete(key);
  }

  /** Takes out the series that are over, and those for which there is no room; their last count may be unwritten. */
  takeFinished(nowMs: number): readonly EventSeries[] {
    const finished: EventSeries[] = [];
    for (const [key, series] of this.#series) {
      if (!isFinished(series, nowMs) && this.#series.size <= SERIES_MAX) break;
      this.#series.delete(key);
      finished.push(series);
    }
    return finished;
  }

  takeAll(): readonly EventSeries[] {
    const all = [...this.#series.values()];
    this.#series.clear();
    return all;
  }

  /** The series of which the API should hear again. */
  due(nowMs: number): readonly EventSeries[] {
    return [...this.#series.values()].filter((series) => isDue(series, nowMs));
  }
}

/** Whether the API does not have the count as it is, and no write is on its way. */
export function isBehind(series: EventSeries): boolean {
  return !series.isWriting && series.writtenCount < series.count;
}

/** The first repetition is written at once, so that people see that it repeats; the further ones now and then. */
export function isDue(series: EventSeries, nowMs: number): boolean {
  return isBehind(series) && (series.writesBegun < 2 || nowMs - series.writeBegunAtMs >= WRITE_AGAIN_AFTER_MS);
}

function isFinished(series: EventSeries, nowMs: number): boolean {
  return nowMs - series.lastAtMs > FINISHED_AFTER_MS;
}

/** What client-go calls isomorphic. All events of one process report alike, and the note may differ. */
function keyOf({ regarding, related, type, reason, action }: ObjectEvent): string {
  return [regarding.uid, related?.uid ?? '', type, reason, action].join('\n');
}
