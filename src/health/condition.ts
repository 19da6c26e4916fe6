export type ConditionStatus = 'True' | 'False' | 'Unknown';

/** One entry of `status.conditions`, without its type, which its place names. */
export interface Condition {
  readonly status: ConditionStatus;
  /** One CamelCase word: the category a program may act on. */
  readonly reason: string;
  /** A sentence for people. */
  readonly message: string;
  /** Seconds since the Unix epoch of the last change of `status`; a new reason or message alone moves nothing. */
  readonly lastTransitionSeconds: number;
  /** The `metadata.generation` that this was derived from. */
  readonly observedGeneration: number;
}

/** What a condition should say; when it changed follows from what it said before. */
export interface Verdict {
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly message: string;
}

/** The condition that shows `verdict`, given what stood there before. */
export function nextCondition(
  before: Condition | undefined,
  verdict: Verdict,
  observedGeneration: number,
  wallSeconds: number,
): Condition {
  const lastTransitionSeconds = before?.status === verdict.status ? before.lastTransitionSeconds : wallSeconds;
  return { ...verdict, lastTransitionSeconds, observedGeneration };
}

export function sameCondition(a: Condition | undefined, b: Condition | undefined): boolean {
  return (
    a?.status === b?.status &&
    a?.reason === b?.reason &&
    a?.message === b?.message &&
    a?.lastTransitionSeconds === b?.lastTransitionSeconds &&
    a?.observedGeneration === b?.observedGeneration
  );
}
