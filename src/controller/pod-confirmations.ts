import type { ConditionStatus } from '../health/condition.ts';
import type { ObservedPod } from '../health/observed-pod.ts';

/**
 * The kubelet follows a condition within a tenth of a second on a settled Pod and within two of a new one; a kubelet
 * that has not followed after this has lost it (kubernetes/kubernetes#86485, #122002) or does not run.
 */
export const READY_FOLLOWS_MS = 10_000;

interface Expectation {
  readonly status: ConditionStatus;
  readonly sinceMs: number;
  isMissing: boolean;
}

export type Confirmation =
  /** Nothing was written lately. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'followed'; readonly tookMs: number }
  | { readonly kind: 'waiting'; readonly lookAgainMs: number }
  /** Ready should have followed by now. */
  | { readonly kind: 'missing'; readonly isNew: boolean };

/** After our condition on a gated Pod was written: did Ready follow? */
export class PodConfirmations {
  readonly #expected = new Map<string, Expectation>();

  expect(uid: string, status: ConditionStatus, nowMs: number): void {
    this.#expected.set(uid, { status, sinceMs: nowMs, isMissing: false });
  }

  check(pod: ObservedPod, nowMs: number): Confirmation {
    const expected = this.#expected.get(pod.uid) ?? this.#unconfirmed(pod, nowMs);
    if (expected === undefined) return { kind: 'nothing' };
    if (!pod.hasGate || hasFollowed(pod, expected.status)) {
      this.#expected.delete(pod.uid);
      // An open gate alone makes no Pod ready: of one whose containers are not nothing can be seen.
      const isSeen = pod.hasGate && (expected.status !== 'True' || pod.isReady);
      return isSeen ? { kind: 'followed', tookMs: nowMs - expected.sinceMs } : { kind: 'nothing' };
    }
    const lookAgainMs = expected.sinceMs + READY_FOLLOWS_MS - nowMs;
    if (lookAgainMs > 0) return { kind: 'waiting', lookAgainMs };
    const isNew = !expected.isMissing;
    expected.isMissing = true;
    return { kind: 'missing', isNew };
  }

  /** What an earlier process has written, and its Ready has not followed. */
  #unconfirmed(pod: ObservedPod, nowMs: number): Expectation | undefined {
    const status = pod.condition?.status;
    if (!pod.hasGate || status === undefined || hasFollowed(pod, status)) return undefined;
    this.expect(pod.uid, status, nowMs);
    return this.#expected.get(pod.uid);
  }

  forget(uid: string): void {
    this.#expected.delete(uid);
  }
}

/** Whether Ready is as it should be after our condition became `status`. */
function hasFollowed(pod: ObservedPod, status: ConditionStatus): boolean {
  return status === 'True' ? pod.isReady || !pod.isReadyButForGate : !pod.isReady;
}
