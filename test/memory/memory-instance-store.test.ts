import { describe, expect, it } from 'vitest';
import type { ResourceListener } from '../../src/controller/ports.ts';
import type { ObservedInstance } from '../../src/health/observed-instance.ts';
import { MemoryInstanceStore } from '../../src/memory/memory-instance-store.ts';
import { identity } from '../support/builders.ts';
import { describeInstanceStoreContract } from '../support/instance-store-contract.ts';

const WALL = 1_763_000_000_123;

describeInstanceStoreContract('The store in memory', () => {
  const store = new MemoryInstanceStore(() => WALL);
  return Promise.resolve({
    store,
    namespace: 'default',
    start: (listener) => store.listen(listener),
    createByPerson(namespace, name, identity, wish = {}) {
      store.createByPerson(namespace, name, identity, wish);
      return Promise.resolve();
    },
    edit(namespace, name, wish) {
      store.edit(namespace, name, wish);
      return Promise.resolve();
    },
    deleteByPerson(namespace, name) {
      store.delete(namespace, name);
      return Promise.resolve();
    },
    stop: () => Promise.resolve(),
  });
});

describe('The store in memory', () => {
  it('tells what a person creates, edits and deletes that is not there or is there already', () => {
    const store = new MemoryInstanceStore(() => WALL);
    expect(store.edit('default', 'a', { paused: true })).toEqual({ kind: 'absent' });
    expect(store.createByPerson('default', 'a', identity('a')).kind).toBe('written');
    expect(store.createByPerson('default', 'a', identity('b'))).toEqual({ kind: 'exists' });
    store.delete('default', 'b');
    expect(store.list().map((object) => object.name)).toEqual(['a']);
  });

  it('gives objects the second of their creation', () => {
    const store = new MemoryInstanceStore(() => WALL);
    store.createByPerson('default', 'a', identity('a'));
    expect(store.get('default', 'a')?.createdSeconds).toBe(1_763_000_000);
  });

  it('tells of a change that is made while a listener is still taking in all there is', async () => {
    const store = new MemoryInstanceStore(() => WALL);
    const heard = new Map<string, ObservedInstance>();
    const takenIn = Promise.withResolvers<void>();
    const listener: ResourceListener<ObservedInstance> = {
      async replaced(items) {
        for (const item of items) heard.set(item.name, item);
        await takenIn.promise;
      },
      changed: (item) => heard.set(item.name, item),
      removed: (item) => heard.delete(item.name),
    };
    store.createByPerson('default', 'edited', identity('edited'));
    store.createByPerson('default', 'deleted', identity('deleted'));
    const listening = store.listen(listener);
    store.edit('default', 'edited', { paused: true });
    store.delete('default', 'deleted');
    store.createByPerson('default', 'created', identity('created'));
    takenIn.resolve();
    await listening;
    expect([...heard.values()]).toEqual(store.list());
  });
});
