import type { InstanceDraft } from '../controller/ports.ts';
import { sameCondition } from '../health/condition.ts';
import {
  type EffectiveTiming,
  type InstanceStatus,
  type MatchedBy,
  type ObservedInstance,
  type PodOwner,
  type PodRef,
  REPORTED_VALUES,
  type StatusReport,
  type TimingSource,
} from '../health/observed-instance.ts';
import { instanceKey } from '../liveness/instance-key.ts';
import { flatten } from '../liveness/slot-table.ts';
import { isRecord } from './api-error.ts';
import { decodeCondition, encodeCondition, secondsOf } from './condition-codec.ts';
import type { HeartbeatInstance } from './generated/heartbeat-instance.ts';
import { StringTable } from './string-table.ts';

type DeclaredStatus = NonNullable<HeartbeatInstance['status']>;

/** A part may also be null: a merge patch leaves its nulls in an object that it makes. */
type StoredStatus = { readonly [Part in keyof DeclaredStatus]: DeclaredStatus[Part] | null };

export const GROUP = 'heartbeat-operator.io';
const PLURAL = 'heartbeatinstances';
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

/** Namespaces: few, and in every object. */
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
  const { spec } = object as unknown as HeartbeatInstance;
  const { uid, name, namespace, resourceVersion, generation, creationTimestamp, labels } = metadata;
  if (typeof name !== 'string' || typeof namespace !== 'string' || typeof resourceVersion !== 'string') {
    throw new TypeError('not a stored HeartbeatInstance: it has no name, namespace or resourceVersion');
  }
  if (typeof uid !== 'string') throw new TypeError(`the HeartbeatInstance ${namespace}/${name} has no uid`);
  for (const part of [spec.domain, spec.projectId, spec.serviceId, spec.instanceId]) {
    if (typeof part !== 'string') throw new TypeError(`the HeartbeatInstance ${namespace}/${name} has no identity`);
  }
  const stored = object['status'] as StoredStatus | null | undefined;
  const status = stored && isWritten(stored) ? decodeStatus(stored) : undefined;
  const ownerUid = podOwnerUid(metadata['ownerReferences']);
  return {
    key: flatten(instanceKey(spec.domain, spec.projectId, spec.serviceId, spec.instanceId)),
    uid,
    namespace: repeatedStrings.intern(namespace),
    name,
    resourceVersion,
    generation: typeof generation === 'number' ? generation : 0,
    createdSeconds: typeof creationTimestamp === 'string' ? secondsOf(creationTimestamp) : 0,
    managed: isRecord(labels) && labels[MANAGED_BY_LABEL] === MANAGED_BY,
    heartbeat: spec.heartbeat && { intervalSeconds: spec.heartbeat.intervalSeconds, times: spec.heartbeat.times },
    outOfService: spec.override === 'OutOfService',
    paused: spec.paused === true,
    // Most often it is the Pod of `podRef`: one text in memory instead of two.
    ownerUid: ownerUid === status?.podRef?.uid ? status?.podRef?.uid : ownerUid,
    reported: decodeReport(stored?.reported),
    status,
  };
}

/** Whether there is more than a report, which is stored by itself and may come first. */
function isWritten(status: StoredStatus): boolean {
  return Object.keys(status).some((part) => part !== 'reported');
}

function decodeStatus(status: StoredStatus): InstanceStatus {
  const { conditions } = status;
  const fresh = decodeCondition(conditions, 'Fresh');
  const healthy = decodeCondition(conditions, 'Healthy');
  return {
    fresh,
    // Most often the verdict is that of the heartbeats, word for word: one object in memory instead of two.
    healthy: sameCondition(fresh, healthy) ? fresh : healthy,
    podSynced: decodeCondition(conditions, 'PodSynced'),
    identityConflict: decodeCondition(conditions, 'IdentityConflict'),
    healthySummary: status.healthy ?? undefined,
    lastHeartbeatWallMs: millisecondsOf(status.lastHeartbeatTime),
    expiredWallMs: millisecondsOf(status.expiredAt),
    effective: status.effective ? decodeEffective(status.effective) : undefined,
    podRef: status.podRef ? decodePodRef(status.podRef) : undefined,
    observedGeneration: status.observedGeneration ?? undefined,
  };
}

