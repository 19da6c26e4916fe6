/* oxlint-disable unicorn/consistent-function-scoping -- A word that one group of tests uses stands in that group. */
import { describe, expect, it, test } from 'vitest';
import type { Condition } from '../../src/health/condition.ts';
import {
  effectiveTiming,
  type HealthPlan,
  planDuplicate,
  planHealth,
  type PlanInput,
  type PodFacts,
} from '../../src/health/health-plan.ts';
import type { EffectiveTiming, InstanceStatus, ObservedInstance, PodRef } from '../../src/health/observed-instance.ts';
import type { Belief } from '../../src/liveness/liveness-engine.ts';
import { belief, condition, freshStatus, HOUR, MINUTE, observed, SECOND, TIMING, TTL } from '../support/builders.ts';

/** Now, on both clocks. The wall clock shows 2025-11-13T02:13:20.000Z. */
const NOW = 10 * HOUR;
const WALL = 1_763_000_000_000;
const WALL_SECONDS = WALL / 1000;
const LONG_AGO = 1_700_000_000;

const DEFAULT: EffectiveTiming = { ...TIMING, ttlSeconds: 120, source: 'Default' };
const WISH = { intervalSeconds: 5, times: 1 };
const WISHED: EffectiveTiming = { ...WISH, ttlSeconds: 10, source: 'Spec' };

const awaiting = condition({
  status: 'Unknown',
  reason: 'AwaitingFirstHeartbeat',
  message: 'No heartbeat has been received yet.',
});
const notHeardYet = { ...awaiting, message: 'No heartbeat has been received since the instance is judged.' };
const received = condition();
const expired = condition({
  status: 'False',
  reason: 'HeartbeatExpired',
  message:
    'No heartbeat within the time to live of 120 s (30 s × 4), last one at 2025-11-13T02:11:15.000Z. The deadline passed at 2025-11-13T02:13:15.000Z.',
});
const paused = condition({ status: 'Unknown', reason: 'Paused', message: 'Not judged while spec.paused is true.' });
const overridden = condition({
  status: 'False',
  reason: 'OverriddenOutOfService',
  message: 'A person took the instance out of service: spec.override is OutOfService.',
});
const NO_POD_MESSAGE = 'The instance is not bound to a Pod: no Pod is known at the address of its heartbeats.';
const notBound = condition({ status: 'False', reason: 'NotBound', message: NO_POD_MESSAGE });
const superseded = condition({
  status: 'Unknown',
  reason: 'Superseded',
  message: 'A newer instance of its service runs in the same Pod; this one no longer counts.',
});
const reportedDown = condition({
  status: 'False',
  reason: 'ReportedDown',
  message: 'The instance reported DOWN of itself.',
});
const foreign = condition({
  status: 'True',
  reason: 'ForeignSender',
  message: 'Heartbeats come from elsewhere than the bound Pod. They count as heard and rebind nothing.',
});
const onlyBoundPod = condition({
  status: 'False',
  reason: 'OnlyBoundPod',
  message: 'Heartbeats come from the bound Pod alone.',
});
const podCurrent = condition({ reason: 'PodConditionCurrent', message: 'The condition of the Pod shows the verdict.' });
const podSuperseded = condition({
  status: 'False',
  reason: 'Superseded',
  message: 'A newer instance of its service speaks for the Pod.',
});

const WEB: PodRef = { namespace: 'default', name: 'web-1', uid: 'uid-of-web-1', matchedBy: 'PodIP' };

const UNBOUND: PodFacts = {
  ref: undefined,
  synced: { status: 'False', reason: 'NotBound', message: NO_POD_MESSAGE },
  isBound: false,
  isSuperseded: false,
  isReportForeign: false,
  hasConflict: undefined,
  evidence: undefined,
};
/** Proved to be `web-1`, which shows the verdict. */
const BOUND: PodFacts = {
  ...UNBOUND,
  ref: WEB,
  isBound: true,
  hasConflict: false,
  synced: { status: 'True', reason: podCurrent.reason, message: podCurrent.message },
};
const SUPERSEDED: PodFacts = {
  ...BOUND,
  isSuperseded: true,
  synced: { status: 'False', reason: 'Superseded', message: podSuperseded.message },
};
/** What stands on an object whose instance is bound to `web-1`. */
const ON_WEB = { podRef: WEB, podSynced: podCurrent };
const OOM_KILLED = {
  reason: 'ContainerOOMKilled',
  text: 'The container app of web-1 OOMKilled with exit code 137 (1 restarts).',
};

const now = (condition: Condition): Condition => ({ ...condition, lastTransitionSeconds: WALL_SECONDS });

