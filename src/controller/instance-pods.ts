import type { Verdict } from '../health/condition.ts';
import { effectiveTiming, type PodFacts } from '../health/health-plan.ts';
import {
  hintedVerdict,
  notBoundVerdict,
  notLookedAtVerdict,
  otherNamespaceVerdict,
  supersededVerdict,
} from '../health/instance-health.ts';
import type { EffectiveTiming, ObservedInstance } from '../health/observed-instance.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import { type BindingDecision, isProof, type UnboundReason } from '../health/pod-binding.ts';
import { type BoundInstance, isReplacedBy } from '../health/pod-verdict.ts';
import { silenceEvidence, type SilenceEvidence } from '../health/silence-evidence.ts';
import { identityOf, type InstanceKey } from '../liveness/instance-key.ts';
import type { Belief, LivenessEngine } from '../liveness/liveness-engine.ts';
import { type Sender, senderAddress, UNKNOWN_SENDER } from '../liveness/sender.ts';
import type { HeartbeatTiming } from '../liveness/time-to-live.ts';
import type { Clock } from '../clock.ts';
import type { Bindings } from './bindings.ts';
import { IdentityConflicts } from './identity-conflicts.ts';
import type { InstanceCache } from './instance-cache.ts';
import type { Tracking } from './instance-tracking.ts';
import type { PodCache } from './pod-cache.ts';

export interface InstancePodsParts {
  readonly clock: Clock;
  readonly engine: LivenessEngine;
  readonly instances: InstanceCache;
  readonly pods: PodCache;
  readonly bindings: Bindings;
  /** What was found when a Pod was last reconciled: whether it shows the verdict. */
  readonly syncedOf: (podUid: string) => Verdict | undefined;
  /** Called when heartbeats of a bound instance are found to come from elsewhere. */
  readonly onConflict: (key: InstanceKey, sender: Sender) => void;
  readonly defaultTiming: HeartbeatTiming;
}

/** As long as it takes at most until a Pod's address is known to us. */
export const ADDRESS_EVIDENCE_MS = 5_000;

/** What instances have to do with Pods: read for the plan of an instance, and for the plan of a Pod. */
export class InstancePods {
  readonly #parts: InstancePodsParts;
  readonly #conflicts = new IdentityConflicts();
  #judgingSinceMs = Number.POSITIVE_INFINITY;

  constructor(parts: InstancePodsParts) {
    this.#parts = parts;
  }

  /** The timing in force for an object: a person's wish, that of its Pod's policy, or the default. */
  timingOf(observed: ObservedInstance): EffectiveTiming {
    const { pods, bindings, defaultTiming } = this.#parts;
    const ref = bindings.refOf(observed.key);
    const pod = ref === undefined ? undefined : pods.byUid(ref.uid);
    const policy = pod === undefined ? undefined : pods.policyOf(pod);
    const wish = this.hasSay(observed) ? observed.heartbeat : undefined;
    return effectiveTiming(wish, policy?.timing, defaultTiming);
  }

  /** What is in force for an object. */
  trackingOf(observed: ObservedInstance): Tracking {
    return { timing: this.timingOf(observed), isPaused: observed.paused && this.hasSay(observed) };
  }

  /**
   * Whether what the object says counts: not if it stands in another namespace than the Pod of its instance. Else
   * whoever may write objects in one namespace could take Pods of another out of service.
   */
  hasSay(observed: ObservedInstance): boolean {
    const ref = this.#parts.bindings.refOf(observed.key);
    return ref === undefined || ref.namespace === observed.namespace;
  }

  /** The instances of a Pod whose timing is not yet the one in force. */
  *retimedIn(pod: ObservedPod): IterableIterator<InstanceKey> {
    const { bindings, instances } = this.#parts;
    for (const key of bindings.instancesOf(pod.uid)) {
      const observed = instances.get(key)?.winner;
      const stored = observed?.status?.effective;
      if (observed === undefined || stored === undefined) continue;
      const { ttlSeconds, intervalSeconds, source } = this.timingOf(observed);
      const isSame = stored.ttlSeconds === ttlSeconds && stored.intervalSeconds === intervalSeconds;
      if (!isSame || stored.source !== source) yield key;
    }
  }

  /**
   * Which Pod the instance is. An address proves a Pod only as long as the instance was heard there a moment ago: later
   * another Pod may have it, and the next heartbeat is to tell anew.
   */
  decide(key: InstanceKey, belief: Belief): BindingDecision {
    const { bindings, engine } = this.#parts;
    const before = bindings.refOf(key);
    const isOutdated = before === undefined && this.#isOld(belief) && bindings.provedPod(belief.sender) !== undefined;
    const decision = bindings.decide(key, isOutdated ? UNKNOWN_SENDER : belief.sender);
    if (isOutdated || (before !== undefined && decision.kind !== 'bound')) engine.forgetSender(key);
    return decision;
  }

