import { buildOperator, untilKnown, untilSettled } from '../support/build-operator.ts';
import { storedFleetBackend } from '../support/stored-fleet.ts';
import { answerParent } from './child-process.ts';

export interface MemoryInUse {
  /** When the fleet is known and garbage is collected; V8 then keeps many empty pages for later. */
  readonly withReserve: NodeJS.MemoryUsage;
  /** When V8 has given them back. */
  readonly bare: NodeJS.MemoryUsage;
}

/** The operator with a stored fleet. */
answerParent({
  async memoryInUse({ file, instances }: { file: string; instances: number }): Promise<MemoryInUse> {
    const { operator, metrics } = await buildOperator({
      backend: () => Promise.resolve(storedFleetBackend({ file })),
    });
    await operator.start();
    await untilKnown(metrics, instances);
    await untilSettled(metrics);
    const withReserve = await usageAfter('regular');
    return { withReserve, bare: await usageAfter('last-resort') };
  },
});

async function usageAfter(flavor: 'regular' | 'last-resort'): Promise<NodeJS.MemoryUsage> {
  if (globalThis.gc === undefined) throw new Error('needs --expose-gc');
  // Finalizers and freed buffers of one collection are garbage for the next.
  for (let round = 0; round < 3; round += 1) {
    globalThis.gc({ type: 'major', execution: 'sync', flavor });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return process.memoryUsage();
}
