import { MemoryInstanceStore } from '../memory/memory-instance-store.ts';
import type { Backend } from './backend.ts';

/** Everything in this process: nothing to connect to, nothing kept after it ends. There are no Pods in it. */
export function memoryBackend(wallMs: () => number): Backend {
  const store = new MemoryInstanceStore(wallMs);
  return {
    store,
    podStore: { read: () => ABSENT, writeCondition: () => ABSENT },
    policyStore: { writeStatus: () => ABSENT },
    recordEvent: () => undefined,
    namespace: 'default',
    reviewToken: () => Promise.resolve({ kind: 'refused', why: 'there is no API server to ask' }),
    podCacheAgeMs: () => 0,
    start(listeners, fail) {
      const listen = async (): Promise<void> => {
        await listeners.pods.replaced([]);
        await listeners.nodes.replaced([]);
        await listeners.policies.replaced([]);
        await store.listen(listeners.instances);
      };
      listen().catch(fail);
    },
    stopWatching: () => Promise.resolve(),
    close: () => Promise.resolve(),
    reflectors: () => [],
  };
}

const ABSENT = Promise.resolve({ kind: 'absent' } as const);
