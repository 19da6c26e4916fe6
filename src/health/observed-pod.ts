import type { Condition } from './condition.ts';

/** The type of our condition on Pods, and of the readiness gate that waits for it. */
export const POD_CONDITION_TYPE = 'heartbeat-operator.io/Healthy';

/** A Pod as the cache holds it: decoded, and no larger than what decisions need. */
export interface ObservedPod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  readonly generation: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Its top controller, as `Deployment/web`. A Pod that nobody controls is a workload of its own: `Pod/name`. */
  readonly workload: string;
  /** Seconds since the Unix epoch. */
  readonly createdSeconds: number;
  /** Whether its deletion has begun. */
  readonly isTerminating: boolean;
  /** Whether its phase is `Succeeded` or `Failed`: it never runs again, though it may still list its addresses. */
  readonly isFinished: boolean;
  /** `status.podIPs`, IPv4 and IPv6. */
  readonly addresses: readonly string[];
  readonly isOnHostNetwork: boolean;
  /** Empty until it is scheduled. */
  readonly nodeName: string;
  /** Whether it declares our readiness gate: then it is Ready only while our condition is True. */
  readonly hasGate: boolean;
  /** Our condition on it. */
  readonly condition: Condition | undefined;
  /** Whether its condition `Ready` is True. */
  readonly isReady: boolean;
  /** Whether it would be Ready if our gate were open: containers ready, all other gates open. */
  readonly isReadyButForGate: boolean;
  /** Restarts of all containers together. */
  readonly restarts: number;
  /** How a container of it last ended, the latest one. */
  readonly lastTermination: ContainerTermination | undefined;
  /** Why a container of it waits, `CrashLoopBackOff` for instance. */
  readonly waiting: { readonly container: string; readonly reason: string } | undefined;
}

export interface ContainerTermination {
  readonly container: string;
  /** `OOMKilled`, `Error`, `Completed`, …; empty if the runtime said nothing. */
  readonly reason: string;
  readonly exitCode: number;
  /** Seconds since the Unix epoch. */
  readonly finishedSeconds: number;
}

/** Whether our condition keeps it out of traffic. Without the gate the condition is harmless. */
export function isWithdrawn({ hasGate, condition }: ObservedPod): boolean {
  return hasGate && condition?.status === 'False';
}

/** Whether it gets traffic, as far as is known: the kubelet and the endpoints follow our condition in a moment. */
export function isServing(pod: ObservedPod): boolean {
  return pod.isReady && !isWithdrawn(pod) && !pod.isTerminating && !pod.isFinished;
}

/** A label on a Pod by which its owner takes it out of our hands (`disabled`) or, at its creation, in (`enabled`). */
export const GATE_LABEL = 'heartbeat-operator.io/gate';

/** Whether the owner of the Pod wants no enforcement. */
export function hasOptedOut(pod: ObservedPod): boolean {
  return pod.labels[GATE_LABEL] === 'disabled';
}
