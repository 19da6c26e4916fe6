import type { Logger } from 'pino';
import type { LoopObserver, ReconcileObserver } from '../controller/ports.ts';
import type { ObservedInstance, PodRef } from '../health/observed-instance.ts';
import { identityOf, type InstanceKey } from '../liveness/instance-key.ts';
import type { ControllerName } from '../telemetry/labels.ts';
import type { RepeatedWarning } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** What the loop does, as metrics and log lines. A transition is one line; what repeats is written rarely. */
export function loopObserver(metrics: Metrics, logger: Logger, repeated: RepeatedWarning): LoopObserver {
  return {
    transitioned(instance, before, delayMs) {
      const healthy = instance.status?.healthy;
      metrics.statusWrites.inc({ kind: 'transition' });
      metrics.transitions.inc({ to: healthy?.status ?? 'Unknown', reason: healthy?.reason ?? '' });
      if (delayMs !== undefined) metrics.detectionDelay.observe(delayMs / 1000);
      logger.info(
        { instance: objectName(instance), from: before ?? 'None', to: healthy?.status, reason: healthy?.reason },
        'instance health changed',
      );
    },
    created(instance) {
      metrics.instancesCreated.inc();
      logger.info({ instance: objectName(instance), ...identityOf(instance.key) }, 'instance created');
    },
    removed(instance) {
      metrics.instancesRemoved.inc();
      logger.info({ instance: objectName(instance) }, 'silent instance removed');
    },
    refreshed: () => metrics.statusWrites.inc({ kind: 'refresh' }),
    ...reconcileObserver<InstanceKey>('heartbeatinstance', identityOf, metrics, logger, repeated),
    bound(key, ref, before) {
      const fields = { ...identityOf(key), pod: podOf(ref), before: podOf(before), matchedBy: ref?.matchedBy };
      logger.info(fields, ref === undefined ? 'instance bound to no pod' : 'instance bound to a pod');
    },
    reported(key, value, isStored) {
      metrics.reports.inc({ result: isStored ? 'stored' : 'notStored' });
      logger.info({ ...identityOf(key), value, isStored }, 'instance reported its status');
    },
    newIdentityRefused(reason) {
      metrics.newInstancesRefused.inc({ reason });
      repeated.warn(`refused ${reason}`, { reason }, 'new instances refused');
    },
    stalled(stallMs) {
      metrics.eventLoopStall.observe(stallMs / 1000);
      repeated.warn('stalled', { stallSeconds: stallMs / 1000 }, 'operator did not run for a while');
    },
    capped: (count) => metrics.selfDoubtCapped.inc(count),
  };
}

function podOf(ref: PodRef | undefined): string | undefined {
  return ref && `${ref.namespace}/${ref.name}`;
}

/** How reconciling goes, as metrics and log lines. */
export function reconcileObserver<Key extends string>(
  controller: ControllerName,
  describe: (key: Key) => object,
  metrics: Metrics,
  logger: Logger,
  repeated: RepeatedWarning,
): ReconcileObserver<Key> {
  return {
    reconciled: (result, workedMs) => metrics.reconciled(controller, result, workedMs),
    failed(key, failure, failures) {
      const fields = { controller, ...describe(key), failures };
      if (failure.kind === 'threw') {
        metrics.reconcilePanicked(controller);
        logger.error({ ...fields, error: errorText(failure.error) }, 'reconciling threw');
      } else {
        repeated.warn(
          `failed ${controller} ${failure.kind}`,
          { ...fields, error: failure.message },
          'reconciling failed',
        );
      }
    },
    held: (holdMs, message) =>
      repeated.warn(`held ${controller}`, { controller, holdMs, error: message }, 'API server does not take writes'),
  };
}

/** Hears what people want to read, beside metrics and logs. */
export type Narrator = Pick<LoopObserver, 'created' | 'transitioned'>;

export function errorText(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function objectName(instance: ObservedInstance): string {
  return `${instance.namespace}/${instance.name}`;
}
