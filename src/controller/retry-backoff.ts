/** client-go's first delay: a conflict is usually gone as soon as the cache has caught up. */
const FIRST_DELAY_MS = 5;

/** client-go waits up to 1,000 s; a verdict must not wait that long once its obstacle is gone. */
const LONGEST_DELAY_MS = 60_000;

/** How long a key waits after it failed `failures` times in a row (1 or more): doubling, with a ceiling. */
export function retryDelayMs(failures: number): number {
  return Math.min(FIRST_DELAY_MS * 2 ** (failures - 1), LONGEST_DELAY_MS);
}
