/** What a storm is about: all Pods of a workload, all on a node, or all there are. */
export type StormScope = 'workload' | 'node' | 'all';

/**
 * The silence of a large part of a group within one time to live: a common fault, or our own, rather than so many
 * faults of single Pods. While it lasts the Pods that fell silent in it are not withdrawn.
 *
 * The numbers are those of when it was last stated. They are stated again when more Pods fell silent, but not at
 * every one, since each statement reaches every Pod that it holds.
 */
export interface Storm {
  readonly scope: StormScope;
  /** The workload with its namespace, or the node; empty for all. */
  readonly name: string;
  /** On the monotonic clock. */
  readonly beganMs: number;
  /** Pods that fell silent in it, and are. */
  readonly silentCount: number;
  /** Those among them that are heard, but reported themselves down. */
  readonly reportedCount: number;
  /** The silent ones and the fresh ones of the group together. */
  readonly liveCount: number;
  /** Within which time they fell silent: the longest time to live among them, in milliseconds. */
  readonly windowMs: number;
  /** What nearly all of the silent ones have in common besides the group. */
  readonly factor: StormFactor | undefined;
}

export interface StormFactor {
  readonly kind: 'node' | 'workload';
  readonly name: string;
  /** How many of the silent ones share it. */
  readonly silentCount: number;
}

/**
 * Why a storm ended.
 *
 * - `recovered`: the silent part of the group had been small for one time to live.
 * - `maximumDuration`: it had lasted as long as a storm of a workload may; its Pods may still be silent.
 * - `gone`: none of the Pods that fell silent in it is left to hold, and none of them came back: they were deleted,
 *   or their node turned out not to be ready.
 */
export type StormEnd = 'recovered' | 'maximumDuration' | 'gone';

export interface EndedStorm extends Storm {
  readonly why: StormEnd;
}

/** What was found, as a sentence for people. */
export function stormMessage(storm: Storm): string {
  const seconds = Math.round(storm.windowMs / 1000);
  const found = `${storm.silentCount} of ${storm.liveCount} Pods${placeOf(storm)} ${verbOf(storm)} within ${seconds} s`;
  return storm.factor === undefined ? `${found}.` : `${found}, ${factorText(storm.factor)}.`;
}

function placeOf({ scope, name }: Storm): string {
  switch (scope) {
    case 'workload':
      return ` of ${name}`;
    case 'node':
      return ` on the node ${name}`;
    case 'all':
      return '';
  }
}

function verbOf({ silentCount, reportedCount }: Storm): string {
  if (reportedCount === 0) return 'fell silent';
  return reportedCount === silentCount ? 'reported themselves down' : 'fell silent or reported themselves down';
}

function factorText({ kind, name, silentCount }: StormFactor): string {
  return kind === 'node' ? `${silentCount} of them on the node ${name}` : `${silentCount} of them of ${name}`;
}
