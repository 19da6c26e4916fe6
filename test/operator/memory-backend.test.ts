import { describe, expect, it } from 'vitest';
import type { ResourceListener } from '../../src/controller/ports.ts';
import type { Backend, BackendListeners } from '../../src/operator/backend.ts';
import { memoryBackend } from '../../src/operator/memory-backend.ts';
import { identity, podCondition, pod } from '../support/builders.ts';
import { settle } from '../support/fake-clock.ts';
import { policy } from '../support/pod-builders.ts';

const WALL = 1_763_000_000_123;

const failNever = (error: Error): void => expect.unreachable(error.message);

/** Writes down what is told of each kind of object, in the order of the telling. */
function listenersWith(told: string[]): BackendListeners {
  const of = <T extends { readonly name: string }>(kind: string): ResourceListener<T> => ({
    replaced(items) {
      told.push(`${kind}: ${items.map(({ name }) => name).join(', ')}`);
      return Promise.resolve();
    },
    changed: ({ name }) => told.push(`${kind} changed: ${name}`),
    removed: ({ name }) => told.push(`${kind} removed: ${name}`),
  });
  return {
    instances: of('instances'),
    pods: of('pods'),
    nodes: of('nodes'),
    policies: of('policies'),
    released: (isReleased) => told.push(`released: ${isReleased}`),
  };
}

function draftOf(backend: Backend, name: string): ReturnType<Backend['store']['create']> {
  return backend.store.create({ identity: identity(name), namespace: backend.namespace, name, owner: undefined });
}

describe('A backend in memory', () => {
  it('tells that there are no Pods, nodes and policies before it tells of the instances, so that these can be judged', async () => {
    const backend = memoryBackend(() => WALL);
    await draftOf(backend, 'a');
    const told: string[] = [];
    backend.start(listenersWith(told), failNever);
    await settle();
    expect(told).toEqual(['pods: ', 'nodes: ', 'policies: ', 'instances: a']);
  });

  it('tells every change of an instance from then on', async () => {
    const backend = memoryBackend(() => WALL);
    const told: string[] = [];
    backend.start(listenersWith(told), failNever);
    await settle();
    const made = await draftOf(backend, 'a');
    if (made.kind === 'written') await backend.store.remove(made.instance);
    expect(told.slice(4)).toEqual(['instances changed: a', 'instances removed: a']);
  });

  it('stamps what it stores with the time that it is given', async () => {
    expect(
      await draftOf(
        memoryBackend(() => WALL),
        'a',
      ),
    ).toMatchObject({
      kind: 'written',
      instance: { namespace: 'default', createdSeconds: 1_763_000_000, managed: true },
    });
  });

  it('has no Pod to read or write, and no policy', async () => {
    const { podStore, policyStore } = memoryBackend(() => WALL);
    const status = {
      observedGeneration: 1,
      pods: 0,
      counts: { live: 0, fresh: 0, stale: 0, unknown: 0, held: 0 },
      accepted: undefined,
      conflicted: undefined,
      listening: undefined,
      stormActive: undefined,
    };
    expect([
      await podStore.read(pod('web')),
      await podStore.writeCondition(pod('web'), podCondition()),
      await policyStore.writeStatus(policy('all'), status),
    ]).toEqual([{ kind: 'absent' }, { kind: 'absent' }, { kind: 'absent' }]);
  });

  it('takes no token for proof, and says why', async () => {
    expect(await memoryBackend(() => WALL).reviewToken('a.b.c')).toEqual({
      kind: 'refused',
      why: 'there is no API server to ask',
    });
  });

  it('misses no change, watches nothing, and has nothing to end', async () => {
    const backend = memoryBackend(() => WALL);
    expect([backend.podCacheAgeMs(), backend.reflectors()]).toEqual([0, []]);
    await expect(Promise.all([backend.stopWatching(), backend.close()])).resolves.toEqual([undefined, undefined]);
  });

  it.each(['pods', 'nodes', 'policies', 'instances'] as const)(
    'gives up with the reason when what hears of %s throws',
    async (kind) => {
      const failures: Error[] = [];
      const broken = { replaced: () => Promise.reject(new Error('mistake')), changed: () => {}, removed: () => {} };
      memoryBackend(() => WALL).start({ ...listenersWith([]), [kind]: broken }, (error) => failures.push(error));
      await settle();
      expect(failures).toEqual([new Error('mistake')]);
    },
  );
});
