import type { ApiQuery } from './api-client.ts';
import { classifyThrown } from './api-error.ts';
import { LineTooLongError } from './line-splitter.ts';
import { IncomingList, ListenerFeed } from './listener-feed.ts';
import { ReconnectDelay } from './reconnect-delay.ts';
import { DEFAULT_LIMITS, type ReflectorLimits, type ReflectorOptions } from './reflector-options.ts';
import { type AttemptEnd, nextStep, type Pause, type ReflectorState } from './reflector-state.ts';
import { readPages } from './resource-pages.ts';
import { parseWatchEvent, type WatchEvent } from './watch-event.ts';
import { CutLineError, watchLines } from './watch-lines.ts';

/** The time after which the server ends a watch is random, so that watches do not all come back at once. */
const WATCH_SECONDS_MIN = 290;
const WATCH_SECONDS_SPREAD = 300;

/** etcd takes 1.5 MiB for an object, and an event is somewhat longer. */
const LINE_BYTES_MAX = 4 * 1024 * 1024;

/**
 * Tells a listener of every change of one kind of object, and never stays down.
 *
 * It asks for a watch that begins with the list; the same connection goes on with the changes. A broken watch resumes
 * at the last resourceVersion. When the server no longer knows that one, the list begins afresh and the listener hears
 * `replaced` again. What follows which end of an attempt is decided in `reflector-state.ts`.
 */
