import type { StormThreshold } from '../health/observed-policy.ts';
import type { EndedStorm, Storm, StormScope } from './storm.ts';
import {
  type ActiveStorm,
  begin,
  capture,
  endOf,
  type Group,
  type GroupThreshold,
  isMassive,
  isOld,
  newGroup,
  restate,
  type ShareThreshold,
  type SilenceFacts,
  type WatchedPod,
} from './storm-group.ts';

/**
 * Tells the silence of many from the silence of single Pods.
 *
 * Every Pod belongs to three groups: its workload, its node, and all. In each the Pods that fell silent within one time
 * to live are compared with those that are fresh; Pods that have been silent for longer are in neither number, and
 * Pods on a node that is not ready in no group at all, since the cluster knows of them already. From a share and a
 * count on, a *storm* begins. It captures the newly silent Pods of the group, and those that fall silent while it
 * lasts. What it captured stays in its count until it is fresh or gone, so that a storm cannot end by growing old.
 *
 * It ends when the share or the count has been below half of what began it for one time to live; and a storm of a
 * workload after a time in any case (invariant I10). Pods that vanish are not silent Pods.
 */
export class StormBrake {
  readonly #options: StormBrakeOptions;
  readonly #pods = new Map<string, WatchedPod>();
  readonly #workloads = new Map<string, Group>();
  readonly #nodes = new Map<string, Group>();
  readonly #all: Group = newGroup('all', '');
  /** Groups with newly silent Pods: only in these a storm can begin. */
  readonly #restless = new Set<Group>();
  readonly #storms = new Set<ActiveStorm>();
  /** Those that became newly silent since the last step. */
  readonly #arrived = new Set<WatchedPod>();
  #revision = 0;

  constructor(options: StormBrakeOptions) {
    this.#options = options;
  }

  /** Whether a later `step` would find nothing, as long as no Pod changes. */
  get isIdle(): boolean {
    return this.#storms.size === 0 && this.#all.recent.size === 0;
  }

  /** Another number whenever `stormOf` may answer otherwise than before. */
  get revision(): number {
    return this.#revision;
  }

