import type { Condition, ConditionStatus } from '../health/condition.ts';
import { StringTable } from './string-table.ts';

/** An entry of `status.conditions` as the API has it; of an object of another kind than ours all but two may be absent. */
export interface StoredCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string | null;
  readonly message?: string | null;
  /** RFC 3339. */
  readonly lastTransitionTime?: string | null;
  readonly observedGeneration?: number | null;
}

/** Reasons and messages: few, and in every object. */
const repeatedStrings = new StringTable(4_096);

/** The condition of this type, if it is there. What it does not say is empty or 0. */
export function decodeCondition(
  conditions: readonly StoredCondition[] | null | undefined,
  type: string,
): Condition | undefined {
  const stored = storedCondition(conditions, type);
  return (
    stored && {
      status: conditionStatus(stored.status),
      reason: repeatedStrings.intern(stored.reason ?? ''),
      message: repeatedStrings.intern(stored.message ?? ''),
      lastTransitionSeconds: secondsOf(stored.lastTransitionTime),
      observedGeneration: stored.observedGeneration ?? 0,
    }
  );
}

/** Whether the condition of this type is there and True. */
export function isConditionTrue(conditions: readonly StoredCondition[] | null | undefined, type: string): boolean {
  return storedCondition(conditions, type)?.status === 'True';
}

/** The entry of `status.conditions` for a condition of ours, in which nothing is left out. */
export function encodeCondition(type: string, condition: Condition) {
  const { status, reason, message, lastTransitionSeconds, observedGeneration } = condition;
  // Whole seconds without a fraction, as every other controller writes them.
  const lastTransitionTime = new Date(lastTransitionSeconds * 1_000).toISOString().replace('.000Z', 'Z');
  return { type, status, reason, message, lastTransitionTime, observedGeneration };
}

/** Seconds since the Unix epoch; 0 if there is no time. */
export function secondsOf(timestamp: string | null | undefined): number {
  return typeof timestamp === 'string' ? Math.floor(Date.parse(timestamp) / 1_000) : 0;
}

function storedCondition(
  conditions: readonly StoredCondition[] | null | undefined,
  type: string,
): StoredCondition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** The API lets a condition of a Pod have no other status; what a later version might add says nothing to us. */
function conditionStatus(status: string): ConditionStatus {
  return status === 'True' || status === 'False' ? status : 'Unknown';
}
