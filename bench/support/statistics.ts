/** The middle value; between the two middle ones if their number is even. @throws RangeError if there is none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  const upper = sorted[Math.ceil((sorted.length - 1) / 2)];
  if (lower === undefined || upper === undefined) throw new RangeError('no median of no values');
  return (lower + upper) / 2;
}

/**
 * The least value that at least `percent` of all values do not exceed (nearest rank).
 *
 * @param percent above 0, at most 100. @throws RangeError if there are no values.
 */
export function percentile(values: ArrayLike<number>, percent: number): number {
  if (!(percent > 0 && percent <= 100)) throw new RangeError(`no percentile ${percent}`);
  const sorted = Float64Array.from(values).sort();
  const value = sorted[Math.ceil((percent / 100) * sorted.length) - 1];
  if (value === undefined) throw new RangeError('no percentile of no values');
  return value;
}