/** The status with `Fresh` and `Healthy` as given, the latter the same unless it is given as well. */
function status(fresh: Condition, parts: Partial<InstanceStatus> = {}): InstanceStatus {
  const healthy = parts.healthy ?? fresh;
  return { ...freshStatus({ fresh, healthy, healthySummary: healthy.status, podSynced: notBound }), ...parts };
}

/** Heard a second ago and stored so. */
const HEARD = { lastHeartbeatWallMs: WALL - SECOND };
/** Heard two minutes and five seconds ago, stale for five seconds, all of which counted. */
const stale = belief(NOW, { kind: 'stale', lastHeardMs: NOW - TTL - 5 * SECOND, deadlineMs: NOW - 5 * SECOND });
const staleBeforeOurTime = belief(NOW, { kind: 'stale', lastHeardMs: undefined, deadlineMs: undefined });
const STALE = { lastHeartbeatWallMs: WALL - 125 * SECOND, expiredWallMs: WALL - 5 * SECOND };
const unheard = belief(NOW, { kind: 'unheard', lastHeardMs: undefined, deadlineMs: NOW + MINUTE });

function plan(belief: Belief, observed: ObservedInstance, parts: Partial<PlanInput> = {}): HealthPlan {
  return planHealth({
    belief,
    observed,
    timing: effectiveTiming(observed.heartbeat, undefined, TIMING),
    pod: UNBOUND,
    nowMs: NOW,
    wallMs: WALL,
    refreshMs: 5 * MINUTE,
    retentionMs: HOUR,
    judgingSinceMs: 0,
    ...parts,
  });
}

const NOTHING: HealthPlan = { kind: 'nothing', lookAgainMs: undefined };
const transition = (status: InstanceStatus): HealthPlan => ({ kind: 'writeStatus', status, purpose: 'transition' });
const correction = (status: InstanceStatus): HealthPlan => ({ kind: 'writeStatus', status, purpose: 'correction' });
const refresh = (status: InstanceStatus): HealthPlan => ({ kind: 'writeStatus', status, purpose: 'refresh' });

interface Row {
  readonly title: string;
  readonly belief: Belief;
  readonly observed: Partial<ObservedInstance>;
  readonly parts?: Partial<PlanInput>;
  readonly plan: HealthPlan;
}

