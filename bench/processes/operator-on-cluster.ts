import { systemClock } from '../../src/clock.ts';
import { kubernetesBackend } from '../../src/operator/kubernetes-backend.ts';
import { buildOperator } from '../support/build-operator.ts';
import { answerParent } from './child-process.ts';

/** The operator on the cluster of $KUBECONFIG. */
export interface ClusterOperatorOptions {
  readonly intervalSeconds: number;
  readonly times: number;
}

/** From the deadline of each instance that fell silent to the answer to the write of its verdict. */
const delaysMs: number[] = [];

answerParent({
  async start({ intervalSeconds, times }: ClusterOperatorOptions): Promise<number> {
    const { operator } = await buildOperator({
      backend: (parts) => kubernetesBackend({ ...parts, clock: systemClock, environment: process.env }),
      settings: { defaultIntervalSeconds: intervalSeconds, defaultTimes: times },
      narrator: {
        created: () => undefined,
        transitioned(instance, _before, delayMs) {
          if (instance.status?.healthySummary === 'False' && delayMs !== undefined) delaysMs.push(delayMs);
        },
      },
    });
    return (await operator.start()).heartbeatPort;
  },

  delaysMs: () => delaysMs,
});
