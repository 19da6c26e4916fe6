import type { Clock } from '../clock.ts';
import type { ReportedValue } from '../health/observed-instance.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { LivenessEngine } from '../liveness/liveness-engine.ts';
import type { ReportAnswer } from '../liveness/report-answer.ts';
import type { Sender } from '../liveness/sender.ts';
import type { Bindings } from './bindings.ts';
import type { InstanceCache } from './instance-cache.ts';
import type { InstanceStore, LoopObserver, WriteOutcome } from './ports.ts';

export interface StatusReporterParts {
  readonly clock: Clock;
  readonly engine: LivenessEngine;
  readonly cache: InstanceCache;
  readonly bindings: Bindings;
  readonly store: InstanceStore;
  readonly observer: Pick<LoopObserver, 'reported'>;
  /** Whether it is known which instances exist, and whose they are. */
  readonly isReady: () => boolean;
}

/** SDKs wait three to five seconds for an answer. */
const PATIENCE_MS = 3_000;

const RETRY_MS = 100;

/** So many reports may be under way; each holds a request open. */
const PENDING_MAX = 1_000;

/** Reports that overtake each other are seconds apart; so many instances do not report in that time. */
const REMEMBERED_MAX = 10_000;

/** A report as it was read, and what becomes of it. */
interface Report {
  readonly key: InstanceKey;
  readonly value: ReportedValue;
  readonly receivedAtMs: number;
  readonly sender: Sender;
  readonly giveUpMs: number;
  /** Resolves when it is stored or cannot be. */
  readonly isStored: Promise<boolean>;
}

/**
 * Stores what applications say of themselves. It is acknowledged when the API server has it, since nothing would say
 * it again.
 *
 * Reports of one instance are ordered by when they were read: an older one gives way to a newer one (I23), and is
 * acknowledged when that is stored.
 */
export class StatusReporter {
  readonly #parts: StatusReporterParts;
  /** The newest report of an instance; those that reported last are at the end. */
  readonly #newest = new Map<InstanceKey, Report>();
  #pending = 0;

  constructor(parts: StatusReporterParts) {
    this.#parts = parts;
  }

  async report(key: InstanceKey, value: ReportedValue, receivedAtMs: number, sender: Sender): Promise<ReportAnswer> {
    const answer = await this.#answer(key, value, receivedAtMs, sender);
    const { kind } = answer;
    if (kind === 'stored' || kind === 'notStored') this.#parts.observer.reported(key, value, kind === 'stored');
    return answer;
  }

  async #answer(key: InstanceKey, value: ReportedValue, receivedAtMs: number, sender: Sender): Promise<ReportAnswer> {
    if (this.#pending >= PENDING_MAX) return { kind: 'notStored', detail: 'too many reports are under way' };
    this.#pending += 1;
    const { promise: isStored, resolve: tellStored } = Promise.withResolvers<boolean>();
    const giveUpMs = this.#parts.clock.nowMs() + PATIENCE_MS;
    const report = { key, value, receivedAtMs, sender, giveUpMs, isStored };
    let answer: ReportAnswer | undefined;
    try {
      answer = (await this.#refusal(report)) ?? (await this.#keep(report));
      return answer;
    } finally {
      this.#pending -= 1;
      tellStored(answer?.kind === 'stored');
    }
  }

  /** Why a report is not taken; waits until it is known which instances exist, and whose they are. */
  async #refusal({ key, sender, giveUpMs }: Report): Promise<ReportAnswer | undefined> {
    const { clock, engine, cache, bindings, isReady } = this.#parts;
    while (!isReady()) {
      if (clock.nowMs() >= giveUpMs) return { kind: 'notStored', detail: 'the stored instances are not known yet' };
      await this.#rest(RETRY_MS);
    }
    if (engine.look(key) === undefined && !cache.has(key)) return { kind: 'unknownInstance' };
    return bindings.isForeign(key, sender) ? { kind: 'foreignSender' } : undefined;
  }

  async #keep(report: Report): Promise<ReportAnswer> {
    const { key, receivedAtMs } = report;
    const newest = this.#newest.get(key);
    if (newest === undefined || newest.receivedAtMs <= receivedAtMs) this.#remember(report);
    const answer = await this.#store(report);
    // Of one that was not stored nothing is known that an older one could contradict.
    if (answer.kind !== 'stored' && this.#newest.get(key) === report) this.#newest.delete(key);
    return answer;
  }

  #remember(report: Report): void {
    this.#newest.delete(report.key);
    this.#newest.set(report.key, report);
    const [oldest] = this.#newest.keys();
    if (this.#newest.size > REMEMBERED_MAX && oldest !== undefined) this.#newest.delete(oldest);
  }

  async #store(report: Report): Promise<ReportAnswer> {
    const { key, value, receivedAtMs, sender, giveUpMs } = report;
    const { clock, cache, bindings, store } = this.#parts;
    const wallMs = Math.round(clock.wallMs() - (clock.nowMs() - receivedAtMs));
    let detail = 'the object of the instance is not there yet';
    for (;;) {
      let restMs = RETRY_MS;
      const newest = this.#newest.get(key);
      const observed = cache.get(key)?.winner;
      if (newest !== undefined && newest !== report) {
        // What this one says is past, if that one is stored.
        if (await newest.isStored) return { kind: 'stored' };
        detail = 'a newer report of the instance could not be stored';
      } else if (observed !== undefined) {
        if (bindings.isForeign(key, sender)) return { kind: 'foreignSender' };
        const outcome = await store.report(observed, { value, wallMs, podUid: bindings.provedPod(sender)?.uid });
        if (outcome.kind === 'written') {
          cache.written(outcome.instance);
          return { kind: 'stored' };
        }
        detail = detailOf(outcome);
        if (outcome.kind === 'refused') return { kind: 'notStored', detail };
        if (outcome.kind === 'throttled') restMs = Math.max(outcome.retryAfterMs, RETRY_MS);
      }
      if (clock.nowMs() + restMs > giveUpMs) return { kind: 'notStored', detail };
      await this.#rest(restMs);
    }
  }

  async #rest(restMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#parts.clock.schedule(restMs, resolve);
    await promise;
  }
}

function detailOf(outcome: Exclude<WriteOutcome, { kind: 'written' }>): string {
  return 'message' in outcome ? outcome.message : `storing the report: ${outcome.kind}`;
}
