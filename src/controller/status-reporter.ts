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

/**
 * Stores what applications say of themselves. It is acknowledged when the API server has it, since nothing would say
 * it again.
 *
 * Reports of one instance are ordered by when they were read: an older one that is still under way when a newer one
 * comes gives way to it (I23).
 */
export class StatusReporter {
  readonly #parts: StatusReporterParts;
  /** When the newest report of an instance was read; those that reported last are at the end. */
  readonly #newestMs = new Map<InstanceKey, number>();
  #pending = 0;

  constructor(parts: StatusReporterParts) {
    this.#parts = parts;
  }

  async report(key: InstanceKey, value: ReportedValue, receivedAtMs: number, sender: Sender): Promise<ReportAnswer> {
    if (this.#pending >= PENDING_MAX) return { kind: 'notStored', detail: 'too many reports are under way' };
    this.#pending += 1;
    try {
      const giveUpMs = this.#parts.clock.nowMs() + PATIENCE_MS;
      return (
        (await this.#refusal(key, sender, giveUpMs)) ?? (await this.#keep(key, value, receivedAtMs, sender, giveUpMs))
      );
    } finally {
      this.#pending -= 1;
    }
  }

  /** Why a report is not taken; waits until it is known which instances exist, and whose they are. */
  async #refusal(key: InstanceKey, sender: Sender, giveUpMs: number): Promise<ReportAnswer | undefined> {
    const { clock, engine, cache, bindings, isReady } = this.#parts;
    while (!isReady()) {
      if (clock.nowMs() >= giveUpMs) return { kind: 'notStored', detail: 'the stored instances are not known yet' };
      await this.#rest(RETRY_MS);
    }
    if (engine.look(key) === undefined && !cache.has(key)) return { kind: 'unknownInstance' };
    return bindings.isForeign(key, sender) ? { kind: 'foreignSender' } : undefined;
  }

  async #keep(
    key: InstanceKey,
    value: ReportedValue,
    receivedAtMs: number,
    sender: Sender,
    giveUpMs: number,
  ): Promise<ReportAnswer> {
    if ((this.#newestMs.get(key) ?? Number.NEGATIVE_INFINITY) > receivedAtMs) return { kind: 'stored' };
    this.#remember(key, receivedAtMs);
    const answer = await this.#store(key, value, receivedAtMs, sender, giveUpMs);
    const isStored = answer.kind === 'stored';
    this.#parts.observer.reported(key, value, isStored);
    // Of one that was not stored nothing is known that an older one could contradict.
    if (!isStored && this.#newestMs.get(key) === receivedAtMs) this.#newestMs.delete(key);
    return answer;
  }

  #remember(key: InstanceKey, receivedAtMs: number): void {
    this.#newestMs.delete(key);
    this.#newestMs.set(key, receivedAtMs);
    const [oldest] = this.#newestMs.keys();
    if (this.#newestMs.size > REMEMBERED_MAX && oldest !== undefined) this.#newestMs.delete(oldest);
  }

  async #store(
    key: InstanceKey,
    value: ReportedValue,
    receivedAtMs: number,
    sender: Sender,
    giveUpMs: number,
  ): Promise<ReportAnswer> {
    const { clock, cache, bindings, store } = this.#parts;
    const wallMs = Math.round(clock.wallMs() - (clock.nowMs() - receivedAtMs));
    let detail = 'the object of the instance is not there yet';
    let restMs = RETRY_MS;
    for (;;) {
      // A newer one came: what this one says is past.
      if (this.#newestMs.get(key) !== receivedAtMs) return { kind: 'stored' };
      const observed = cache.get(key)?.winner;
      if (observed !== undefined) {
        if (bindings.isForeign(key, sender)) return { kind: 'foreignSender' };
        const outcome = await store.report(observed, { value, wallMs, podUid: bindings.provedPod(sender)?.uid });
        if (outcome.kind === 'written') {
          cache.written(outcome.instance);
          return { kind: 'stored' };
        }
        detail = detailOf(outcome);
        if (outcome.kind === 'refused') return { kind: 'notStored', detail };
        restMs = outcome.kind === 'throttled' ? Math.max(outcome.retryAfterMs, RETRY_MS) : RETRY_MS;
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
