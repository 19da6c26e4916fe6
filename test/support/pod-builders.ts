import type { ObservedNode } from '../../src/health/observed-node.ts';
import { DEFAULT_RULES, type ObservedPolicy } from '../../src/health/observed-policy.ts';

/** A ready node, unless `parts` say otherwise. */
export function node(name: string, parts: Partial<ObservedNode> = {}): ObservedNode {
  return { uid: `uid-of-${name}`, name, resourceVersion: '1', isReady: true, addresses: [], ...parts };
}

/** A policy of the namespace `default` that selects every Pod and says what the defaults say, unless `parts` say otherwise. */
export function policy(name: string, parts: Partial<ObservedPolicy> = {}): ObservedPolicy {
  return {
    ...DEFAULT_RULES,
    uid: `uid-of-${name}`,
    namespace: 'default',
    name,
    resourceVersion: '1',
    generation: 1,
    createdSeconds: 1_763_000_000,
    priority: 0,
    selector: { matchLabels: {}, matchExpressions: [] },
    timing: undefined,
    status: undefined,
    ...parts,
  };
}
