import type { Clock } from '../clock.ts';
import type { ObservedInstance } from '../health/observed-instance.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import { ShardedMap } from '../liveness/sharded-map.ts';
import type { ResourceListener } from './ports.ts';
import { isNewer } from './resource-version.ts';

/** The objects of one identity: the oldest counts, the others are duplicates. */
export interface InstanceObjects {
  readonly winner: ObservedInstance;
  readonly duplicates: readonly ObservedInstance[];
}

export interface InstanceCacheListener {
  /** An object of this identity appeared or changed. */
  changed(key: InstanceKey): void;
  /** The last object of this identity is gone. */
  vanished(key: InstanceKey): void;
  /** All that is stored has been heard for the first time. Awaited before anything else is told. */
  synced(): Promise<void>;
}

/** So many objects of a fresh list are taken in one turn of the event loop; heartbeats are answered in between. */
const PER_TURN = 500;

/**
 * All HeartbeatInstances as last heard, by name and by identity.
 *
 * It hears of our own writes twice: from the answer (`written`) and from the watch. The answer is taken at once, so
 * that the next plan stands on it, unless the watch has told of later things already.
 */
export class InstanceCache implements ResourceListener<ObservedInstance> {
  readonly #clock: Clock;
  readonly #listener: InstanceCacheListener;
  readonly #byName = new Map<string, ShardedMap<string, ObservedInstance>>();
  readonly #byKey = new ShardedMap<InstanceKey, ObservedInstance | readonly ObservedInstance[]>();
  #heardVersion = '0';
  #isSynced = false;
  #walk: Iterator<InstanceKey> | undefined;

  constructor(clock: Clock, listener: InstanceCacheListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** Whether all that is stored has been heard once. Before that, an absent instance may well exist. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** How many identities have an object. */
  get size(): number {
    return this.#byKey.size;
  }

  has(key: InstanceKey): boolean {
    return this.#byKey.has(key);
  }

  get(key: InstanceKey): InstanceObjects | undefined {
    const entry = this.#byKey.get(key);
    if (entry === undefined) return undefined;
    const [winner, ...duplicates] = asList(entry);
    return winner === undefined ? undefined : { winner, duplicates };
  }

  byName(namespace: string, name: string): ObservedInstance | undefined {
    return this.#byName.get(namespace)?.get(name);
  }

  /** The object that counts of each identity. */
  *winners(): IterableIterator<ObservedInstance> {
    for (const key of this.#byKey.keys()) {
      const objects = this.get(key);
      if (objects !== undefined) yield objects.winner;
    }
  }

  /** The next `count` identities on an endless walk over all of them. */
  *walk(count: number): IterableIterator<InstanceKey> {
    for (let index = 0; index < Math.min(count, this.size); index += 1) {
      this.#walk ??= this.#byKey.keys();
      let step = this.#walk.next();
      if (step.done === true) {
        this.#walk = this.#byKey.keys();
        step = this.#walk.next();
      }
      if (step.done !== true) yield step.value;
    }
  }

  async replaced(items: readonly ObservedInstance[]): Promise<void> {
    const kept = new Map<string, Set<string>>();
    for (const [index, item] of items.entries()) {
      if (index % PER_TURN === PER_TURN - 1) await this.#clock.turn();
      if (this.byName(item.namespace, item.name)?.resourceVersion !== item.resourceVersion) this.changed(item);
      const names = kept.get(item.namespace);
      if (names === undefined) kept.set(item.namespace, new Set([item.name]));
      else names.add(item.name);
    }
    let lookedAt = 0;
    for (const instance of this.#list()) {
      lookedAt += 1;
      if (lookedAt % PER_TURN === 0) await this.#clock.turn();
      if (kept.get(instance.namespace)?.has(instance.name) !== true) this.removed(instance);
    }
    if (this.#isSynced) return;
    this.#isSynced = true;
    await this.#listener.synced();
  }

  changed(item: ObservedInstance): void {
    this.#heard(item.resourceVersion);
    const before = this.byName(item.namespace, item.name);
    if (before !== undefined && isNewer(before.resourceVersion, item.resourceVersion)) return;
    this.#put(item, before);
    this.#listener.changed(item.key);
  }

  removed(item: ObservedInstance): void {
    this.#heard(item.resourceVersion);
    // An object may be gone before the answer to its creation has come: its end is told all the same.
    const { key } = this.byName(item.namespace, item.name) ?? item;
    this.#forget(item);
    if (this.has(key)) this.#listener.changed(key);
    else this.#listener.vanished(key);
  }

  /** Takes the answer to a write of ours. */
  written(item: ObservedInstance): void {
    if (!isNewer(item.resourceVersion, this.#heardVersion)) return;
    const before = this.byName(item.namespace, item.name);
    if (before !== undefined && isNewer(before.resourceVersion, item.resourceVersion)) return;
    this.#put(item, before);
  }

  #put(item: ObservedInstance, before: ObservedInstance | undefined): void {
    let objects = this.#byName.get(item.namespace);
    if (objects === undefined) {
      objects = new ShardedMap();
      this.#byName.set(item.namespace, objects);
    }
    objects.set(item.name, item);
    if (before !== undefined && this.#byKey.get(item.key) === before) {
      // In place, so that a change does not move the identity on the walk.
      this.#byKey.set(item.key, item);
      return;
    }
    if (before !== undefined) this.#unlink(before);
    const others = this.#byKey.get(item.key);
    this.#byKey.set(item.key, others === undefined ? item : [...asList(others), item].sort(oldestFirst));
    if (before !== undefined && before.key !== item.key && !this.has(before.key)) this.#listener.vanished(before.key);
  }

  #forget({ namespace, name }: ObservedInstance): void {
    const before = this.byName(namespace, name);
    if (before === undefined) return;
    this.#byName.get(namespace)?.delete(name);
    this.#unlink(before);
  }

  #unlink(instance: ObservedInstance): void {
    const entry = this.#byKey.get(instance.key);
    if (entry === undefined) return;
    const rest = asList(entry).filter((other) => other !== instance);
    const [only] = rest;
    if (only === undefined) this.#byKey.delete(instance.key);
    else this.#byKey.set(instance.key, rest.length === 1 ? only : rest);
  }

  *#list(): Generator<ObservedInstance, undefined> {
    for (const objects of this.#byName.values()) yield* objects.values();
    return undefined;
  }

  #heard(resourceVersion: string): void {
    if (isNewer(resourceVersion, this.#heardVersion)) this.#heardVersion = resourceVersion;
  }
}

function asList(entry: ObservedInstance | readonly ObservedInstance[]): readonly ObservedInstance[] {
  return Array.isArray(entry) ? entry : [entry as ObservedInstance];
}

function oldestFirst(a: ObservedInstance, b: ObservedInstance): number {
  return a.createdSeconds - b.createdSeconds || compareText(a.namespace, b.namespace) || compareText(a.name, b.name);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
