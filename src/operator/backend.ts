import type { InstanceStore, ResourceListener } from '../controller/ports.ts';
import type { ObservedInstance } from '../health/observed-instance.ts';
import type { ReflectorState } from '../telemetry/gauges.ts';

/** Where objects are kept and changes come from: the Kubernetes API, or memory. */
export interface Backend {
  readonly store: InstanceStore;
  /** The namespace for objects of instances that are bound to no Pod, if the settings name none. */
  readonly namespace: string;
  /** Begins to tell `listener` all there is and every change. `fail` is called if that can never succeed. */
  start(listener: ResourceListener<ObservedInstance>, fail: (error: Error) => void): void;
  /** Resolves when nothing more will be told. Writes still work. */
  stopWatching(): Promise<void>;
  /** Ends all connections. */
  close(): Promise<void>;
  reflectors(): readonly ReflectorState[];
}
