import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { decodeInstance } from '../../src/kubernetes/instance-resource.ts';
import { decodePod } from '../../src/kubernetes/pod-resource.ts';

const COUNT = 20_000;

/** Measured: 640 bytes, of which the key, the name, the uid and the three conditions are half. */
const INSTANCE_BYTES_MAX = 750;
/** Measured: 790 bytes. The name and the uid of the Pod are in them; the Pod itself is cached elsewhere. */
const BOUND_INSTANCE_BYTES_MAX = 900;
/** Measured: 570 bytes, a fraction of what the API server sends. */
const POD_BYTES_MAX = 680;

describe('In the caches', () => {
  it.each([
    ['an instance with a full status', INSTANCE_BYTES_MAX, (index: number) => decodeInstance(instance(index))],
    ['an instance with its Pod', BOUND_INSTANCE_BYTES_MAX, (index: number) => decodeInstance(boundInstance(index))],
    ['a Pod with our condition', POD_BYTES_MAX, (index: number) => decodePod(JSON.parse(podText(index)))],
  ])('%s takes less than %i bytes', (_what, bytesMax, decode) => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const heapBytes = (): number => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    const cache: unknown[] = Array.from({ length: COUNT });
    const before = heapBytes();
    for (let index = 0; index < COUNT; index += 1) cache[index] = decode(index);
    const bytesEach = (heapBytes() - before) / COUNT;
    expect(cache).toHaveLength(COUNT);
    expect(bytesEach).toBeLessThan(bytesMax);
  });
});

function instance(index: number): object {
  return JSON.parse(instanceText(index)) as object;
}

/** One whose Pod was found: it owns the object, too. */
function boundInstance(index: number): object {
  const { metadata, status, ...rest } = JSON.parse(instanceText(index)) as { metadata: object; status: object };
  const [name, uid] = [podName(index), podUid(index)];
  const podRef = { namespace: `team-${index % 20}`, name, uid, matchedBy: 'PodIP' };
  const ownerReferences = [{ apiVersion: 'v1', kind: 'Pod', name, uid }];
  return JSON.parse(
    JSON.stringify({ ...rest, metadata: { ...metadata, ownerReferences }, status: { ...status, podRef } }),
  ) as object;
}

function podName(index: number): string {
  return `order-${(index % 500).toString(36).padStart(10, 'c')}-${index.toString(36).padStart(5, 'x')}`;
}

function podUid(index: number): string {
  return `${String(index).padStart(8, '0')}-44bb-4b22-9c22-d50f8b2112b2`;
}

/** As it comes from the API server: forty Pods to a ReplicaSet, one container, on five hundred nodes. */
function podText(index: number): string {
  const hash = (index % 500).toString(36).padStart(10, 'c');
  const transition = new Date(1.76e12 + index * 977).toISOString();
  const condition = (type: string) => ({ type, status: 'True', lastProbeTime: null, lastTransitionTime: transition });
  return JSON.stringify({
    metadata: {
      name: podName(index),
      generateName: `order-${hash}-`,
      namespace: `team-${index % 20}`,
      uid: podUid(index),
      resourceVersion: String(1_000_000 + index),
      generation: 1,
      creationTimestamp: '2026-11-25T10:00:00Z',
      labels: { app: `order-${index % 500}`, version: 'v1', 'pod-template-hash': hash },
      annotations: { 'example.com/config': 'x'.repeat(500) },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `order-${hash}`, uid: 'u', controller: true },
      ],
      managedFields: [
        { manager: 'kubelet', fieldsV1: { 'f:status': { 'f:conditions': { 'k:{"type":"Ready"}': {} } } } },
      ],
    },
    spec: {
      nodeName: `node-${index % 500}`,
      readinessGates: [{ conditionType: 'heartbeat-operator.io/Healthy' }],
      containers: [
        { name: 'order', image: 'order', env: Array.from({ length: 20 }, (_, n) => ({ name: `E${n}`, value: '' })) },
      ],
    },
    status: {
      phase: 'Running',
      podIP: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
      podIPs: [{ ip: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}` }, { ip: `fd00::${index.toString(16)}` }],
      conditions: [
        ...['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map(condition),
        {
          ...condition('heartbeat-operator.io/Healthy'),
          reason: 'HeartbeatReceived',
          message: 'Heartbeats of its instance arrive in time.',
          observedGeneration: 1,
        },
      ],
      containerStatuses: [
        { name: 'order', restartCount: 0, ready: true, state: { running: { startedAt: transition } } },
      ],
    },
  });
}

/** As it comes from the API server; ids have the 32 digits that ServiceComb's have. */
function instanceText(index: number): string {
  const instanceId = String(index).padStart(32, 'a');
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    reason,
    message,
    lastTransitionTime: new Date(1.76e12 + index * 977).toISOString(),
    observedGeneration: 1,
  });
  return JSON.stringify({
    metadata: {
      name: `order-${instanceId}`,
      uid: `${String(index).padStart(8, '0')}-9bfa-4b22-8d4f-0b8b2112b2aa`,
      namespace: `team-${index % 20}`,
      resourceVersion: String(1_000_000 + index),
      generation: 1,
      creationTimestamp: '2026-11-25T10:00:00Z',
      labels: { 'app.kubernetes.io/managed-by': 'heartbeat-operator' },
      managedFields: [{ manager: 'heartbeat-operator', fieldsV1: { 'f:spec': { 'f:domain': {} } } }],
    },
    spec: {
      domain: 'default',
      projectId: 'default-project',
      serviceId: String(index % 500).padStart(32, 'b'),
      instanceId,
    },
    status: {
      conditions: [
        condition('Fresh', 'HeartbeatReceived', 'Heartbeats arrive within 120 s.'),
        condition('Healthy', 'HeartbeatReceived', 'Heartbeats arrive within 120 s.'),
        condition('PodSynced', 'PodConditionCurrent', 'The Pod shows the verdict.'),
      ],
      healthy: 'True',
      lastHeartbeatTime: new Date(1.76e12 + index).toISOString(),
      effective: { intervalSeconds: 30, times: 3, ttlSeconds: 120, source: 'Default' },
      observedGeneration: 1,
    },
  });
}
