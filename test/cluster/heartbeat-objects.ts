import type { Condition } from './workload.ts';

// Of our own objects, what tests make of them and look at.

export const INSTANCES_PATH = '/apis/heartbeat-operator.io/v1alpha1/namespaces/default/heartbeatinstances';
export const POLICIES_PATH = '/apis/heartbeat-operator.io/v1alpha1/namespaces/default/heartbeatpolicies';

export interface HeartbeatInstance {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly resourceVersion: string };
  readonly spec: { readonly serviceId: string; readonly instanceId: string };
  readonly status?: {
    readonly healthy?: Condition['status'];
    readonly conditions?: readonly Condition[];
    readonly expiredAt?: string;
    readonly podRef?: { readonly name: string; readonly uid: string; readonly matchedBy: string };
  };
}

export interface HeartbeatPolicy {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

/** A condition of one of our objects, which may not have a status yet. */
export function conditionOf(object: HeartbeatInstance | HeartbeatPolicy, type: string): Condition | undefined {
  return object.status?.conditions?.find((condition) => condition.type === type);
}

/** A HeartbeatPolicy for the Pods of the Deployment of the same name, which enforces by the gate. */
export function heartbeatPolicy(name: string, spec: object): object {
  return {
    apiVersion: 'heartbeat-operator.io/v1alpha1',
    kind: 'HeartbeatPolicy',
    metadata: { namespace: 'default', name },
    spec: { selector: { matchLabels: { app: name } }, enforcement: 'Gate', ...spec },
  };
}

/** Rules under which no brake holds a Pod of the workload, whoever falls silent beside it. */
export const WITHOUT_BRAKES = {
  minHealthy: 0,
  storm: { percent: 100, minimum: 10_000 },
  withdrawalPercentPerMinute: 100,
} as const;
