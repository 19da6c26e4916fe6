import type { Clock } from '../clock.ts';
import type { ResourceListener } from '../controller/ports.ts';

export interface ListenerUnionOptions<T> {
  /** Hears of the objects of all parts. */
  readonly listener: ResourceListener<T>;
  readonly partCount: number;
  readonly clock: Pick<Clock, 'turn'>;
}

interface Identified {
  readonly uid: string;
  readonly resourceVersion: string;
}

/** So many differences are told in one turn of the event loop; heartbeats are answered in between. */
const PER_TURN = 500;

/**
 * Makes several sources of one kind of object, one for each namespace for instance, into one.
 *
 * The listener hears nothing until every part has its first list, and then `replaced` with the objects of all. From then
 * on it hears of changes only: of a later list of one part, which says nothing of the other parts, the differences.
 */
export class ListenerUnion<T extends Identified> {
  /** One for each source. An object must not be in two of them. */
  readonly parts: readonly ResourceListener<T>[];
  readonly #options: ListenerUnionOptions<T>;
  readonly #parts: readonly Part<T>[];
  /**
   * - `gathering`: a part has no list yet.
   * - `introducing`: the listener takes in the first list; what happens meanwhile waits in `#meanwhile`.
   * - `following`: whatever happens is told at once.
   */
  #state: 'gathering' | 'introducing' | 'following' = 'gathering';
  #meanwhile: (() => void)[] = [];
  readonly #introduced = Promise.withResolvers<void>();

  constructor(options: ListenerUnionOptions<T>) {
    this.#options = options;
    this.#parts = Array.from({ length: options.partCount }, () => ({ hasList: false, items: new Map<string, T>() }));
    this.parts = this.#parts.map((part) => ({
      replaced: (items) => this.#replaced(part, items),
      changed: (item) => this.#tell(() => this.#changed(part, item)),
      removed: (item) => this.#tell(() => this.#removed(part, item)),
    }));
  }

  async #replaced(part: Part<T>, items: readonly T[]): Promise<void> {
    if (this.#state === 'gathering') {
      part.items = new Map(items.map((item) => [item.uid, item]));
      part.hasList = true;
      if (this.#parts.every(({ hasList }) => hasList)) await this.#introduce();
      return;
    }
    await this.#introduced.promise;
    await this.#tellDifferences(part, items);
  }

  async #introduce(): Promise<void> {
    this.#state = 'introducing';
    const all = this.#parts.flatMap(({ items }) => [...items.values()]);
    const errors: unknown[] = [];
    try {
      await this.#options.listener.replaced(all);
    } catch (error) {
      errors.push(error);
    }
    this.#state = 'following';
    errors.push(...errorsOf(this.#meanwhile));
    this.#meanwhile = [];
    this.#introduced.resolve();
    throwIfAny(errors);
  }

  async #tellDifferences(part: Part<T>, items: readonly T[]): Promise<void> {
    const listed = new Set(items.map(({ uid }) => uid));
    const gone = [...part.items.values()].filter(({ uid }) => !listed.has(uid));
    const different = items.filter(
      ({ uid, resourceVersion }) => part.items.get(uid)?.resourceVersion !== resourceVersion,
    );
    // The gone ones first: a new object may have the name of one of them.
    const steps = [
      ...gone.map((item) => () => this.#removed(part, item)),
      ...different.map((item) => () => this.#changed(part, item)),
    ];
    const errors: unknown[] = [];
    for (let start = 0; start < steps.length; start += PER_TURN) {
      if (start > 0) await this.#options.clock.turn();
      errors.push(...errorsOf(steps.slice(start, start + PER_TURN)));
    }
    throwIfAny(errors);
  }

  #changed(part: Part<T>, item: T): void {
    part.items.set(item.uid, item);
    if (this.#state === 'following') this.#options.listener.changed(item);
  }

  #removed(part: Part<T>, item: T): void {
    part.items.delete(item.uid);
    if (this.#state === 'following') this.#options.listener.removed(item);
  }

  #tell(step: () => void): void {
    if (this.#state === 'introducing') this.#meanwhile.push(step);
    else step();
  }
}

interface Part<T> {
  hasList: boolean;
  items: Map<string, T>;
}

/** Takes every step: a listener that throws at one object does not miss the others. */
function errorsOf(steps: readonly (() => void)[]): readonly unknown[] {
  const errors: unknown[] = [];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      errors.push(error);
    }
  }
  return errors;
}

function throwIfAny(errors: readonly unknown[]): void {
  if (errors.length > 0) throw new AggregateError(errors, 'the listener threw');
}