const ROWS: readonly Row[] = [
  {
    title: 'An object without a status whose instance was never heard awaits the first heartbeat',
    belief: belief(NOW, { kind: 'awaiting', lastHeardMs: undefined, deadlineMs: undefined }),
    observed: { managed: false },
    plan: transition(status(now(awaiting), { podSynced: now(notBound) })),
  },
  {
    title: 'An object that awaits the first heartbeat is left alone',
    belief: belief(NOW, { kind: 'awaiting', lastHeardMs: undefined, deadlineMs: undefined }),
    observed: { status: status(awaiting) },
    plan: NOTHING,
  },
  {
    title: 'An object without a status whose instance beats is healthy, with the exact time of the heartbeat',
    belief: belief(NOW),
    observed: {},
    plan: transition(status(now(received), { ...HEARD, podSynced: now(notBound) })),
  },
  {
    title: 'The first heartbeat of an awaited instance makes it healthy',
    belief: belief(NOW),
    observed: { status: status(awaiting) },
    plan: transition(status(now(received), HEARD)),
  },
  {
    title: 'An instance that beats and whose object says so is left alone',
    belief: belief(NOW),
    observed: { status: status(received, { lastHeartbeatWallMs: WALL - 4 * MINUTE }) },
    plan: NOTHING,
  },
  {
    title: 'A stored heartbeat that became too old is written anew, which is a mere refresh',
    belief: belief(NOW),
    observed: { status: status(received, { lastHeartbeatWallMs: WALL - SECOND - 5 * MINUTE }) },
    plan: refresh(status(received, HEARD)),
  },
  {
    title: 'A stored heartbeat one millisecond younger than that is left alone',
    belief: belief(NOW),
    observed: { status: status(received, { lastHeartbeatWallMs: WALL - SECOND - 5 * MINUTE + 1 }) },
    plan: NOTHING,
  },
  {
    title: 'A stored heartbeat in the future was written under another clock and is written anew',
    belief: belief(NOW),
    observed: { status: status(received, { lastHeartbeatWallMs: WALL + HOUR }) },
    plan: refresh(status(received, HEARD)),
  },
  {
    title: 'An object with conditions but without a time of the last heartbeat gets one',
    belief: belief(NOW),
    observed: { status: status(received) },
    plan: refresh(status(received, HEARD)),
  },
  {
    title: 'Silence past the deadline is unhealthy, with the exact times of heartbeat and deadline',
    belief: stale,
    observed: { status: status(received, HEARD) },
    plan: transition(status(now(expired), STALE)),
  },
  {
    title: 'Time that did not count as silence is told',
    belief: belief(NOW, { kind: 'stale', lastHeardMs: NOW - TTL - 35 * SECOND, deadlineMs: NOW - 5 * SECOND }),
    observed: { status: status(received, HEARD) },
    plan: transition(
      status(
        now({
          ...expired,
          message:
            'No heartbeat within the time to live of 120 s (30 s × 4), last one at 2025-11-13T02:10:45.000Z. The deadline passed at 2025-11-13T02:13:15.000Z. 30.0 s of the silence did not count.',
        }),
        { lastHeartbeatWallMs: WALL - 155 * SECOND, expiredWallMs: WALL - 5 * SECOND },
      ),
    ),
  },
  {
    title: 'Silence since our start is another reason than silence after a heartbeat, and the stored heartbeat stays',
    belief: belief(NOW, { kind: 'stale', lastHeardMs: undefined, deadlineMs: NOW - 5 * SECOND }),
    observed: { status: status(received, { lastHeartbeatWallMs: WALL - HOUR }) },
    plan: transition(
      status(
        now({
          ...expired,
          reason: 'NotHeardSinceObserverStart',
          message:
            'No heartbeat for the whole time to live of 120 s (30 s × 4) since the operator started to listen. The deadline passed at 2025-11-13T02:13:15.000Z.',
        }),
        { lastHeartbeatWallMs: WALL - HOUR, expiredWallMs: WALL - 5 * SECOND },
      ),
    ),
  },
  {
    title: 'A stale instance stays stale to the letter',
    belief: stale,
    observed: { managed: false, status: status(expired, STALE) },
    plan: NOTHING,
  },
  {
    title: 'A stale instance stays stale to the letter when we know less of it than what is written',
    belief: staleBeforeOurTime,
    observed: { managed: false, status: status(expired, STALE) },
    plan: NOTHING,
  },
  {
    title: 'A heartbeat of a stale instance makes it healthy and takes the deadline away',
    belief: belief(NOW),
    observed: { status: status(expired, STALE) },
    plan: transition(status(now(received), HEARD)),
  },
  {
    title: 'After our restart a healthy instance that was not heard yet keeps its conditions to the letter',
    belief: unheard,
    observed: {
      status: status({ ...received, message: 'Written by an older version.' }, { lastHeartbeatWallMs: WALL - HOUR }),
    },
    plan: NOTHING,
  },
  {
    title: 'After our restart an object of ours without a status awaits the first heartbeat',
    belief: unheard,
    observed: {},
    plan: transition(status(now(notHeardYet), { podSynced: now(notBound) })),
  },
  {
    title: 'After our restart an instance that was confirmed keeps its conditions and its transition time',
    belief: belief(NOW),
    observed: { status: status(received, { lastHeartbeatWallMs: WALL - 2 * MINUTE }) },
    plan: NOTHING,
  },
  {
    title: 'A resumed instance that must be heard first is awaited again',
    belief: unheard,
    observed: { generation: 3, status: status(paused, HEARD) },
    plan: correction(generation(3, status(notHeardYet, HEARD))),
  },
  {
    title: 'A person takes an instance out of service that beats: Fresh stays, Healthy falls',
    belief: belief(NOW),
    observed: { generation: 2, outOfService: true, status: status(received, HEARD) },
    plan: transition(generation(2, status(received, { ...HEARD, healthy: now(overridden), healthySummary: 'False' }))),
  },
  {
    title: 'An instance out of service that falls silent keeps its override, and Fresh tells the truth',
    belief: stale,
    observed: {
      outOfService: true,
      status: status(received, { ...HEARD, healthy: overridden, healthySummary: 'False' }),
    },
    plan: correction(status(now(expired), { ...STALE, healthy: overridden, healthySummary: 'False' })),
  },
  {
    title: 'An instance out of service that recovers stays out of service',
    belief: belief(NOW),
    observed: {
      outOfService: true,
      status: status(expired, { ...STALE, healthy: overridden, healthySummary: 'False' }),
    },
    plan: correction(status(now(received), { ...HEARD, healthy: overridden, healthySummary: 'False' })),
  },
  {
    title: 'An instance that is back in service shows its heartbeats again',
    belief: belief(NOW),
    observed: { generation: 3, status: status(received, { ...HEARD, healthy: overridden, healthySummary: 'False' }) },
    plan: transition(generation(3, status(received, { ...HEARD, healthy: now(received) }))),
  },
  {
    title: 'A paused instance is not judged',
    belief: belief(NOW, { isPaused: true }),
    observed: { generation: 2, paused: true, status: status(received, HEARD) },
    plan: transition(generation(2, status(now(paused), HEARD))),
  },
  {
    title: 'A paused instance that was stale loses its deadline',
    belief: { ...stale, isPaused: true },
    observed: { generation: 2, paused: true, status: status(expired, STALE) },
    plan: transition(generation(2, status(now(paused), { lastHeartbeatWallMs: STALE.lastHeartbeatWallMs }))),
  },
  {
    title: 'A paused instance that is out of service as well is out of service',
    belief: belief(NOW, { isPaused: true }),
    observed: { paused: true, outOfService: true, status: status(received, HEARD) },
    plan: transition(status(now(paused), { ...HEARD, healthy: now(overridden), healthySummary: 'False' })),
  },
  {
    title: 'A new time to live changes what is in force and the words, and is no transition',
    belief: belief(NOW, { ttlMs: 10 * SECOND, deadlineMs: NOW + 9 * SECOND }),
    observed: { generation: 2, heartbeat: WISH, status: status(received, HEARD) },
    plan: correction(
      generation(
        2,
        status(
          { ...received, message: 'Heartbeats arrive within the time to live of 10 s (5 s × 2).' },
          { ...HEARD, effective: WISHED },
        ),
      ),
    ),
  },
  {
    title: 'A new time to live of a stale instance changes what is in force, not what happened',
    belief: { ...stale, ttlMs: 10 * SECOND },
    observed: { generation: 2, heartbeat: WISH, status: status(expired, STALE) },
    plan: correction(generation(2, status(expired, { ...STALE, effective: WISHED }))),
  },
  {
    title: 'An edit that changes nothing for us is still seen: every condition names the new generation',
    belief: belief(NOW),
    observed: { generation: 7, status: status(received, HEARD) },
    plan: correction(generation(7, status(received, HEARD))),
  },
  {
    title: 'A jump of the wall clock by an hour changes no condition of an instance that beats',
    belief: belief(NOW),
    observed: { status: status(received, { lastHeartbeatWallMs: WALL - MINUTE }) },
    parts: { wallMs: WALL + HOUR },
    plan: refresh(status(received, { lastHeartbeatWallMs: WALL + HOUR - SECOND })),
  },
  {
    title: 'A jump of the wall clock back by an hour changes no condition of an instance that beats',
    belief: belief(NOW),
    observed: { status: status(received, { lastHeartbeatWallMs: WALL - MINUTE }) },
    parts: { wallMs: WALL - HOUR },
    plan: refresh(status(received, { lastHeartbeatWallMs: WALL - HOUR - SECOND })),
  },
];

