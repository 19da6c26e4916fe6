/* oxlint-disable vitest/no-standalone-expect -- Tests expect in the words of the domain, and those are here. */
import { expect } from 'vitest';
import { Loop } from '../../src/controller/loop.ts';
import type { PodObserver } from '../../src/controller/ports.ts';
import type { Condition, ConditionStatus } from '../../src/health/condition.ts';
import type { ObservedInstance, ReportedValue } from '../../src/health/observed-instance.ts';
import type { ObservedNode } from '../../src/health/observed-node.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import { DEFAULT_RULES, type ObservedPolicy, type PolicyStatus } from '../../src/health/observed-policy.ts';
import type { EndedStorm, Storm } from '../../src/brakes/storm.ts';
import { DEFAULT_WITHDRAWALS } from '../../src/brakes/withdrawals.ts';
import type { HeartbeatAnswer } from '../../src/liveness/heartbeat-answer.ts';
import { type InstanceIdentity, type InstanceKey, keyOf } from '../../src/liveness/instance-key.ts';
import type { ReportAnswer } from '../../src/liveness/report-answer.ts';
import { addressSender, podSender, type Sender } from '../../src/liveness/sender.ts';
import type { HeartbeatTiming } from '../../src/liveness/time-to-live.ts';
import { MemoryInstanceStore, type PersonsEdit } from '../../src/memory/memory-instance-store.ts';
import { HOUR, pod as podWith, SECOND, TIMING } from './builders.ts';
import { ClusterInMemory } from './cluster-in-memory.ts';
import { FakeClock } from './fake-clock.ts';
import { FaultyStore } from './faulty-store.ts';
import {
  RecordingObserver,
  silentPodObserver,
  silentPolicyObserver,
  silentQueueObserver,
} from './recording-observer.ts';

export interface PodWorldOptions {
  readonly timing?: HeartbeatTiming;
  readonly withdrawalsPerSecond?: number;
  readonly random?: () => number;
  readonly ownAddresses?: readonly string[];
}

/** Where objects of instances live that are bound to no Pod. */
export const OPERATOR_NAMESPACE = 'heartbeat-operator';

/** How late a Pod's condition follows the deadline at the most: one beat of the sweeper and one step of the brakes. */
export const WITHDRAWN_AFTER = 300;

/** Watches that were broken for so long make the cache stale. */
const STALE_AFTER = 10 * SECOND;

/** How long the garbage collector takes, unless a test says otherwise. */
const COLLECTED_AFTER = 100;

interface Beater {
  readonly pod: string;
  readonly identity: InstanceIdentity;
  readonly sender: Sender | undefined;
  readonly onBeat: () => void;
  intervalMs: number;
  nextWallMs: number;
}

/** What the loop told of Pods since the start of the process. */
class RecordingPodObserver {
  readonly unconfirmed: string[] = [];
  readonly followed: string[] = [];
  readonly conflicts: InstanceKey[] = [];
  readonly held: string[] = [];
  readonly began: Storm[] = [];
  readonly ended: EndedStorm[] = [];

  readonly observer: PodObserver & typeof silentPodObserver = {
    ...silentPodObserver,
    readyFollowed: ({ name }) => this.followed.push(name),
    readyDidNotFollow: ({ name }) => this.unconfirmed.push(name),
    identityConflict: (key) => this.conflicts.push(key),
    podHeld: ({ name }, hold) => {
      if (hold !== undefined) this.held.push(`${name} ${hold.reason}`);
    },
    stormBegan: (storm) => this.began.push(storm),
    stormEnded: (storm, why) => this.ended.push({ ...storm, why }),
  };
}

/**
 * A small cluster in virtual time: the whole loop, with Pods that beat, kubelets, a garbage collector and people.
 *
 * What the test says is what happens in the world; what it expects is what stands on the objects. Unless a test says
 * otherwise each Pod has one instance, which is named like it, of the service `cart`.
 */
