import type { Logger } from 'pino';
import type { PodObserver, PolicyObserver, ReconcileObserver } from '../controller/ports.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import { stormMessage } from '../brakes/storm.ts';
import { identityOf } from '../liveness/instance-key.ts';
import type { RepeatedWarning } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { reconcileObserver } from './observers.ts';

/** What is done to Pods, as metrics and log lines. */
export function podObserver(
  metrics: Metrics,
  logger: Logger,
  repeated: RepeatedWarning,
): PodObserver & ReconcileObserver<string> {
  return {
    ...reconcileObserver<string>('pod', (uid) => ({ podUid: uid }), metrics, logger, repeated),
    podWritten(pod, { status, reason, message }, { delayMs }) {
      metrics.podWrites.inc({ status, reason });
      if (delayMs !== undefined) metrics.podDetectionDelay.observe(delayMs / 1000);
      const from = pod.condition?.status ?? 'None';
      logger.info({ pod: podName(pod), from, to: status, reason, message }, 'pod condition written');
    },
    podWriteFailed: (_pod, _condition, result) => metrics.podWriteFailures.inc({ result }),
    readyFollowed: (_pod, tookMs) => metrics.podReadyDelay.observe(tookMs / 1000),
    readyDidNotFollow(pod) {
      metrics.podReadyUnconfirmed.inc();
      repeated.warn('unconfirmed', { pod: podName(pod) }, 'Ready of a pod did not follow its condition');
    },
    stormBegan(storm) {
      metrics.storms.inc({ group: storm.scope });
      logger.warn({ group: storm.scope, name: storm.name, message: stormMessage(storm) }, 'storm began');
    },
    stormEnded(storm, why) {
      logger.warn({ group: storm.scope, name: storm.name, why }, 'storm ended');
    },
    podHeld(pod, hold) {
      if (hold === undefined) return;
      repeated.warn(`held ${hold.reason}`, { pod: podName(pod), ...hold }, 'silent pod stays in service');
    },
    identityConflict(key, sender) {
      metrics.identityConflicts.inc();
      repeated.warn('conflict', { ...identityOf(key), sender }, 'heartbeats come from elsewhere than the bound pod');
    },
  };
}

/** What is done to policies, as metrics and log lines. */
export function policyObserver(metrics: Metrics, repeated: RepeatedWarning): PolicyObserver {
  return {
    policyWritten: () => metrics.policyWrites.inc(),
    policyFailed(policy, error) {
      const name = policy === undefined ? undefined : `${policy.namespace}/${policy.name}`;
      repeated.warn('policy', { policy: name, error }, 'status of a policy not written');
    },
  };
}

function podName({ namespace, name }: ObservedPod): string {
  return `${namespace}/${name}`;
}
