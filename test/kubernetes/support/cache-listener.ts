import type { ResourceListener } from '../../../src/controller/ports.ts';
import type { ObservedInstance } from '../../../src/health/observed-instance.ts';

/** A cache as the loop has one, which also keeps the order of what it heard. */
export class CacheListener implements ResourceListener<ObservedInstance> {
  readonly history: string[] = [];
  #instances = new Map<string, ObservedInstance>();

  replaced(items: readonly ObservedInstance[]): Promise<void> {
    this.#instances = new Map(items.map((item) => [item.name, item]));
    this.history.push(`replaced ${[...this.#instances.keys()].sort().join(' ')}`.trim());
    return Promise.resolve();
  }

  changed(item: ObservedInstance): void {
    this.#instances.set(item.name, item);
    this.history.push(`changed ${item.name}`);
  }

  removed(item: ObservedInstance): void {
    this.#instances.delete(item.name);
    this.history.push(`removed ${item.name}`);
  }

  /** The resourceVersion of each object by its name. */
  get versions(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#instances].map(([name, { resourceVersion }]) => [name, resourceVersion]));
  }
}
