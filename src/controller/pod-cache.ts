import type { Clock } from '../clock.ts';
import type { ObservedNode } from '../health/observed-node.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import type { ObservedPolicy } from '../health/observed-policy.ts';
import type { PodLookup } from '../health/pod-binding.ts';
import { byPrecedence, policiesOf } from '../health/policy-choice.ts';
import { addressSender, podSender, type Sender } from '../liveness/sender.ts';
import { IndexMap } from './index-map.ts';
import { ResourceCache } from './resource-cache.ts';

export interface PodCacheListener {
  /** The Pod appeared or changed, or what rules it did. */
  changed(uid: string): void;
  removed(pod: ObservedPod): void;
  /** Which Pod this sender is may be answered otherwise than before. */
  senderChanged(sender: Sender): void;
  /** Told before its Pods are told of as changed. */
  policyRemoved(policy: ObservedPolicy): void;
  /** Pods, nodes and policies have been heard once, all of them. */
  synced(): Promise<void>;
}

/**
 * Pods, the nodes they run on and the policies that rule them, as last heard.
 *
 * Each of the three is told to its own listener; what changes about a Pod, wherever it comes from, is told once.
 */
export class PodCache implements PodLookup {
  readonly pods: ResourceCache<ObservedPod>;
  readonly nodes: ResourceCache<ObservedNode>;
  readonly policies: ResourceCache<ObservedPolicy>;
  readonly #listener: PodCacheListener;
  readonly #ownAddresses: ReadonlySet<string>;
  readonly #byAddress = new IndexMap<string, string>();
  readonly #byNode = new IndexMap<string, string>();
  readonly #byNamespace = new IndexMap<string, string>();
  readonly #nodesByName = new Map<string, ObservedNode>();
  readonly #nodeAddresses = new IndexMap<string, string>();
  /** By namespace, in the order of their precedence. */
  readonly #policies = new Map<string, readonly ObservedPolicy[]>();

  constructor(clock: Clock, ownAddresses: Iterable<string>, listener: PodCacheListener) {
    this.#listener = listener;
    this.#ownAddresses = new Set(ownAddresses);
    const synced = async (): Promise<void> => {
      if (this.isSynced) await listener.synced();
    };
    this.pods = new ResourceCache<ObservedPod>(clock, {
      changed: (pod, before) => this.#podChanged(pod, before),
      removed: (pod) => this.#podRemoved(pod),
      synced,
    });
    this.nodes = new ResourceCache<ObservedNode>(clock, {
      changed: (node, before) => this.#nodeChanged(node, before),
      removed: (node) => this.#nodeRemoved(node),
      synced,
    });
    this.policies = new ResourceCache<ObservedPolicy>(clock, {
      changed: (policy, before) => this.#policyChanged(policy, before),
      removed: (policy) => this.#policyRemoved(policy),
      synced,
    });
  }

  get isSynced(): boolean {
    return this.pods.isSynced && this.nodes.isSynced && this.policies.isSynced;
  }

  byUid(uid: string): ObservedPod | undefined {
    return this.pods.get(uid);
  }

  *atAddress(address: string): IterableIterator<ObservedPod> {
    for (const uid of this.#byAddress.get(address)) {
      const pod = this.pods.get(uid);
      if (pod !== undefined) yield pod;
    }
  }

  isSharedAddress(address: string): boolean {
    return isLoopback(address) || this.#ownAddresses.has(address) || this.#nodeAddresses.get(address).size > 0;
  }

  nodeOf(pod: ObservedPod): ObservedNode | undefined {
    return this.#nodesByName.get(pod.nodeName);
  }

  /** Every policy that selects the Pod, the one that rules it first. */
  policiesOf(pod: ObservedPod): readonly ObservedPolicy[] {
    const ordered = this.#policies.get(pod.namespace);
    return ordered === undefined ? [] : policiesOf(pod, ordered);
  }

  /** The policy that rules the Pod, if there is one. */
  policyOf(pod: ObservedPod): ObservedPolicy | undefined {
    return this.policiesOf(pod)[0];
  }

  podsIn(namespace: string): ReadonlySet<string> {
    return this.#byNamespace.get(namespace);
  }

  #podChanged(pod: ObservedPod, before: ObservedPod | undefined): void {
    if (before !== undefined) this.#unindex(before, pod);
    for (const address of pod.addresses) {
      const isSame = before?.isFinished === pod.isFinished && before.isTerminating === pod.isTerminating;
      if (isSame && this.#byAddress.get(address).has(pod.uid)) continue;
      this.#byAddress.add(address, pod.uid);
      this.#listener.senderChanged(addressSender(address));
    }
    if (pod.nodeName !== '') this.#byNode.add(pod.nodeName, pod.uid);
    this.#byNamespace.add(pod.namespace, pod.uid);
    if (before === undefined) this.#listener.senderChanged(podSender(pod.uid));
    this.#listener.changed(pod.uid);
  }

  #podRemoved(pod: ObservedPod): void {
    this.#unindex(pod, undefined);
    this.#byNamespace.remove(pod.namespace, pod.uid);
    this.#listener.removed(pod);
  }

  /** Takes a Pod from where it was and no longer is. */
  #unindex(pod: ObservedPod, next: ObservedPod | undefined): void {
    for (const address of pod.addresses) {
      if (next?.addresses.includes(address) === true) continue;
      this.#byAddress.remove(address, pod.uid);
      this.#listener.senderChanged(addressSender(address));
    }
    if (pod.nodeName !== next?.nodeName) this.#byNode.remove(pod.nodeName, pod.uid);
  }

  #nodeChanged(node: ObservedNode, before: ObservedNode | undefined): void {
    this.#moveNode(node.uid, before?.addresses ?? [], node.addresses);
    this.#nodesByName.set(node.name, node);
    if (before?.isReady !== node.isReady) this.#tell(this.#byNode.get(node.name));
  }

  #nodeRemoved(node: ObservedNode): void {
    this.#moveNode(node.uid, node.addresses, []);
    if (this.#nodesByName.get(node.name)?.uid === node.uid) this.#nodesByName.delete(node.name);
    this.#tell(this.#byNode.get(node.name));
  }

  #moveNode(uid: string, before: readonly string[], after: readonly string[]): void {
    for (const address of before) this.#nodeAddresses.remove(address, uid);
    for (const address of after) this.#nodeAddresses.add(address, uid);
    for (const address of before) if (!after.includes(address)) this.#listener.senderChanged(addressSender(address));
  }

  #policyChanged(policy: ObservedPolicy, before: ObservedPolicy | undefined): void {
    this.#arrangePolicies(policy.namespace);
    // What we write into its status rules nobody.
    if (before?.generation !== policy.generation) this.#tell(this.#byNamespace.get(policy.namespace));
  }

  #policyRemoved(policy: ObservedPolicy): void {
    this.#arrangePolicies(policy.namespace);
    this.#listener.policyRemoved(policy);
    this.#tell(this.#byNamespace.get(policy.namespace));
  }

  #arrangePolicies(namespace: string): void {
    const here = [...this.policies.values()].filter((policy) => policy.namespace === namespace);
    if (here.length === 0) this.#policies.delete(namespace);
    else this.#policies.set(namespace, byPrecedence(here));
  }

  #tell(uids: Iterable<string>): void {
    for (const uid of uids) this.#listener.changed(uid);
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
