import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { decodeInstance } from '../../src/kubernetes/instance-resource.ts';

const COUNT = 20_000;

/** Measured: 540 bytes, of which the key, the name and the three conditions are half. */
const BYTES_MAX = 650;

describe('a cached instance', () => {
  it('with a full status takes little more than half a kilobyte', () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const heapBytes = (): number => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    const cache: unknown[] = Array.from({ length: COUNT });
    const before = heapBytes();
    for (let index = 0; index < COUNT; index += 1) cache[index] = decodeInstance(JSON.parse(instanceText(index)));
    const bytesEach = (heapBytes() - before) / COUNT;
    expect(cache).toHaveLength(COUNT);
    expect(bytesEach).toBeLessThan(BYTES_MAX);
  });
});

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
