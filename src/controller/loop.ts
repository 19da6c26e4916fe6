import type { Clock } from '../clock.ts';
import type { HeartbeatAnswer } from '../liveness/heartbeat-answer.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import { LivenessEngine } from '../liveness/liveness-engine.ts';
import { SelfDoubt } from '../liveness/self-doubt.ts';
import type { HeartbeatTiming } from '../liveness/time-to-live.ts';
import { Controller } from './controller.ts';
import { InstanceCache } from './instance-cache.ts';
import { Intake, type UnknownInstances } from './intake.ts';
import { NewIdentityLimit, type NewIdentityLimitOptions } from './new-identity-limit.ts';
import type { InstanceStore, LoopObserver } from './ports.ts';
import { Reconciler } from './reconciler.ts';
import { Refresher } from './refresher.ts';
import { Sweeper } from './sweeper.ts';
import { WorkQueue, type WorkQueueObserver } from './work-queue.ts';

export interface LoopSettings {
  /** Where the objects of instances live that are bound to no Pod. */
  readonly namespace: string;
  readonly defaultTiming: HeartbeatTiming;
  readonly unknownInstances: UnknownInstances;
  readonly newIdentities: NewIdentityLimitOptions;
  readonly statusWritesPerSecond: number;
  readonly retentionMs: number;
  readonly workers: number;
}

export interface LoopParts {
  readonly clock: Clock;
  readonly store: InstanceStore;
  readonly observer: LoopObserver;
  readonly queueObserver: WorkQueueObserver;
  readonly settings: LoopSettings;
  /** Called when all that is stored is known, and judging begins. */
  readonly onSynced: () => void;
  /** Called with a mistake of ours that leaves nobody to judge. */
  readonly crash: (error: unknown) => void;
}

/**
 * Three sources, one queue, one loop, joined.
 *
 * `accept` takes heartbeats, `cache` hears of objects, and the sweeper finds deadlines; each puts keys in the queue, and
 * the controller's workers reconcile them.
 *
 * In order: `startHearing`, then the cache is told all there is, and by that the judging begins; `stopJudging`, then
 * `drain`.
 */
export class Loop {
  readonly selfDoubt = new SelfDoubt();
  readonly engine = new LivenessEngine(this.selfDoubt);
  readonly cache: InstanceCache;
  readonly queue: WorkQueue<InstanceKey>;
  readonly controller: Controller;
  readonly #parts: LoopParts;
  readonly #intake: Intake;
  readonly #sweeper: Sweeper;
  readonly #refresher: Refresher;
  #isJudging = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    const { clock, store, observer, queueObserver, settings, crash } = parts;
    const { engine, selfDoubt } = this;
    // Nobody can be heard before `startHearing`.
    selfDoubt.stopListening(clock.nowMs());
    const queue = new WorkQueue<InstanceKey>(clock, queueObserver);
    const enqueue = (key: InstanceKey): void => queue.add(key);
    const enqueueInBackground = (key: InstanceKey): void => queue.addInBackground(key);
    const cache = new InstanceCache(clock, {
      changed: enqueue,
      vanished(key) {
        engine.disown(key);
        enqueue(key);
      },
      synced: () => this.#begin(),
    });
    const reconciler = new Reconciler({ clock, engine, cache, store, observer, ...settings });
    this.queue = queue;
    this.cache = cache;
    this.#intake = new Intake({
      engine,
      cache,
      limit: new NewIdentityLimit(settings.newIdentities, clock.nowMs()),
      enqueue,
      enqueueNew: enqueueInBackground,
      observer,
      unknownInstances: settings.unknownInstances,
      defaultTiming: settings.defaultTiming,
      provisionalMax: settings.newIdentities.total,
    });
    this.controller = new Controller({
      clock,
      queue,
      reconcile: (key) => reconciler.reconcile(key),
      observer,
      workers: settings.workers,
    });
    this.#sweeper = new Sweeper({
      clock,
      engine,
      selfDoubt,
      observer,
      enqueue,
      isJudging: () => this.#isJudging,
      crash,
    });
    this.#refresher = new Refresher(clock, cache, settings.statusWritesPerSecond, enqueueInBackground);
  }

  /** Takes a heartbeat that was read at `receivedAtMs`. Never waits. */
  accept(key: InstanceKey, receivedAtMs: number): HeartbeatAnswer {
    return this.#intake.accept(key, receivedAtMs);
  }

  /** Senders can reach us from now on. */
  startHearing(): void {
    this.selfDoubt.startListening(this.#parts.clock.nowMs());
    this.#sweeper.start();
  }

  /** Somebody may no longer reach us: no more verdicts. What is queued is still written. */
  stopJudging(): void {
    this.#isJudging = false;
    this.selfDoubt.stopListening(this.#parts.clock.nowMs());
    this.#sweeper.stop();
    this.#refresher.stop();
  }

  /** Resolves when what is queued is written. */
  drain(): Promise<void> {
    return this.controller.stop();
  }

  /** Everything stored is known: settle what was taken on trust, and begin to judge and to write. */
  async #begin(): Promise<void> {
    await this.#intake.settleProvisional(this.#parts.clock);
    this.#isJudging = true;
    this.controller.start();
    this.#refresher.start();
    this.#parts.onSynced();
  }
}