  #isOld({ kind, sender, lastHeardMs }: Belief): boolean {
    if (senderAddress(sender) === undefined) return false;
    return (
      kind === 'stale' || lastHeardMs === undefined || this.#parts.clock.nowMs() - lastHeardMs > ADDRESS_EVIDENCE_MS
    );
  }

  /** What the plan of an instance must know, and after how many milliseconds it may be otherwise by time alone. */
  factsOf(
    observed: ObservedInstance,
    belief: Belief,
    decision: BindingDecision,
  ): PodFacts & { readonly lookAgainMs: number | undefined } {
    const { bindings, pods, clock } = this.#parts;
    if (decision.kind === 'unbound') {
      this.#conflicts.forget(observed.key);
      return { ...NO_POD, ...unboundFacts(observed, decision.why), lookAgainMs: undefined };
    }
    if (decision.kind === 'hinted') {
      return { ...NO_POD, ref: decision.ref, synced: hintedVerdict, lookAgainMs: undefined };
    }
    const { ref, isForeign } = decision;
    const foreignAtMs = isForeign ? belief.lastHeardMs : undefined;
    const conflict = this.#conflicts.note(
      observed.key,
      foreignAtMs,
      observed.status?.identityConflict?.status === 'True',
      belief.ttlMs,
      clock.nowMs(),
    );
    if (conflict.isActive && observed.status?.identityConflict?.status !== 'True') {
      this.#parts.onConflict(observed.key, belief.sender);
    }
    const pod = pods.byUid(ref.uid);
    const isSuperseded = this.isSuperseded(observed.key, belief, bindings.instancesOf(ref.uid));
    return {
      ref,
      synced: this.#syncedOf(observed, ref.uid, ref.namespace, isSuperseded),
      isBound: true,
      isSuperseded,
      isReportForeign: observed.reported?.podUid !== ref.uid,
      hasConflict: conflict.isActive,
      evidence: pod === undefined ? undefined : this.evidenceFor(pod, belief),
      lookAgainMs: conflict.lookAgainMs,
    };
  }

  /** The instances that speak for a Pod. What their objects say counts only if they stand in its namespace. */
  residentsOf(pod: ObservedPod): readonly BoundInstance[] {
    const { engine, instances, bindings } = this.#parts;
    const keys = bindings.instancesOf(pod.uid);
    const residents: BoundInstance[] = [];
    for (const key of keys) {
      const belief = engine.look(key);
      const observed = instances.get(key)?.winner;
      if (belief === undefined) continue;
      const { serviceId, instanceId } = identityOf(key);
      const say = observed?.namespace === pod.namespace ? observed : undefined;
      residents.push({
        name: `${serviceId}/${instanceId}`,
        belief,
        isPaused: say?.paused ?? false,
        isOutOfService: say?.outOfService ?? false,
        reported: say?.reported?.podUid === pod.uid ? say.reported : undefined,
        fresh: observed?.status?.fresh,
        isSuperseded: this.isSuperseded(key, belief, keys),
        isUnproven: this.unprovenForMs(belief) > 0,
      });
    }
    return residents;
  }

  /** For how long an instance that was silent before our time still has, until its silence is proved to us too. */
  unprovenForMs({ kind, lastHeardMs, deadlineMs, ttlMs }: Belief): number {
    if (kind !== 'stale' || lastHeardMs !== undefined || deadlineMs !== undefined) return 0;
    return Math.max(0, this.#judgingSinceMs + ttlMs - this.#parts.clock.nowMs());
  }

  /** The judging begins: what was silent before is given a time to live from now. */
  beginJudging(): void {
    this.#judgingSinceMs = this.#parts.clock.nowMs();
  }

  evidenceFor(pod: ObservedPod, belief: Belief): SilenceEvidence | undefined {
    if (belief.kind !== 'stale') return undefined;
    const { clock, pods } = this.#parts;
    const { lastHeardMs } = belief;
    const sinceSeconds =
      lastHeardMs === undefined ? undefined : (clock.wallMs() - (clock.nowMs() - lastHeardMs)) / 1000;
    return silenceEvidence(pod, pods.nodeOf(pod), sinceSeconds);
  }

  /** Whether another instance of its service in the same Pod has taken its place. */
  isSuperseded(key: InstanceKey, belief: Belief, residents: ReadonlySet<InstanceKey>): boolean {
    if (belief.kind !== 'stale' || residents.size < 2) return false;
    const { engine, instances } = this.#parts;
    const silent = { belief, observed: instances.get(key)?.winner };
    const service = serviceOf(key);
    for (const other of residents) {
      if (other === key || serviceOf(other) !== service) continue;
      const otherBelief = engine.look(other);
      if (otherBelief === undefined) continue;
      if (isReplacedBy(silent, { belief: otherBelief, observed: instances.get(other)?.winner })) return true;
    }
    return false;
  }

  /** The instance is gone. */
  forget(key: InstanceKey): void {
    this.#conflicts.forget(key);
    this.#parts.bindings.forget(key);
  }

  #syncedOf(observed: ObservedInstance, uid: string, namespace: string, isSuperseded: boolean): Verdict {
    if (observed.namespace !== namespace) return otherNamespaceVerdict;
    if (isSuperseded) return supersededVerdict;
    const before = observed.status?.podRef?.uid === uid ? observed.status.podSynced : undefined;
    return this.#parts.syncedOf(uid) ?? before ?? notLookedAtVerdict;
  }
}

const NO_POD = {
  ref: undefined,
  isBound: false,
  isSuperseded: false,
  isReportForeign: false,
  hasConflict: undefined,
  evidence: undefined,
} as const;

/** Of one that was not heard since our start nothing new is known: what was said of it stays, unless it named a Pod that is gone. */
function unboundFacts({ namespace, status }: ObservedInstance, why: UnboundReason): Pick<PodFacts, 'ref' | 'synced'> {
  const ref = status?.podRef;
  if (why !== 'UnknownSender' || status?.podSynced === undefined)
    return { ref: undefined, synced: notBoundVerdict(why) };
  const isGone = ref !== undefined && isProof(ref.matchedBy) && ref.namespace === namespace;
  if (isGone) return { ref: undefined, synced: notBoundVerdict('NoPod') };
  return { ref, synced: status.podSynced };
}

/** Domain, project and service: all of the key but the instance id, which comes last. */
function serviceOf(key: InstanceKey): string {
  return key.slice(0, key.lastIndexOf('\n'));
}
