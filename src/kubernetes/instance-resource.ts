import { type Condition, sameCondition } from '../health/condition.ts';
import type { EffectiveTiming, InstanceStatus, ObservedInstance } from '../health/observed-instance.ts';
import { type InstanceIdentity, instanceKey } from '../liveness/instance-key.ts';
import { flatten } from '../liveness/slot-table.ts';
import type { HeartbeatInstance } from './generated/heartbeat-instance.ts';
import { isRecord } from './api-error.ts';
import { StringTable } from './string-table.ts';

type StoredStatus = NonNullable<HeartbeatInstance['status']>;
type StoredCondition = NonNullable<StoredStatus['conditions']>[number];

export const GROUP = 'heartbeat-operator.io';
export const PLURAL = 'heartbeatinstances';
const API_VERSION = `${GROUP}/v1alpha1`;

const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
const MANAGED_BY = 'heartbeat-operator';

/** The path of all instances, or of those in one namespace. */
export function instancesPath(namespace?: string): string {
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `/apis/${API_VERSION}${scope}/${PLURAL}`;
}

export function instancePath(namespace: string, name: string): string {
  return `${instancesPath(namespace)}/${encodeURIComponent(name)}`;
}

export function instanceStatusPath(namespace: string, name: string): string {
  return `${instancePath(namespace, name)}/status`;
}

/** Namespaces, tenants, reasons and messages: few, and in every object. */
const repeatedStrings = new StringTable(4_096);

/**
 * The slim form of a stored object.
 *
 * The API server has checked the object against our schema, so that only what the schema of a later version
 * could change is looked at with suspicion.
 *
 * @throws TypeError if it is not a HeartbeatInstance
 */
export function decodeInstance(object: unknown): ObservedInstance {
  if (!isRecord(object) || !isRecord(object['metadata']) || !isRecord(object['spec'])) {
    throw new TypeError('not a HeartbeatInstance: it has no metadata or no spec');
  }
  const { metadata } = object;
  const { spec, status } = object as unknown as HeartbeatInstance;
  const { name, namespace, resourceVersion, generation, creationTimestamp, labels } = metadata;
  if (typeof name !== 'string' || typeof namespace !== 'string' || typeof resourceVersion !== 'string') {
    throw new TypeError('not a stored HeartbeatInstance: it has no name, namespace or resourceVersion');
  }
  for (const part of [spec.domain, spec.projectId, spec.serviceId, spec.instanceId]) {
    if (typeof part !== 'string') throw new TypeError(`the HeartbeatInstance ${namespace}/${name} has no identity`);
  }
  return {
    key: flatten(instanceKey(spec.domain, spec.projectId, spec.serviceId, spec.instanceId)),
    namespace: repeatedStrings.intern(namespace),
    name,
    resourceVersion,
    generation: typeof generation === 'number' ? generation : 0,
    createdSeconds: typeof creationTimestamp === 'string' ? secondsOf(creationTimestamp) : 0,
    managed: isRecord(labels) && labels[MANAGED_BY_LABEL] === MANAGED_BY,
    heartbeat: spec.heartbeat && { intervalSeconds: spec.heartbeat.intervalSeconds, times: spec.heartbeat.times },
    outOfService: spec.override === 'OutOfService',
    paused: spec.paused === true,
    status: status && decodeStatus(status),
  };
}

function decodeStatus(status: StoredStatus): InstanceStatus {
  const fresh = decodeCondition(status, 'Fresh');
  const healthy = decodeCondition(status, 'Healthy');
  return {
    fresh,
    // Most often the verdict is that of the heartbeats, word for word: one object in memory instead of two.
    healthy: sameCondition(fresh, healthy) ? fresh : healthy,
    podSynced: decodeCondition(status, 'PodSynced'),
    healthySummary: status.healthy,
    lastHeartbeatWallMs: millisecondsOf(status.lastHeartbeatTime),
    expiredWallMs: millisecondsOf(status.expiredAt),
    effective: status.effective && decodeEffective(status.effective),
    observedGeneration: status.observedGeneration,
  };
}

function decodeCondition(status: StoredStatus, type: string): Condition | undefined {
  const stored = status.conditions?.find((condition) => condition.type === type);
  return (
    stored && {
      status: stored.status,
      reason: repeatedStrings.intern(stored.reason),
      message: repeatedStrings.intern(stored.message),
      lastTransitionSeconds: secondsOf(stored.lastTransitionTime),
      observedGeneration: stored.observedGeneration ?? 0,
    }
  );
}

/** The timing that was decoded last: in most fleets that of every instance, so that they share one object. */
let lastEffective: EffectiveTiming | undefined;

function decodeEffective(effective: NonNullable<StoredStatus['effective']>): EffectiveTiming {
  const { intervalSeconds, times, ttlSeconds } = effective;
  const source = effective.source === 'Spec' ? 'Spec' : 'Default';
  if (
    lastEffective?.intervalSeconds !== intervalSeconds ||
    lastEffective.times !== times ||
    lastEffective.ttlSeconds !== ttlSeconds ||
    lastEffective.source !== source
  ) {
    lastEffective = { intervalSeconds, times, ttlSeconds, source };
  }
  return lastEffective;
}

/** The object to create for an instance. */
export function encodeDraft(name: string, namespace: string, identity: InstanceIdentity): object {
  const { domain, projectId, serviceId, instanceId } = identity;
  return {
    apiVersion: API_VERSION,
    kind: 'HeartbeatInstance',
    metadata: { name, namespace, labels: { [MANAGED_BY_LABEL]: MANAGED_BY } },
    spec: { domain, projectId, serviceId, instanceId },
  };
}

/** The status as the value of a merge patch, in which null removes a field and a missing one would leave it as it is. */
export function encodeStatus(status: InstanceStatus): object {
  const conditions = [
    ['Fresh', status.fresh],
    ['Healthy', status.healthy],
    ['PodSynced', status.podSynced],
  ] as const;
  return {
    conditions: conditions.flatMap(([type, condition]) => (condition ? [encodeCondition(type, condition)] : [])),
    healthy: status.healthySummary ?? null,
    lastHeartbeatTime: timestampOf(status.lastHeartbeatWallMs),
    expiredAt: timestampOf(status.expiredWallMs),
    effective: status.effective ?? null,
    observedGeneration: status.observedGeneration ?? null,
  };
}

function encodeCondition(type: string, condition: Condition): StoredCondition {
  const { status, reason, message, lastTransitionSeconds, observedGeneration } = condition;
  // Whole seconds without a fraction, as every other controller writes them.
  const lastTransitionTime = new Date(lastTransitionSeconds * 1_000).toISOString().replace('.000Z', 'Z');
  return { type, status, reason, message, lastTransitionTime, observedGeneration };
}

function secondsOf(timestamp: string): number {
  return Math.floor(Date.parse(timestamp) / 1_000);
}

/** @param time RFC 3339; absent, or null as in our own patches, is undefined */
function millisecondsOf(time: string | null | undefined): number | undefined {
  return time === undefined || time === null ? undefined : Date.parse(time);
}

function timestampOf(wallMs: number | undefined): string | null {
  return wallMs === undefined ? null : new Date(wallMs).toISOString();
}
