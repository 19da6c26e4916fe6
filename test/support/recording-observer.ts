import type {
  LoopObserver,
  PodObserver,
  PolicyObserver,
  ReconcileObserver,
  WriteFailure,
} from '../../src/controller/ports.ts';
import type { WorkQueueObserver } from '../../src/controller/work-queue.ts';
import { identityOf } from '../../src/liveness/instance-key.ts';

/** Keeps what the loop tells, so that a test can read it. */
export class RecordingObserver implements LoopObserver {
  readonly transitions: {
    id: string;
    from: string | undefined;
    to: string | undefined;
    delayMs: number | undefined;
  }[] = [];
  readonly createdIds: string[] = [];
  readonly removedIds: string[] = [];
  readonly results: string[] = [];
  readonly failures: {
    id: string;
    kind: (WriteFailure | { kind: 'threw' })['kind'];
    failures: number;
    cause: unknown;
  }[] = [];
  readonly holds: number[] = [];
  readonly refusals: string[] = [];
  readonly stalls: number[] = [];
  refreshCount = 0;
  cappedCount = 0;

  created: LoopObserver['created'] = (instance) => {
    this.createdIds.push(identityOf(instance.key).instanceId);
  };
  removed: LoopObserver['removed'] = (instance) => {
    this.removedIds.push(identityOf(instance.key).instanceId);
  };
  transitioned: LoopObserver['transitioned'] = (instance, before, delayMs) => {
    const { instanceId } = identityOf(instance.key);
    this.transitions.push({ id: instanceId, from: before, to: instance.status?.healthySummary, delayMs });
  };
  refreshed: LoopObserver['refreshed'] = () => {
    this.refreshCount += 1;
  };
  reconciled: LoopObserver['reconciled'] = (result) => {
    this.results.push(result);
  };
  failed: LoopObserver['failed'] = (key, failure, failures) => {
    const { instanceId } = identityOf(key);
    const cause = failure.kind === 'threw' ? failure.error : failure.message;
    this.failures.push({ id: instanceId, kind: failure.kind, failures, cause });
  };
  held: LoopObserver['held'] = (holdMs) => {
    this.holds.push(holdMs);
  };
  newIdentityRefused: LoopObserver['newIdentityRefused'] = (reason) => {
    this.refusals.push(reason);
  };
  stalled: LoopObserver['stalled'] = (stallMs) => {
    this.stalls.push(stallMs);
  };
  capped: LoopObserver['capped'] = (count) => {
    this.cappedCount += count;
  };
  bound: LoopObserver['bound'] = () => undefined;
  reported: LoopObserver['reported'] = () => undefined;
}

export const silentPodObserver: PodObserver & ReconcileObserver<string> = {
  podWritten: () => undefined,
  podWriteFailed: () => undefined,
  readyFollowed: () => undefined,
  readyDidNotFollow: () => undefined,
  stormBegan: () => undefined,
  stormEnded: () => undefined,
  podHeld: () => undefined,
  identityConflict: () => undefined,
  reconciled: () => undefined,
  failed: () => undefined,
  held: () => undefined,
};

export const silentPolicyObserver: PolicyObserver = {
  policyWritten: () => undefined,
  policyFailed: () => undefined,
};

export const silentQueueObserver: WorkQueueObserver = {
  added: () => undefined,
  retried: () => undefined,
  started: () => undefined,
  finished: () => undefined,
};
