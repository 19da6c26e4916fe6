import type { Hold } from './hold.ts';
import type { PodStanding, WithdrawalRequest } from './pod-standing.ts';
import { RecentGrants } from './recent-grants.ts';
import type { EndedStorm, Storm } from './storm.ts';
import { StormBrake } from './storm-brake.ts';
import type { ShareThreshold } from './storm-group.ts';
import { WorkloadRules } from './workload-rules.ts';

/**
 * Decides which Pods may be withdrawn from traffic now, and which are held and why.
 *
 * Each Pod that asks passes three brakes: the storm (is this a fault of many?), the floor (who would be left to serve?)
 * and the rate (how many just now?). It is granted or held, and what holds it is looked at anew in every step, in random
 * order, so that no workload is taken first (invariants I8 to I11). Coming back passes no brake: a Pod that no longer
 * asks is free at once.
 *
 * A grant is for one withdrawal within {@link GRANT_MS}. Until the Pod is withdrawn or asks no longer, it counts as
 * not serving. One that is not taken up in time lapses, so that withdrawals which could not be written do not pile up and
 * happen all at once: the Pod passes the brakes again.
 *
 * Only Pods that are live and have instances are put here, besides those that only serve: they count for the floor.
 */
export class Withdrawals {
  readonly #brake: StormBrake;
  readonly #random: () => number;
  readonly #members = new Map<string, Member>();
  readonly #workloads = new Map<string, Workload>();
  /** Those that ask. */
  readonly #requests = new Set<Member>();
  /** Those that asked and are withdrawn: a storm opens them again. */
  readonly #withdrawn = new Set<Member>();
  /** Of the brake, as of the last step: as long as it is the same, what a storm holds it goes on holding. */
  #lastRevision = 0;
  readonly #grants: RecentGrants;
  readonly #burst: number;
  readonly #globalHold: Hold;

