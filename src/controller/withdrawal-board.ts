import type { Cancel, Clock } from '../clock.ts';
import { holdMessage } from '../brakes/hold.ts';
import type { PodHold } from '../health/pod-plan.ts';
import type { PodStanding } from '../brakes/pod-standing.ts';
import { type Storm, stormMessage } from '../brakes/storm.ts';
import { type WithdrawalOptions, Withdrawals } from '../brakes/withdrawals.ts';
import type { PodCache } from './pod-cache.ts';
import type { PodObserver } from './ports.ts';

/** How the brakes are set, beside what the policies say. */
export type BrakeSettings = WithdrawalOptions;

export interface WithdrawalBoardParts {
  readonly clock: Clock;
  readonly pods: PodCache;
  readonly observer: PodObserver;
  readonly brakes: BrakeSettings;
  readonly enqueuePod: (uid: string) => void;
  readonly isJudging: () => boolean;
}

/** So late, at the most, a Pod that may be withdrawn is. While nobody asks and no storm lasts, nothing is done. */
const STEP_MS = 250;

/**
 * Where Pods stand before the brakes, and what these answered: the moving part around `brakes/withdrawals.ts`.
 *
 * A Pod that asks is answered at the next step, and is enqueued when there is an answer, or a new one.
 */
export class WithdrawalBoard {
  readonly #parts: WithdrawalBoardParts;
  readonly #withdrawals: Withdrawals;
  /** What holds a Pod, in words, as long as it is the same hold. */
  readonly #holds = new Map<string, PodHold>();
  #cancel: Cancel | undefined;
  #isStopped = false;

  constructor(parts: WithdrawalBoardParts) {
    this.#parts = parts;
    this.#withdrawals = new Withdrawals(parts.brakes);
  }

  put(standing: PodStanding): void {
    this.#withdrawals.put(standing);
    if (this.#withdrawals.holdOf(standing.uid) === undefined) this.#endHold(standing.uid);
    this.#keepStepping();
  }

  remove(uid: string): void {
    this.#withdrawals.remove(uid);
    this.#holds.delete(uid);
    this.#keepStepping();
  }

  holdOf(uid: string): PodHold | undefined {
    return this.#holds.get(uid);
  }

  isGranted(uid: string): boolean {
    return !this.#isStopped && this.#withdrawals.isGranted(uid, this.#parts.clock.nowMs());
  }

  /** Whether a Pod that was granted may be withdrawn all the same, now that the write is due. */
  mayStillWithdraw(uid: string): boolean {
    return this.isGranted(uid) && this.#withdrawals.isAboveFloor(uid);
  }

  /** Its withdrawal, which was granted, is carried out, or that has come to an end. */
  setUnderWay(uid: string, isUnderWay: boolean): void {
    this.#withdrawals.setUnderWay(uid, isUnderWay);
  }

  /** Whether the Pod gets traffic, as heard just now. */
  setServing(uid: string, isServing: boolean): void {
    this.#withdrawals.setServing(uid, isServing);
  }

  get storms(): readonly Storm[] {
    return this.#withdrawals.storms;
  }

  /** How many Pods each brake holds. */
  get heldCounts(): Readonly<Record<PodHold['reason'], number>> {
    const counts = { StormHold: 0, RateLimited: 0, MinimumHealthyFloor: 0 };
    for (const { reason } of this.#holds.values()) counts[reason] += 1;
    return counts;
  }

  /** What the storm over any of these groups is, in a sentence; the widest, if there are several. */
  stormOver(groups: {
    readonly workload: ReadonlySet<string>;
    readonly node: ReadonlySet<string>;
  }): string | undefined {
    for (const scope of ['all', 'node', 'workload'] as const) {
      const storm = this.storms.find(
        (candidate) => candidate.scope === scope && (scope === 'all' || groups[scope].has(candidate.name)),
      );
      if (storm !== undefined) return stormMessage(storm);
    }
    return undefined;
  }

  /** No more Pod is withdrawn. */
  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #keepStepping(): void {
    if (this.#isStopped || this.#cancel !== undefined || this.#withdrawals.isIdle) return;
    this.#cancel = this.#parts.clock.schedule(STEP_MS, () => {
      this.#cancel = undefined;
      if (this.#parts.isJudging()) this.#step();
      this.#keepStepping();
    });
  }

  #step(): void {
    const { clock, observer, enqueuePod } = this.#parts;
    const { granted, changed, began, ended } = this.#withdrawals.step(clock.nowMs());
    for (const storm of began) observer.stormBegan(storm);
    for (const storm of ended) observer.stormEnded(storm, storm.why);
    for (const uid of changed) this.#noteHold(uid);
    for (const uid of granted) {
      this.#endHold(uid);
      enqueuePod(uid);
    }
  }

  #endHold(uid: string): void {
    const { pods, observer } = this.#parts;
    const pod = pods.byUid(uid);
    if (this.#holds.delete(uid) && pod !== undefined) observer.podHeld(pod, undefined);
  }

  #noteHold(uid: string): void {
    const { pods, observer, enqueuePod } = this.#parts;
    const hold = this.#withdrawals.holdOf(uid);
    const before = this.#holds.get(uid);
    if (hold === undefined) {
      this.#endHold(uid);
    } else {
      const held: PodHold = { reason: hold.reason, message: holdMessage(hold) };
      this.#holds.set(uid, held);
      const pod = pods.byUid(uid);
      if (pod !== undefined && before?.reason !== held.reason) observer.podHeld(pod, held);
    }
    enqueuePod(uid);
  }
}
