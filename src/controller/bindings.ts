import type { PodRef } from '../health/observed-instance.ts';
import { type BindingDecision, decideBinding, type PodLookup } from '../health/pod-binding.ts';
import { identityOf, type InstanceKey } from '../liveness/instance-key.ts';
import { provedPodUid, type Sender, UNKNOWN_SENDER } from '../liveness/sender.ts';
import { IndexMap } from './index-map.ts';

/**
 * More instances than this behind the address of one Pod, and the Pod is taken for a proxy: its address proves
 * nothing about those that come later. Also what one Pod may always bring, whatever others bring.
 */
export const INSTANCES_PER_POD_MAX = 32;

/** Called when an instance joins a Pod (`ref`), leaves one (`before`), or both. */
export type BindingChanged = (key: InstanceKey, ref: PodRef | undefined, before: PodRef | undefined) => void;

/** Which instance is bound to which Pod, both ways. Decided by `pod-binding.ts`, kept here. */
export class Bindings {
  readonly #pods: PodLookup;
  readonly #refs = new Map<InstanceKey, PodRef>();
  /** By whom a bound instance was last heard. */
  readonly #lastSenders = new Map<InstanceKey, Sender>();
  readonly #byPod = new IndexMap<string, InstanceKey>();
  /** Instances that are bound to no Pod, by the sender they were last heard from. */
  readonly #waiting = new IndexMap<Sender, InstanceKey>();
  readonly #waitsFor = new Map<InstanceKey, Sender>();

  readonly #changed: BindingChanged;

  constructor(pods: PodLookup, changed: BindingChanged) {
    this.#pods = pods;
    this.#changed = changed;
  }

  /** The Pod that an instance is bound to by proof. */
  refOf(key: InstanceKey): PodRef | undefined {
    return this.#refs.get(key);
  }

  instancesOf(podUid: string): ReadonlySet<InstanceKey> {
    return this.#byPod.get(podUid);
  }

  /** The instances without a Pod that were last heard from this sender: who appears there may be theirs. */
  waitingFor(sender: Sender): ReadonlySet<InstanceKey> {
    return this.#waiting.get(sender);
  }

  /** Takes over what an earlier process has proved and stored. */
  restore(key: InstanceKey, ref: PodRef): void {
    if (!this.#refs.has(key)) this.#bind(key, ref);
  }

  /**
   * Decides anew, from the sender of the last heartbeat.
   *
   * When its Pod is gone, the address at which the instance was heard until then is no evidence for the Pod that has the
   * address next: a heartbeat must come from there first.
   */
  decide(key: InstanceKey, sender: Sender): BindingDecision {
    const before = this.#refs.get(key);
    const isOutdated = before !== undefined && !this.#lives(before) && this.#lastSenders.get(key) === sender;
    const evidence = isOutdated && provedPodUid(sender) === undefined ? UNKNOWN_SENDER : sender;
    const decision = this.#limited(key, decideBinding(before, evidence, identityOf(key).instanceId, this.#pods));
    if (decision.kind === 'bound') {
      if (decision.ref.uid !== before?.uid) this.#bind(key, decision.ref);
      this.#lastSenders.set(key, sender);
    } else {
      this.#unbind(key);
      this.#wait(key, evidence);
    }
    return decision;
  }

  /** The Pod that a sender proved to be, if it lives. */
  provedPod(sender: Sender): PodRef | undefined {
    const decision = decideBinding(undefined, sender, '', this.#pods);
    return decision.kind === 'bound' ? decision.ref : undefined;
  }

  /** Whether a Pod that proved itself by a token speaks for an instance of another Pod, which lives. */
  isOfAnotherPod(key: InstanceKey, sender: Sender): boolean {
    const uid = provedPodUid(sender);
    const ref = uid === undefined ? undefined : this.#refs.get(key);
    return ref !== undefined && ref.uid !== uid && this.#lives(ref);
  }

  /** Whether a sender may not speak for an instance, because it is bound to a Pod that lives, and that is not the sender. */
  isForeign(key: InstanceKey, sender: Sender): boolean {
    const ref = this.#refs.get(key);
    if (ref === undefined || !this.#lives(ref)) return false;
    if (sender === UNKNOWN_SENDER) return true;
    const decision = decideBinding(ref, sender, '', this.#pods);
    return decision.kind === 'bound' && decision.isForeign;
  }

  forget(key: InstanceKey): void {
    this.#unbind(key);
    this.#stopWaiting(key);
  }

  #limited(key: InstanceKey, decision: BindingDecision): BindingDecision {
    if (decision.kind !== 'bound' || decision.ref.matchedBy !== 'PodIP') return decision;
    const residents = this.#byPod.get(decision.ref.uid);
    if (residents.has(key) || residents.size < INSTANCES_PER_POD_MAX) return decision;
    return { kind: 'unbound', why: 'SharedAddress' };
  }

  #lives(ref: PodRef): boolean {
    return this.#pods.byUid(ref.uid)?.isFinished === false;
  }

  #bind(key: InstanceKey, ref: PodRef): void {
    const before = this.#drop(key);
    this.#stopWaiting(key);
    this.#refs.set(key, ref);
    this.#byPod.add(ref.uid, key);
    this.#changed(key, ref, before);
  }

  #unbind(key: InstanceKey): void {
    const before = this.#drop(key);
    if (before !== undefined) this.#changed(key, undefined, before);
  }

  #drop(key: InstanceKey): PodRef | undefined {
    const ref = this.#refs.get(key);
    if (ref === undefined) return undefined;
    this.#refs.delete(key);
    this.#lastSenders.delete(key);
    this.#byPod.remove(ref.uid, key);
    return ref;
  }

  #wait(key: InstanceKey, sender: Sender): void {
    if (this.#waitsFor.get(key) === sender) return;
    this.#stopWaiting(key);
    if (sender === UNKNOWN_SENDER) return;
    this.#waitsFor.set(key, sender);
    this.#waiting.add(sender, key);
  }

  #stopWaiting(key: InstanceKey): void {
    const sender = this.#waitsFor.get(key);
    if (sender === undefined) return;
    this.#waitsFor.delete(key);
    this.#waiting.remove(sender, key);
  }
}