export class PodWorld {
  readonly clock = new FakeClock();
  readonly memory = new MemoryInstanceStore(this.clock.wallMs);
  readonly instances = new FaultyStore(this.memory, this.clock);
  readonly cluster = new ClusterInMemory(this.clock);
  observer = new RecordingObserver();
  told = new RecordingPodObserver();
  collectedAfterMs = COLLECTED_AFTER;
  readonly #options: PodWorldOptions;
  readonly #beaters = new Set<Beater>();
  /** Uids whose objects wait for the garbage collector, with the moment at which it comes. */
  readonly #garbage = new Map<string, number>();
  readonly #frozenAtMs: { value: number | undefined } = { value: undefined };
  #loop: Loop;
  #made = 0;

  constructor(options: PodWorldOptions = {}) {
    this.#options = options;
    this.#loop = this.#newLoop();
  }

  static async started(options: PodWorldOptions = {}): Promise<PodWorld> {
    const world = new PodWorld(options);
    await world.start();
    return world;
  }

  get loop(): Loop {
    return this.#loop;
  }

  get ttlMs(): number {
    const { intervalSeconds, times } = this.#options.timing ?? TIMING;
    return intervalSeconds * (times + 1) * 1000;
  }

  // The process.

  async start(last: 'instances' | 'pods' = 'instances'): Promise<void> {
    this.startHearing();
    await this.learnWhatIsStored(last);
  }

  /** Heartbeats are taken; nothing can be known of what is stored yet. */
  startHearing(): void {
    this.#loop.startHearing();
  }

