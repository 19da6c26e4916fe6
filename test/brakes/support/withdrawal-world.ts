import type { PodStanding } from '../../../src/brakes/pod-standing.ts';
import type { EndedStorm, Storm } from '../../../src/brakes/storm.ts';
import { DEFAULT_WITHDRAWALS, Withdrawals, type WithdrawalStep } from '../../../src/brakes/withdrawals.ts';
import { seededRandom, standing } from './pod-standings.ts';

/** The caller takes a step so often, in milliseconds. */
export const STEP_MS = 250;

/**
 * Pods whose condition follows what `Withdrawals` says, as the caller makes it follow: granted ones are withdrawn,
 * withdrawn ones that a storm holds are opened again.
 */
export class WithdrawalWorld {
  readonly withdrawals: Withdrawals;
  readonly began: Storm[] = [];
  readonly ended: EndedStorm[] = [];
  /** When and whom, in order. */
  readonly withdrawnLog: { readonly uid: string; readonly atMs: number }[] = [];
  readonly #pods = new Map<string, PodStanding>();
  #nowMs: number;
  /** Whether writes to Pods succeed. */
  canWrite = true;

  constructor(options: { readonly seed?: number; readonly nowMs?: number; readonly perSecond?: number } = {}) {
    this.withdrawals = new Withdrawals({
      ...DEFAULT_WITHDRAWALS,
      perSecond: options.perSecond ?? DEFAULT_WITHDRAWALS.perSecond,
      random: seededRandom(options.seed ?? 1),
    });
    this.#nowMs = options.nowMs ?? 0;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Fresh Pods that serve. */
  add(uids: readonly string[], parts: Partial<PodStanding> = {}): void {
    for (const uid of uids) this.#set(standing(uid, parts));
  }

  change(uids: readonly string[], parts: Partial<PodStanding>): void {
    for (const uid of uids) this.#set({ ...this.pod(uid), ...parts });
  }

  /** Their deadlines passed: those that show True ask to be withdrawn. */
  fallSilent(uids: readonly string[], request: 'silence' | 'report' = 'silence', sinceMs = this.#nowMs): void {
    for (const uid of uids) {
      const isAsking = !this.pod(uid).isWithdrawn;
      this.change([uid], { isFresh: false, silentSinceMs: sinceMs, request: isAsking ? request : 'none' });
    }
  }

  /** They are heard again, and opened at once. */
  recover(uids: readonly string[]): void {
    this.change(uids, {
      isFresh: true,
      silentSinceMs: undefined,
      request: 'none',
      isWithdrawn: false,
      isServing: true,
    });
  }

  remove(uids: readonly string[]): void {
    for (const uid of uids) {
      this.#pods.delete(uid);
      this.withdrawals.remove(uid);
    }
  }

  step(): WithdrawalStep {
    const step = this.withdrawals.step(this.#nowMs);
    this.began.push(...step.began);
    this.ended.push(...step.ended);
    if (!this.canWrite) return step;
    for (const uid of step.granted) {
      if (!this.withdrawals.isGranted(uid, this.#nowMs)) continue;
      this.withdrawnLog.push({ uid, atMs: this.#nowMs });
      this.change([uid], { isWithdrawn: true, isServing: false, request: 'none' });
    }
    for (const uid of step.changed) {
      const isReopened = this.pod(uid).isWithdrawn && this.withdrawals.holdOf(uid)?.reason === 'StormHold';
      if (isReopened) this.change([uid], { isWithdrawn: false, isServing: true, request: 'silence' });
    }
    return step;
  }

  /** Time until the next step. */
  pass(): void {
    this.#nowMs += STEP_MS;
  }

  /** Steps until `untilMs`, included. */
  runUntil(untilMs: number): void {
    for (; this.#nowMs < untilMs; this.#nowMs = Math.min(this.#nowMs + STEP_MS, untilMs)) this.step();
    this.step();
  }

  run(forMs: number): void {
    this.runUntil(this.#nowMs + forMs);
  }

  pod(uid: string): PodStanding {
    const pod = this.#pods.get(uid);
    if (pod === undefined) throw new Error(`there is no Pod ${uid}`);
    return pod;
  }

  get pods(): readonly PodStanding[] {
    return [...this.#pods.values()];
  }

  get withdrawn(): readonly string[] {
    return this.pods.filter((pod) => pod.isWithdrawn).map((pod) => pod.uid);
  }

  /** How many Pods are held for which reason. */
  get holds(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { uid } of this.pods) {
      const reason = this.withdrawals.holdOf(uid)?.reason;
      if (reason !== undefined) counts[reason] = (counts[reason] ?? 0) + 1;
    }
    return counts;
  }

  #set(pod: PodStanding): void {
    this.#pods.set(pod.uid, pod);
    this.withdrawals.put(pod);
  }
}
