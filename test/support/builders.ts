import type { Condition } from '../../src/health/condition.ts';
import type { InstanceStatus, ObservedInstance } from '../../src/health/observed-instance.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import { type InstanceIdentity, type InstanceKey, keyOf } from '../../src/liveness/instance-key.ts';
import type { Belief } from '../../src/liveness/liveness-engine.ts';
import { UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import type { HeartbeatTiming } from '../../src/liveness/time-to-live.ts';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** Service-center's defaults, and the time to live that follows. */
export const TIMING: HeartbeatTiming = { intervalSeconds: 30, times: 3 };
export const TTL = 120 * SECOND;

export function identity(instanceId: string): InstanceIdentity {
  return { domain: 'acme', projectId: 'shop', serviceId: 'cart', instanceId };
}

export function key(instanceId: string): InstanceKey {
  return keyOf(identity(instanceId));
}

/** A HeartbeatInstance that we made and that has no status yet, unless `parts` say otherwise. */
export function observed(instanceId: string, parts: Partial<ObservedInstance> = {}): ObservedInstance {
  return {
    key: key(instanceId),
    uid: `uid-of-${instanceId}`,
    namespace: 'default',
    name: instanceId,
    resourceVersion: '1',
    generation: 1,
    createdSeconds: 1_763_000_000,
    managed: true,
    heartbeat: undefined,
    outOfService: false,
    paused: false,
    ownerUid: undefined,
    reported: undefined,
    status: undefined,
    ...parts,
  };
}

/** An instance that was heard a second ago, at the moment `nowMs`, unless `parts` say otherwise. */
export function belief(nowMs: number, parts: Partial<Belief> = {}): Belief {
  const lastHeardMs = nowMs - SECOND;
  return {
    kind: 'fresh',
    isPaused: false,
    isDisowned: false,
    ttlMs: TTL,
    firstHeardMs: lastHeardMs,
    lastHeardMs,
    sender: UNKNOWN_SENDER,
    deadlineMs: lastHeardMs + TTL,
    ...parts,
  };
}

export function condition(parts: Partial<Condition> = {}): Condition {
  return {
    status: 'True',
    reason: 'HeartbeatReceived',
    message: 'Heartbeats arrive within the time to live of 120 s (30 s × 4).',
    lastTransitionSeconds: 1_700_000_000,
    observedGeneration: 1,
    ...parts,
  };
}

/** The status of an instance that beats, with all that stands in it. */
export function freshStatus(parts: Partial<InstanceStatus> = {}): InstanceStatus {
  return {
    fresh: condition(),
    healthy: condition(),
    podSynced: condition({
      status: 'False',
      reason: 'NotBound',
      message: 'The instance is not bound to a Pod.',
    }),
    identityConflict: undefined,
    healthySummary: 'True',
    lastHeartbeatWallMs: undefined,
    expiredWallMs: undefined,
    effective: { ...TIMING, ttlSeconds: 120, source: 'Default' },
    podRef: undefined,
    observedGeneration: 1,
    ...parts,
  };
}

/** A gated Pod of the Deployment `web` that waits for nothing but our condition, unless `parts` say otherwise. */
export function pod(name: string, parts: Partial<ObservedPod> = {}): ObservedPod {
  return {
    uid: `uid-of-${name}`,
    namespace: 'default',
    name,
    resourceVersion: '1',
    generation: 1,
    labels: {},
    workload: 'Deployment/web',
    createdSeconds: 1_763_000_000,
    isTerminating: false,
    isFinished: false,
    addresses: [],
    isOnHostNetwork: false,
    nodeName: 'node-1',
    hasGate: true,
    condition: undefined,
    isReady: false,
    isReadyButForGate: true,
    restarts: 0,
    lastTermination: undefined,
    waiting: undefined,
    ...parts,
  };
}

/** Our condition on a Pod whose instance beats, unless `parts` say otherwise. */
export function podCondition(parts: Partial<Condition> = {}): Condition {
  return condition({ message: 'Heartbeats of its instance arrive in time.', ...parts });
}
