/** A Node as the cache holds it. */
export interface ObservedNode {
  readonly uid: string;
  readonly name: string;
  readonly resourceVersion: string;
  /** Whether its condition `Ready` is True. */
  readonly isReady: boolean;
  /** Its IP addresses of every kind: a heartbeat from one of them may come from any Pod behind it. */
  readonly addresses: readonly string[];
}
