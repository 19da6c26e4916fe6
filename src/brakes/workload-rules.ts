import { DEFAULT_RULES, type PodRules } from '../health/observed-policy.ts';

/** The rules that hold for a workload as a whole. */
export type BrakeRules = Pick<PodRules, 'minHealthy' | 'storm' | 'withdrawalPercentPerMinute'>;

/**
 * The rules of the Pods of one workload. As a rule they share one object; while labels or policies change they may
 * differ, and then what withdraws the least holds for all of them.
 */
export class WorkloadRules {
  /** How many Pods each object is the rules of. */
  readonly #podCounts = new Map<PodRules, number>();
  #strictest: BrakeRules | undefined;

  add(rules: PodRules): void {
    const podCount = this.#podCounts.get(rules) ?? 0;
    this.#podCounts.set(rules, podCount + 1);
    if (podCount === 0) this.#strictest = undefined;
  }

  remove(rules: PodRules): void {
    const podCount = this.#podCounts.get(rules) ?? 0;
    if (podCount > 1) {
      this.#podCounts.set(rules, podCount - 1);
    } else {
      this.#podCounts.delete(rules);
      this.#strictest = undefined;
    }
  }

  /** The defaults if there is no Pod. */
  get strictest(): BrakeRules {
    this.#strictest ??= strictestOf([...this.#podCounts.keys()]);
    return this.#strictest;
  }
}

function strictestOf([first = DEFAULT_RULES, ...others]: readonly PodRules[]): BrakeRules {
  return others.reduce<BrakeRules>(stricter, first);
}

function stricter(a: BrakeRules, b: BrakeRules): BrakeRules {
  return {
    minHealthy: Math.max(a.minHealthy, b.minHealthy),
    storm: {
      percent: Math.min(a.storm.percent, b.storm.percent),
      minimum: Math.min(a.storm.minimum, b.storm.minimum),
      maxDurationSeconds: Math.max(a.storm.maxDurationSeconds, b.storm.maxDurationSeconds),
    },
    withdrawalPercentPerMinute: Math.min(a.withdrawalPercentPerMinute, b.withdrawalPercentPerMinute),
  };
}