  constructor(options: WithdrawalOptions) {
    this.#random = options.random;
    this.#brake = new StormBrake({
      nodeThreshold: options.nodeThreshold,
      allThreshold: options.allThreshold,
      workloadThreshold: (name) => (this.#workloads.get(name)?.rules ?? NO_RULES).strictest.storm,
    });
    // Less than one a second is one in more than a second.
    this.#burst = Math.max(1, Math.floor(options.perSecond));
    this.#grants = new RecentGrants((this.#burst / options.perSecond) * 1000);
    this.#globalHold = { reason: 'RateLimited', limit: { kind: 'all', perSecond: options.perSecond } };
  }

  /** Whether `step` need not be called until the next `put` or `remove`. */
  get isIdle(): boolean {
    return this.#requests.size === 0 && this.#brake.isIdle;
  }

  get storms(): readonly Storm[] {
    return this.#brake.storms;
  }

  /** What holds the Pod, as of the last `step`; nothing if it does not ask. A withdrawn Pod is held only by a storm. */
  holdOf(uid: string): Hold | undefined {
    return this.#members.get(uid)?.hold;
  }

  /** Whether the Pod may be withdrawn now. */
  isGranted(uid: string, nowMs: number): boolean {
    const member = this.#members.get(uid);
    return member !== undefined && hasGrant(member, nowMs);
  }

  /** The withdrawal of a Pod that was granted is under way, or is so no longer. Meanwhile the grant does not lapse. */
  setUnderWay(uid: string, isUnderWay: boolean): void {
    const member = this.#members.get(uid);
    if (member !== undefined) member.isUnderWay = isUnderWay;
  }

  /** Whether the floor still allows the withdrawal of a Pod that was granted: others may have gone since. */
  isAboveFloor(uid: string): boolean {
    const member = this.#members.get(uid);
    return member !== undefined && isAboveFloor(member);
  }

  /** What is heard of a Pod's traffic counts for the floor at once, before `put` says the rest. */
  setServing(uid: string, isServing: boolean): void {
    const member = this.#members.get(uid);
    if (member === undefined || member.standing.isServing === isServing) return;
    this.#takeAccount(member, { ...member.standing, isServing }, member.grantedAtMs);
  }

  /** Takes in where a Pod stands now. What held it is gone at once if it asks no longer. */
  put(standing: PodStanding): void {
    const known = this.#members.get(standing.uid);
    if (known !== undefined && known.workload.name !== standing.workload) this.remove(standing.uid);
    const member = this.#members.get(standing.uid) ?? this.#join(standing);
    const request = requestOf(standing);
    const asked = request === 'none' ? askedBefore(member, standing) : request;
    this.#takeAccount(member, standing, request === 'none' ? undefined : member.grantedAtMs);
    member.asked = asked;
    member.hasLapsed &&= request !== 'none';
    place(this.#requests, member, request !== 'none');
    place(this.#withdrawn, member, request === 'none' && asked !== undefined);
    if (request === 'none' && (asked === undefined || member.hold?.reason !== 'StormHold')) member.hold = undefined;
    this.#brake.put({
      uid: standing.uid,
      workload: standing.workload,
      node: standing.node,
      isNodeReady: standing.isNodeReady,
      silentSinceMs: standing.isWithdrawn && asked === undefined ? undefined : standing.silentSinceMs,
      ttlMs: standing.ttlMs,
      isFresh: standing.isFresh,
      isReport: asked === 'report',
    });
  }

  /** The Pod is terminating, finished or deleted, or has no instance any more. */
  remove(uid: string): void {
    const member = this.#members.get(uid);
    if (member === undefined) return;
    const { workload } = member;
    this.#members.delete(uid);
    this.#requests.delete(member);
    this.#withdrawn.delete(member);
    this.#brake.remove(uid);
    workload.rules.remove(member.standing.rules);
    workload.servingCount -= Number(isServing(member));
    workload.podCount -= 1;
    if (workload.podCount === 0) this.#workloads.delete(workload.name);
  }

  /** Grants and holds what is due at `nowMs`, which never goes back. */
  step(nowMs: number): WithdrawalStep {
    const { began, ended } = this.#brake.step(nowMs);
    const changed: string[] = [];
    for (const member of this.#withdrawn) if (hold(member, this.#stormHold(member))) changed.push(member.standing.uid);
    const candidates: Member[] = [];
    for (const member of this.#requests) {
      const stormHold = this.#stormHold(member);
      if (stormHold === undefined && hasGrant(member, nowMs)) continue;
      member.hasLapsed ||= member.grantedAtMs !== undefined;
      this.#takeAccount(member, member.standing, undefined);
      if (stormHold === undefined) candidates.push(member);
      else if (hold(member, stormHold)) changed.push(member.standing.uid);
    }
    this.#lastRevision = this.#brake.revision;
    const granted: string[] = [];
    shuffle(candidates, this.#random);
    // One whose withdrawal could not be written has had its turn: it comes last, and is not granted again while others of
    // its workload wait, since it would keep its part of the rate for ever (I22).
    candidates.sort((a, b) => Number(a.hasLapsed) - Number(b.hasLapsed));
    const waiting = new Map<Workload, Hold>();
    for (const member of candidates) {
      const found = (member.hasLapsed ? waiting.get(member.workload) : undefined) ?? this.#holdOn(member, nowMs);
      if (found?.reason === 'RateLimited' && !member.hasLapsed) waiting.set(member.workload, found);
      const isChanged = hold(member, found);
      if (found === undefined) {
        this.#grant(member, nowMs);
        granted.push(member.standing.uid);
      } else if (isChanged) {
        changed.push(member.standing.uid);
      }
    }
    return { granted, changed, began, ended };
  }

  #join(standing: PodStanding): Member {
    const { workload: name } = standing;
    let workload = this.#workloads.get(name);
    if (workload === undefined) {
      workload = newWorkload(name);
      this.#workloads.set(name, workload);
    }
    const member: Member = {
      standing,
      workload,
      asked: undefined,
      hold: undefined,
      grantedAtMs: undefined,
      isUnderWay: false,
      hasLapsed: false,
    };
    workload.podCount += 1;
    workload.servingCount += Number(isServing(member));
    workload.rules.add(standing.rules);
    this.#members.set(standing.uid, member);
    return member;
  }

  /** Replaces what counts for the workload of the Pod. */
  #takeAccount(member: Member, standing: PodStanding, grantedAtMs: number | undefined): void {
    const { workload } = member;
    const wasServing = isServing(member);
    if (member.standing.rules !== standing.rules) {
      workload.rules.add(standing.rules);
      workload.rules.remove(member.standing.rules);
    }
    member.standing = standing;
    member.grantedAtMs = grantedAtMs;
    workload.servingCount += Number(isServing(member)) - Number(wasServing);
  }

  #grant(member: Member, nowMs: number): void {
    this.#takeAccount(member, member.standing, nowMs);
    this.#grants.note(member.standing.uid, nowMs);
    member.workload.grants.note(member.standing.uid, nowMs);
  }

  #stormHold({ standing, hold }: Member): Hold | undefined {
    if (hold?.reason === 'StormHold' && this.#brake.revision === this.#lastRevision) return hold;
    const storm = this.#brake.stormOf(standing.uid);
    if (storm === undefined) return undefined;
    return hold?.reason === 'StormHold' && hold.storm === storm ? hold : { reason: 'StormHold', storm };
  }

  /** The floor or the rate, if one of them holds the Pod. */
  #holdOn(member: Member, nowMs: number): Hold | undefined {
    const { standing, workload } = member;
    const { minHealthy, withdrawalPercentPerMinute } = workload.rules.strictest;
    if (!isAboveFloor(member)) return floorHold(workload, minHealthy);
    const perMinute = Math.max(1, Math.ceil((withdrawalPercentPerMinute * workload.podCount) / 100));
    if (workload.grants.countBesides(standing.uid, nowMs) >= perMinute) return rateHold(workload, perMinute);
    return this.#grants.countBesides(standing.uid, nowMs) >= this.#burst ? this.#globalHold : undefined;
  }
}