  /** Is told all there is, Pods last or instances last, and begins to judge. */
  async learnWhatIsStored(last: 'instances' | 'pods' = 'instances'): Promise<void> {
    if (last === 'instances') await this.cluster.listen(this.#loop.podCache);
    await this.memory.listen(this.#loop.cache);
    if (last === 'pods') await this.cluster.listen(this.#loop.podCache);
    await this.clock.advance(0);
  }

  /** The process is killed: what is under way never comes to its end. What is stored stays. */
  kill(): void {
    this.#loop.stopJudging();
    this.#loop.queue.shutDown();
    this.#loop.pods.queue.shutDown();
    this.cluster.stopTelling();
    this.clock.startAnew();
    this.#frozenAtMs.value = undefined;
    this.observer = new RecordingObserver();
    this.told = new RecordingPodObserver();
    this.cluster.rearm();
    for (const [uid, atWallMs] of this.#garbage) this.#collectLater(uid, atWallMs);
    this.#loop = this.#newLoop();
  }

  async restart(last: 'instances' | 'pods' = 'instances'): Promise<void> {
    this.kill();
    await this.start(last);
  }

  async setReleased(isReleased: boolean): Promise<void> {
    this.#loop.pods.setReleased(isReleased);
    await this.clock.advance(0);
  }

  /** Nothing more is told of Pods, nodes and policies; after a while the cache counts as stale. */
  freezeWatches(): void {
    this.#frozenAtMs.value = this.clock.nowMs();
    for (const kind of this.#kinds()) kind.freeze();
  }

  async thawWatches(): Promise<void> {
    this.#frozenAtMs.value = undefined;
    for (const kind of this.#kinds()) await kind.thaw();
    await this.clock.advance(0);
  }

  // Pods, nodes and policies.

  /** A new Pod: gated, its containers ready, of `Deployment/web`, with an address and a node of its own. */
  addPod(name: string, parts: Partial<ObservedPod> = {}): ObservedPod {
    this.#made += 1;
    return this.cluster.putPod(
      podWith(name, {
        uid: `${name}-uid-${this.#made}`,
        createdSeconds: Math.floor(this.clock.wallMs() / 1000),
        addresses: [`10.0.${Math.floor(this.#made / 250)}.${(this.#made % 250) + 1}`],
        nodeName: `node-of-${name}`,
        isReady: parts.hasGate === false,
        ...parts,
      }),
    );
  }

  addPods(names: readonly string[], parts: Partial<ObservedPod> = {}): void {
    for (const name of names) this.addPod(name, parts);
  }

  changePod(name: string, parts: Partial<ObservedPod>): void {
    this.cluster.putPod({ ...this.pod(name), ...parts });
  }

  /** Its deletion begins; it beats no more, and is gone after its grace. */
  terminate(name: string): void {
    this.silence(name);
    this.changePod(name, { isTerminating: true });
  }

  /** It is gone; what it owns is collected in a moment. */
  removePod(name: string): void {
    const { uid } = this.pod(name);
    this.cluster.pods.remove(uid);
    const atWallMs = this.clock.wallMs() + this.collectedAfterMs;
    this.#garbage.set(uid, atWallMs);
    this.#collectLater(uid, atWallMs);
  }

  /** The Pod of that name that was made last. */
  pod(name: string): ObservedPod {
    const pod = this.cluster.pods.values().findLast((candidate) => candidate.name === name);
    if (pod === undefined) throw new Error(`no Pod ${name}`);
    return pod;
  }

  hasPod(name: string): boolean {
    return this.cluster.pods.values().some((pod) => pod.name === name);
  }

  putNode(name: string, parts: Partial<ObservedNode> = {}): void {
    const before = this.cluster.nodes.values().find((node) => node.name === name);
    this.cluster.nodes.put({ ...(before ?? nodeWith(name)), ...parts });
  }

  /** A policy over all Pods of its namespace, with the defaults, unless `parts` say otherwise. */
  putPolicy(name: string, parts: Partial<ObservedPolicy> = {}): void {
    const before = this.cluster.policies.values().find((policy) => policy.name === name);
    const generation = (before?.generation ?? 0) + 1;
    const createdSeconds = before?.createdSeconds ?? Math.floor(this.clock.wallMs() / 1000);
    this.#made += 1;
    this.cluster.policies.put({
      ...DEFAULT_RULES,
      uid: `policy-uid-${this.#made}`,
      namespace: 'default',
      name,
      resourceVersion: '0',
      priority: 0,
      selector: { matchLabels: {}, matchExpressions: [] },
      timing: undefined,
      status: undefined,
      ...before,
      createdSeconds,
      ...parts,
      generation,
    });
  }

  removePolicy(name: string): void {
    for (const policy of this.cluster.policies.values()) {
      if (policy.name === name) this.cluster.policies.remove(policy.uid);
    }
  }

  policyStatus(name: string): PolicyStatus | undefined {
    return this.cluster.policies.values().find((policy) => policy.name === name)?.status;
  }

  // Heartbeats and reports.

  /** A heartbeat from the Pod arrives now. What follows from it is done when the clock is moved next. */
  beat(podName: string, instanceId = podName, serviceId = 'cart'): HeartbeatAnswer {
    return this.heartbeat(identityWith(instanceId, serviceId), this.senderAt(podName));
  }

  beatByToken(podName: string, instanceId = podName): HeartbeatAnswer {
    return this.heartbeat(identityWith(instanceId), podSender(this.pod(podName).uid));
  }

  heartbeat(identity: InstanceIdentity, sender: Sender): HeartbeatAnswer {
    return this.#loop.accept(keyOf(identity), this.clock.nowMs(), sender);
  }

  senderAt(podName: string): Sender {
    const [address = ''] = this.pod(podName).addresses;
    return addressSender(address);
  }

  /** From now on an instance in each of these Pods beats, the first time now. Ends with `silence`, or with its Pod. */
  keepBeating(podNames: readonly string[], options: BeatOptions = {}): void {
    const { intervalMs = (this.#options.timing ?? TIMING).intervalSeconds * 1000 } = options;
    for (const pod of podNames) {
      this.#beaters.add({
        pod,
        identity: identityWith(options.instanceId ?? pod, options.serviceId),
        intervalMs,
        sender: options.sender,
        onBeat: options.onBeat ?? ((): void => undefined),
        nextWallMs: this.clock.wallMs(),
      });
    }
  }

  /** Those that beat do so in another rhythm from now on. */
  changeRhythm(intervalMs: number): void {
    for (const beater of this.#beaters) {
      beater.intervalMs = intervalMs;
      beater.nextWallMs = this.clock.wallMs();
    }
  }

  /** No instance in these Pods beats any more, or not this one. */
  silence(podNames: string | readonly string[], instanceId?: string): void {
    const pods = typeof podNames === 'string' ? [podNames] : podNames;
    for (const beater of this.#beaters) {
      const isMeant = instanceId === undefined || beater.identity.instanceId === instanceId;
      if (isMeant && pods.includes(beater.pod)) this.#beaters.delete(beater);
    }
  }

  /** What the application in the Pod says of itself; how it was answered when the clock has come to rest. */
  async report(
    value: ReportedValue,
    { instanceId, from = instanceId, receivedMsAgo = 0 }: ReportOptions,
  ): Promise<ReportAnswer> {
    const receivedAtMs = this.clock.nowMs() - receivedMsAgo;
    const answer = this.#loop.report(keyOf(identityWith(instanceId)), value, receivedAtMs, this.senderAt(from));
    await this.clock.advance(0);
    return answer;
  }

  /** Time passes in which those that beat go on. Nobody who beats is ever refused (I19). */
  async pass(ms: number): Promise<void> {
    const untilWallMs = this.clock.wallMs() + ms;
    for (;;) {
      const nextWallMs = Math.min(untilWallMs, ...Array.from(this.#beaters, (beater) => beater.nextWallMs));
      if (nextWallMs > this.clock.wallMs()) await this.clock.advance(nextWallMs - this.clock.wallMs());
      this.#beatWhatIsDue();
      if (this.clock.wallMs() >= untilWallMs) break;
    }
    await this.clock.advance(0);
  }

  /** These Pods are there, beat, and serve. */
  async givenServing(podNames: readonly string[], parts: Partial<ObservedPod> = {}): Promise<void> {
    this.addPods(podNames, parts);
    this.keepBeating(podNames);
    await this.pass(SECOND);
    for (const name of podNames) this.expectServing(name);
  }

  // People.

  async edit(instanceId: string, edit: PersonsEdit): Promise<void> {
    const { namespace, name } = this.object(instanceId);
    expect(this.memory.edit(namespace, name, edit).kind).toBe('written');
    await this.clock.advance(0);
  }

  async deleteInstance(instanceId: string): Promise<void> {
    const { namespace, name } = this.object(instanceId);
    this.memory.delete(namespace, name);
    await this.clock.advance(0);
  }

  // What stands on the objects.

  object(instanceId: string, serviceId?: string): ObservedInstance {
    const [object] = this.objects(instanceId, serviceId);
    if (object === undefined) throw new Error(`no object for ${instanceId}`);
    return object;
  }

  objects(instanceId: string, serviceId?: string): readonly ObservedInstance[] {
    const key = keyOf(identityWith(instanceId, serviceId));
    return this.memory
      .list()
      .filter((object) => object.key === key)
      .sort((a, b) => a.createdSeconds - b.createdSeconds || (a.name < b.name ? -1 : 1));
  }

  /** Ready, so in the endpoints of its Services. */
  expectServing(podName: string): void {
    const { isReady, condition } = this.pod(podName);
    expect({ podName, isReady, status: condition?.status ?? 'True' }).toEqual({
      podName,
      isReady: true,
      status: 'True',
    });
  }

  expectPod(podName: string, status: ConditionStatus, reason: string): void {
    const { condition } = this.pod(podName);
    expect({ podName, ...condition }).toMatchObject({ podName, status, reason });
  }

  expectHealthy(instanceId: string, status: ConditionStatus, reason: string): void {
    expect({ instanceId, ...this.object(instanceId).status?.healthy }).toMatchObject({ instanceId, status, reason });
  }

  expectSynced(instanceId: string, status: ConditionStatus, reason: string): void {
    expect({ instanceId, ...this.object(instanceId).status?.podSynced }).toMatchObject({ instanceId, status, reason });
  }

  /** Our conditions on these Pods, as `status/reason`, to be compared at one glance. */
  shown(podNames: readonly string[]): readonly string[] {
    return podNames.map((name) => shownOf(this.pod(name).condition));
  }

  servingOf(podNames: readonly string[]): readonly string[] {
    return podNames.filter((name) => this.pod(name).isReady);
  }

  /** All that stands on all Pods, instances and policies, to be compared with what stands there later. */
  conditions(): Readonly<Record<string, unknown>> {
    return {
      pods: this.cluster.pods.values().map(({ name, condition, isReady }) => ({ name, condition, isReady })),
      instances: this.memory.list().map(({ namespace, name, ownerUid, reported, status }) => {
        const { lastHeartbeatWallMs: _, ...told } = status ?? {};
        return { namespace, name, ownerUid, reported, told };
      }),
      policies: this.cluster.policies.values().map(({ name, status }) => ({ name, status })),
    };
  }

  #beatWhatIsDue(): void {
    for (const beater of this.#beaters) {
      if (beater.nextWallMs > this.clock.wallMs()) continue;
      // What could not be sent in time is not sent later.
      while (beater.nextWallMs <= this.clock.wallMs()) beater.nextWallMs += beater.intervalMs;
      const sender = beater.sender ?? (this.hasPod(beater.pod) ? this.senderAt(beater.pod) : undefined);
      if (sender === undefined) {
        this.#beaters.delete(beater);
        continue;
      }
      expect(this.heartbeat(beater.identity, sender).kind).toBe('accepted');
      beater.onBeat();
    }
  }

  #kinds(): readonly { freeze(): void; thaw(): Promise<void> }[] {
    return [this.cluster.nodes, this.cluster.policies, this.cluster.pods];
  }

  #collectLater(uid: string, atWallMs: number): void {
    this.clock.schedule(atWallMs - this.clock.wallMs(), () => {
      this.#garbage.delete(uid);
      for (const { namespace, name, ownerUid } of this.memory.list()) {
        if (ownerUid === uid) this.memory.delete(namespace, name);
      }
    });
  }

  #newLoop(): Loop {
    const { timing, withdrawalsPerSecond, random, ownAddresses } = this.#options;
    const { perSecond } = DEFAULT_WITHDRAWALS;
    return new Loop({
      clock: this.clock,
      store: this.instances,
      observer: this.observer,
      queueObserver: silentQueueObserver,
      settings: {
        namespace: OPERATOR_NAMESPACE,
        defaultTiming: timing ?? TIMING,
        unknownInstances: 'auto',
        newIdentities: { perSecond: 100, burst: 2_000, total: 20_000 },
        statusWritesPerSecond: 10,
        retentionMs: HOUR,
        workers: 4,
      },
      ownAddresses: ownAddresses ?? [],
      pods: {
        store: this.cluster,
        policyStore: this.cluster.policyStore,
        observer: this.told.observer,
        policyObserver: silentPolicyObserver,
        queueObserver: silentQueueObserver,
        brakes: {
          ...DEFAULT_WITHDRAWALS,
          perSecond: withdrawalsPerSecond ?? perSecond,
          random: random ?? ((): number => 0),
        },
        isCacheStale: () => this.clock.nowMs() - (this.#frozenAtMs.value ?? Infinity) > STALE_AFTER,
      },
      onSynced: () => undefined,
      crash: (error) => {
        throw error;
      },
    });
  }
}

export interface BeatOptions {
  readonly instanceId?: string;
  readonly serviceId?: string;
  readonly intervalMs?: number;
  /** Where the heartbeats come from; the Pod's first address if not said. */
  readonly sender?: Sender;
  /** Called after each heartbeat. */
  readonly onBeat?: () => void;
}

export interface ReportOptions {
  readonly instanceId: string;
  /** The Pod that says it; the one that is named like the instance if not said. */
  readonly from?: string;
  /** How long ago it was read: it was under way, or waited. */
  readonly receivedMsAgo?: number;
}

export function identityWith(instanceId: string, serviceId = 'cart'): InstanceIdentity {
  return { domain: 'acme', projectId: 'shop', serviceId, instanceId };
}

/** `web-0`, `web-1`, … */
export function names(count: number, prefix = 'web'): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

function shownOf(condition: Condition | undefined): string {
  return condition === undefined ? 'nothing' : `${condition.status}/${condition.reason}`;
}

function nodeWith(name: string): ObservedNode {
  return { uid: `uid-of-${name}`, name, resourceVersion: '0', isReady: true, addresses: [] };
}
