import { instanceKey } from '../../src/liveness/instance-key.ts';
import { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { addressSender } from '../../src/liveness/sender.ts';
import { flatten } from '../../src/liveness/slot-table.ts';
import { identityAt } from '../support/fleet.ts';
import { answerParent } from './child-process.ts';

/** The engine alone, with keys as the intake makes them. */
const TTL_MS = 120_000;
const HOME = addressSender('10.0.0.1');

answerParent({
  bytesPerInstance(instances: number): number {
    // Once with a few, so that code and its profile are not counted.
    fill(new LivenessEngine(new SelfDoubt()), 1_000);
    const before = usedBytes();
    const engine = new LivenessEngine(new SelfDoubt());
    fill(engine, instances);
    const after = usedBytes();
    if (engine.size !== instances) throw new Error(`the engine knows ${engine.size} of ${instances} instances`);
    return (after - before) / instances;
  },
});

function fill(engine: LivenessEngine, instances: number): void {
  for (let index = 0; index < instances; index += 1) {
    const { domain, projectId, serviceId, instanceId } = identityAt(index);
    engine.adopt(flatten(instanceKey(domain, projectId, serviceId, instanceId)), TTL_MS, index, HOME);
  }
}

function usedBytes(): number {
  if (globalThis.gc === undefined) throw new Error('needs --expose-gc');
  for (let round = 0; round < 3; round += 1) globalThis.gc();
  // What array buffers take is part of `external`.
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
