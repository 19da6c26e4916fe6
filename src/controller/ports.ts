import type { Condition, ConditionStatus } from '../health/condition.ts';
import type {
  InstanceStatus,
  ObservedInstance,
  PodOwner,
  PodRef,
  ReportedValue,
  StatusReport,
} from '../health/observed-instance.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import type { ObservedPolicy, PolicyStatus } from '../health/observed-policy.ts';
import type { PodHold } from '../health/pod-plan.ts';
import type { Storm, StormEnd } from '../brakes/storm.ts';
import type { InstanceIdentity, InstanceKey } from '../liveness/instance-key.ts';
import type { Sender } from '../liveness/sender.ts';

/** What a write came to. What the world does is a value; only our own mistakes throw. */
export type WriteOutcome =
  /** The object as the store holds it now. */
  | { readonly kind: 'written'; readonly instance: ObservedInstance }
  | { readonly kind: 'removed' }
  /** The object changed since it was observed: look again. */
  | { readonly kind: 'conflict' }
  /** An object of that name is there already. */
  | { readonly kind: 'exists' }
  /** No such object. */
  | { readonly kind: 'absent' }
  | WriteFailure;

export type WriteFailure =
  /** The store asks for a pause. */
  | { readonly kind: 'throttled'; readonly retryAfterMs: number; readonly message: string }
  /** No answer, or one that says "not now": the outcome of the write is unknown. */
  | { readonly kind: 'unreachable'; readonly message: string }
  /** The store understood and said no: retrying soon will not help. */
  | { readonly kind: 'refused'; readonly reason: 'Forbidden' | 'Invalid' | 'Other'; readonly message: string };

export interface InstanceDraft {
  readonly identity: InstanceIdentity;
  readonly namespace: string;
  readonly name: string;
  /** The Pod with which the object shall end, if the instance is bound to one in the same namespace. */
  readonly owner: PodOwner | undefined;
}

/** Where HeartbeatInstances are kept. */
export interface InstanceStore {
  /** Creates an object that carries our label. An existing name is `exists`, whatever it holds. */
  create(draft: InstanceDraft): Promise<WriteOutcome>;
  /** Replaces the status. `conflict` if the object is no longer at `target.resourceVersion`. */
  writeStatus(target: ObservedInstance, status: InstanceStatus): Promise<WriteOutcome>;
  /** Makes the Pod the only owner of the object. `conflict` if it is no longer at `target.resourceVersion`. */
  own(target: ObservedInstance, owner: PodOwner): Promise<WriteOutcome>;
  /** Stores what the application said of itself. `conflict` if it is no longer at `target.resourceVersion`. */
  report(target: ObservedInstance, report: StatusReport): Promise<WriteOutcome>;
  /** Deletes the object. `conflict` if it is no longer at `target.resourceVersion`. */
  remove(target: ObservedInstance): Promise<WriteOutcome>;
}

/** What a call about a Pod came to. */
export type PodOutcome =
  /** The Pod as the API server has it now. */
  | { readonly kind: 'pod'; readonly pod: ObservedPod }
  /** There is no Pod of that name, or it is another one than it was. */
  | { readonly kind: 'absent' }
  | WriteFailure;

/** Where Pods are read and their one condition of ours is written. */
export interface PodStore {
  /** The Pod as it is now, past every cache. */
  read(target: ObservedPod): Promise<PodOutcome>;
  /** Sets our condition, and nothing else. */
  writeCondition(target: ObservedPod, condition: Condition): Promise<PodOutcome>;
}

/** What a write to a policy came to. */
export type PolicyOutcome =
  | { readonly kind: 'written'; readonly policy: ObservedPolicy }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'absent' }
  | WriteFailure;

/** Where the status of HeartbeatPolicies is written. */
export interface PolicyStore {
  /** Replaces the status. `conflict` if the object is no longer at `target.resourceVersion`. */
  writeStatus(target: ObservedPolicy, status: PolicyStatus): Promise<PolicyOutcome>;
}

