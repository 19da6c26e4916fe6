import type { Clock } from '../clock.ts';
import type { Condition, Verdict } from '../health/condition.ts';
import { Reason } from '../health/reason.ts';
import { isServing, isWithdrawn, type ObservedPod } from '../health/observed-pod.ts';
import { DEFAULT_RULES } from '../health/observed-policy.ts';
import { asksToBeWithdrawn, planPod, type PodPlan, type PodPlanInput, type ReleaseCause } from '../health/pod-plan.ts';
import { type BoundInstance, podVerdict, type PodVerdict } from '../health/pod-verdict.ts';
import type { SilenceEvidence } from '../health/silence-evidence.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { Bindings } from './bindings.ts';
import type { InstancePods } from './instance-pods.ts';
import type { PodCache } from './pod-cache.ts';
import { PodConfirmations } from './pod-confirmations.ts';
import type { PodObserver, PodOutcome, PodStore } from './ports.ts';
import type { ReconcileResult } from './reconciler.ts';
import type { WithdrawalBoard } from './withdrawal-board.ts';

export interface PodReconcilerParts {
  readonly clock: Clock;
  readonly pods: PodCache;
  readonly bindings: Bindings;
  readonly instancePods: InstancePods;
  readonly withdrawals: WithdrawalBoard;
  readonly store: PodStore;
  readonly observer: PodObserver;
  readonly enqueueInstance: (key: InstanceKey) => void;
  /** Whether what is known of Pods is too old to judge one by it. */
  readonly isCacheStale: () => boolean;
  /** Why a Pod is out of our hands, if it is. */
  readonly releaseOf: (uid: string) => ReleaseCause | undefined;
}

const DONE: ReconcileResult = { kind: 'done' };

/** While the cache is stale nothing is written; whether it still is is asked so often. */
const STALE_RETRY_MS = 1_000;

/** A Pod that changes while it is looked at is planned anew, so often in one pass. */
const PASSES_MAX = 3;

/** What one look at a Pod shows. */
interface View {
  readonly pod: ObservedPod;
  readonly verdict: PodVerdict;
  readonly plan: PodPlan;
  /** How long silence from before our time is still no silence to us. */
  readonly unprovenForMs: number;
}

/**
 * Brings our condition on one Pod in line with the instances in it: observe, plan, ask the brakes, apply.
 *
 * It is derived anew each time from what is believed now, so that a crash between two writes does no harm (I14).
 */
export class PodReconciler {
  readonly #parts: PodReconcilerParts;
  readonly #synced = new Map<string, Verdict>();
  readonly #confirmations: PodConfirmations;
  /** Of a Pod whose verdict has no moment of its own: when it was first seen so. */
  readonly #unhealthySinceMs = new Map<string, number>();

  constructor(parts: PodReconcilerParts) {
    this.#parts = parts;
    this.#confirmations = new PodConfirmations();
  }

  /** Whether the Pod shows the verdict, as found when it was last reconciled. */
  syncedOf(uid: string): Verdict | undefined {
    return this.#synced.get(uid);
  }

  async reconcile(uid: string): Promise<ReconcileResult> {
    const { pods, withdrawals, isCacheStale } = this.#parts;
    if (!pods.isSynced) return DONE;
    for (let pass = 0; pass < PASSES_MAX; pass += 1) {
      const view = this.#look(uid);
      if (view === undefined) return DONE;
      const { plan } = view;
      if (plan.kind === 'nothing') return this.#settle(view, plan.synced, plan.lookAgainMs);
      // To open a Pod is safe whatever may have been missed, since its uid is in the write.
      const isOpening = plan.kind === 'write' && plan.condition.status === 'True';
      if (isCacheStale() && !isOpening) {
        this.#setSynced(view.pod, podCacheStale);
        return { kind: 'lookAgain', afterMs: STALE_RETRY_MS };
      }
      if (plan.kind === 'write') return this.#write(view, plan.condition, plan.synced);
      // The board is asked by being told of the Pod; it enqueues the Pod again when it has an answer.
      if (!withdrawals.isGranted(uid)) return DONE;
      withdrawals.setUnderWay(uid, true);
      const result = await this.#withdraw(view.pod);
      withdrawals.setUnderWay(uid, false);
      if (result !== undefined) return result;
    }
    return { kind: 'conflict' };
  }

