import type { Condition } from '../health/condition.ts';
import { type ContainerTermination, type ObservedPod, POD_CONDITION_TYPE } from '../health/observed-pod.ts';
import { isRecord } from './api-error.ts';
import { canonicalAddress } from './canonical-address.ts';
import {
  decodeCondition,
  encodeCondition,
  isConditionTrue,
  secondsOf,
  type StoredCondition,
} from './condition-codec.ts';
import { StringTable } from './string-table.ts';

/** What of a Pod is read. A Go server writes what is empty not at all or as null. */
interface StoredPod {
  readonly metadata: {
    readonly generation?: number;
    readonly labels?: Readonly<Record<string, string>> | null;
    readonly ownerReferences?: readonly OwnerReference[] | null;
    readonly creationTimestamp?: string | null;
    readonly deletionTimestamp?: string | null;
  };
  readonly spec: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly readinessGates?: readonly { readonly conditionType: string }[] | null;
    readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[] | null;
  };
  readonly status?: StoredPodStatus | null;
}

interface StoredPodStatus {
  readonly phase?: string;
  readonly podIP?: string;
  readonly podIPs?: readonly { readonly ip?: string }[] | null;
  readonly conditions?: readonly StoredCondition[] | null;
  readonly containerStatuses?: readonly ContainerStatus[] | null;
  readonly initContainerStatuses?: readonly ContainerStatus[] | null;
}

interface OwnerReference {
  readonly kind: string;
  readonly name: string;
  readonly controller?: boolean | null;
}

interface ContainerStatus {
  readonly name: string;
  readonly restartCount?: number;
  readonly state?: ContainerState | null;
  readonly lastState?: ContainerState | null;
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string } | null;
  readonly terminated?: {
    readonly reason?: string;
    readonly exitCode?: number;
    readonly finishedAt?: string | null;
  } | null;
}

/** The path of all Pods, or of those in one namespace. */
export function podsPath(namespace?: string): string {
  return namespace === undefined ? '/api/v1/pods' : `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`;
}

export function podPath(namespace: string, name: string): string {
  return `${podsPath(namespace)}/${encodeURIComponent(name)}`;
}

export function podStatusPath(namespace: string, name: string): string {
  return `${podPath(namespace, name)}/status`;
}

/**
 * Namespaces, nodes, workloads, label values, containers: the Pods of a workload have them in common. Labels that name
 * a single Pod, as those of a StatefulSet do, are among them, so that there is room for more than for the former.
 */
const repeatedStrings = new StringTable(16_384);

/** What a container waits for before its first start. That is no trouble. */
const USUAL_WAITS: ReadonlySet<string> = new Set(['ContainerCreating', 'PodInitializing']);

/** The label by which a Deployment tells the Pods of its ReplicaSets apart; their names end with the same text. */
const TEMPLATE_HASH_LABEL = 'pod-template-hash';

/**
 * The slim form of a stored Pod. The rest of it, most of all its spec, is dropped.
 *
 * @throws TypeError if it is not a Pod
 */
export function decodePod(object: unknown): ObservedPod {
  if (!isRecord(object) || !isRecord(object['metadata']) || !isRecord(object['spec'])) {
    throw new TypeError('not a Pod: it has no metadata or no spec');
  }
  const { uid, name, namespace, resourceVersion } = object['metadata'];
  if (typeof name !== 'string' || typeof namespace !== 'string' || typeof resourceVersion !== 'string') {
    throw new TypeError('not a stored Pod: it has no name, namespace or resourceVersion');
  }
  if (typeof uid !== 'string') throw new TypeError(`the Pod ${namespace}/${name} has no uid`);
  const { metadata, spec, status } = object as unknown as StoredPod;
  const { phase, conditions } = status ?? {};
  const containers = lastingContainers(spec, status ?? {});
  return {
    uid,
    namespace: repeatedStrings.intern(namespace),
    name,
    resourceVersion,
    generation: metadata.generation ?? 0,
    labels: decodeLabels(metadata.labels ?? {}),
    workload: repeatedStrings.intern(workloadOf(name, metadata)),
    createdSeconds: secondsOf(metadata.creationTimestamp),
    isTerminating: typeof metadata.deletionTimestamp === 'string',
    isFinished: phase === 'Succeeded' || phase === 'Failed',
    addresses: decodeAddresses(status ?? {}),
    isOnHostNetwork: spec.hostNetwork === true,
    nodeName: repeatedStrings.intern(spec.nodeName ?? ''),
    hasGate: (spec.readinessGates ?? []).some(isOurGate),
    condition: decodeCondition(conditions, POD_CONDITION_TYPE),
    isReady: isConditionTrue(conditions, 'Ready'),
    isReadyButForGate:
      isConditionTrue(conditions, 'ContainersReady') &&
      (spec.readinessGates ?? []).every((gate) => isOurGate(gate) || isConditionTrue(conditions, gate.conditionType)),
    restarts: containers.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0),
    lastTermination: lastTermination(containers),
    waiting: firstTroubledWait(containers),
  };
}