export interface WithdrawalOptions {
  readonly nodeThreshold: ShareThreshold;
  readonly allThreshold: ShareThreshold;
  /** How many Pods may be withdrawn in a second, in the whole cluster; more than 0. */
  readonly perSecond: number;
  /** From 0 to below 1, as `Math.random`. */
  readonly random: () => number;
}

export const DEFAULT_WITHDRAWALS: Omit<WithdrawalOptions, 'random'> = {
  // Half of a node, as of a workload; fewer than five Pods have no "most".
  nodeThreshold: { percent: 50, minimum: 5 },
  // A fifth of all at once is no coincidence: Karpenter repairs no nodes from that share on.
  allThreshold: { percent: 20, minimum: 20 },
  // Each one costs a write of ours, one of the kubelet, and an EndpointSlice that is sent to every node.
  perSecond: 10,
};

/** What one step came to. No Pod is in both lists. */
export interface WithdrawalStep {
  /** Pods that may be withdrawn now. */
  readonly granted: readonly string[];
  /** Other Pods whose hold appeared, changed or ended, those included that a storm opens again. */
  readonly changed: readonly string[];
  readonly began: readonly Storm[];
  readonly ended: readonly EndedStorm[];
}

/** How long a grant stands until it is used, with time for a retry. */
export const GRANT_MS = 10_000;

const MINUTE_MS = 60_000;

const NO_RULES = new WorkloadRules();

interface Member {
  standing: PodStanding;
  readonly workload: Workload;
  /** How it asked in this silence; one that was never in service in it has not. */
  asked: Exclude<WithdrawalRequest, 'none'> | undefined;
  hold: Hold | undefined;
  grantedAtMs: number | undefined;
  isUnderWay: boolean;
  /** Whether a grant of this request was not used in time. */
  hasLapsed: boolean;
}

interface Workload {
  readonly name: string;
  readonly rules: WorkloadRules;
  readonly grants: RecentGrants;
  podCount: number;
  /** Pods that serve, without those that may be withdrawn. */
  servingCount: number;
  /** The last hold of each kind, so that what did not change is the same object. */
  floorHold: Hold | undefined;
  rateHold: Hold | undefined;
}

function newWorkload(name: string): Workload {
  return {
    name,
    rules: new WorkloadRules(),
    grants: new RecentGrants(MINUTE_MS),
    podCount: 0,
    servingCount: 0,
    floorHold: undefined,
    rateHold: undefined,
  };
}

/** A Pod that is fresh never asks. */
function requestOf({ isFresh, request }: PodStanding): WithdrawalRequest {
  return isFresh ? 'none' : request;
}

/**
 * How a Pod that does not ask came to be withdrawn, if it asked for it.
 *
 * One that never did was closed by a person, before our time, or ever since it began: its silence is no news, and no
 * storm may open it.
 */
function askedBefore({ asked }: Member, { isFresh, isWithdrawn, silentSinceMs }: PodStanding): Member['asked'] {
  return isWithdrawn && !isFresh && silentSinceMs !== undefined ? asked : undefined;
}

function hasGrant({ grantedAtMs, isUnderWay }: Member, nowMs: number): boolean {
  return grantedAtMs !== undefined && (isUnderWay || nowMs - grantedAtMs < GRANT_MS);
}

function isServing({ standing, grantedAtMs }: Member): boolean {
  return standing.isServing && grantedAtMs === undefined;
}

/** Whether as many of its workload as the floor demands serve without it. */
function isAboveFloor(member: Member): boolean {
  const { rules, servingCount } = member.workload;
  return servingCount - Number(isServing(member)) >= rules.strictest.minHealthy;
}

/** Whether what holds the Pod is now another thing. */
function hold(member: Member, found: Hold | undefined): boolean {
  if (member.hold === found) return false;
  member.hold = found;
  return true;
}

function floorHold(workload: Workload, minHealthy: number): Hold {
  const last = workload.floorHold;
  if (last?.reason === 'MinimumHealthyFloor' && last.minHealthy === minHealthy) return last;
  workload.floorHold = { reason: 'MinimumHealthyFloor', workload: workload.name, minHealthy };
  return workload.floorHold;
}

function rateHold(workload: Workload, perMinute: number): Hold {
  const last = workload.rateHold;
  if (last?.reason === 'RateLimited' && last.limit.kind === 'workload' && last.limit.perMinute === perMinute)
    return last;
  workload.rateHold = { reason: 'RateLimited', limit: { kind: 'workload', workload: workload.name, perMinute } };
  return workload.rateHold;
}

function place(set: Set<Member>, member: Member, isIn: boolean): void {
  if (isIn) set.add(member);
  else set.delete(member);
}

/** Fisher and Yates. */
function shuffle(members: Member[], random: () => number): void {
  for (let last = members.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const a = members[last];
    const b = members[other];
    if (a === undefined || b === undefined) continue;
    members[last] = b;
    members[other] = a;
  }
}