export class Reflector<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #limits: ReflectorLimits;
  readonly #random: () => number;
  readonly #delay: ReconnectDelay;
  readonly #feed: ListenerFeed<T>;
  readonly #stop = new AbortController();
  readonly #firstList = Promise.withResolvers<void>();
  #state: ReflectorState;
  /** Only while a watch brings the list. */
  #incoming: IncomingList<T> | undefined;
  #isSynced = false;
  #lastHeardAtMs: number | undefined;
  #behindSinceMs: number | undefined;
  #running: Promise<void> | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#random = options.random ?? Math.random;
    this.#delay = new ReconnectDelay(this.#limits, this.#random);
    this.#feed = new ListenerFeed(options);
    this.#state = this.#limits.streaming ? { kind: 'streaming' } : { kind: 'paging' };
    this.#behindSinceMs = options.clock.nowMs();
    // Nobody may be waiting when `stop` ends the wait.
    this.#firstList.promise.catch(() => undefined);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when the listener will hear nothing more. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('stopped'));
    this.#firstList.reject(new Error(`stopped before the first list of ${this.#options.path}`));
    await this.#running;
  }

  /** Whether the listener ever had the whole list. */
  get synced(): boolean {
    return this.#isSynced;
  }

  /** Resolves with the first whole list; rejects if the reflector is stopped before. */
  whenSynced(): Promise<void> {
    return this.#firstList.promise;
  }

  /** The monotonic moment at which something last came from the server. */
  get lastHeardAtMs(): number | undefined {
    return this.#lastHeardAtMs;
  }

  /**
   * The monotonic moment since which the listener may have missed changes; undefined while a watch is open that goes on
   * from what it knows.
   */
  get behindSinceMs(): number | undefined {
    return this.#behindSinceMs;
  }

  /** Up to where the listener knows everything; absent while a list is read. */
  get resourceVersion(): string | undefined {
    return this.#state.kind === 'following' ? this.#state.resourceVersion : undefined;
  }

  async #run(): Promise<void> {
    const { observer } = this.#options;
    while (!this.#stop.signal.aborted) {
      const end = this.#state.kind === 'paging' ? await this.#readList() : await this.#watch();
      this.#behindSinceMs ??= this.#options.clock.nowMs();
      if (this.#stop.signal.aborted) return;

      const held = this.#state;
      if (held.kind !== 'following') observer.listed(end.kind);
      else if (end.kind !== 'listed') observer.watched(end.kind);
      if ('message' in end) observer.failed(end.kind, end.message);

      const { state, pause } = nextStep(held, end);
      if (held.kind === 'following' && state.kind !== 'following') observer.restarted(end.kind);
      this.#state = state.kind === 'streaming' && !this.#limits.streaming ? { kind: 'paging' } : state;
      await this.#rest(pause);
    }
  }

  /** One watch. While nothing is held, it begins with the list. */
  async #watch(): Promise<AttemptEnd> {
    const { client, path, clock } = this.#options;
    const { silenceMs } = this.#limits;
    const action = `watching ${path}`;
    const startedAtMs = clock.nowMs();
    const cut = new AbortController();
    const opened = await client.watch(path, this.#watchQuery(), AbortSignal.any([this.#stop.signal, cut.signal]));
    if (opened.kind !== 'ok') return opened;

    this.#incoming = this.#state.kind === 'following' ? undefined : new IncomingList(this.#feed);
    if (this.#state.kind === 'following') this.#behindSinceMs = undefined;
    let wasEmpty = true;
    try {
      const onSilence = (): void => cut.abort();
      const batches = watchLines(opened.bytes, { clock, silenceMs, onSilence, lineBytesMax: LINE_BYTES_MAX });
      for await (const lines of batches) {
        this.#noteHeard();
        for (const line of lines) {
          wasEmpty = false;
          const end = await this.#take(parseWatchEvent(action, line));
          if (end !== undefined) return end;
          // More lines may be here already, but the listener must hear nothing after `stop`.
          if (this.#stop.signal.aborted) break;
        }
      }
      return { kind: 'ended', livedMs: clock.nowMs() - startedAtMs, wasEmpty };
    } catch (error) {
      if (cut.signal.aborted) {
        return { kind: 'silent', wasEmpty, message: `${action}: nothing came for ${silenceMs / 1_000} s` };
      }
      const { message } = classifyThrown(action, error);
      const isUnreadable = error instanceof LineTooLongError || error instanceof CutLineError;
      return { kind: isUnreadable ? 'unreadable' : 'unreachable', message };
    }
  }

  /** @returns an end, if the event is one */
  async #take(event: WatchEvent): Promise<AttemptEnd | undefined> {
    if (event.kind === 'changed' || event.kind === 'removed') {
      if (this.#incoming === undefined) {
        this.#feed.tell(event.kind, event.object);
        this.#follow(event.object.metadata.resourceVersion);
      } else {
        this.#incoming.take(event.kind, event.object);
      }
      await this.#feed.giveTurn();
      return undefined;
    }
    if (event.kind !== 'bookmark') return event;
    if (this.#incoming === undefined) {
      this.#follow(event.resourceVersion);
    } else if (event.endsInitialList) {
      const { items } = this.#incoming;
      this.#incoming = undefined;
      await this.#replace(items, event.resourceVersion);
      this.#behindSinceMs = undefined;
    }
    return undefined;
  }

  async #readList(): Promise<AttemptEnd> {
    const { client, path, query = {} } = this.#options;
    const items: T[] = [];
    const end = await readPages({
      client,
      path,
      query,
      pageSize: this.#limits.pageSize,
      signal: this.#stop.signal,
      onPage: async (objects) => {
        this.#noteHeard();
        for (const object of objects) {
          const item = this.#feed.decode(object);
          if (item !== undefined) items.push(item);
          await this.#feed.giveTurn();
        }
      },
    });
    if (end.kind === 'listed') await this.#replace(items, end.resourceVersion);
    return end;
  }

  async #replace(items: readonly T[], resourceVersion: string): Promise<void> {
    if (this.#stop.signal.aborted) return;
    await this.#feed.replace(items);
    this.#follow(resourceVersion);
    this.#options.observer.listed('listed');
    this.#isSynced = true;
    this.#firstList.resolve();
  }

  #follow(resourceVersion: string): void {
    this.#state = { kind: 'following', resourceVersion };
  }

  #noteHeard(): void {
    this.#lastHeardAtMs = this.#options.clock.nowMs();
    this.#options.observer.heard();
  }

  #watchQuery(): ApiQuery {
    return {
      ...this.#options.query,
      watch: '1',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(WATCH_SECONDS_MIN + Math.floor(this.#random() * WATCH_SECONDS_SPREAD)),
      ...(this.#state.kind === 'following'
        ? { resourceVersion: this.#state.resourceVersion }
        : { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }),
    };
  }

  async #rest(pause: Pause): Promise<void> {
    if (pause === 'none' || this.#stop.signal.aborted) return;
    const { clock } = this.#options;
    const pauseMs = pause === 'backOff' ? this.#delay.afterFailure(clock.nowMs()) : pause;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.schedule(pauseMs, resolve);
    const onStop = (): void => resolve();
    this.#stop.signal.addEventListener('abort', onStop, { once: true });
    await promise;
    cancel();
    this.#stop.signal.removeEventListener('abort', onStop);
  }
}