const DOWN = { value: 'DOWN', wallMs: WALL - MINUTE, podUid: WEB.uid } as const;

/** What the Pod of an instance, and the instance itself, add to it. */
const POD_ROWS: readonly Row[] = [
  {
    title: 'An instance that is bound says which Pod it is and by what evidence',
    belief: belief(NOW),
    observed: { status: status(received, HEARD) },
    parts: { pod: BOUND },
    plan: correction(status(received, { ...HEARD, podRef: WEB, podSynced: now(podCurrent) })),
  },
  {
    title: 'An instance that is bound and says so is left alone',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, ...ON_WEB }) },
    parts: { pod: BOUND },
    plan: NOTHING,
  },
  {
    title: 'I16: an instance that is found in a namesake with another uid says so',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, ...ON_WEB, podRef: { ...WEB, uid: 'uid-of-an-older-web-1' } }) },
    parts: { pod: BOUND },
    plan: correction(status(received, { ...HEARD, ...ON_WEB })),
  },
  {
    title: 'Evidence that was a hint and became proof is told',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, ...ON_WEB, podRef: { ...WEB, matchedBy: 'InstanceId' } }) },
    parts: { pod: BOUND },
    plan: correction(status(received, { ...HEARD, ...ON_WEB })),
  },
  {
    title: 'An instance that is bound no longer loses its Pod and says why',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, ...ON_WEB }) },
    plan: correction(status(received, { ...HEARD, podSynced: now(notBound) })),
  },
  {
    title: 'A Pod that is held in service is told on the instance, whose own verdict stays true',
    belief: stale,
    observed: { status: status(expired, { ...STALE, ...ON_WEB }) },
    parts: { pod: { ...BOUND, synced: { status: 'False', reason: 'StormHold', message: 'A storm.' } } },
    plan: correction(
      status(expired, {
        ...STALE,
        podRef: WEB,
        podSynced: now(condition({ status: 'False', reason: 'StormHold', message: 'A storm.' })),
      }),
    ),
  },
  {
    title: "A silence that the Pod's state explains carries the reason and the sentence; Fresh keeps its own",
    belief: stale,
    observed: { status: status(received, { ...HEARD, ...ON_WEB }) },
    parts: { pod: { ...BOUND, evidence: OOM_KILLED } },
    plan: transition(
      status(now(expired), {
        ...STALE,
        ...ON_WEB,
        healthy: now({ ...expired, reason: OOM_KILLED.reason, message: `${expired.message} ${OOM_KILLED.text}` }),
        healthySummary: 'False',
      }),
    ),
  },
  {
    title: 'I15: evidence that changes while the instance stays silent causes no write',
    belief: stale,
    observed: {
      status: status(expired, {
        ...STALE,
        ...ON_WEB,
        healthy: { ...expired, reason: OOM_KILLED.reason, message: `${expired.message} ${OOM_KILLED.text}` },
      }),
    },
    parts: { pod: { ...BOUND, evidence: { reason: 'ContainerWaiting', text: 'It waits.' } } },
    plan: NOTHING,
  },
  {
    title: 'I15: evidence that is gone while the instance stays silent causes no write',
    belief: stale,
    observed: {
      status: status(expired, {
        ...STALE,
        ...ON_WEB,
        healthy: { ...expired, reason: OOM_KILLED.reason, message: `${expired.message} ${OOM_KILLED.text}` },
      }),
    },
    parts: { pod: BOUND },
    plan: NOTHING,
  },
  {
    title: 'A new silence is explained anew',
    belief: stale,
    observed: {
      status: status(
        { ...expired, message: 'An older silence.' },
        {
          lastHeartbeatWallMs: WALL - HOUR,
          expiredWallMs: WALL - HOUR + TTL,
          ...ON_WEB,
          healthy: { ...expired, reason: OOM_KILLED.reason, message: `An older silence. ${OOM_KILLED.text}` },
        },
      ),
    },
    parts: { pod: { ...BOUND, evidence: { reason: 'NodeNotReady', text: 'Its node node-1 is not ready.' } } },
    plan: correction(
      status(expired, {
        ...STALE,
        ...ON_WEB,
        healthy: {
          ...expired,
          reason: 'NodeNotReady',
          message: `${expired.message} Its node node-1 is not ready.`,
        },
      }),
    ),
  },
  {
    title: 'Evidence without a silence is no news',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, ...ON_WEB }) },
    parts: { pod: { ...BOUND, evidence: OOM_KILLED } },
    plan: NOTHING,
  },
  {
    title: 'An instance that was replaced by another in its Pod no longer counts: Healthy is Unknown, Fresh stays true',
    belief: stale,
    observed: { status: status(received, { ...HEARD, ...ON_WEB }) },
    parts: { pod: SUPERSEDED },
    plan: transition(
      status(now(expired), {
        ...STALE,
        podRef: WEB,
        podSynced: now(podSuperseded),
        healthy: now(superseded),
        healthySummary: 'Unknown',
      }),
    ),
  },
  {
    title: 'An instance that was called unhealthy before its successor was heard is taken back',
    belief: stale,
    observed: { status: status(expired, { ...STALE, ...ON_WEB }) },
    parts: { pod: SUPERSEDED },
    plan: transition(
      status(expired, {
        ...STALE,
        podRef: WEB,
        podSynced: now(podSuperseded),
        healthy: now(superseded),
        healthySummary: 'Unknown',
      }),
    ),
  },
  {
    title: 'I25: an instance that was replaced and that a person took out of service is out of service',
    belief: stale,
    observed: { outOfService: true, status: status(expired, { ...STALE, ...ON_WEB }) },
    parts: { pod: { ...SUPERSEDED, synced: BOUND.synced } },
    plan: correction(status(expired, { ...STALE, ...ON_WEB, healthy: overridden, healthySummary: 'False' })),
  },
  {
    title: 'An instance that reported itself down is unhealthy though it beats',
    belief: belief(NOW),
    observed: { reported: DOWN, status: status(received, HEARD) },
    plan: transition(status(received, { ...HEARD, healthy: now(reportedDown), healthySummary: 'False' })),
  },
  {
    title: 'A report that the Pod of the instance did not make does not count',
    belief: belief(NOW),
    observed: { reported: DOWN, status: status(received, { ...HEARD, ...ON_WEB }) },
    parts: { pod: { ...BOUND, isReportForeign: true } },
    plan: NOTHING,
  },
  {
    title: 'A report that turns out not to be made by the Pod of the instance is taken back',
    belief: belief(NOW),
    observed: {
      reported: DOWN,
      status: status(received, { ...HEARD, ...ON_WEB, healthy: reportedDown, healthySummary: 'False' }),
    },
    parts: { pod: { ...BOUND, isReportForeign: true } },
    plan: transition(status(received, { ...HEARD, ...ON_WEB, healthy: now(received) })),
  },
  {
    title: 'A report survives our restart: the instance stays down to the letter until it says otherwise',
    belief: unheard,
    observed: {
      reported: DOWN,
      status: status(received, { ...HEARD, healthy: reportedDown, healthySummary: 'False' }),
    },
    plan: NOTHING,
  },
  {
    title: 'A heartbeat does not take a report back',
    belief: belief(NOW),
    observed: {
      reported: DOWN,
      status: status(received, { ...HEARD, healthy: reportedDown, healthySummary: 'False' }),
    },
    plan: NOTHING,
  },
  {
    title: 'A report UP makes it healthy again',
    belief: belief(NOW),
    observed: {
      reported: { value: 'UP', wallMs: WALL, podUid: WEB.uid },
      status: status(received, { ...HEARD, healthy: reportedDown, healthySummary: 'False' }),
    },
    plan: transition(status(received, { ...HEARD, healthy: now(received) })),
  },
  {
    title: 'An instance that reported itself down and then falls silent is silent: that is newer',
    belief: stale,
    observed: {
      reported: DOWN,
      status: status(received, { ...HEARD, healthy: reportedDown, healthySummary: 'False' }),
    },
    plan: correction(status(now(expired), { ...STALE, healthy: expired })),
  },
  {
    title: 'I25: a person beats what the application says of itself',
    belief: belief(NOW),
    observed: {
      outOfService: true,
      reported: { value: 'UP', wallMs: WALL, podUid: WEB.uid },
      status: status(received, { ...HEARD, healthy: overridden, healthySummary: 'False' }),
    },
    plan: NOTHING,
  },
  {
    title: 'An identity conflict is told, and changes no verdict',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, ...ON_WEB }) },
    parts: { pod: { ...BOUND, hasConflict: true } },
    plan: correction(status(received, { ...HEARD, ...ON_WEB, identityConflict: now(foreign) })),
  },
  {
    title: 'An identity conflict that is over is told, too',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, ...ON_WEB, identityConflict: foreign }) },
    parts: { pod: BOUND },
    plan: correction(status(received, { ...HEARD, ...ON_WEB, identityConflict: now(onlyBoundPod) })),
  },
  {
    title: 'An identity conflict ends when the instance is bound no longer',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, identityConflict: foreign }) },
    plan: correction(status(received, { ...HEARD, identityConflict: now(onlyBoundPod) })),
  },
  {
    title: 'Of an identity conflict that never was nothing is said',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, ...ON_WEB }) },
    parts: { pod: { ...BOUND, hasConflict: false } },
    plan: NOTHING,
  },
  {
    title: "A policy's time to live is in force, and says that it is the policy's",
    belief: belief(NOW, { ttlMs: 10 * SECOND, deadlineMs: NOW + 9 * SECOND }),
    observed: { status: status(received, { ...HEARD, ...ON_WEB }) },
    parts: { pod: BOUND, timing: { ...WISHED, source: 'Policy' } },
    plan: correction(
      status(
        { ...received, message: 'Heartbeats arrive within the time to live of 10 s (5 s × 2).' },
        { ...HEARD, ...ON_WEB, effective: { ...WISHED, source: 'Policy' } },
      ),
    ),
  },
  {
    title: 'A policy that says what the default said is told by its name alone',
    belief: belief(NOW),
    observed: { status: status(received, { ...HEARD, ...ON_WEB }) },
    parts: { pod: BOUND, timing: { ...DEFAULT, source: 'Policy' } },
    plan: correction(status(received, { ...HEARD, ...ON_WEB, effective: { ...DEFAULT, source: 'Policy' } })),
  },
];

