import type { Clock } from '../clock.ts';
import type { ReportedValue } from '../health/observed-instance.ts';
import { isProof } from '../health/pod-binding.ts';
import type { HeartbeatAnswer } from '../liveness/heartbeat-answer.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import { LivenessEngine } from '../liveness/liveness-engine.ts';
import type { ReportAnswer } from '../liveness/report-answer.ts';
import { SelfDoubt } from '../liveness/self-doubt.ts';
import type { Sender } from '../liveness/sender.ts';
import type { HeartbeatTiming } from '../liveness/time-to-live.ts';
import { Bindings } from './bindings.ts';
import { Controller } from './controller.ts';
import { InstanceCache } from './instance-cache.ts';
import { InstancePods } from './instance-pods.ts';
import { track } from './instance-tracking.ts';
import { Intake, type UnknownInstances } from './intake.ts';
import { NewIdentityLimit, type NewIdentityLimitOptions } from './new-identity-limit.ts';
import { PodCache } from './pod-cache.ts';
import { PodLoop, type PodLoopParts } from './pod-loop.ts';
import type { InstanceStore, LoopObserver } from './ports.ts';
import { Reconciler } from './reconciler.ts';
import { Refresher } from './refresher.ts';
import { StatusReporter } from './status-reporter.ts';
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
  /** Addresses of this process: what comes from them proves nothing about its sender. */
  readonly ownAddresses: readonly string[];
  readonly pods: Pick<
    PodLoopParts,
    'store' | 'policyStore' | 'observer' | 'policyObserver' | 'queueObserver' | 'brakes' | 'isCacheStale'
  >;
  /** Called when all that is stored is known, and judging begins. */
  readonly onSynced: () => void;
  /** Called with a mistake of ours that leaves nobody to judge. */
  readonly crash: (error: unknown) => void;
}

/** Instances restored in one turn of the event loop; heartbeats are answered in between. */
const PER_TURN = 500;

/**
 * Three sources, one loop, joined.
 *
 * `accept` takes heartbeats, the caches hear of objects, and the sweeper finds deadlines; each puts keys in the queue of
 * instances, and beside it their Pods in that of Pods. Workers reconcile them.
 *
 * In order: `startHearing`, then the caches are told all there is, and by that the judging begins; `stopJudging`, then
 * `drain`.
 */
