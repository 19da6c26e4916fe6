import { Bindings } from '../../src/controller/bindings.ts';
import type { InstanceCache } from '../../src/controller/instance-cache.ts';
import { InstancePods } from '../../src/controller/instance-pods.ts';
import { PodCache } from '../../src/controller/pod-cache.ts';
import type { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { TIMING } from './builders.ts';
import type { FakeClock } from './fake-clock.ts';

/** What the loop asks about Pods, in a world in which there are none unless a test puts them there. */
export function noPods(
  clock: FakeClock,
  engine: LivenessEngine,
  instances: InstanceCache,
): { readonly pods: PodCache; readonly bindings: Bindings; readonly instancePods: InstancePods } {
  const pods = new PodCache(clock, [], {
    changed: () => undefined,
    removed: () => undefined,
    senderChanged: () => undefined,
    policyRemoved: () => undefined,
    synced: () => Promise.resolve(),
  });
  const bindings = new Bindings(pods, () => undefined);
  const instancePods = new InstancePods({
    clock,
    engine,
    instances,
    pods,
    bindings,
    syncedOf: () => undefined,
    onConflict: () => undefined,
    defaultTiming: TIMING,
  });
  return { pods, bindings, instancePods };
}
