import type { Clock } from '../clock.ts';
import { carriesWish, planDuplicate, planHealth, type HealthPlan } from '../health/health-plan.ts';
import type { ObservedInstance, PodOwner, PodRef } from '../health/observed-instance.ts';
import type { BindingDecision } from '../health/pod-binding.ts';
import { resourceName } from '../health/resource-name.ts';
import { identityOf, type InstanceKey, keyOf } from '../liveness/instance-key.ts';
import type { Belief, LivenessEngine } from '../liveness/liveness-engine.ts';
import { provedPodUid, senderAddress } from '../liveness/sender.ts';
import type { HeartbeatTiming } from '../liveness/time-to-live.ts';
import type { InstanceCache, InstanceObjects } from './instance-cache.ts';
import type { InstancePods } from './instance-pods.ts';
import { track } from './instance-tracking.ts';
import type { PodCache } from './pod-cache.ts';
import type { InstanceDraft, InstanceStore, LoopObserver, WriteFailure, WriteOutcome } from './ports.ts';
import { refreshMs } from './refresher.ts';
import { TokenBucket } from './token-bucket.ts';

export interface ReconcilerParts {
  readonly clock: Clock;
  readonly engine: LivenessEngine;
  readonly cache: InstanceCache;
  readonly pods: PodCache;
  readonly instancePods: InstancePods;
  readonly store: InstanceStore;
  readonly observer: LoopObserver;
  /** Where the object of an instance lives that is bound to no Pod. */
  readonly namespace: string;
  readonly defaultTiming: HeartbeatTiming;
  readonly statusWritesPerSecond: number;
  readonly retentionMs: number;
}

/** What is to be done with the key after a pass. */
export type ReconcileResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'lookAgain'; readonly afterMs: number }
  /** What was planned on is no longer so. */
  | { readonly kind: 'conflict' }
  | { readonly kind: 'failed'; readonly failure: WriteFailure };

const DONE: ReconcileResult = { kind: 'done' };
const CONFLICT: ReconcileResult = { kind: 'conflict' };

/** A Pod's address is known to us at most so long after its first heartbeat; meanwhile its instance gets no object, so that none has to move. */
const POD_WAIT_MS = 5_000;
const POD_WAIT_STEP_MS = 250;

/**
 * Brings the objects of one instance in line with what is believed of it: observe, plan, apply.
 *
 * It reads everything afresh, so it does not matter why it was called, and it may be called twice without harm.
 */
export class Reconciler {
  readonly #parts: ReconcilerParts;
  readonly #judgingSinceMs: number;
  readonly #refreshBudget: TokenBucket;

  constructor(parts: ReconcilerParts) {
    this.#parts = parts;
    this.#judgingSinceMs = parts.clock.nowMs();
    const { statusWritesPerSecond } = parts;
    this.#refreshBudget = new TokenBucket(statusWritesPerSecond, statusWritesPerSecond, this.#judgingSinceMs);
  }

  async reconcile(key: InstanceKey): Promise<ReconcileResult> {
    const { cache } = this.#parts;
    // What is absent from half a cache may well exist. All is enqueued once more when the cache is whole.
    if (!cache.isSynced) return DONE;
    const objects = cache.get(key);
    return objects === undefined ? this.#reconcileAbsent(key) : this.#reconcileObjects(objects);
  }