export class Loop {
  readonly selfDoubt = new SelfDoubt();
  readonly engine = new LivenessEngine(this.selfDoubt);
  readonly cache: InstanceCache;
  readonly podCache: PodCache;
  readonly queue: WorkQueue<InstanceKey>;
  readonly controller: Controller<InstanceKey>;
  readonly pods: PodLoop;
  readonly bindings: Bindings;
  readonly #parts: LoopParts;
  readonly #instancePods: InstancePods;
  readonly #intake: Intake;
  readonly #sweeper: Sweeper;
  readonly #refresher: Refresher;
  readonly #reporter: StatusReporter;
  #isJudging = false;
  #isReady = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    const { clock, store, observer, queueObserver, settings, crash } = parts;
    const { engine, selfDoubt } = this;
    // Nobody can be heard before `startHearing`.
    selfDoubt.stopListening(clock.nowMs());
    const queue = new WorkQueue<InstanceKey>(clock, queueObserver);
    this.queue = queue;
    const enqueueInBackground = (key: InstanceKey): void => queue.addInBackground(key);
    const begin = (): Promise<void> => this.#beginWhenSynced();
    const cache = new InstanceCache(clock, {
      changed: (key) => this.#enqueue(key),
      vanished: (key) => {
        engine.disown(key);
        this.#enqueue(key);
      },
      synced: begin,
    });
    const podCache = new PodCache(clock, parts.ownAddresses, {
      changed: (uid) => this.pods.podChanged(uid),
      removed: ({ uid }) => this.pods.podRemoved(uid),
      senderChanged: (sender) => {
        for (const key of this.bindings.waitingFor(sender)) queue.add(key);
      },
      policyRemoved: (policy) => this.pods.policyDeleted(policy),
      synced: begin,
    });
    this.cache = cache;
    this.podCache = podCache;
    this.bindings = new Bindings(podCache, (key, ref, before) => {
      for (const joined of [before, ref]) {
        if (joined === undefined) continue;
        this.pods.queue.add(joined.uid);
        // One of the others may have been replaced by this one, or is so no longer.
        for (const other of this.bindings.instancesOf(joined.uid)) queue.add(other);
      }
      if (this.#isJudging) observer.bound(key, ref, before);
    });
    const instancePods = new InstancePods({
      clock,
      engine,
      instances: cache,
      pods: podCache,
      bindings: this.bindings,
      syncedOf: (uid) => this.pods.reconciler.syncedOf(uid),
      onConflict: (key, sender) => parts.pods.observer.identityConflict(key, sender),
      defaultTiming: settings.defaultTiming,
    });
    this.#instancePods = instancePods;
    this.pods = new PodLoop({
      ...parts.pods,
      clock,
      pods: podCache,
      bindings: this.bindings,
      instancePods,
      enqueueInstance: (key) => queue.add(key),
      isListening: () => selfDoubt.isListening,
      isJudging: () => this.#isJudging,
      workers: settings.workers,
    });
    const reconciler = new Reconciler({
      clock,
      engine,
      cache,
      pods: podCache,
      instancePods,
      store,
      observer,
      ...settings,
    });
    this.#intake = new Intake({
      engine,
      cache,
      bindings: this.bindings,
      instancePods,
      limit: new NewIdentityLimit(settings.newIdentities, clock.nowMs()),
      enqueue: (key) => this.#enqueue(key),
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
      enqueue: (key) => this.#enqueue(key),
      isJudging: () => this.#isJudging,
      crash,
    });
    this.#refresher = new Refresher(clock, cache, settings.statusWritesPerSecond, enqueueInBackground);
    this.#reporter = new StatusReporter({
      clock,
      engine,
      cache,
      bindings: this.bindings,
      store,
      observer,
      isReady: () => this.#isReady,
    });
  }

  /** Takes a heartbeat that was read at `receivedAtMs`. Never waits. */
  accept(key: InstanceKey, receivedAtMs: number, sender: Sender): HeartbeatAnswer {
    return this.#intake.accept(key, receivedAtMs, sender);
  }

  /** Takes a heartbeat of a known instance whose sender cannot be looked into just now. Never waits. */
  acceptKnown(key: InstanceKey, receivedAtMs: number): HeartbeatAnswer {
    return this.#intake.acceptKnown(key, receivedAtMs);
  }

  /** Takes what an application says of itself, and resolves when that is stored or cannot be. */
  report(key: InstanceKey, value: ReportedValue, receivedAtMs: number, sender: Sender): Promise<ReportAnswer> {
    return this.#reporter.report(key, value, receivedAtMs, sender);
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
    this.pods.stopJudging();
  }

  /** Resolves when what is queued is written. */
  async drain(): Promise<void> {
    await Promise.all([this.controller.stop(), this.pods.drain()]);
  }

  /** What is believed of the instance changed, and so perhaps what its Pod must show: neither waits for the other. */
  #enqueue(key: InstanceKey): void {
    this.queue.add(key);
    const ref = this.bindings.refOf(key);
    if (ref !== undefined) this.pods.queue.add(ref.uid);
  }

  async #beginWhenSynced(): Promise<void> {
    if (this.cache.isSynced && this.podCache.isSynced) await this.#begin();
  }

  /** Everything stored is known: settle what was taken on trust, and begin to judge and to write. */
  async #begin(): Promise<void> {
    await this.#restore();
    await this.#intake.settleProvisional(this.#parts.clock);
    this.#isReady = true;
    this.#instancePods.beginJudging();
    this.#isJudging = true;
    this.controller.start();
    this.pods.start();
    this.#refresher.start();
    this.#parts.onSynced();
  }

  /**
   * Every stored instance is known to the engine and at its Pod before the first Pod is looked at: a Pod whose instances
   * are not known yet would be taken for one that has none. What an earlier process has proved stays proved.
   */
  async #restore(): Promise<void> {
    const { clock } = this.#parts;
    let restored = 0;
    for (const object of this.cache.winners()) {
      const ref = object.status?.podRef;
      // An object in another namespace could name whatever Pod it likes.
      const isOwn = ref !== undefined && isProof(ref.matchedBy) && ref.namespace === object.namespace;
      if (isOwn) this.bindings.restore(object.key, ref);
      track(this.engine, object, this.#instancePods.trackingOf(object), clock.nowMs());
      restored += 1;
      if (restored % PER_TURN === 0) await clock.turn();
    }
  }
}
