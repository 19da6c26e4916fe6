import type { Cancel, Clock } from '../clock.ts';
import type { ObjectEvent, RecordEvent } from '../controller/ports.ts';
import { TokenBucket } from '../controller/token-bucket.ts';
import type { ApiClient, ApiResult } from './api-client.ts';
import { encodeEvent, encodeSeries, eventPath, eventsPath } from './event-resource.ts';
import { type EventSeries, EventSeriesBook, isBehind, isDue } from './event-series.ts';
import { EventSpamFilter } from './event-spam-filter.ts';

/**
 * Why an event is not, or not fully, in the API.
 *
 * - `queueFull`: too many wait already.
 * - `spam`: its object had too many events of late.
 * - `failed`: the API server refused it, or could not be reached twice.
 * - `stopped`: it came while the process ends, or was still waiting then.
 */
export type EventDrop = 'queueFull' | 'spam' | 'failed' | 'stopped';

/** Hears what becomes of events; for metrics. */
export interface EventObserver {
  /** An event of this reason was written: for the first time, or with a new count. */
  recorded(reason: string): void;
  dropped(why: EventDrop): void;
}

export interface EventRecorderOptions {
  readonly client: Pick<ApiClient, 'request'>;
  readonly clock: Clock;
  /** Which replica reports: the name of its host. */
  readonly reportingInstance: string;
  readonly observer: EventObserver;
}

/** How many connections events may take from the writes that matter. */
export const EVENT_CALLS_MAX = 2;

/** The API server stores each event in etcd, and every watcher of events gets it. */
const WRITES_PER_SECOND = 20;
const WRITES_BURST = 100;

/** client-go's bound. What waits longer than a minute is no news. */
const QUEUE_LENGTH_MAX = 1_000;

/** Shorter than that of other calls: an event that hangs keeps a connection busy. */
const CALL_TIMEOUT_MS = 5_000;

/** How long nothing is written after a call to which there was no answer. */
const UNREACHABLE_PAUSE_MS = 1_000;

const SERIES_CHECK_MS = 60_000;

/** What the last events may add to the end of the process. */
const FLUSH_MS = 2_000;

/**
 * Writes events to the API when there is time for it.
 *
 * An event that is repeated becomes a series: one object, whose count is written at the first repetition, now and then
 * while it goes on, and when it is over. What waits is a series, not a call, so that its write carries the count of
 * that moment, however often it was repeated meanwhile. Nothing here is worth a verdict: few calls at a time, each
 * tried twice at most, and what is too much is dropped and counted.
 */
