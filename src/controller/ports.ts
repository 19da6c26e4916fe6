import type { ConditionStatus } from '../health/condition.ts';
import type { InstanceStatus, ObservedInstance } from '../health/observed-instance.ts';
import type { InstanceIdentity, InstanceKey } from '../liveness/instance-key.ts';

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
}

/** Where HeartbeatInstances are kept. */
export interface InstanceStore {
  /** Creates an object that carries our label. An existing name is `exists`, whatever it holds. */
  create(draft: InstanceDraft): Promise<WriteOutcome>;
  /** Replaces the status. `conflict` if the object is no longer at `target.resourceVersion`. */
  writeStatus(target: ObservedInstance, status: InstanceStatus): Promise<WriteOutcome>;
  /** Deletes the object. `conflict` if it is no longer at `target.resourceVersion`. */
  remove(target: ObservedInstance): Promise<WriteOutcome>;
}

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

/** Hears what the loop does; for metrics and logs. */
export interface LoopObserver {
  /** `Healthy` of an instance was written with another status. `delayMs`: from the deadline to the answer, if a deadline caused it. */
  transitioned(instance: ObservedInstance, before: ConditionStatus | undefined, delayMs: number | undefined): void;
  created(instance: ObservedInstance): void;
  removed(instance: ObservedInstance): void;
  /** A status was written that changed no verdict: a refresh of the last heartbeat, or other words. */
  refreshed(): void;
  reconciled(result: ReconcileKind, workedMs: number): void;
  /** Reconciling `key` failed; it will be tried again. `failures` counts from 1. */
  failed(
    key: InstanceKey,
    failure: WriteFailure | { readonly kind: 'threw'; readonly error: unknown },
    failures: number,
  ): void;
  /** The store cannot be reached; all workers wait for `holdMs`. */
  held(holdMs: number, message: string): void;
  newIdentityRefused(reason: 'rate' | 'total'): void;
  stalled(stallMs: number): void;
  /** So many verdicts were passed although self-doubt would have given more time, had it no cap. */
  capped(count: number): void;
}

export type ReconcileKind = 'success' | 'requeue_after' | 'requeue' | 'error';
