import { MemoryInstanceStore } from '../memory/memory-instance-store.ts';
import type { Backend } from './backend.ts';

/** Everything in this process: nothing to connect to, nothing kept after it ends. */
export function memoryBackend(wallMs: () => number): Backend {
  const store = new MemoryInstanceStore(wallMs);
  return {
    store,
    namespace: 'default',
    start(listener, fail) {
      store.listen(listener).catch(fail);
    },
    stopWatching: () => Promise.resolve(),
    close: () => Promise.resolve(),
    reflectors: () => [],
  };
}
