import type { LoopObserver, PodObserver } from '../controller/ports.ts';
import type { Timeline, TimelineNote } from '../controller/timeline.ts';
import type { Condition } from '../health/condition.ts';
import type { ObservedInstance } from '../health/observed-instance.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import { Reason } from '../health/reason.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';

/** What of an object is bound to a Pod by name; for the timeline. */
type Residents = (podUid: string) => Iterable<InstanceKey>;

type WhyLoop = Pick<LoopObserver, 'transitioned' | 'bound' | 'reported'>;
type WhyPods = Pick<PodObserver, 'podWritten' | 'podWriteFailed' | 'podHeld' | 'identityConflict'>;

/** Writes down for each instance what happened to it, so that somebody who asks why can be told. */
export function whyObserver(timeline: Timeline, wallMs: () => number, residentsOf: Residents): WhyLoop & WhyPods {
  const noteAll = (pod: ObservedPod, note: TimelineNote): void => {
    for (const key of residentsOf(pod.uid)) timeline.note(key, note);
  };
  const podWrite = (
    pod: ObservedPod,
    { status, reason }: Condition,
    result: 'ok' | 'absent' | 'throttled' | 'unreachable' | 'refused',
    tookMs: number,
  ): TimelineNote => ({ kind: 'podWrite', wallMs: wallMs(), pod: nameOf(pod), status, reason, result, tookMs });

  return {
    transitioned: (instance, before) => timeline.note(instance.key, transitionOf(instance, before, wallMs())),
    bound(key, ref, before) {
      const kind = ref === undefined ? 'unbound' : 'bound';
      const pod = ref ?? before;
      if (pod === undefined) return;
      const why = before === undefined || ref === undefined ? '' : `before: ${before.namespace}/${before.name}`;
      timeline.note(key, { kind, wallMs: wallMs(), pod: nameOf(pod), matchedBy: pod.matchedBy, why });
    },
    reported: (key, value, isStored) => timeline.note(key, { kind: 'report', wallMs: wallMs(), value, isStored }),
    podWritten: (pod, condition, { tookMs }) => noteAll(pod, podWrite(pod, condition, 'ok', tookMs)),
    podWriteFailed: (pod, condition, why) => noteAll(pod, podWrite(pod, condition, why, 0)),
    podHeld(pod, hold) {
      const change = hold === undefined ? 'ended' : 'began';
      const { reason, message } = hold ?? { reason: '', message: '' };
      noteAll(pod, { kind: 'hold', wallMs: wallMs(), change, reason, message });
    },
    identityConflict: (key, sender) => timeline.note(key, { kind: 'conflict', wallMs: wallMs(), sender }),
  };
}

function transitionOf(
  { status }: ObservedInstance,
  before: Condition['status'] | undefined,
  wallMs: number,
): TimelineNote {
  const expired = status?.expiredWallMs;
  const heard = status?.lastHeartbeatWallMs;
  // Of one that an earlier process heard the last heartbeat is known too roughly.
  const isExpired = expired !== undefined && status?.fresh?.reason === Reason.HeartbeatExpired;
  const ttlMs = (status?.effective?.ttlSeconds ?? 0) * 1000;
  return {
    kind: 'transition',
    wallMs,
    from: before,
    to: status?.healthy?.status ?? 'Unknown',
    reason: status?.healthy?.reason ?? '',
    deadlineWallMs: expired,
    lastHeardWallMs: heard,
    uncountedMs: isExpired && heard !== undefined ? Math.max(0, expired - heard - ttlMs) : 0,
    evidence: status?.healthy?.message ?? '',
  };
}

function nameOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}
