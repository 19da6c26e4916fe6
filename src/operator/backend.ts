import type { InstanceStore, PodStore, PolicyStore, RecordEvent, ResourceListener } from '../controller/ports.ts';
import type { ObservedInstance } from '../health/observed-instance.ts';
import type { ObservedNode } from '../health/observed-node.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import type { ObservedPolicy } from '../health/observed-policy.ts';
import type { TokenVerdict } from '../liveness/token-verdict.ts';
import type { ReflectorState } from '../telemetry/gauges.ts';

/** Who hears of each kind of object. */
export interface BackendListeners {
  readonly instances: ResourceListener<ObservedInstance>;
  readonly pods: ResourceListener<ObservedPod>;
  readonly nodes: ResourceListener<ObservedNode>;
  readonly policies: ResourceListener<ObservedPolicy>;
  /** Told whether the operator is being uninstalled, whenever that may have changed. */
  readonly released: (isReleased: boolean) => void;
}

/** Where objects are kept and changes come from: the Kubernetes API, or memory. */
export interface Backend {
  readonly store: InstanceStore;
  readonly podStore: PodStore;
  readonly policyStore: PolicyStore;
  readonly recordEvent: RecordEvent;
  /** The namespace for objects of instances that are bound to no Pod, if the settings name none. */
  readonly namespace: string;
  /** Whose token this is; resolves in bounded time. */
  reviewToken(token: string): Promise<TokenVerdict>;
  /** For how many milliseconds changes of Pods, nodes or policies may have been missed; 0 while their watches are open. */
  podCacheAgeMs(): number;
  /** Begins to tell `listeners` all there is and every change. `fail` is called if that can never succeed. */
  start(listeners: BackendListeners, fail: (error: Error) => void): void;
  /** Resolves when nothing more will be told. Writes still work. */
  stopWatching(): Promise<void>;
  /** Ends all connections. */
  close(): Promise<void>;
  reflectors(): readonly ReflectorState[];
}