function generation(number: number, status: InstanceStatus): InstanceStatus {
  const seen = (condition: Condition | undefined): Condition | undefined =>
    condition === undefined ? undefined : { ...condition, observedGeneration: number };
  return {
    ...status,
    fresh: seen(status.fresh),
    healthy: seen(status.healthy),
    podSynced: seen(status.podSynced),
    observedGeneration: number,
  };
}

describe.each([
  { what: 'by itself', rows: ROWS },
  { what: 'with its Pod and its reports', rows: POD_ROWS },
])('The plan for one instance $what', ({ rows }) => {
  test.each(rows)('$title', (row) => {
    expect(plan(row.belief, observed('a', row.observed), row.parts)).toEqual(row.plan);
  });

  test.each(rows)('once carried out leaves nothing to do: $title', (row) => {
    const status = row.plan.kind === 'writeStatus' ? row.plan.status : row.observed.status;
    const after = observed('a', { ...row.observed, managed: false, status });
    expect(
      plan(row.belief, after, { ...row.parts, wallMs: (row.parts?.wallMs ?? WALL) + MINUTE, nowMs: NOW + MINUTE }),
    ).toEqual(NOTHING);
  });
});

/** Stale since `sinceMs` before now, and written so. */
function staleFor(sinceMs: number, parts: Partial<ObservedInstance> = {}): ObservedInstance {
  return observed('a', {
    status: status(expired, { lastHeartbeatWallMs: WALL - sinceMs - TTL, expiredWallMs: WALL - sinceMs }),
    ...parts,
  });
}