  /** No object: make one for an instance that beats, forget one that does not. */
  async #reconcileAbsent(key: InstanceKey): Promise<ReconcileResult> {
    const { engine, cache, instancePods, namespace } = this.#parts;
    const belief = engine.look(key);
    if (belief === undefined) {
      instancePods.forget(key);
      return DONE;
    }
    // A disowned one gets an object with its next heartbeat, or is forgotten when none comes.
    if (belief.isDisowned) return DONE;
    if (belief.kind !== 'fresh') {
      engine.forget(key);
      instancePods.forget(key);
      return DONE;
    }
    const decision = instancePods.decide(key, belief);
    if (this.#mayFindPod(belief, decision)) return { kind: 'lookAgain', afterMs: POD_WAIT_STEP_MS };
    const home = decision.kind === 'bound' ? decision.ref.namespace : namespace;
    const result = await this.#create({
      identity: identityOf(key),
      namespace: home,
      name: resourceName(key),
      owner: ownerOf(decision, home),
    });
    if (result.kind !== 'done') return result;
    const written = cache.get(key);
    return written === undefined ? DONE : this.#reconcileObjects(written);
  }

  /** Whether a Pod may yet appear at the sender of a new instance. */
  #mayFindPod(belief: Belief, decision: BindingDecision): boolean {
    const { clock, pods } = this.#parts;
    if (decision.kind !== 'unbound' || decision.why !== 'NoPod' || pods.pods.size === 0) return false;
    const { sender, firstHeardMs } = belief;
    const isTold = senderAddress(sender) !== undefined || provedPodUid(sender) !== undefined;
    return isTold && firstHeardMs !== undefined && clock.nowMs() - firstHeardMs < POD_WAIT_MS;
  }

  async #create(draft: InstanceDraft): Promise<ReconcileResult> {
    const { cache, store, observer } = this.#parts;
    const { namespace, name } = draft;
    const outcome = await store.create(draft);
    const holder = cache.byName(namespace, name);
    if (outcome.kind === 'exists' && holder !== undefined && holder.key !== keyOf(draft.identity)) {
      const message = `creating ${namespace}/${name}: the name is taken by an object of another instance`;
      return { kind: 'failed', failure: { kind: 'refused', reason: 'Other', message } };
    }
    if (outcome.kind !== 'written') return this.#resultOf(outcome);
    cache.written(outcome.instance);
    observer.created(outcome.instance);
    return DONE;
  }

  async #reconcileObjects({ winner, duplicates }: InstanceObjects): Promise<ReconcileResult> {
    for (const duplicate of duplicates) {
      const plan = planDuplicate(duplicate, winner, this.#parts.defaultTiming, this.#parts.clock.wallMs());
      const result = await this.#apply(duplicate, plan, undefined, undefined);
      if (result.kind !== 'done') return result;
    }
    return this.#reconcileWinner(winner);
  }

  async #reconcileWinner(observed: ObservedInstance): Promise<ReconcileResult> {
    const { clock, engine, cache, instancePods, store } = this.#parts;
    const { key } = observed;
    // The binding comes before the timing, which may be that of the Pod's policy.
    const known = engine.look(key);
    const decision = known === undefined ? undefined : instancePods.decide(key, known);
    const tracking = instancePods.trackingOf(observed);
    const belief = track(engine, observed, tracking, clock.nowMs());
    const found = decision ?? instancePods.decide(key, belief);
    if (found.kind === 'bound') {
      if (isToMove(observed, found.ref)) return this.#move(observed, found.ref);
      const owner = ownerOf(found, observed.namespace);
      if (observed.managed && owner !== undefined && observed.ownerUid !== owner.uid) {
        const outcome = await store.own(observed, owner);
        if (outcome.kind !== 'written') return this.#resultOf(outcome);
        cache.written(outcome.instance);
        return { kind: 'lookAgain', afterMs: 0 };
      }
    }
    const nowMs = clock.nowMs();
    const pod = instancePods.factsOf(observed, belief, found);
    const plan = planHealth({
      belief,
      observed,
      timing: tracking.timing,
      pod,
      nowMs,
      wallMs: clock.wallMs(),
      refreshMs: refreshMs(cache.size, this.#parts.statusWritesPerSecond),
      retentionMs: this.#parts.retentionMs,
      judgingSinceMs: this.#judgingSinceMs,
    });
    return this.#apply(observed, plan, belief.kind === 'stale' ? belief.deadlineMs : undefined, pod.lookAgainMs);
  }

  /** The object belongs into the namespace of its Pod. The new one counts as soon as the old one is gone. */
  async #move(observed: ObservedInstance, ref: PodRef): Promise<ReconcileResult> {
    const { cache, store } = this.#parts;
    const name = resourceName(observed.key);
    const created = await this.#create({
      identity: identityOf(observed.key),
      namespace: ref.namespace,
      name,
      owner: { name: ref.name, uid: ref.uid },
    });
    // One that exists was created in an attempt before. The old one goes only when the new one is seen.
    const moved = cache.byName(ref.namespace, name);
    if (moved?.key !== observed.key) return created.kind === 'done' ? CONFLICT : created;
    const { reported } = observed;
    if (reported?.podUid === ref.uid && moved.reported === undefined) {
      const outcome = await store.report(moved, reported);
      if (outcome.kind !== 'written') return this.#resultOf(outcome);
      cache.written(outcome.instance);
    }
    const outcome = await store.remove(observed);
    return outcome.kind === 'removed' ? DONE : this.#resultOf(outcome);
  }

  async #apply(
    observed: ObservedInstance,
    plan: HealthPlan,
    deadlineMs: number | undefined,
    lookAgainMs: number | undefined,
  ): Promise<ReconcileResult> {
    const { clock, cache, store, observer } = this.#parts;
    switch (plan.kind) {
      case 'nothing':
        return lookAgain(plan.lookAgainMs, lookAgainMs);
      case 'remove': {
        const outcome = await store.remove(observed);
        if (outcome.kind === 'removed') observer.removed(observed);
        return this.#resultOf(outcome);
      }
      case 'writeStatus': {
        // After a start every stored time may be old: the refresher comes by again.
        if (plan.purpose === 'refresh' && !this.#refreshBudget.take(clock.nowMs())) return DONE;
        const outcome = await store.writeStatus(observed, plan.status);
        if (outcome.kind !== 'written') return this.#resultOf(outcome);
        cache.written(outcome.instance);
        if (plan.purpose === 'transition') {
          const delayMs = deadlineMs === undefined ? undefined : clock.nowMs() - deadlineMs;
          observer.transitioned(outcome.instance, observed.status?.healthySummary, delayMs);
        } else {
          observer.refreshed();
        }
        // The heart may have changed its mind while the answer was under way, and a stale object is to be removed later.
        return { kind: 'lookAgain', afterMs: 0 };
      }
    }
  }

  #resultOf(outcome: WriteOutcome): ReconcileResult {
    switch (outcome.kind) {
      case 'written':
      case 'removed':
      // Gone already: the cache hears of it in a moment, and then the key comes again.
      case 'absent':
        return DONE;
      // Of a name that exists the cache hears in a moment too.
      case 'exists':
      case 'conflict':
        return { kind: 'conflict' };
      case 'throttled':
      case 'unreachable':
      case 'refused':
        return { kind: 'failed', failure: outcome };
    }
  }
}

function lookAgain(...delaysMs: readonly (number | undefined)[]): ReconcileResult {
  const afterMs = Math.min(...delaysMs.map((delayMs) => delayMs ?? Number.POSITIVE_INFINITY));
  return afterMs === Number.POSITIVE_INFINITY ? DONE : { kind: 'lookAgain', afterMs };
}

/**
 * Only an object that nobody changed moves: a label is no proof that it is ours, and what a person wrote in one namespace
 * must not be carried into another.
 */
function isToMove(observed: ObservedInstance, ref: PodRef): boolean {
  return observed.managed && !carriesWish(observed) && observed.namespace !== ref.namespace;
}

/** The Pod with which an object in `namespace` ends: an owner must be in the same namespace. */
function ownerOf(decision: BindingDecision, namespace: string): PodOwner | undefined {
  if (decision.kind !== 'bound' || decision.ref.namespace !== namespace) return undefined;
  const { name, uid } = decision.ref;
  return { name, uid };
}