  /** In the order in which they began. */
  get storms(): readonly Storm[] {
    return Array.from(this.#storms, (storm) => storm.stated);
  }

  /** The widest storm that captured the Pod: it lasts longest, and names what the narrower ones have in common. */
  stormOf(uid: string): Storm | undefined {
    if (this.#storms.size === 0) return undefined;
    const pod = this.#pods.get(uid);
    if (pod === undefined) return undefined;
    for (const { storm } of pod.groups) if (storm?.captured.has(pod) === true) return storm.stated;
    return undefined;
  }

  /** Takes in what is known of a Pod now. One that is fresh leaves its storms at once. */
  put(facts: SilenceFacts): void {
    const known = this.#pods.get(facts.uid);
    if (known?.facts.workload === facts.workload && known.facts.node === facts.node) {
      this.#assess(known, facts);
      return;
    }
    this.remove(facts.uid);
    const pod: WatchedPod = { facts, groups: this.#groupsOf(facts), isFresh: false, oldSinceMs: undefined };
    for (const group of pod.groups) group.podCount += 1;
    this.#pods.set(facts.uid, pod);
    this.#assess(pod, facts);
  }

  remove(uid: string): void {
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    this.#assess(pod, { ...pod.facts, isFresh: false, silentSinceMs: undefined });
    this.#pods.delete(uid);
    for (const group of pod.groups) {
      group.podCount -= 1;
      this.#dropIfEmpty(group);
    }
  }

  /** Begins and ends what is due at `nowMs`. */
  step(nowMs: number): StormChanges {
    for (const pod of this.#all.recent) if (isOld(pod, nowMs)) this.#retire(pod);
    const ended = this.#endStorms(nowMs);
    this.#captureArrived();
    const began = this.#beginStorms(nowMs);
    for (const storm of this.#storms) {
      if (restate(storm, nowMs)) this.#revision += 1;
    }
    return { began, ended };
  }

  #captureArrived(): void {
    for (const pod of this.#arrived) {
      for (const { storm } of pod.groups) {
        if (storm === undefined) continue;
        capture(storm, pod);
        this.#revision += 1;
      }
    }
    this.#arrived.clear();
  }

  #beginStorms(nowMs: number): readonly Storm[] {
    const began: Storm[] = [];
    for (const group of this.#restless) {
      if (group.storm !== undefined || !isMassive(group, this.#thresholdOf(group))) continue;
      const storm = begin(group, nowMs);
      this.#storms.add(storm);
      this.#revision += 1;
      began.push(storm.stated);
    }
    return began;
  }

  #endStorms(nowMs: number): readonly EndedStorm[] {
    const ended: EndedStorm[] = [];
    for (const storm of this.#storms) {
      const why = endOf(storm, this.#thresholdOf(storm.group), nowMs);
      if (why === undefined) continue;
      ended.push({ ...storm.stated, why });
      // Their silence has had its storm; only new silence can begin the next.
      if (why === 'maximumDuration') for (const pod of storm.captured) this.#retire(pod);
      this.#storms.delete(storm);
      this.#revision += 1;
      storm.group.storm = undefined;
      this.#dropIfEmpty(storm.group);
    }
    return ended;
  }

  /** Counts the Pod in its groups as `facts` say, wherever it counted before. */
  #assess(pod: WatchedPod, facts: SilenceFacts): void {
    const isFresh = facts.isNodeReady && facts.isFresh;
    const isSilent = facts.isNodeReady && !facts.isFresh && facts.silentSinceMs !== undefined;
    const isRecent = isSilent && facts.silentSinceMs !== pod.oldSinceMs;
    if (isRecent && !this.#all.recent.has(pod)) this.#arrived.add(pod);
    for (const group of pod.groups) {
      group.freshCount += Number(isFresh) - Number(pod.isFresh);
      if (isRecent) this.#add(group, pod);
      else this.#subtract(group, pod);
      if (!isSilent && group.storm?.captured.delete(pod) === true) {
        if (isFresh) group.storm.hasRecovered = true;
        this.#revision += 1;
      }
    }
    if (!isRecent) this.#arrived.delete(pod);
    pod.isFresh = isFresh;
    pod.facts = facts;
  }

  /** The silence of the Pod is no longer new. */
  #retire(pod: WatchedPod): void {
    pod.oldSinceMs = pod.facts.silentSinceMs;
    this.#arrived.delete(pod);
    for (const group of pod.groups) this.#subtract(group, pod);
  }

  #add(group: Group, pod: WatchedPod): void {
    group.recent.add(pod);
    this.#restless.add(group);
  }

  #subtract(group: Group, pod: WatchedPod): void {
    if (group.recent.delete(pod) && group.recent.size === 0) this.#restless.delete(group);
  }

  /** The widest first. */
  #groupsOf({ workload, node }: SilenceFacts): readonly Group[] {
    const workloadGroup = groupIn(this.#workloads, 'workload', workload);
    return node === '' ? [this.#all, workloadGroup] : [this.#all, groupIn(this.#nodes, 'node', node), workloadGroup];
  }

  #dropIfEmpty(group: Group): void {
    if (group.podCount > 0 || group.storm !== undefined) return;
    if (group.scope === 'workload') this.#workloads.delete(group.name);
    if (group.scope === 'node') this.#nodes.delete(group.name);
  }

  #thresholdOf(group: Group): GroupThreshold {
    switch (group.scope) {
      case 'workload':
        return this.#options.workloadThreshold(group.name);
      case 'node':
        return this.#options.nodeThreshold;
      case 'all':
        return this.#options.allThreshold;
    }
  }
}

export interface StormBrakeOptions {
  readonly workloadThreshold: (workload: string) => StormThreshold;
  readonly nodeThreshold: ShareThreshold;
  readonly allThreshold: ShareThreshold;
}

export interface StormChanges {
  readonly began: readonly Storm[];
  readonly ended: readonly EndedStorm[];
}

function groupIn(groups: Map<string, Group>, scope: StormScope, name: string): Group {
  const known = groups.get(name);
  if (known !== undefined) return known;
  const group = newGroup(scope, name);
  groups.set(name, group);
  return group;
}