/** The same of one that was replaced by another in its Pod, and says so. */
const replaced = (sinceMs: number, parts: Partial<ObservedInstance> = {}): ObservedInstance => {
  const object = staleFor(sinceMs, parts);
  if (object.status === undefined) return object;
  const shown = { healthy: superseded, healthySummary: 'Unknown', podRef: WEB, podSynced: podSuperseded } as const;
  return { ...object, status: { ...object.status, ...shown } };
};

const REMOVE: HealthPlan = { kind: 'remove' };
const wait = (lookAgainMs: number): HealthPlan => ({ kind: 'nothing', lookAgainMs });

describe('An object of ours whose instance stays silent', () => {
  it.each([
    { title: 'is looked at again when its time is over', observed: staleFor(10 * MINUTE), plan: wait(50 * MINUTE) },
    { title: 'is kept until the last millisecond', observed: staleFor(HOUR - 1), plan: wait(1) },
    { title: 'is removed when its time is over', observed: staleFor(HOUR), plan: REMOVE },
    { title: 'is kept for ever if a person made it', observed: staleFor(HOUR, { managed: false }), plan: NOTHING },
    {
      title: 'is kept for ever if a person wished for a timing',
      observed: staleFor(HOUR, {
        heartbeat: TIMING,
        status: { ...status(expired), expiredWallMs: WALL - HOUR, effective: { ...DEFAULT, source: 'Spec' } },
      }),
      plan: NOTHING,
    },
    {
      title: 'is kept for ever if a person took it out of service',
      observed: staleFor(HOUR, {
        outOfService: true,
        status: status(expired, { healthy: overridden, healthySummary: 'False', expiredWallMs: WALL - HOUR }),
      }),
      plan: NOTHING,
    },
    {
      title: 'is kept while its deadline is not written',
      observed: observed('a', { status: status(expired) }),
      plan: NOTHING,
    },
    {
      title: 'is kept for a time to live after our start, however long it has been silent',
      observed: staleFor(100 * HOUR),
      parts: { judgingSinceMs: NOW - MINUTE },
      plan: wait(MINUTE),
    },
    {
      title: 'is removed when a time to live after our start has passed',
      observed: staleFor(100 * HOUR),
      parts: { judgingSinceMs: NOW - TTL },
      plan: REMOVE,
    },
    {
      title: 'is kept longer when the wall clock jumps back',
      observed: staleFor(HOUR),
      parts: { wallMs: WALL - HOUR },
      plan: wait(HOUR),
    },
    {
      title: 'is kept for a time to live after our start even when the wall clock jumps ahead by a year',
      observed: staleFor(0),
      parts: { wallMs: WALL + 8_766 * HOUR, judgingSinceMs: NOW - MINUTE },
      plan: wait(MINUTE),
    },
  ] as { title: string; observed: ObservedInstance; plan: HealthPlan; parts?: Partial<PlanInput> }[])(
    '$title',
    (row) => {
      expect(plan(staleBeforeOurTime, row.observed, row.parts)).toEqual(row.plan);
    },
  );

  it.each([
    {
      title: 'and is bound ends with its Pod, however long that takes',
      object: staleFor(100 * HOUR, {}),
      pod: BOUND,
      plan: NOTHING,
    },
    {
      title: 'and whose Pod is only a hint is removed by its age',
      object: staleFor(HOUR),
      pod: { ...BOUND, isBound: false },
      plan: REMOVE,
    },
  ])('$title', ({ object, pod, plan: expected }) => {
    const status = object.status === undefined ? undefined : { ...object.status, ...ON_WEB };
    expect(plan(staleBeforeOurTime, { ...object, status }, { pod })).toEqual(expected);
  });

  describe('and was replaced by another in its Pod', () => {
    it.each([
      { title: 'is kept for one time to live after its deadline', object: replaced(TTL - 1), plan: wait(1) },
      { title: 'is removed then, long before its retention is over', object: replaced(TTL), plan: REMOVE },
      { title: 'is kept if a person made it', object: replaced(TTL, { managed: false }), plan: NOTHING },
      {
        title: 'is kept for a time to live after our start',
        object: replaced(TTL),
        parts: { judgingSinceMs: NOW - 1 },
        plan: wait(TTL - 1),
      },
    ] as { title: string; object: ObservedInstance; plan: HealthPlan; parts?: Partial<PlanInput> }[])(
      '$title',
      (row) => {
        expect(plan(staleBeforeOurTime, row.object, { pod: SUPERSEDED, ...row.parts })).toEqual(row.plan);
      },
    );
  });

  it('is kept for ever while it is paused', () => {
    const object = staleFor(HOUR, { paused: true });
    expect(plan({ ...stale, isPaused: true }, object).kind).toBe('writeStatus');
  });

  it.each(['fresh', 'unheard', 'awaiting'] as const)('is kept once the instance is %s', (kind) => {
    expect(plan(belief(NOW, { kind }), staleFor(100 * HOUR)).kind).not.toBe('remove');
  });
});

