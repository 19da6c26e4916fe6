import type { Clock } from '../../src/clock.ts';
import type { InstanceDraft, InstanceStore, WriteOutcome } from '../../src/controller/ports.ts';
import type { InstanceStatus, ObservedInstance, PodOwner, StatusReport } from '../../src/health/observed-instance.ts';
import { keyOf, identityOf, type InstanceKey } from '../../src/liveness/instance-key.ts';

/** One write as it reached the store, and what it came to there. */
export interface Write {
  readonly kind: 'create' | 'writeStatus' | 'own' | 'report' | 'remove';
  readonly id: string;
  readonly atMs: number;
  readonly outcome: WriteOutcome['kind'];
}

type Fault = (kind: Write['kind'], key: InstanceKey) => WriteOutcome | undefined;

const NO_FAULT: Fault = () => undefined;

/** A store on which a test can inflict what happens to real ones: failures, and answers that take their time. */
export class FaultyStore implements InstanceStore {
  readonly writes: Write[] = [];
  /** How long an answer takes, after the write itself is done. */
  answerDelayMs = 0;
  readonly #store: InstanceStore;
  readonly #clock: Clock;
  readonly #failures: WriteOutcome[] = [];
  #fault: Fault = NO_FAULT;

  constructor(store: InstanceStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** The next writes come to these outcomes and do nothing. */
  failNext(...outcomes: readonly WriteOutcome[]): void {
    this.#failures.push(...outcomes);
  }

  /** Every write for which `fault` has an outcome comes to that and does nothing, until `heal`. */
  failWhenever(fault: Fault): void {
    this.#fault = fault;
  }

  heal(): void {
    this.#fault = NO_FAULT;
  }

  create(draft: InstanceDraft): Promise<WriteOutcome> {
    return this.#write('create', keyOf(draft.identity), () => this.#store.create(draft));
  }

  writeStatus(target: ObservedInstance, status: InstanceStatus): Promise<WriteOutcome> {
    return this.#write('writeStatus', target.key, () => this.#store.writeStatus(target, status));
  }

  own(target: ObservedInstance, owner: PodOwner): Promise<WriteOutcome> {
    return this.#write('own', target.key, () => this.#store.own(target, owner));
  }

  report(target: ObservedInstance, report: StatusReport): Promise<WriteOutcome> {
    return this.#write('report', target.key, () => this.#store.report(target, report));
  }

  remove(target: ObservedInstance): Promise<WriteOutcome> {
    return this.#write('remove', target.key, () => this.#store.remove(target));
  }

  async #write(kind: Write['kind'], key: InstanceKey, write: () => Promise<WriteOutcome>): Promise<WriteOutcome> {
    const atMs = this.#clock.nowMs();
    const outcome = this.#failures.shift() ?? this.#fault(kind, key) ?? (await write());
    this.writes.push({ kind, id: identityOf(key).instanceId, atMs, outcome: outcome.kind });
    if (this.answerDelayMs > 0) {
      await new Promise<void>((resolve) => this.#clock.schedule(this.answerDelayMs, resolve));
    }
    return outcome;
  }
}
