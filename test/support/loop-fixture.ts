/* oxlint-disable vitest/no-standalone-expect -- Tests expect in the words of the domain, and those are here. */
import { expect } from 'vitest';
import type { UnknownInstances } from '../../src/controller/intake.ts';
import { Loop } from '../../src/controller/loop.ts';
import type { ConditionStatus } from '../../src/health/condition.ts';
import type { ObservedInstance } from '../../src/health/observed-instance.ts';
import { resourceName } from '../../src/health/resource-name.ts';
import type { HeartbeatAnswer } from '../../src/liveness/heartbeat-answer.ts';
import type { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { DEFAULT_WITHDRAWALS } from '../../src/brakes/withdrawals.ts';
import { addressSender } from '../../src/liveness/sender.ts';
import type { HeartbeatTiming } from '../../src/liveness/time-to-live.ts';
import { MemoryInstanceStore, type PersonsEdit } from '../../src/memory/memory-instance-store.ts';
import { HOUR, identity, key, TIMING } from './builders.ts';
import { FakeClock } from './fake-clock.ts';
import { FaultyStore } from './faulty-store.ts';
import {
  RecordingObserver,
  silentPodObserver,
  silentPolicyObserver,
  silentQueueObserver,
} from './recording-observer.ts';

export interface LoopOptions {
  readonly timing?: HeartbeatTiming;
  readonly unknownInstances?: UnknownInstances;
  readonly retentionMs?: number;
  readonly workers?: number;
  readonly newInstancesBurst?: number;
  readonly instancesMax?: number;
}

const NAMESPACE = 'default';

/** How long after a deadline its verdict is written at the latest: one beat of the sweeper. */
export const BEAT = 50;

/**
 * The whole loop, from a heartbeat to the object that shows it, with a clock that the test moves and a store in memory.
 *
 * What the test says is what happens in the world; what it expects is what stands on the objects.
 */
export class LoopFixture {
  readonly clock = new FakeClock();
  readonly memory = new MemoryInstanceStore(this.clock.wallMs);
  readonly store = new FaultyStore(this.memory, this.clock);
  /** What the loop told since the start of the process. */
  observer = new RecordingObserver();
  readonly #options: LoopOptions;
  #loop: Loop;

  constructor(options: LoopOptions = {}) {
    this.#options = options;
    this.#loop = newLoop(this, options);
  }

  static async started(options: LoopOptions = {}): Promise<LoopFixture> {
    const fixture = new LoopFixture(options);
    await fixture.start();
    return fixture;
  }

  get engine(): LivenessEngine {
    return this.#loop.engine;
  }

  /** Begins to hear and judge, and learns what is stored. */
  async start(): Promise<void> {
    this.startHearing();
    await this.learnWhatIsStored();
  }

  /** Begins to hear and judge; the store cannot be reached yet. */
  startHearing(): void {
    this.#loop.startHearing();
  }

  async learnWhatIsStored(): Promise<void> {
    await this.#loop.podCache.nodes.replaced([]);
    await this.#loop.podCache.policies.replaced([]);
    await this.#loop.podCache.pods.replaced([]);
    await this.memory.listen(this.#loop.cache);
    await this.clock.advance(0);
  }

  /** The process is killed. What is stored stays. */
  kill(): void {
    // A dead process does nothing more; its timers go with the clock that is started anew.
    this.#loop.stopJudging();
    this.#loop.queue.shutDown();
    this.clock.startAnew();
    this.observer = new RecordingObserver();
    this.#loop = newLoop(this, this.#options);
  }

  async restart(): Promise<void> {
    this.kill();
    await this.start();
  }

  stop(): Promise<void> {
    this.#loop.stopJudging();
    return this.#loop.drain();
  }

  /** A heartbeat arrives now. What follows from it is done when the clock is moved next, if only by nothing. */
  heartbeatFrom(id: string): HeartbeatAnswer {
    return this.#loop.accept(key(id), this.clock.nowMs(), addressSender('127.0.0.1'));
  }

  /** Time passes in which each of `ids` sends a heartbeat every interval, the first one now. */
  async beatFor(ms: number, ids: readonly string[], intervalMs = 30_000): Promise<void> {
    const untilMs = this.clock.nowMs() + ms;
    while (this.clock.nowMs() < untilMs) {
      for (const id of ids) expect(this.heartbeatFrom(id).kind).toBe('accepted');
      await this.clock.advance(Math.min(intervalMs, untilMs - this.clock.nowMs()));
    }
  }

  /** The instance is there and beats. */
  async givenHealthy(...ids: readonly string[]): Promise<void> {
    for (const id of ids) this.heartbeatFrom(id);
    await this.clock.advance(0);
    for (const id of ids) this.expectHealthy(id);
  }

  /** A person edits an object. */
  async edit(id: string, edit: PersonsEdit): Promise<void> {
    expect(this.memory.edit(NAMESPACE, this.object(id).name, edit).kind).toBe('written');
    await this.clock.advance(0);
  }

  /** A person makes an object, with a name of their own. */
  async createByPerson(id: string, name = `made-by-hand-${id}`, edit: PersonsEdit = {}): Promise<void> {
    expect(this.memory.createByPerson(NAMESPACE, name, identity(id), edit).kind).toBe('written');
    await this.clock.advance(0);
  }

  /** A person deletes an object. */
  async delete(id: string): Promise<void> {
    this.memory.delete(NAMESPACE, this.object(id).name);
    await this.clock.advance(0);
  }

  /** The object of an instance: the one that counts, if there are several. */
  object(id: string): ObservedInstance {
    const [object] = this.objects(id);
    if (object === undefined) throw new Error(`no object for ${id}`);
    return object;
  }

  objects(id: string): readonly ObservedInstance[] {
    const objects = this.memory.list().filter((object) => object.key === key(id));
    return objects.sort((a, b) => a.createdSeconds - b.createdSeconds || (a.name < b.name ? -1 : 1));
  }

  nameOf(id: string): string {
    return resourceName(key(id));
  }

  expectHealthy(id: string): void {
    this.expectCondition(id, 'True', 'HeartbeatReceived');
  }

  expectStale(id: string, reason: 'HeartbeatExpired' | 'NotHeardSinceObserverStart' = 'HeartbeatExpired'): void {
    this.expectCondition(id, 'False', reason);
  }

  expectAwaiting(id: string): void {
    this.expectCondition(id, 'Unknown', 'AwaitingFirstHeartbeat');
  }

  /** Both conditions and the summary say the same. */
  expectCondition(id: string, status: ConditionStatus, reason: string): void {
    expect({ id, ...this.object(id).status }).toMatchObject({
      id,
      fresh: { status, reason },
      healthy: { status, reason },
      healthySummary: status,
    });
  }

  expectNoObject(id: string): void {
    expect(this.objects(id)).toEqual([]);
  }

  /** All that stands on all objects, to be compared with what stands there later. */
  conditions(): ReadonlyMap<string, unknown> {
    return new Map(
      this.memory.list().map((object) => {
        const { fresh, healthy, podSynced, healthySummary, expiredWallMs, effective } = object.status ?? {};
        return [object.name, { fresh, healthy, podSynced, healthySummary, expiredWallMs, effective }];
      }),
    );
  }
}

/** There are no Pods in this world. */
function absent(): Promise<{ readonly kind: 'absent' }> {
  return Promise.resolve({ kind: 'absent' });
}

/** A mistake of ours, thrown where nobody catches it: the test run fails. */
function failTest(error: unknown): never {
  throw error;
}

function newLoop({ clock, store, observer }: LoopFixture, options: LoopOptions): Loop {
  return new Loop({
    clock,
    store,
    observer,
    queueObserver: silentQueueObserver,
    settings: {
      namespace: NAMESPACE,
      defaultTiming: options.timing ?? TIMING,
      unknownInstances: options.unknownInstances ?? 'auto',
      newIdentities: {
        perSecond: 100,
        burst: options.newInstancesBurst ?? 2_000,
        total: options.instancesMax ?? 20_000,
      },
      statusWritesPerSecond: 10,
      retentionMs: options.retentionMs ?? HOUR,
      workers: options.workers ?? 4,
    },
    ownAddresses: [],
    pods: {
      store: { read: absent, writeCondition: absent },
      policyStore: { writeStatus: absent },
      observer: silentPodObserver,
      policyObserver: silentPolicyObserver,
      queueObserver: silentQueueObserver,
      brakes: { ...DEFAULT_WITHDRAWALS, random: () => 0 },
      isCacheStale: () => false,
    },
    onSynced: () => undefined,
    crash: failTest,
  });
}