describe('An object whose identity an older one has', () => {
  const winner = observed('older', { namespace: 'shop' });
  const duplicate = condition({
    status: 'Unknown',
    reason: 'DuplicateIdentity',
    message: 'shop/older has the same identity and is older; it is the one that counts.',
  });
  const told = status(duplicate, { podSynced: duplicate });

  it('says so, and names the one that counts', () => {
    expect(planDuplicate(observed('a'), winner, TIMING, WALL)).toEqual(
      correction(status(now(duplicate), { podSynced: now(duplicate) })),
    );
  });

  it('says nothing any more of heartbeats and deadlines', () => {
    const before = observed('a', { status: status(expired, STALE) });
    expect(planDuplicate(before, winner, TIMING, WALL)).toEqual(
      correction(status(now(duplicate), { podSynced: now(duplicate) })),
    );
  });

  it('belongs to no Pod any more, and what it was reported to be is not its own', () => {
    const before = observed('a', {
      reported: { value: 'DOWN', wallMs: WALL, podUid: WEB.uid },
      status: status(reportedDown, { fresh: received, ...ON_WEB }),
    });
    expect(planDuplicate(before, winner, TIMING, WALL)).toEqual(
      correction(status(now(duplicate), { podSynced: now(duplicate) })),
    );
  });

  it('is left alone once it says so', () => {
    expect(planDuplicate(observed('a', { status: told }), winner, TIMING, WALL)).toEqual(NOTHING);
  });

  it('is out of service if a person said so', () => {
    const before = observed('a', { outOfService: true, status: told });
    expect(planDuplicate(before, winner, TIMING, WALL)).toEqual(
      correction(status(duplicate, { podSynced: duplicate, healthy: now(overridden), healthySummary: 'False' })),
    );
  });

  it('names another when another is the oldest', () => {
    const other = observed('oldest', { namespace: 'shop' });
    const plan = planDuplicate(observed('a', { status: told }), other, TIMING, WALL);
    expect(plan).toMatchObject({
      kind: 'writeStatus',
      status: { fresh: { lastTransitionSeconds: LONG_AGO, message: expect.stringContaining('shop/oldest') } },
    });
  });
});