/**
 * A Pod that sets our condition and nothing else: the body of a server-side apply to its status.
 *
 * The uid makes the server refuse it for another Pod of the same name.
 *
 * @param knowsGeneration whether the server's Pods have `observedGeneration` in their conditions; one that does not know
 *   it refuses the whole
 */
export function encodePodCondition(pod: ObservedPod, condition: Condition, knowsGeneration: boolean): object {
  const { namespace, name, uid } = pod;
  const { observedGeneration, ...known } = encodeCondition(POD_CONDITION_TYPE, condition);
  const conditions = [knowsGeneration ? { ...known, observedGeneration } : known];
  return { apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, uid }, status: { conditions } };
}

function isOurGate({ conditionType }: { readonly conditionType: string }): boolean {
  return conditionType === POD_CONDITION_TYPE;
}

function decodeLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(labels).map(([key, value]) => [repeatedStrings.intern(key), repeatedStrings.intern(value)]),
  );
}

/** The Deployment is not asked for: its name is that of the ReplicaSet without the hash. */
function workloadOf(podName: string, { ownerReferences, labels }: StoredPod['metadata']): string {
  const controller = (ownerReferences ?? []).find((owner) => owner.controller === true);
  if (controller === undefined) return `Pod/${podName}`;
  const { kind, name } = controller;
  const ending = `-${labels?.[TEMPLATE_HASH_LABEL] ?? ''}`;
  if (kind === 'ReplicaSet' && ending.length > 1 && name.endsWith(ending) && name.length > ending.length) {
    return `Deployment/${name.slice(0, -ending.length)}`;
  }
  return `${kind}/${name}`;
}

function decodeAddresses({ podIP, podIPs }: StoredPodStatus): readonly string[] {
  const texts = podIPs?.map(({ ip }) => ip) ?? [podIP];
  // A copy has room for what is in it and no more.
  return texts.flatMap((text) => canonicalAddress(text ?? '') ?? []).slice();
}

/** Of the containers that run as long as the Pod does: not of those that prepare it, but of sidecars among them. */
function lastingContainers({ initContainers }: StoredPod['spec'], status: StoredPodStatus): readonly ContainerStatus[] {
  const containers = status.containerStatuses ?? [];
  const sidecars = (initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  if (sidecars.length === 0) return containers;
  const names = new Set(sidecars.map(({ name }) => name));
  return [...containers, ...(status.initContainerStatuses ?? []).filter(({ name }) => names.has(name))];
}

function lastTermination(containers: readonly ContainerStatus[]): ContainerTermination | undefined {
  let latest: ContainerTermination | undefined;
  for (const { name, state, lastState } of containers) {
    for (const ended of [lastState?.terminated, state?.terminated]) {
      if (ended === undefined || ended === null) continue;
      const finishedSeconds = secondsOf(ended.finishedAt);
      if (latest !== undefined && finishedSeconds < latest.finishedSeconds) continue;
      const { reason = '', exitCode = 0 } = ended;
      latest = {
        container: repeatedStrings.intern(name),
        reason: repeatedStrings.intern(reason),
        exitCode,
        finishedSeconds,
      };
    }
  }
  return latest;
}

function firstTroubledWait(containers: readonly ContainerStatus[]): ObservedPod['waiting'] {
  for (const { name, state } of containers) {
    const reason = state?.waiting?.reason ?? '';
    if (reason === '' || USUAL_WAITS.has(reason)) continue;
    return { container: repeatedStrings.intern(name), reason: repeatedStrings.intern(reason) };
  }
  return undefined;
}
