import type { StormThreshold } from '../health/observed-policy.ts';
import type { PodStanding } from './pod-standing.ts';
import type { Storm, StormEnd, StormFactor, StormScope } from './storm.ts';

/** Of a Pod, what groups count. */
export interface SilenceFacts
  extends Pick<PodStanding, 'uid' | 'workload' | 'node' | 'isNodeReady' | 'silentSinceMs' | 'ttlMs' | 'isFresh'> {
  /** Whether it is heard, and its silence is a report that it is down. */
  readonly isReport: boolean;
}

/** A storm begins when both are reached: so many percent of the live Pods of a group, and so many Pods. */
export type ShareThreshold = Pick<StormThreshold, 'percent' | 'minimum'>;

/** The shortest window in which silence is new: with a very short time to live, Pods of one fault would miss each other. */
const WINDOW_MS_MIN = 30_000;

/** How long a statement stands: about the interval over which the deadlines of one fault are spread. */
const RESTATE_MS = 30_000;

/** From this part of the silent Pods on, in percent, what they share is named as the common factor. */
const FACTOR_PERCENT = 80;

/** A storm of a node or of all has no maximum: they hold until the share falls. */
export type GroupThreshold = ShareThreshold & Partial<Pick<StormThreshold, 'maxDurationSeconds'>>;

export interface WatchedPod {
  facts: SilenceFacts;
  readonly groups: readonly Group[];
  /** Whether it counts as fresh. */
  isFresh: boolean;
  /** The silence that is no longer new, told by when it began. */
  oldSinceMs: number | undefined;
}

export interface Group {
  readonly scope: StormScope;
  readonly name: string;
  podCount: number;
  freshCount: number;
  /** The newly silent ones. */
  readonly recent: Set<WatchedPod>;
  storm: ActiveStorm | undefined;
}

export interface ActiveStorm {
  readonly group: Group;
  readonly beganMs: number;
  /** The Pods that fell silent in it, and are. */
  readonly captured: Set<WatchedPod>;
  /** The longest window of all that it ever captured. */
  windowMs: number;
  /** Whether one that it captured came back. */
  hasRecovered: boolean;
  /** Since when the silent part has been small. */
  lowSinceMs: number | undefined;
  stated: Storm;
  statedAtMs: number;
}

export function newGroup(scope: StormScope, name: string): Group {
  return { scope, name, podCount: 0, freshCount: 0, recent: new Set(), storm: undefined };
}

function windowMsOf({ ttlMs }: SilenceFacts): number {
  return Math.max(ttlMs, WINDOW_MS_MIN);
}

/** Whether the silence of the Pod is no longer new. */
export function isOld({ facts }: WatchedPod, nowMs: number): boolean {
  return facts.silentSinceMs === undefined || nowMs - facts.silentSinceMs > windowMsOf(facts);
}

/** Whether the silence of the group is more than that of single Pods. */
export function isMassive({ recent, freshCount }: Group, { percent, minimum }: ShareThreshold): boolean {
  return recent.size >= minimum && recent.size * 100 >= percent * (freshCount + recent.size);
}

function isLow({ captured, group }: ActiveStorm, { percent, minimum }: ShareThreshold): boolean {
  const silentCount = captured.size;
  return silentCount * 2 < minimum || silentCount * 2 * 100 < percent * (group.freshCount + silentCount);
}

/** Why the storm is over at `nowMs`, or undefined. To be asked often: it notes since when the silent part is small. */
export function endOf(storm: ActiveStorm, threshold: GroupThreshold, nowMs: number): StormEnd | undefined {
  if (storm.captured.size === 0 && !storm.hasRecovered) return 'gone';
  storm.lowSinceMs = isLow(storm, threshold) ? (storm.lowSinceMs ?? nowMs) : undefined;
  if (storm.lowSinceMs !== undefined && nowMs - storm.lowSinceMs >= storm.windowMs) return 'recovered';
  const { maxDurationSeconds } = threshold;
  if (maxDurationSeconds === undefined) return undefined;
  return nowMs - storm.beganMs >= maxDurationSeconds * 1000 ? 'maximumDuration' : undefined;
}

/** A storm of what is newly silent in the group. */
export function begin(group: Group, nowMs: number): ActiveStorm {
  const captured = new Set(group.recent);
  let windowMs = 0;
  for (const { facts } of captured) windowMs = Math.max(windowMs, windowMsOf(facts));
  const storm: ActiveStorm = {
    group,
    beganMs: nowMs,
    captured,
    windowMs,
    hasRecovered: false,
    lowSinceMs: undefined,
    stated: statement(group, captured, nowMs, windowMs),
    statedAtMs: nowMs,
  };
  group.storm = storm;
  return storm;
}

export function capture(storm: ActiveStorm, pod: WatchedPod): void {
  storm.captured.add(pod);
  storm.windowMs = Math.max(storm.windowMs, windowMsOf(pod.facts));
}

/** States the numbers again if there are more silent Pods, and returns whether it did. */
export function restate(storm: ActiveStorm, nowMs: number): boolean {
  if (storm.captured.size <= storm.stated.silentCount || nowMs - storm.statedAtMs < RESTATE_MS) return false;
  storm.stated = statement(storm.group, storm.captured, storm.beganMs, storm.windowMs);
  storm.statedAtMs = nowMs;
  return true;
}

function statement(group: Group, captured: ReadonlySet<WatchedPod>, beganMs: number, windowMs: number): Storm {
  let reportedCount = 0;
  for (const { facts } of captured) if (facts.isReport) reportedCount += 1;
  return {
    scope: group.scope,
    name: group.name,
    beganMs,
    silentCount: captured.size,
    reportedCount,
    liveCount: group.freshCount + captured.size,
    windowMs,
    factor: factorOf(group.scope, captured),
  };
}

/** A node explains more than a workload: what runs on it may be perfectly well. */
function factorOf(scope: StormScope, captured: ReadonlySet<WatchedPod>): StormFactor | undefined {
  const kinds = (['node', 'workload'] as const).filter((kind) => kind !== scope);
  for (const kind of kinds) {
    const counts = new Map<string, number>();
    for (const { facts } of captured) counts.set(facts[kind], (counts.get(facts[kind]) ?? 0) + 1);
    for (const [name, silentCount] of counts) {
      const isCommon = silentCount * 100 >= FACTOR_PERCENT * captured.size;
      if (isCommon && name !== '') return { kind, name, silentCount };
    }
  }
  return undefined;
}
