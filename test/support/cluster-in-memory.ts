import type { Clock } from '../../src/clock.ts';
import type { PodCache } from '../../src/controller/pod-cache.ts';
import type { PodOutcome, PodStore, PolicyOutcome, PolicyStore, ResourceListener } from '../../src/controller/ports.ts';
import type { Condition } from '../../src/health/condition.ts';
import type { ObservedNode } from '../../src/health/observed-node.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import type { ObservedPolicy, PolicyStatus } from '../../src/health/observed-policy.ts';

/** A write to a Pod or a policy as it reached the store, and what it came to. */
export interface ClusterWrite {
  readonly name: string;
  readonly uid: string;
  readonly status: string;
  readonly reason: string;
  readonly atWallMs: number;
  readonly outcome: PodOutcome['kind'] | PolicyOutcome['kind'];
}

export type PodCall = 'read' | 'write';

type PodFault = (call: PodCall, pod: ObservedPod) => PodOutcome | undefined;

interface Stored {
  readonly uid: string;
  readonly resourceVersion: string;
}

/** How a kubelet follows our condition: `prompt` after 50 ms, `slow` after 5 s, `dead` not at all. */
export type Kubelet = 'prompt' | 'slow' | 'dead';

const KUBELET_MS = { prompt: 50, slow: 5_000 } as const;

/** The objects of one kind, with a watch that can be frozen: then nothing is told, until all is told anew. */
class StoredKind<T extends Stored> {
  readonly #items = new Map<string, T>();
  readonly #nextVersion: () => string;
  #listener: ResourceListener<T> | undefined;
  #isFrozen = false;

  constructor(nextVersion: () => string) {
    this.#nextVersion = nextVersion;
  }