  /** Looks at the Pod once more, live, and withdraws it; undefined if it is to be planned anew. */
  async #withdraw(pod: ObservedPod): Promise<ReconcileResult | undefined> {
    const { pods, store, withdrawals } = this.#parts;
    const outcome = await store.read(pod);
    if (outcome.kind !== 'pod') return this.#failure(pod, outcome);
    pods.pods.written(outcome.pod);
    // The newest receipt and the live Pod decide (I6), and who else is left to serve (I11).
    const again = this.#look(pod.uid);
    if (again?.plan.kind !== 'withdraw') return undefined;
    if (!withdrawals.mayStillWithdraw(pod.uid)) return DONE;
    return this.#write(again, again.plan.condition, current);
  }

  /** Forgets a Pod that is gone. */
  #forget(uid: string): void {
    this.#parts.withdrawals.remove(uid);
    this.#synced.delete(uid);
    this.#confirmations.forget(uid);
    this.#unhealthySinceMs.delete(uid);
    for (const key of this.#parts.bindings.instancesOf(uid)) this.#parts.enqueueInstance(key);
  }

  #look(uid: string): View | undefined {
    const { clock, pods, instancePods, withdrawals, releaseOf } = this.#parts;
    const pod = pods.byUid(uid);
    if (pod === undefined) {
      this.#forget(uid);
      return undefined;
    }
    for (const key of instancePods.retimedIn(pod)) this.#parts.enqueueInstance(key);
    const residents = instancePods.residentsOf(pod);
    const verdict = podVerdict(residents);
    const policy = pods.policyOf(pod);
    const input = {
      pod,
      verdict,
      rules: policy ?? DEFAULT_RULES,
      hasPolicy: policy !== undefined,
      evidence: this.#evidence(pod, residents, verdict),
      release: releaseOf(uid),
      wallMs: clock.wallMs(),
    };
    this.#tellBoard(input, residents);
    const unprovenForMs = Math.max(0, ...residents.map(({ belief }) => instancePods.unprovenForMs(belief)));
    return { pod, verdict, plan: planPod({ ...input, hold: withdrawals.holdOf(uid) }), unprovenForMs };
  }

  /** The brakes see every Pod as it is now, before anything is decided about it. */
  #tellBoard(input: Omit<PodPlanInput, 'hold'>, residents: readonly BoundInstance[]): void {
    const { pods, withdrawals, clock } = this.#parts;
    const { pod, verdict, rules } = input;
    const { uid } = pod;
    if (pod.isTerminating || pod.isFinished) {
      withdrawals.remove(uid);
      return;
    }
    const isUnhealthy = verdict.kind === 'unhealthy' && verdict.cause !== 'person';
    if (!isUnhealthy) this.#unhealthySinceMs.delete(uid);
    else if (!this.#unhealthySinceMs.has(uid)) this.#unhealthySinceMs.set(uid, clock.nowMs());
    withdrawals.put({
      uid,
      workload: `${pod.namespace}/${pod.workload}`,
      node: pod.nodeName,
      isNodeReady: pods.nodeOf(pod)?.isReady ?? true,
      silentSinceMs: isUnhealthy ? this.#silentSinceMs(pod, verdict.sinceMs) : undefined,
      ttlMs: isUnhealthy ? verdict.ttlMs : Math.max(0, ...residents.map(({ belief }) => belief.ttlMs)),
      isFresh: verdict.kind === 'healthy',
      isServing: isServing(pod),
      isWithdrawn: isWithdrawn(pod),
      request: isUnhealthy && asksToBeWithdrawn(input) ? requestOf(verdict.cause) : 'none',
      rules,
    });
  }

  /** One that was withdrawn before our time fell silent before it too; it is part of no storm of now. */
  #silentSinceMs(pod: ObservedPod, sinceMs: number | undefined): number | undefined {
    return sinceMs ?? (isWithdrawn(pod) ? undefined : this.#unhealthySinceMs.get(pod.uid));
  }

  #evidence(pod: ObservedPod, residents: readonly BoundInstance[], verdict: PodVerdict): SilenceEvidence | undefined {
    if (verdict.kind !== 'unhealthy') return undefined;
    for (const { belief } of residents) {
      const evidence = this.#parts.instancePods.evidenceFor(pod, belief);
      if (evidence !== undefined) return evidence;
    }
    return undefined;
  }

  async #write(view: View, condition: Condition, synced: Verdict): Promise<ReconcileResult> {
    const { clock, pods, store, observer } = this.#parts;
    const { pod, verdict } = view;
    const startMs = clock.nowMs();
    const outcome = await store.writeCondition(pod, condition);
    const nowMs = clock.nowMs();
    if (outcome.kind !== 'pod') {
      observer.podWriteFailed(pod, condition, outcome.kind);
      return this.#failure(pod, outcome);
    }
    pods.pods.written(outcome.pod);
    const sinceMs = verdict.kind === 'unhealthy' ? verdict.sinceMs : undefined;
    observer.podWritten(pod, condition, {
      tookMs: nowMs - startMs,
      delayMs: condition.status === 'False' && sinceMs !== undefined ? nowMs - sinceMs : undefined,
      instances: [...this.#parts.bindings.instancesOf(pod.uid)],
    });
    if (pod.condition?.status !== condition.status) this.#confirmations.expect(pod.uid, condition.status, nowMs);
    this.#setSynced(pod, synced);
    // What is believed may have changed while the answer was under way, and Ready is to be seen to follow.
    return { kind: 'lookAgain', afterMs: 0 };
  }

  /** Nothing is to be written: has Ready followed what was written last? */
  #settle(view: View, synced: Verdict, lookAgainMs: number | undefined): ReconcileResult {
    const { clock, observer } = this.#parts;
    const { pod } = view;
    if (view.unprovenForMs > 0) {
      // After a start nothing new is known yet: what an earlier process has found stays.
      if (this.#synced.has(pod.uid)) this.#setSynced(pod, synced);
      return { kind: 'lookAgain', afterMs: Math.min(view.unprovenForMs, lookAgainMs ?? Infinity) };
    }
    const confirmation = this.#confirmations.check(pod, clock.nowMs());
    switch (confirmation.kind) {
      case 'nothing':
        break;
      case 'followed':
        observer.readyFollowed(pod, confirmation.tookMs);
        break;
      case 'waiting':
        // After a start nothing is known yet: what an earlier process has found stays.
        if (this.#synced.has(pod.uid)) this.#setSynced(pod, synced);
        return { kind: 'lookAgain', afterMs: Math.min(confirmation.lookAgainMs, lookAgainMs ?? Infinity) };
      case 'missing':
        if (confirmation.isNew) observer.readyDidNotFollow(pod);
        this.#setSynced(pod, writeUnconfirmed);
        return lookAgainMs === undefined ? DONE : { kind: 'lookAgain', afterMs: lookAgainMs };
    }
    this.#setSynced(pod, synced);
    return lookAgainMs === undefined ? DONE : { kind: 'lookAgain', afterMs: lookAgainMs };
  }

  #failure(pod: ObservedPod, outcome: Exclude<PodOutcome, { kind: 'pod' }>): ReconcileResult {
    switch (outcome.kind) {
      case 'absent':
        // The watch tells of its end in a moment; until then nothing is done to it.
        this.#parts.withdrawals.remove(pod.uid);
        return DONE;
      case 'refused':
        this.#setSynced(pod, { status: 'False', reason: Reason.Forbidden, message: outcome.message });
        return { kind: 'failed', failure: outcome };
      case 'throttled':
      case 'unreachable':
        return { kind: 'failed', failure: outcome };
    }
  }

  /** Its instances show whether the Pod shows the verdict: when that changes, they are to be written. */
  #setSynced(pod: ObservedPod, synced: Verdict): void {
    const before = this.#synced.get(pod.uid);
    if (before?.reason === synced.reason && before.message === synced.message) return;
    this.#synced.set(pod.uid, synced);
    for (const key of this.#parts.bindings.instancesOf(pod.uid)) this.#parts.enqueueInstance(key);
  }
}

function requestOf(cause: 'person' | 'report' | 'silence'): 'report' | 'silence' {
  return cause === 'report' ? 'report' : 'silence';
}

const current: Verdict = {
  status: 'True',
  reason: Reason.PodConditionCurrent,
  message: 'The condition of the Pod shows the verdict.',
};

const podCacheStale: Verdict = {
  status: 'Unknown',
  reason: Reason.PodCacheStale,
  message: 'What is known of Pods is too old to write to one; the last value stays.',
};

const writeUnconfirmed: Verdict = {
  status: 'Unknown',
  reason: Reason.PodWriteUnconfirmed,
  message: 'The condition of the Pod was written, and its Ready has not followed.',
};
