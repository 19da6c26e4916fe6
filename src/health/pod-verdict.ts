import type { Belief } from '../liveness/liveness-engine.ts';
import { reportedReason } from './instance-health.ts';
import { Reason } from './reason.ts';
import type { ObservedInstance, StatusReport } from './observed-instance.ts';
import type { Condition } from './condition.ts';

/** One instance in a Pod, as far as the verdict on the Pod depends on it. */
export interface BoundInstance {
  /** How people know it: `cart/a1`. */
  readonly name: string;
  readonly belief: Belief;
  readonly isPaused: boolean;
  readonly isOutOfService: boolean;
  readonly reported: StatusReport | undefined;
  /** What its object said of `Fresh` last. */
  readonly fresh: Condition | undefined;
  /** Another instance of its service in the Pod has taken its place. */
  readonly isSuperseded: boolean;
  /** It was silent before our time, and we have not listened for a time to live yet: the Pod keeps what it shows (I2). */
  readonly isUnproven: boolean;
}

/** What follows for the Pod from the instances in it. */
export type PodVerdict =
  /** Nobody in it was ever heard, or nothing is known of those that were. */
  | {
      readonly kind: 'unknown';
      readonly instances: number;
      /** One of them was silent before our time: what the Pod shows may well be so still. */
      readonly isUnproven: boolean;
    }
  /** A person does not want it to be judged. */
  | { readonly kind: 'paused' }
  | { readonly kind: 'healthy'; readonly instances: number }
  | PodUnhealthy;

export interface PodUnhealthy {
  readonly kind: 'unhealthy';
  /** A person's decision is carried out at once; what instances do passes the brakes. */
  readonly cause: 'person' | 'report' | 'silence';
  readonly reason: string;
  /** Names of the unhealthy ones. */
  readonly unhealthy: readonly string[];
  readonly instances: number;
  /** Since when the cause is there by our clock: the latest of the deadlines that passed; undefined if before our time. */
  readonly sinceMs: number | undefined;
  /** The longest time to live of the unhealthy ones, in milliseconds. */
  readonly ttlMs: number;
}

/** What an instance means for its Pod. */
type Standing =
  | { readonly kind: 'aside' | 'healthy' | 'unknown' }
  | {
      readonly kind: 'unhealthy';
      readonly cause: PodUnhealthy['cause'];
      readonly reason: string;
      readonly sinceMs: number | undefined;
    };

/** A person's word first, then the application's, then silence: the plainest explanation leads. */
const CAUSES = ['person', 'report', 'silence'] as const;

/** The verdict on a Pod: the AND over the instances in it, those aside that are paused or were replaced. */
export function podVerdict(instances: readonly BoundInstance[]): PodVerdict {
  // Who is paused and out of service is out of service (I25).
  const judged = instances.filter(
    ({ isSuperseded, isPaused, isOutOfService }) => !isSuperseded && (!isPaused || isOutOfService),
  );
  if (judged.length === 0) {
    const isPaused = instances.some((instance) => instance.isPaused);
    return isPaused ? { kind: 'paused' } : { kind: 'unknown', instances: 0, isUnproven: false };
  }
  const standings = judged.map((instance) => ({ instance, standing: standingOf(instance) }));
  const unhealthy = standings.flatMap(({ instance, standing }) =>
    standing.kind === 'unhealthy' ? [{ ...standing, instance }] : [],
  );
  for (const cause of CAUSES) {
    const first = unhealthy.find((one) => one.cause === cause);
    if (first === undefined) continue;
    const moments = unhealthy.flatMap(({ sinceMs }) => (sinceMs === undefined ? [] : [sinceMs]));
    return {
      kind: 'unhealthy',
      cause,
      reason: first.reason,
      unhealthy: unhealthy.map(({ instance }) => instance.name).sort(),
      instances: judged.length,
      sinceMs: moments.length === 0 ? undefined : Math.max(...moments),
      ttlMs: Math.max(...unhealthy.map(({ instance }) => instance.belief.ttlMs)),
    };
  }
  const isUnknown = standings.some(({ standing }) => standing.kind === 'unknown');
  if (!isUnknown) return { kind: 'healthy', instances: judged.length };
  return { kind: 'unknown', instances: judged.length, isUnproven: judged.some((instance) => instance.isUnproven) };
}

function standingOf({ belief, isOutOfService, isUnproven, reported, fresh }: BoundInstance): Standing {
  if (isOutOfService) {
    return { kind: 'unhealthy', cause: 'person', reason: Reason.OverriddenOutOfService, sinceMs: undefined };
  }
  if (isUnproven) return { kind: 'unknown' };
  if (belief.kind === 'stale') {
    return { kind: 'unhealthy', cause: 'silence', reason: silenceReason(belief, fresh), sinceMs: belief.deadlineMs };
  }
  const isFresh = belief.kind === 'fresh' || (belief.kind === 'unheard' && fresh?.status === 'True');
  if (!isFresh) return { kind: 'unknown' };
  const down = reportedReason(reported);
  if (down === undefined) return { kind: 'healthy' };
  return { kind: 'unhealthy', cause: 'report', reason: down, sinceMs: undefined };
}

/** Of one that fell silent before our time its object tells. */
function silenceReason({ lastHeardMs }: Belief, fresh: Condition | undefined): string {
  if (lastHeardMs !== undefined) return Reason.HeartbeatExpired;
  return fresh?.status === 'False' ? fresh.reason : Reason.NotHeardSinceObserverStart;
}

/**
 * Whether `silent` was replaced by `other`, of the same service in the same Pod: SDKs take a new instance id when their
 * container restarts.
 *
 * So it is when the other is fresh and was first heard after the last heartbeat of the silent one. Of one that fell
 * silent before our time the stored moments tell; that they are coarse can only leave a Pod in service.
 */
export function isReplacedBy(silent: ServiceInstance, other: ServiceInstance): boolean {
  if (silent.belief.kind !== 'stale') return false;
  // What was found stays found while the other may still be fresh.
  const isFound = silent.observed?.status?.healthy?.reason === Reason.Superseded;
  if (other.belief.kind === 'unheard') return isFound;
  if (other.belief.kind !== 'fresh') return false;
  if (isFound) return true;
  const { lastHeardMs } = silent.belief;
  const { firstHeardMs } = other.belief;
  const silentSinceWallMs = silent.observed?.status?.lastHeartbeatWallMs;
  // The API keeps whole seconds: within the same one nothing can be told.
  const appearedWallMs = ((other.observed?.createdSeconds ?? Number.POSITIVE_INFINITY) + 1) * 1000;
  // One that was there before is no successor, though we heard it for the first time later than the other.
  if (silentSinceWallMs !== undefined && appearedWallMs <= silentSinceWallMs) return false;
  if (lastHeardMs !== undefined) return firstHeardMs !== undefined && firstHeardMs > lastHeardMs;
  return silentSinceWallMs !== undefined;
}

export interface ServiceInstance {
  readonly belief: Belief;
  readonly observed: ObservedInstance | undefined;
}