export class KubernetesEventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #series = new EventSeriesBook();
  readonly #spamFilter = new EventSpamFilter();
  readonly #bucket: TokenBucket;
  readonly #cut = new AbortController();
  readonly #waiting: EventSeries[] = [];
  #callCount = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #cancelWake: Cancel | undefined;
  #cancelCheck: Cancel | undefined;
  #idle: PromiseWithResolvers<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(WRITES_PER_SECOND, WRITES_BURST, options.clock.nowMs());
  }

  readonly record: RecordEvent = (event) => {
    if (this.#stopped !== undefined) return this.#drop('stopped');
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    this.#finishSeries(nowMs);
    const repeated = this.#series.repeat(event, nowMs, clock.wallMs());
    if (repeated === undefined) this.#begin(event, nowMs);
    else if (isDue(repeated, nowMs)) this.#enqueue(repeated);
  };

  /** Resolves when nothing more will be written, soon in any case. */
  stop(): Promise<void> {
    this.#stopped ??= this.#flush();
    return this.#stopped;
  }

  #begin(event: ObjectEvent, nowMs: number): void {
    if (!this.#spamFilter.allows(event.regarding.uid, nowMs)) return this.#drop('spam');
    if (this.#waiting.length >= QUEUE_LENGTH_MAX) return this.#drop('queueFull');
    this.#enqueue(this.#series.begin(event, nowMs, this.#options.clock.wallMs()));
    this.#cancelCheck ??= this.#options.clock.schedule(SERIES_CHECK_MS, this.#checkSeries);
  }

  readonly #checkSeries = (): void => {
    const { clock } = this.#options;
    this.#finishSeries(clock.nowMs());
    for (const series of this.#series.due(clock.nowMs())) this.#enqueue(series);
    this.#cancelCheck = this.#series.isEmpty ? undefined : clock.schedule(SERIES_CHECK_MS, this.#checkSeries);
  };

  #finishSeries(nowMs: number): void {
    for (const series of this.#series.takeFinished(nowMs)) this.#writeLastCount(series);
  }

  #writeLastCount(series: EventSeries): void {
    if (isBehind(series) && !this.#enqueue(series)) this.#drop('queueFull');
  }

  /** @returns whether there was room */
  #enqueue(series: EventSeries): boolean {
    if (this.#waiting.length >= QUEUE_LENGTH_MAX) return false;
    series.isWriting = true;
    series.isRetry = false;
    this.#waiting.push(series);
    this.#pump();
    return true;
  }

  /** Begins what may begin now, and comes back for the rest. */
  readonly #pump = (): void => {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    while (this.#waiting.length > 0 && this.#callCount < EVENT_CALLS_MAX) {
      const waitMs = this.#takeTurn();
      if (waitMs > 0) {
        this.#cancelWake = this.#options.clock.schedule(waitMs, this.#pump);
        return;
      }
      const series = this.#waiting.shift();
      if (series !== undefined) void this.#carryOut(series);
    }
    if (this.#waiting.length === 0 && this.#callCount === 0) this.#idle?.resolve();
  };

  /** @returns how long to wait before a call may begin; 0 is now, and the token is taken */
  #takeTurn(): number {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs < this.#pausedUntilMs) return this.#pausedUntilMs - nowMs;
    return this.#bucket.take(nowMs) ? 0 : Math.ceil(this.#bucket.waitSeconds * 1_000);
  }

  async #carryOut(series: EventSeries): Promise<void> {
    this.#callCount += 1;
    series.writesBegun += 1;
    series.writeBegunAtMs = this.#options.clock.nowMs();
    const { count } = series;
    try {
      this.#conclude(series, count, await this.#write(series));
    } catch {
      // It cannot be encoded. Whoever records it is not to suffer for it.
      this.#giveUp(series, 'failed');
    } finally {
      this.#callCount -= 1;
      this.#pump();
    }
  }

  async #write(series: EventSeries): Promise<ApiResult> {
    const { client, reportingInstance } = this.#options;
    const { namespace, name: objectName } = series.event.regarding;
    const call = {
      action: `recording ${series.event.reason} of ${namespace}/${objectName}`,
      timeoutMs: CALL_TIMEOUT_MS,
      signal: this.#cut.signal,
    };
    const body = encodeEvent(series, reportingInstance);
    if (series.writtenCount > 0) {
      const patched = await client.request({
        ...call,
        method: 'PATCH',
        path: eventPath(namespace, series.name),
        contentType: 'application/merge-patch+json',
        body: encodeSeries(series),
      });
      // The API server deletes events after an hour or so.
      if (patched.kind !== 'absent') return patched;
    }
    return client.request({ ...call, method: 'POST', path: eventsPath(namespace), body });
  }

  #conclude(series: EventSeries, count: number, result: ApiResult): void {
    const nowMs = this.#options.clock.nowMs();
    switch (result.kind) {
      case 'throttled':
      case 'unreachable':
        if (this.#cut.signal.aborted) return this.#giveUp(series, 'stopped');
        this.#pausedUntilMs = nowMs + (result.kind === 'throttled' ? result.retryAfterMs : UNREACHABLE_PAUSE_MS);
        if (series.isRetry) return this.#giveUp(series, 'failed');
        series.isRetry = true;
        this.#waiting.unshift(series);
        return;
      case 'exists':
        // The answer to the first try was lost; its name is no one else's.
        if (!series.isRetry) return this.#giveUp(series, 'failed');
        break;
      case 'ok':
        break;
      case 'conflict':
      case 'absent':
      case 'gone':
      case 'ahead':
      case 'unauthorized':
      case 'forbidden':
      case 'invalid':
        return this.#giveUp(series, 'failed');
    }
    series.isWriting = false;
    series.writtenCount = count;
    this.#options.observer.recorded(series.event.reason);
    if (isDue(series, nowMs)) this.#enqueue(series);
  }

  #giveUp(series: EventSeries, why: EventDrop): void {
    series.isWriting = false;
    // Nobody has seen it: the next one of its kind shall be written as new.
    if (series.writtenCount === 0) this.#series.forget(series);
    this.#drop(why);
  }

  #drop(why: EventDrop): void {
    this.#options.observer.dropped(why);
  }

  async #flush(): Promise<void> {
    this.#cancelCheck?.();
    for (const series of this.#series.takeAll()) this.#writeLastCount(series);
    this.#idle = Promise.withResolvers<void>();
    const idle = this.#idle.promise;
    const cancelEnd = this.#options.clock.schedule(FLUSH_MS, () => {
      this.#cut.abort(new Error('stopped'));
      for (const series of this.#waiting.splice(0)) this.#giveUp(series, 'stopped');
      this.#pump();
    });
    this.#pump();
    await idle;
    cancelEnd();
  }
}