/** An object as a Kubernetes Event names it. */
export interface EventObject {
  readonly kind: 'Pod' | 'HeartbeatInstance' | 'HeartbeatPolicy';
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Something that people who look at an object should see. */
export interface ObjectEvent {
  readonly regarding: EventObject;
  readonly related?: EventObject;
  readonly type: 'Normal' | 'Warning';
  /** One CamelCase word. */
  readonly reason: string;
  /** What was done, one CamelCase word. */
  readonly action: string;
  /** A sentence. */
  readonly note: string;
}

/** Takes events, at once. They are for people: one may be lost, joined with others of its kind, or come late. */
export type RecordEvent = (event: ObjectEvent) => void;

/**
 * Hears of every change of one kind of object, in order: first `replaced` with all there is, then what happens.
 * After a break the source calls `replaced` again; what is missing there was deleted.
 */
export interface ResourceListener<T> {
  /** Resolves when all of `items` is taken in; nothing else may be told before. */
  replaced(items: readonly T[]): Promise<void>;
  changed(item: T): void;
  removed(item: T): void;
}

/** Hears how reconciling goes; for metrics and logs. */
export interface ReconcileObserver<Key extends string> {
  reconciled(result: ReconcileKind, workedMs: number): void;
  /** Reconciling `key` failed; it will be tried again. `failures` counts from 1. */
  failed(key: Key, failure: WriteFailure | { readonly kind: 'threw'; readonly error: unknown }, failures: number): void;
  /** The store cannot be reached; all workers wait for `holdMs`. */
  held(holdMs: number, message: string): void;
}

/** Hears what the loop does; for metrics and logs. */
export interface LoopObserver extends ReconcileObserver<InstanceKey> {
  /** `Healthy` of an instance was written with another status. `delayMs`: from the deadline to the answer, if a deadline caused it. */
  transitioned(instance: ObservedInstance, before: ConditionStatus | undefined, delayMs: number | undefined): void;
  created(instance: ObservedInstance): void;
  removed(instance: ObservedInstance): void;
  /** A status was written that changed no verdict: a refresh of the last heartbeat, or other words. */
  refreshed(): void;
  /** The instance was found to be this Pod, or, without one, to be that of `before` no longer. */
  bound(key: InstanceKey, ref: PodRef | undefined, before: PodRef | undefined): void;
  /** What an application said of itself was stored, or was not. */
  reported(key: InstanceKey, value: ReportedValue, isStored: boolean): void;
  newIdentityRefused(reason: 'rate' | 'total'): void;
  stalled(stallMs: number): void;
  /** So many verdicts were passed although self-doubt would have given more time, had it no cap. */
  capped(count: number): void;
}

/** Hears what is done to Pods; for metrics, logs, events and timelines. */
export interface PodObserver {
  /** Our condition was written. `pod` is as it was before. */
  podWritten(pod: ObservedPod, condition: Condition, facts: PodWriteFacts): void;
  podWriteFailed(pod: ObservedPod, condition: Condition, why: Exclude<PodOutcome['kind'], 'pod'>): void;
  /** Ready of a gated Pod followed what was written. */
  readyFollowed(pod: ObservedPod, tookMs: number): void;
  /** Ready of a gated Pod has not followed for too long. */
  readyDidNotFollow(pod: ObservedPod): void;
  stormBegan(storm: Storm): void;
  stormEnded(storm: Storm, why: StormEnd): void;
  /** A brake begins to keep a Pod in service, or another one does, or none does any more. */
  podHeld(pod: ObservedPod, hold: PodHold | undefined): void;
  /** Heartbeats of a bound instance come from elsewhere. */
  identityConflict(key: InstanceKey, sender: Sender): void;
}

export interface PodWriteFacts {
  readonly tookMs: number;
  /** From the deadline that passed to the answer, if one was the cause. */
  readonly delayMs: number | undefined;
  readonly instances: readonly InstanceKey[];
}

/** Hears what is done to policies. */
export interface PolicyObserver {
  policyWritten(policy: ObservedPolicy, before: ObservedPolicy): void;
  /** Its status could not be written, or, without a policy, a round over all of them threw. */
  policyFailed(policy: ObservedPolicy | undefined, message: string): void;
}

export type ReconcileKind = 'success' | 'requeue_after' | 'requeue' | 'error';