describe('The timing in force', () => {
  it("is a person's wish, else the default", () => {
    expect(effectiveTiming(undefined, undefined, TIMING)).toEqual(DEFAULT);
    expect(effectiveTiming(WISH, undefined, TIMING)).toEqual(WISHED);
  });

  it.each([
    { what: 'the policy beats the default', wish: undefined, policy: WISH, timing: { ...WISHED, source: 'Policy' } },
    { what: 'a person beats the policy', wish: WISH, policy: TIMING, timing: WISHED },
    {
      what: 'a policy that says what the default says still counts',
      wish: undefined,
      policy: TIMING,
      timing: { ...DEFAULT, source: 'Policy' },
    },
  ] as const)('is found in the order of who may say so: $what', ({ wish, policy, timing }) => {
    expect(effectiveTiming(wish, policy, TIMING)).toEqual(timing);
  });

  it('takes nothing from a policy but interval and times', () => {
    const policy = { intervalSeconds: 5, times: 1, somethingElse: 7 };
    expect(effectiveTiming(undefined, policy, TIMING)).toEqual({ ...WISHED, source: 'Policy' });
  });

  it('is the wish even if that asks for the same numbers', () => {
    expect(effectiveTiming(TIMING, undefined, TIMING)).toEqual({ ...DEFAULT, source: 'Spec' });
  });
});
