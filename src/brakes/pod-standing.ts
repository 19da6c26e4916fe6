import type { PodRules } from '../health/observed-policy.ts';

/**
 * Where a Pod stands between the verdict on it and its traffic.
 *
 * A Pod is *withdrawn* when our condition on it is False and it declares the gate. Without the gate the condition is
 * harmless: such a Pod never asks, but it counts.
 */
export interface PodStanding {
  readonly uid: string;
  /** With its namespace: `shop/Deployment/web`. */
  readonly workload: string;
  /** Empty while it is unscheduled. */
  readonly node: string;
  readonly isNodeReady: boolean;
  /**
   * Since when its verdict is False, on the monotonic clock: the deadline that passed, or the moment at which an
   * application that was in service reported itself down. Undefined if the verdict is not False, if a person decided
   * it, and if it is so since before our time: then it is nobody's news.
   */
  readonly silentSinceMs: number | undefined;
  /** Of the instance that fell silent; the longest of the Pod if several did. */
  readonly ttlMs: number;
  /** Whether its verdict is True by heartbeats that were heard. */
  readonly isFresh: boolean;
  /** Whether it gets traffic: Ready, and our condition on it is not False. */
  readonly isServing: boolean;
  readonly isWithdrawn: boolean;
  readonly request: WithdrawalRequest;
  readonly rules: PodRules;
}

/**
 * Whether a Pod asks to be withdrawn: it declares the gate, our condition on it is True and its verdict is False,
 * because of silence or because the application reported itself down.
 */
export type WithdrawalRequest = 'none' | 'silence' | 'report';
