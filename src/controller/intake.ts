import type { Clock } from '../clock.ts';
import type { HeartbeatAnswer } from '../liveness/heartbeat-answer.ts';
import { flatten } from '../liveness/slot-table.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { LivenessEngine } from '../liveness/liveness-engine.ts';
import { type Sender, UNKNOWN_SENDER } from '../liveness/sender.ts';
import { timeToLiveSeconds, type HeartbeatTiming } from '../liveness/time-to-live.ts';
import { type Bindings, INSTANCES_PER_POD_MAX } from './bindings.ts';
import type { InstanceCache } from './instance-cache.ts';
import type { InstancePods } from './instance-pods.ts';
import { track } from './instance-tracking.ts';
import type { NewIdentityLimit } from './new-identity-limit.ts';
import type { LoopObserver } from './ports.ts';

/** What becomes of a heartbeat of an instance that nobody knows. */
export type UnknownInstances = 'auto' | 'adopt' | 'reject';

export interface IntakeParts {
  readonly engine: LivenessEngine;
  readonly cache: InstanceCache;
  readonly bindings: Bindings;
  readonly instancePods: InstancePods;
  readonly limit: NewIdentityLimit;
  readonly enqueue: (key: InstanceKey) => void;
  /** For instances that are new: however many come, they do not hold up the verdicts of those that are known. */
  readonly enqueueNew: (key: InstanceKey) => void;
  readonly observer: LoopObserver;
  readonly unknownInstances: UnknownInstances;
  readonly defaultTiming: HeartbeatTiming;
  /** How many ids may be taken on trust while it is not yet known which instances exist. */
  readonly provisionalMax: number;
}

/** Ids settled in one turn of the event loop; heartbeats are answered in between. */
const PER_TURN = 500;

const RENEWED: HeartbeatAnswer = { kind: 'accepted', change: 'renewed' };
const CONFIRMED: HeartbeatAnswer = { kind: 'accepted', change: 'confirmed' };
const APPEARED: HeartbeatAnswer = { kind: 'accepted', change: 'appeared' };
const RECOVERED: HeartbeatAnswer = { kind: 'accepted', change: 'recovered' };
const UNKNOWN: HeartbeatAnswer = { kind: 'unknownInstance' };
const FOREIGN: HeartbeatAnswer = { kind: 'foreignSender' };

/**
 * One heartbeat: note it in memory, and if that changed the answer, put the key in the queue. Never waits.
 *
 * A known instance is always accepted. While the cache is not synced nobody is unknown: ids are taken in on trust,
 * and when all is known `settleProvisional` treats those that have no object as if they had come only then.
 */
export class Intake {
  readonly #parts: IntakeParts;
  readonly #provisional = new Set<InstanceKey>();

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  /** Takes a heartbeat that was read at `receivedAtMs`. */
  accept(key: InstanceKey, receivedAtMs: number, sender: Sender): HeartbeatAnswer {
    if (this.#parts.bindings.isOfAnotherPod(key, sender)) return FOREIGN;
    return this.#record(key, receivedAtMs, sender) ?? this.#acceptUnknown(flatten(key), receivedAtMs, sender);
  }

  /** Takes a heartbeat whose sender cannot be looked into just now: known instances do not suffer for it. */
  acceptKnown(key: InstanceKey, receivedAtMs: number): HeartbeatAnswer {
    const { engine, cache } = this.#parts;
    // While it is not known yet who exists, nobody is unknown.
    const isKnown = !cache.isSynced || engine.look(key) !== undefined || cache.has(key);
    return isKnown ? this.accept(key, receivedAtMs, UNKNOWN_SENDER) : UNKNOWN;
  }

  /** @returns undefined for an instance that is not known. */
  #record(key: InstanceKey, receivedAtMs: number, sender: Sender): HeartbeatAnswer | undefined {
    switch (this.#parts.engine.record(key, receivedAtMs, sender)) {
      case 'renewed':
        return RENEWED;
      case 'moved':
        this.#parts.enqueue(key);
        return RENEWED;
      case 'confirmed':
        this.#parts.enqueue(key);
        return CONFIRMED;
      case 'appeared':
        this.#parts.enqueue(key);
        return APPEARED;
      case 'recovered':
        this.#parts.enqueue(key);
        return RECOVERED;
      case 'unknown':
        return undefined;
    }
  }

  /**
   * Decides about the ids that were taken on trust, now that all objects are known: those that have one follow it,
   * the others are as new as if they had come only now. To be awaited before anybody is judged.
   */
  async settleProvisional(clock: Clock): Promise<void> {
    const { engine, cache, instancePods, enqueue, enqueueNew } = this.#parts;
    let settled = 0;
    for (const key of this.#provisional) {
      const object = cache.get(key)?.winner;
      if (object !== undefined) {
        track(engine, object, instancePods.trackingOf(object), clock.nowMs());
        enqueue(key);
      } else if (this.#refusal(key, clock.nowMs(), engine.size - 1, engine.look(key)?.sender) === undefined) {
        enqueueNew(key);
      } else {
        engine.forget(key);
        instancePods.forget(key);
      }
      settled += 1;
      if (settled % PER_TURN === 0) await clock.turn();
    }
    this.#provisional.clear();
  }

  #acceptUnknown(key: InstanceKey, receivedAtMs: number, sender: Sender): HeartbeatAnswer {
    const { engine, cache, instancePods, enqueue, enqueueNew } = this.#parts;
    const object = cache.get(key)?.winner;
    if (object !== undefined) {
      track(engine, object, instancePods.trackingOf(object), receivedAtMs);
      engine.record(key, receivedAtMs, sender);
      enqueue(key);
      return CONFIRMED;
    }
    if (!cache.isSynced) return this.#acceptProvisionally(key, receivedAtMs, sender);
    const refusal = this.#refusal(key, receivedAtMs, engine.size, sender);
    if (refusal !== undefined) {
      instancePods.forget(key);
      return refusal;
    }
    this.#adopt(key, receivedAtMs, sender);
    enqueueNew(key);
    return APPEARED;
  }

  #acceptProvisionally(key: InstanceKey, receivedAtMs: number, sender: Sender): HeartbeatAnswer {
    if (this.#provisional.size < this.#parts.provisionalMax) {
      this.#provisional.add(key);
      this.#adopt(key, receivedAtMs, sender);
    }
    return APPEARED;
  }

  #adopt(key: InstanceKey, receivedAtMs: number, sender: Sender): void {
    this.#parts.engine.adopt(key, timeToLiveSeconds(this.#parts.defaultTiming) * 1000, receivedAtMs, sender);
  }

  #refusal(
    key: InstanceKey,
    nowMs: number,
    knownCount: number,
    sender: Sender = UNKNOWN_SENDER,
  ): HeartbeatAnswer | undefined {
    const { bindings, limit, observer, unknownInstances } = this.#parts;
    // No service can be registered yet, so that `auto` comes to `adopt`.
    if (unknownInstances === 'reject') return UNKNOWN;
    const decision = bindings.decide(key, sender);
    // Who is proved to be a Pod may always bring as many as one Pod can have.
    if (decision.kind === 'bound' && bindings.instancesOf(decision.ref.uid).size <= INSTANCES_PER_POD_MAX) {
      return undefined;
    }
    const admission = limit.admit(nowMs, knownCount);
    if (admission.kind === 'admitted') return undefined;
    observer.newIdentityRefused(admission.reason);
    return { kind: 'tooManyNew', retryAfterSeconds: admission.retryAfterSeconds };
  }
}
