import type { Clock } from '../clock.ts';
import { selects } from '../health/label-selector.ts';
import { isServing, isWithdrawn } from '../health/observed-pod.ts';
import type { ObservedPolicy } from '../health/observed-policy.ts';
import type { ReleaseCause } from '../health/pod-plan.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { Bindings } from './bindings.ts';
import { Controller } from './controller.ts';
import type { InstancePods } from './instance-pods.ts';
import type { PodCache } from './pod-cache.ts';
import { PodReconciler } from './pod-reconciler.ts';
import { PolicyRefresher } from './policy-refresher.ts';
import type { PodObserver, PodStore, PolicyObserver, PolicyStore, ReconcileObserver } from './ports.ts';
import { type BrakeSettings, WithdrawalBoard } from './withdrawal-board.ts';
import { WorkQueue, type WorkQueueObserver } from './work-queue.ts';

export interface PodLoopParts {
  readonly clock: Clock;
  readonly pods: PodCache;
  readonly bindings: Bindings;
  readonly instancePods: InstancePods;
  readonly store: PodStore;
  readonly policyStore: PolicyStore;
  readonly observer: PodObserver & ReconcileObserver<string>;
  readonly policyObserver: PolicyObserver;
  readonly queueObserver: WorkQueueObserver;
  readonly brakes: BrakeSettings;
  readonly enqueueInstance: (key: InstanceKey) => void;
  /** Whether what is known of Pods is too old to judge one by it. */
  readonly isCacheStale: () => boolean;
  readonly isListening: () => boolean;
  readonly isJudging: () => boolean;
  readonly workers: number;
}

/** The part of the loop that carries the verdict on to Pods and tells policies what becomes of it. */
export class PodLoop {
  readonly queue: WorkQueue<string>;
  readonly controller: Controller<string>;
  readonly reconciler: PodReconciler;
  readonly withdrawals: WithdrawalBoard;
  readonly #pods: PodCache;
  readonly #refresher: PolicyRefresher;
  /** Pods that were withdrawn under a policy when it was deleted, until another one rules them or they are open. */
  readonly #withoutPolicy = new Set<string>();
  #isReleased = false;

  constructor(parts: PodLoopParts) {
    const { clock, pods, instancePods, observer, workers } = parts;
    this.#pods = pods;
    const queue = new WorkQueue<string>(clock, parts.queueObserver);
    this.queue = queue;
    this.withdrawals = new WithdrawalBoard({
      clock,
      pods,
      observer,
      brakes: parts.brakes,
      enqueuePod: (uid) => queue.add(uid),
      isJudging: parts.isJudging,
    });
    this.reconciler = new PodReconciler({
      ...parts,
      withdrawals: this.withdrawals,
      releaseOf: (uid) => this.#releaseOf(uid),
    });
    this.controller = new Controller({
      clock,
      queue,
      reconcile: (uid) => this.reconciler.reconcile(uid),
      observer,
      workers,
    });
    this.#refresher = new PolicyRefresher({
      clock,
      pods,
      instancePods,
      withdrawals: this.withdrawals,
      store: parts.policyStore,
      observer: parts.policyObserver,
      isListening: parts.isListening,
      isJudging: parts.isJudging,
    });
  }

  /** The floor counts what is heard, not what was looked at last: a worker may be held by a call for long. */
  podChanged(uid: string): void {
    const pod = this.#pods.byUid(uid);
    if (pod !== undefined) this.withdrawals.setServing(uid, isServing(pod));
    this.queue.add(uid);
  }

  podRemoved(uid: string): void {
    this.withdrawals.remove(uid);
    this.#withoutPolicy.delete(uid);
    this.queue.add(uid);
  }

  /** The operator is being uninstalled, or that was taken back: every Pod is looked at again. */
  setReleased(isReleased: boolean): void {
    if (this.#isReleased === isReleased) return;
    this.#isReleased = isReleased;
    for (const { uid } of this.#pods.pods.values()) this.queue.add(uid);
  }

  /** A policy was deleted: what it closed is opened. */
  policyDeleted(policy: ObservedPolicy): void {
    for (const uid of this.#pods.podsIn(policy.namespace)) {
      const pod = this.#pods.byUid(uid);
      const isMeant = pod !== undefined && isWithdrawn(pod) && selects(policy.selector, pod.labels);
      if (isMeant) this.#withoutPolicy.add(uid);
    }
  }

  start(): void {
    this.controller.start();
    this.#refresher.start();
  }

  /** No more Pod is withdrawn. */
  stopJudging(): void {
    this.withdrawals.stop();
    this.#refresher.stop();
  }

  /** Resolves when what is queued is written. */
  drain(): Promise<void> {
    return this.controller.stop();
  }

  #releaseOf(uid: string): ReleaseCause | undefined {
    if (this.#isReleased) return 'uninstall';
    if (!this.#withoutPolicy.has(uid)) return undefined;
    const pod = this.#pods.byUid(uid);
    const isDone = pod === undefined || pod.condition?.status === 'True' || this.#pods.policyOf(pod) !== undefined;
    if (!isDone) return 'policyDeleted';
    this.#withoutPolicy.delete(uid);
    return undefined;
  }
}
