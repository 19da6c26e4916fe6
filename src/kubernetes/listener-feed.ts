import type { Clock } from '../clock.ts';
import type { ResourceListener } from '../controller/ports.ts';
import type { ReflectorObserver } from './reflector-observer.ts';
import type { StoredObject } from './watch-event.ts';

export interface ListenerFeedOptions<T> {
  /** The slim form of an object; throws if it has none. Nothing else of the object is kept. */
  readonly decode: (object: unknown) => T;
  readonly listener: ResourceListener<T>;
  readonly clock: Clock;
  readonly observer: ReflectorObserver;
}

/** Some milliseconds of work, after which heartbeats that wait on the sockets get their turn. */
const OBJECTS_PER_TURN = 100;

/** Hands objects on to a listener. What goes wrong with one object, or in the listener, stays there. */
export class ListenerFeed<T> {
  readonly #options: ListenerFeedOptions<T>;
  #objectsInTurn = 0;

  constructor(options: ListenerFeedOptions<T>) {
    this.#options = options;
  }

  decode(object: unknown): T | undefined {
    try {
      return this.#options.decode(object);
    } catch (error) {
      this.#options.observer.undecodable(error);
      return undefined;
    }
  }

  tell(kind: 'changed' | 'removed', object: StoredObject): void {
    const item = this.decode(object);
    if (item === undefined) return;
    try {
      this.#options.listener[kind](item);
    } catch (error) {
      this.#options.observer.listenerFailed(error);
    }
  }

  async replace(items: readonly T[]): Promise<void> {
    try {
      await this.#options.listener.replaced(items);
    } catch (error) {
      this.#options.observer.listenerFailed(error);
    }
  }

  /** To be awaited after each object: a long list must not hold the event loop. */
  async giveTurn(): Promise<void> {
    this.#objectsInTurn += 1;
    if (this.#objectsInTurn < OBJECTS_PER_TURN) return;
    this.#objectsInTurn = 0;
    await this.#options.clock.turn();
  }
}

/** The list while it comes in as events: objects may change or go before it is complete. */
export class IncomingList<T> {
  readonly #items = new Map<string, T>();
  readonly #feed: ListenerFeed<T>;

  constructor(feed: ListenerFeed<T>) {
    this.#feed = feed;
  }

  take(kind: 'changed' | 'removed', object: StoredObject): void {
    const { namespace = '', name } = object.metadata;
    const key = `${namespace}/${name}`;
    const item = kind === 'changed' ? this.#feed.decode(object) : undefined;
    if (item === undefined) this.#items.delete(key);
    else this.#items.set(key, item);
  }

  get items(): readonly T[] {
    return [...this.#items.values()];
  }
}
