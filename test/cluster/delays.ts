/**
 * From causes to their effects.
 *
 * @param causesMs and effectsMs: moments, of which the first belong together, and the second, and so on.
 * @throws Error if one is without the other.
 */
export function delaysBetween(causesMs: readonly number[], effectsMs: readonly number[]): readonly number[] {
  if (causesMs.length !== effectsMs.length) {
    throw new Error(`there are ${causesMs.length} causes, and ${effectsMs.length} effects`);
  }
  return causesMs.map((causeMs, index) => (effectsMs[index] ?? Number.NaN) - causeMs);
}

/** The least of the values that so many percent of them do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const rank = Math.ceil((percent / 100) * values.length);
  return values.toSorted((a, b) => a - b)[Math.max(rank, 1) - 1] ?? Number.NaN;
}
