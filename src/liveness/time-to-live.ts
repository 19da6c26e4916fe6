/** ServiceComb's two numbers of a heartbeat contract. */
export interface HeartbeatTiming {
  /** Seconds between two heartbeats. */
  readonly intervalSeconds: number;
  /** How many heartbeats in a row may be missed. */
  readonly times: number;
}

/** Service-center's timing of an instance that names none. */
export const DEFAULT_TIMING: HeartbeatTiming = { intervalSeconds: 30, times: 3 };

/**
 * How long an instance may be silent before it is stale, in seconds.
 *
 * `times` heartbeats may be missed, so the silence that proves absence is one interval longer.
 * Service-center computes the same (`interval * (times + 1)`).
 *
 * @throws RangeError if the interval is not positive or `times` is negative: our mistake, since both are validated where they enter.
 */
export function timeToLiveSeconds(timing: HeartbeatTiming): number {
  if (!(timing.intervalSeconds > 0) || !(timing.times >= 0)) {
    throw new RangeError(`no heartbeat timing: interval ${timing.intervalSeconds} s, times ${timing.times}`);
  }
  return timing.intervalSeconds * (timing.times + 1);
}
