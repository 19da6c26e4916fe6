import type { Clock } from '../clock.ts';
import { planDuplicate, planHealth, type HealthPlan } from '../health/health-plan.ts';
import type { ObservedInstance } from '../health/observed-instance.ts';
import { resourceName } from '../health/resource-name.ts';
import { identityOf, type InstanceKey } from '../liveness/instance-key.ts';
import type { LivenessEngine } from '../liveness/liveness-engine.ts';
import type { HeartbeatTiming } from '../liveness/time-to-live.ts';
import type { InstanceCache, InstanceObjects } from './instance-cache.ts';
import { track } from './instance-tracking.ts';
import type { InstanceStore, LoopObserver, WriteFailure, WriteOutcome } from './ports.ts';
import { refreshMs } from './refresher.ts';
import { TokenBucket } from './token-bucket.ts';

export interface ReconcilerParts {
  readonly clock: Clock;
  readonly engine: LivenessEngine;
  readonly cache: InstanceCache;
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
    const { engine, cache, store, namespace } = this.#parts;
    const belief = engine.look(key);
    // A disowned one gets an object with its next heartbeat, or is forgotten when none comes.
    if (belief === undefined || belief.isDisowned) return DONE;
    if (belief.kind !== 'fresh') {
      engine.forget(key);
      return DONE;
    }
    const name = resourceName(key);
    const outcome = await store.create({ identity: identityOf(key), namespace, name });
    const holder = cache.byName(namespace, name);
    if (outcome.kind === 'exists' && holder !== undefined && holder.key !== key) {
      const message = `creating ${namespace}/${name}: the name is taken by an object of another instance`;
      return { kind: 'failed', failure: { kind: 'refused', reason: 'Other', message } };
    }
    if (outcome.kind !== 'written') return this.#resultOf(outcome);
    cache.written(outcome.instance);
    this.#parts.observer.created(outcome.instance);
    const written = cache.get(key);
    return written === undefined ? DONE : this.#reconcileObjects(written);
  }

  async #reconcileObjects({ winner, duplicates }: InstanceObjects): Promise<ReconcileResult> {
    for (const duplicate of duplicates) {
      const plan = planDuplicate(duplicate, winner, this.#parts.defaultTiming, this.#parts.clock.wallMs());
      const result = await this.#apply(duplicate, plan, undefined);
      if (result.kind !== 'done') return result;
    }
    return this.#reconcileWinner(winner);
  }

  async #reconcileWinner(observed: ObservedInstance): Promise<ReconcileResult> {
    const { clock, engine, cache, defaultTiming } = this.#parts;
    const nowMs = clock.nowMs();
    const belief = track(engine, observed, defaultTiming, nowMs);
    const plan = planHealth({
      belief,
      observed,
      defaultTiming,
      nowMs,
      wallMs: clock.wallMs(),
      refreshMs: refreshMs(cache.size, this.#parts.statusWritesPerSecond),
      retentionMs: this.#parts.retentionMs,
      judgingSinceMs: this.#judgingSinceMs,
    });
    return this.#apply(observed, plan, belief.kind === 'stale' ? belief.deadlineMs : undefined);
  }

  async #apply(observed: ObservedInstance, plan: HealthPlan, deadlineMs: number | undefined): Promise<ReconcileResult> {
    const { clock, cache, store, observer } = this.#parts;
    switch (plan.kind) {
      case 'nothing':
        return plan.lookAgainMs === undefined ? DONE : { kind: 'lookAgain', afterMs: plan.lookAgainMs };
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
