import { provedPodUid, type Sender, senderAddress } from '../liveness/sender.ts';
import type { MatchedBy, PodRef } from './observed-instance.ts';
import type { ObservedPod } from './observed-pod.ts';

/** Where Pods are looked up. */
export interface PodLookup {
  byUid(uid: string): ObservedPod | undefined;
  /** All Pods that list the address, finished ones and those on the host network included. */
  atAddress(address: string): Iterable<ObservedPod>;
  /** Whether senders behind the address cannot be told apart: loopback, the address of a node, or one of our own. */
  isSharedAddress(address: string): boolean;
}

/** Which Pod an instance is. */
export type BindingDecision =
  /** Proved. Only this leads to a write to the Pod. */
  | {
      readonly kind: 'bound';
      readonly ref: PodRef;
      /** Whether the last heartbeat came from elsewhere: it counts, and rebinds nothing. */
      readonly isForeign: boolean;
    }
  /** Likely; for people to see. */
  | { readonly kind: 'hinted'; readonly ref: PodRef }
  | { readonly kind: 'unbound'; readonly why: UnboundReason };

/**
 * - `UnknownSender`: it was not heard since our start, or its sender cannot be told.
 * - `SharedAddress`: the heartbeat came from an address that stands for many.
 * - `NoPod`: no Pod has the address, or the Pod of the token is not known (yet).
 * - `SeveralPods`: more than one live Pod has the address.
 */
export type UnboundReason = 'UnknownSender' | 'SharedAddress' | 'NoPod' | 'SeveralPods';

/**
 * Which Pod is an instance?
 *
 * Proof is a token that is bound to the Pod, or an address that exactly one live Pod has which is not on the host
 * network. While the bound Pod lives nothing rebinds the instance: so nobody can take another's Pod out of service
 * by beating for its instance.
 *
 * @param current the Pod that the instance was bound to until now, whatever became of it.
 * @param instanceId of the instance; a Pod on a shared address that is named like it is a hint.
 */
export function decideBinding(
  current: PodRef | undefined,
  sender: Sender,
  instanceId: string,
  pods: PodLookup,
): BindingDecision {
  if (current !== undefined && isProof(current.matchedBy)) {
    const pod = pods.byUid(current.uid);
    if (pod !== undefined && !pod.isFinished) {
      return { kind: 'bound', ref: current, isForeign: isElsewhere(sender, pod) };
    }
  }
  const uid = provedPodUid(sender);
  if (uid !== undefined) return bound(pods.byUid(uid), 'Token');
  const address = senderAddress(sender);
  if (address === undefined) return { kind: 'unbound', why: 'UnknownSender' };
  const isShared = pods.isSharedAddress(address);
  const live = [...pods.atAddress(address)].filter((pod) => !pod.isFinished);
  if (!isShared && !live.some((pod) => pod.isOnHostNetwork)) {
    const decision = soleOf(live);
    if (decision.kind === 'bound') return decision;
  }
  const named = live.filter((pod) => pod.name === instanceId);
  const [only] = named;
  if (only !== undefined && named.length === 1) return { kind: 'hinted', ref: refTo(only, 'InstanceId') };
  if (isShared) return { kind: 'unbound', why: 'SharedAddress' };
  return { kind: 'unbound', why: live.length > 1 ? 'SeveralPods' : 'NoPod' };
}

/** Whether this evidence is strong enough to write to the Pod. */
export function isProof(matchedBy: MatchedBy): boolean {
  return matchedBy !== 'InstanceId';
}

/** The address of a Pod that is being deleted may belong to its successor already; two that stay cannot be told apart. */
function soleOf(live: readonly ObservedPod[]): BindingDecision {
  const staying = live.filter((pod) => !pod.isTerminating);
  const candidates = staying.length > 0 ? staying : live;
  return candidates.length > 1 ? { kind: 'unbound', why: 'SeveralPods' } : bound(candidates[0], 'PodIP');
}

function bound(pod: ObservedPod | undefined, matchedBy: MatchedBy): BindingDecision {
  if (pod === undefined || pod.isFinished) return { kind: 'unbound', why: 'NoPod' };
  return { kind: 'bound', ref: refTo(pod, matchedBy), isForeign: false };
}

function refTo({ namespace, name, uid }: ObservedPod, matchedBy: MatchedBy): PodRef {
  return { namespace, name, uid, matchedBy };
}

/** Whether a sender is known, and is not this Pod. */
function isElsewhere(sender: Sender, pod: ObservedPod): boolean {
  const uid = provedPodUid(sender);
  if (uid !== undefined) return uid !== pod.uid;
  const address = senderAddress(sender);
  return address !== undefined && !pod.addresses.includes(address);
}
