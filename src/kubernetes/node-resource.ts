import type { ObservedNode } from '../health/observed-node.ts';
import { isRecord } from './api-error.ts';
import { canonicalAddress } from './canonical-address.ts';
import { isConditionTrue, type StoredCondition } from './condition-codec.ts';

/** What of a Node is read beside its identity. */
interface StoredNode {
  readonly status?: {
    readonly conditions?: readonly StoredCondition[] | null;
    readonly addresses?: readonly { readonly address: string }[] | null;
  } | null;
}

export function nodesPath(): string {
  return '/api/v1/nodes';
}

/**
 * The slim form of a stored Node. Names among its addresses are left out.
 *
 * @throws TypeError if it is not a Node
 */
export function decodeNode(object: unknown): ObservedNode {
  if (!isRecord(object) || !isRecord(object['metadata'])) throw new TypeError('not a Node: it has no metadata');
  const { uid, name, resourceVersion } = object['metadata'];
  if (typeof uid !== 'string' || typeof name !== 'string' || typeof resourceVersion !== 'string') {
    throw new TypeError('not a stored Node: it has no uid, name or resourceVersion');
  }
  const { status } = object as StoredNode;
  const addresses = (status?.addresses ?? []).flatMap(({ address }) => canonicalAddress(address) ?? []);
  return {
    uid,
    name,
    resourceVersion,
    isReady: isConditionTrue(status?.conditions, 'Ready'),
    // A host that is named by its address lists it twice.
    addresses: [...new Set(addresses)],
  };
}
