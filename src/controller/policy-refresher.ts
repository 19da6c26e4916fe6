import type { Cancel, Clock } from '../clock.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import type { ObservedPolicy } from '../health/observed-policy.ts';
import { planPolicyStatus, type PolicyFacts } from '../health/policy-status.ts';
import type { InstancePods } from './instance-pods.ts';
import type { PodCache } from './pod-cache.ts';
import type { PolicyObserver, PolicyStore } from './ports.ts';
import type { WithdrawalBoard } from './withdrawal-board.ts';

export interface PolicyRefresherParts {
  readonly clock: Clock;
  readonly pods: PodCache;
  readonly instancePods: InstancePods;
  readonly withdrawals: WithdrawalBoard;
  readonly store: PolicyStore;
  readonly observer: PolicyObserver;
  readonly isListening: () => boolean;
  readonly isJudging: () => boolean;
}

/** A policy's status is written at most so often. */
const BEAT_MS = 10_000;

/** Pods counted in one turn of the event loop. */
const PER_TURN = 200;

/** Keeps the status of every policy true: what its Pods count to, and whether it does what it says. */
export class PolicyRefresher {
  readonly #parts: PolicyRefresherParts;
  #cancel: Cancel | undefined;
  #isStopped = false;

  constructor(parts: PolicyRefresherParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#isStopped) return;
    this.#cancel = this.#parts.clock.schedule(BEAT_MS, () => {
      this.#beat()
        .catch((error: unknown) => this.#parts.observer.policyFailed(undefined, String(error)))
        .finally(() => this.start());
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  async #beat(): Promise<void> {
    const { pods, isJudging } = this.#parts;
    if (!isJudging()) return;
    for (const policy of pods.policies.values()) {
      if (this.#isStopped) return;
      await this.#refresh(policy);
    }
  }

  async #refresh(policy: ObservedPolicy): Promise<void> {
    const { clock, pods, store, observer } = this.#parts;
    const status = planPolicyStatus(policy, await this.#count(policy), clock.wallMs());
    // It may have changed while its Pods were counted.
    const now = pods.policies.get(policy.uid);
    if (status === undefined || now?.resourceVersion !== policy.resourceVersion) return;
    const outcome = await store.writeStatus(policy, status);
    switch (outcome.kind) {
      case 'written':
        observer.policyWritten(outcome.policy, policy);
        pods.policies.written(outcome.policy);
        return;
      case 'conflict':
      case 'absent':
        // The watch tells, and the next beat looks again.
        return;
      case 'throttled':
      case 'unreachable':
      case 'refused':
        observer.policyFailed(policy, outcome.message);
    }
  }

  async #count(policy: ObservedPolicy): Promise<PolicyFacts> {
    const { clock, pods, withdrawals, isListening } = this.#parts;
    const counts = { live: 0, fresh: 0, stale: 0, unknown: 0, held: 0 };
    const overruledBy = new Set<string>();
    const groups = { workload: new Set<string>(), node: new Set<string>() };
    let ruled = 0;
    let looked = 0;
    for (const uid of pods.podsIn(policy.namespace)) {
      looked += 1;
      if (looked % PER_TURN === 0) await clock.turn();
      const pod = pods.byUid(uid);
      if (pod === undefined || pod.isFinished) continue;
      const policies = pods.policiesOf(pod);
      if (!policies.some(({ uid: other }) => other === policy.uid)) continue;
      const [winner] = policies;
      if (winner !== undefined && winner.uid !== policy.uid) {
        overruledBy.add(winner.name);
        continue;
      }
      ruled += 1;
      groups.workload.add(`${pod.namespace}/${pod.workload}`);
      groups.node.add(pod.nodeName);
      this.#countInstances(pod, counts);
      if (withdrawals.holdOf(uid) !== undefined) counts.held += 1;
    }
    return {
      pods: ruled,
      counts,
      overruledBy: [...overruledBy].sort(),
      storm: withdrawals.stormOver(groups),
      isListening: isListening(),
    };
  }

  #countInstances(pod: ObservedPod, counts: { live: number; fresh: number; stale: number; unknown: number }): void {
    for (const { belief, isSuperseded, isPaused } of this.#parts.instancePods.residentsOf(pod)) {
      if (isSuperseded) continue;
      counts.live += 1;
      if (isPaused || belief.kind === 'awaiting') counts.unknown += 1;
      else if (belief.kind === 'stale') counts.stale += 1;
      else counts.fresh += 1;
    }
  }
}