  values(): readonly T[] {
    return [...this.#items.values()];
  }

  get(uid: string): T | undefined {
    return this.#items.get(uid);
  }

  put(item: T): T {
    const kept: T = { ...item, resourceVersion: this.#nextVersion() };
    this.#items.set(kept.uid, kept);
    this.#told()?.changed(kept);
    return kept;
  }

  remove(uid: string): void {
    const item = this.#items.get(uid);
    if (item === undefined) return;
    this.#items.delete(uid);
    this.#told()?.removed(item);
  }

  async listen(listener: ResourceListener<T>): Promise<void> {
    this.#listener = listener;
    this.#isFrozen = false;
    await listener.replaced(this.values());
  }

  stopTelling(): void {
    this.#listener = undefined;
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  async thaw(): Promise<void> {
    this.#isFrozen = false;
    await this.#listener?.replaced(this.values());
  }

  #told(): ResourceListener<T> | undefined {
    return this.#isFrozen ? undefined : this.#listener;
  }
}

/**
 * Pods, nodes and policies as an API server keeps them, with a kubelet that follows our condition.
 *
 * It outlives the operator. Its timers go with the clock of a process that was killed, and `rearm` sets them again.
 */
export class ClusterInMemory implements PodStore {
  readonly pods: StoredKind<ObservedPod>;
  readonly nodes: StoredKind<ObservedNode>;
  readonly policies: StoredKind<ObservedPolicy>;
  readonly podWrites: ClusterWrite[] = [];
  readonly policyWrites: ClusterWrite[] = [];
  /** How long a call takes before anything is read or done, and after it. */
  beforeCallMs = 0;
  afterCallMs = 0;
  policyFault: (policy: ObservedPolicy) => PolicyOutcome | undefined = () => undefined;
  /** Called when our condition on a Pod is about to change, with the Pod as it is until then and when the call began. */
  beforeWrite: (pod: ObservedPod, condition: Condition, calledWallMs: number) => void = () => undefined;
  readonly policyStore: PolicyStore = { writeStatus: (target, status) => this.#writePolicy(target, status) };
  readonly #clock: Clock;
  #podFault: PodFault = () => undefined;
  #kubelet: Kubelet = 'prompt';
  #version = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    const nextVersion = (): string => {
      this.#version += 1;
      return String(this.#version);
    };
    this.pods = new StoredKind(nextVersion);
    this.nodes = new StoredKind(nextVersion);
    this.policies = new StoredKind(nextVersion);
  }

  /** Every call for which `fault` has an outcome comes to that and does nothing, until `heal`. */
  failPodsWhenever(fault: PodFault): void {
    this.#podFault = fault;
  }

  heal(): void {
    this.#podFault = () => undefined;
    this.policyFault = () => undefined;
    this.beforeCallMs = 0;
    this.afterCallMs = 0;
  }

  get kubelet(): Kubelet {
    return this.#kubelet;
  }

  set kubelet(kubelet: Kubelet) {
    this.#kubelet = kubelet;
    this.rearm();
  }

  putPod(pod: ObservedPod): ObservedPod {
    const kept = this.pods.put(pod);
    this.#wakeKubelet(kept.uid);
    return kept;
  }

  /** Every Pod is looked at by its kubelet once more. */
  rearm(): void {
    for (const { uid } of this.pods.values()) this.#wakeKubelet(uid);
  }

  /** Tells all there is of Pods, nodes and policies, and from then on every change. */
  async listen(cache: PodCache): Promise<void> {
    await this.nodes.listen(cache.nodes);
    await this.policies.listen(cache.policies);
    await this.pods.listen(cache.pods);
  }

  stopTelling(): void {
    this.pods.stopTelling();
    this.nodes.stopTelling();
    this.policies.stopTelling();
  }

  async read(target: ObservedPod): Promise<PodOutcome> {
    await this.#wait(this.beforeCallMs);
    const fault = this.#podFault('read', target);
    const stored = this.pods.get(target.uid);
    await this.#wait(this.afterCallMs);
    return fault ?? (stored === undefined ? { kind: 'absent' } : { kind: 'pod', pod: stored });
  }

  async writeCondition(target: ObservedPod, condition: Condition): Promise<PodOutcome> {
    const calledWallMs = this.#clock.wallMs();
    await this.#wait(this.beforeCallMs);
    const outcome = this.#podFault('write', target) ?? this.#setCondition(target, condition, calledWallMs);
    const { name, uid } = target;
    const { status, reason } = condition;
    this.podWrites.push({ name, uid, status, reason, atWallMs: this.#clock.wallMs(), outcome: outcome.kind });
    await this.#wait(this.afterCallMs);
    return outcome;
  }

  #setCondition({ uid }: ObservedPod, condition: Condition, calledWallMs: number): PodOutcome {
    const stored = this.pods.get(uid);
    if (stored === undefined) return { kind: 'absent' };
    this.beforeWrite(stored, condition, calledWallMs);
    return { kind: 'pod', pod: this.putPod({ ...stored, condition }) };
  }

  #writePolicy(target: ObservedPolicy, status: PolicyStatus): Promise<PolicyOutcome> {
    const outcome = this.policyFault(target) ?? this.#setPolicyStatus(target, status);
    const { name, uid } = target;
    this.policyWrites.push({
      name,
      uid,
      status: status.accepted?.status ?? '',
      reason: status.accepted?.reason ?? '',
      atWallMs: this.#clock.wallMs(),
      outcome: outcome.kind,
    });
    return Promise.resolve(outcome);
  }

  #setPolicyStatus(target: ObservedPolicy, status: PolicyStatus): PolicyOutcome {
    const stored = this.policies.get(target.uid);
    if (stored === undefined) return { kind: 'absent' };
    if (stored.resourceVersion !== target.resourceVersion) return { kind: 'conflict' };
    return { kind: 'written', policy: this.policies.put({ ...stored, status }) };
  }

  async #wait(ms: number): Promise<void> {
    if (ms > 0) await new Promise<void>((resolve) => this.#clock.schedule(ms, resolve));
  }

  #wakeKubelet(uid: string): void {
    if (this.#kubelet === 'dead') return;
    this.#clock.schedule(KUBELET_MS[this.#kubelet], () => this.#followCondition(uid));
  }

  #followCondition(uid: string): void {
    const pod = this.pods.get(uid);
    if (pod === undefined || this.#kubelet === 'dead') return;
    const isOpen = !pod.hasGate || pod.condition?.status === 'True';
    const isReady = isOpen && pod.isReadyButForGate && !pod.isFinished;
    if (isReady !== pod.isReady) this.pods.put({ ...pod, isReady });
  }
}
