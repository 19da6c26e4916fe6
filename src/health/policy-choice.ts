import { selectorProblem, selects } from './label-selector.ts';
import type { ObservedPod } from './observed-pod.ts';
import type { ObservedPolicy } from './observed-policy.ts';

/** The policies of a namespace, the one that wins first: the highest priority, then the oldest, then by name. */
export function byPrecedence(policies: Iterable<ObservedPolicy>): readonly ObservedPolicy[] {
  return [...policies].sort(
    (a, b) => b.priority - a.priority || a.createdSeconds - b.createdSeconds || (a.name < b.name ? -1 : 1),
  );
}

/** Every policy that selects the Pod, the one that rules it first. */
export function policiesOf(
  pod: Pick<ObservedPod, 'namespace' | 'labels'>,
  ordered: readonly ObservedPolicy[],
): readonly ObservedPolicy[] {
  return ordered.filter(
    (policy) =>
      policy.namespace === pod.namespace &&
      selectorProblem(policy.selector) === undefined &&
      selects(policy.selector, pod.labels),
  );
}