/** The timing that was decoded last: in most fleets that of every instance, so that they share one object. */
let lastEffective: EffectiveTiming | undefined;

function decodeEffective(effective: NonNullable<DeclaredStatus['effective']>): EffectiveTiming {
  const { intervalSeconds, times, ttlSeconds } = effective;
  const source = decodeSource(effective.source);
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

function decodeSource(source: string): TimingSource {
  return source === 'Spec' || source === 'Policy' ? source : 'Default';
}

const MATCHED_BY: readonly MatchedBy[] = ['Token', 'PodIP', 'InstanceId'];

/** Evidence that we do not know is none: who the Pod is will be found out afresh. */
function decodePodRef({ namespace, name, uid, matchedBy }: NonNullable<DeclaredStatus['podRef']>): PodRef | undefined {
  const known = MATCHED_BY.find((evidence) => evidence === matchedBy);
  return known && { namespace: repeatedStrings.intern(namespace), name, uid, matchedBy: known };
}

/** A word that we do not know decides nothing. */
function decodeReport(reported: DeclaredStatus['reported'] | null): StatusReport | undefined {
  const value = REPORTED_VALUES.find((known) => known === reported?.value);
  const wallMs = millisecondsOf(reported?.time);
  if (value === undefined || wallMs === undefined) return undefined;
  return { value, wallMs, podUid: reported?.podUid ?? undefined };
}

function podOwnerUid(ownerReferences: unknown): string | undefined {
  if (!Array.isArray(ownerReferences)) return undefined;
  for (const owner of ownerReferences as readonly unknown[]) {
    if (!isRecord(owner) || owner['apiVersion'] !== 'v1' || owner['kind'] !== 'Pod') continue;
    if (typeof owner['uid'] === 'string') return owner['uid'];
  }
  return undefined;
}

/** The object to create for an instance. */
export function encodeDraft({ name, namespace, identity, owner }: InstanceDraft): object {
  const { domain, projectId, serviceId, instanceId } = identity;
  return {
    apiVersion: API_VERSION,
    kind: 'HeartbeatInstance',
    metadata: {
      name,
      namespace,
      labels: { [MANAGED_BY_LABEL]: MANAGED_BY },
      ...(owner !== undefined && { ownerReferences: encodeOwners(owner) }),
    },
    spec: { domain, projectId, serviceId, instanceId },
  };
}

/**
 * The Pod as the only owner, so that the garbage collector takes the object away with it.
 *
 * It is no controller of the object, and its deletion does not wait for that of the object.
 */
export function encodeOwners({ name, uid }: PodOwner): readonly object[] {
  return [{ apiVersion: 'v1', kind: 'Pod', name, uid }];
}

/**
 * The status as the value of a merge patch, in which null removes a field and a missing one leaves it as it is.
 *
 * So it leaves what the application reported, which is not part of what is planned.
 */
export function encodeStatus(status: InstanceStatus): object {
  const conditions = [
    ['Fresh', status.fresh],
    ['Healthy', status.healthy],
    ['PodSynced', status.podSynced],
    ['IdentityConflict', status.identityConflict],
  ] as const;
  return {
    conditions: conditions.flatMap(([type, condition]) => (condition ? [encodeCondition(type, condition)] : [])),
    healthy: status.healthySummary ?? null,
    lastHeartbeatTime: timestampOf(status.lastHeartbeatWallMs),
    expiredAt: timestampOf(status.expiredWallMs),
    effective: status.effective ?? null,
    podRef: status.podRef ?? null,
    observedGeneration: status.observedGeneration ?? null,
  };
}

/** A report as the value of a merge patch of the status, all other parts of which stay as they are. */
export function encodeReport({ value, wallMs, podUid }: StatusReport): object {
  // In a merge patch what an earlier report had must be removed by name.
  return { reported: { value, time: new Date(wallMs).toISOString(), podUid: podUid ?? null } };
}

/** @param time RFC 3339; absent, or null as in our own patches, is undefined */
function millisecondsOf(time: string | null | undefined): number | undefined {
  return time === undefined || time === null ? undefined : Date.parse(time);
}

function timestampOf(wallMs: number | undefined): string | null {
  return wallMs === undefined ? null : new Date(wallMs).toISOString();
}
