import { beforeEach, describe, expect, it } from 'vitest';
import type { Storm } from '../../src/brakes/storm.ts';
import type { ObjectEvent } from '../../src/controller/ports.ts';
import type { Condition, ConditionStatus } from '../../src/health/condition.ts';
import type { ObservedInstance } from '../../src/health/observed-instance.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import type { ObservedPolicy, PolicyStatus } from '../../src/health/observed-policy.ts';
import { addressSender } from '../../src/liveness/sender.ts';
import { eventObserver } from '../../src/operator/event-observers.ts';
import { condition, freshStatus, key, observed, pod, podCondition } from '../support/builders.ts';
import { policy } from '../support/pod-builders.ts';

let events: ObjectEvent[];
let policies: ObservedPolicy[];
let instances: ObservedInstance[];
let observer: ReturnType<typeof eventObserver>;

beforeEach(() => {
  events = [];
  policies = [];
  instances = [];
  observer = eventObserver(
    (event) => events.push(event),
    () => policies,
    (wanted) => instances.find((instance) => instance.key === wanted),
  );
});

const EXPIRED = condition({ status: 'False', reason: 'HeartbeatExpired', message: 'No heartbeat.' });
const RECEIVED = condition({ status: 'True', reason: 'HeartbeatReceived', message: 'Heartbeats arrive.' });
const PAUSED = condition({ status: 'Unknown', reason: 'Paused', message: 'Not judged.' });

const CART = { kind: 'HeartbeatInstance', namespace: 'default', name: 'cart-1', uid: 'uid-of-cart-1' };
const WEB = { kind: 'Pod', namespace: 'default', name: 'web-0', uid: 'uid-of-web-0' };
const ALL = { kind: 'HeartbeatPolicy', namespace: 'default', name: 'all', uid: 'uid-of-all' };

function judged(healthy: Condition, parts: Parameters<typeof freshStatus>[0] = {}): ObservedInstance {
  return observed('cart-1', { status: freshStatus({ healthy, healthySummary: healthy.status, ...parts }) });
}

describe('A verdict on an instance', () => {
  it.each([
    { healthy: EXPIRED, before: 'True', type: 'Warning' },
    { healthy: EXPIRED, before: undefined, type: 'Warning' },
    { healthy: RECEIVED, before: 'False', type: 'Normal' },
    { healthy: PAUSED, before: 'True', type: 'Normal' },
  ] as const)(
    'that was $before and is $healthy.status is a $type with the reason and the message of the condition',
    ({ healthy, before, type }) => {
      observer.transitioned(judged(healthy), before, undefined);
      const { reason, message: note } = healthy;
      expect(events).toEqual([{ regarding: CART, type, reason, action: 'Judge', note }]);
    },
  );

  it.each([RECEIVED, PAUSED])('that is the first one and $status is no news', (healthy) => {
    observer.transitioned(judged(healthy), undefined, undefined);
    expect(events).toEqual([]);
  });

  it('names the Pod that the instance is, so that it is found from there', () => {
    const podRef = { namespace: 'default', name: 'web-0', uid: 'uid-of-web-0', matchedBy: 'PodIP' } as const;
    observer.transitioned(judged(EXPIRED, { podRef }), 'True', 12);
    expect(events).toMatchObject([{ regarding: CART, related: WEB }]);
  });

  it('that nobody can see on the object is not told', () => {
    observer.transitioned(observed('cart-1'), 'True', undefined);
    expect(events).toEqual([]);
  });
});

/** Our condition on the Pod `web-0` was written; it was `from` before. */
function writePod(from: ConditionStatus | undefined, to: Condition, parts: Partial<ObservedPod> = {}): void {
  const before = pod('web-0', { condition: from && podCondition({ status: from }), ...parts });
  observer.podWritten(before, to, { tookMs: 5, delayMs: undefined, instances: [] });
}

describe('A condition that is written to a Pod', () => {
  it.each([
    { from: 'True', to: EXPIRED, hasGate: true, type: 'Warning', action: 'Withdraw' },
    { from: 'False', to: RECEIVED, hasGate: true, type: 'Normal', action: 'Restore' },
    { from: 'Unknown', to: RECEIVED, hasGate: true, type: 'Normal', action: 'Restore' },
    { from: 'True', to: EXPIRED, hasGate: false, type: 'Warning', action: 'Annotate' },
    { from: undefined, to: EXPIRED, hasGate: false, type: 'Warning', action: 'Annotate' },
    { from: 'False', to: RECEIVED, hasGate: false, type: 'Normal', action: 'Annotate' },
  ] as const)(
    'from $from to $to.status, gate: $hasGate, is a $type that says $action',
    ({ from, to, hasGate, type, action }) => {
      writePod(from, to, { hasGate });
      expect(events).toEqual([{ regarding: WEB, type, reason: to.reason, action, note: to.message }]);
    },
  );

  it.each([
    { what: 'other words for the same', from: 'True', to: podCondition({ reason: 'NotEnforced' }) },
    { what: 'a first good one, since every Pod has that', from: undefined, to: RECEIVED },
  ] as const)('is no event when it is $what', ({ from, to }) => {
    writePod(from, to);
    expect(events).toEqual([]);
  });
});

describe('A brake', () => {
  it('that begins to hold a Pod is a warning on it, with what was found', () => {
    observer.podHeld(pod('web-0'), { reason: 'StormHold', message: '8 of 10 Pods fell silent.' });
    expect(events).toEqual([
      { regarding: WEB, type: 'Warning', reason: 'StormHold', action: 'Hold', note: '8 of 10 Pods fell silent.' },
    ]);
  });

  it('that holds no longer is none: what follows is told by itself', () => {
    observer.podHeld(pod('web-0'), undefined);
    expect(events).toEqual([]);
  });

  it('Ready that did not follow is a warning on the Pod', () => {
    observer.readyDidNotFollow(pod('web-0'));
    expect(events).toEqual([
      expect.objectContaining({ regarding: WEB, type: 'Warning', reason: 'ReadyNotFollowed', action: 'Confirm' }),
    ]);
  });
});

describe('A storm', () => {
  const STORM: Storm = {
    scope: 'workload',
    name: 'shop/Deployment/web',
    beganMs: 0,
    silentCount: 8,
    reportedCount: 0,
    liveCount: 10,
    windowMs: 120_000,
    factor: { kind: 'node', name: 'n1', silentCount: 8 },
  };
  const FOUND = '8 of 10 Pods of shop/Deployment/web fell silent within 120 s, 8 of them on the node n1.';

  it('is told to every policy when it begins, with what was found and what the silent ones share', () => {
    policies = [policy('all'), policy('web')];
    observer.stormBegan(STORM);
    const told = { type: 'Warning', reason: 'StormBegan', action: 'Hold', note: FOUND };
    expect(events).toEqual([
      { ...told, regarding: ALL },
      { ...told, regarding: { ...ALL, name: 'web', uid: 'uid-of-web' } },
    ]);
  });

  it.each(['recovered', 'maximumDuration', 'gone'] as const)('that ended says why: %s', (why) => {
    policies = [policy('all')];
    observer.stormEnded(STORM, why);
    expect(events).toEqual([
      { regarding: ALL, type: 'Normal', reason: 'StormEnded', action: 'Release', note: `Ended (${why}): ${FOUND}` },
    ]);
  });

  it('is told to nobody where there is no policy', () => {
    observer.stormBegan(STORM);
    observer.stormEnded(STORM, 'recovered');
    expect(events).toEqual([]);
  });
});

describe('An identity conflict', () => {
  it('is a warning on the instance that names the other sender', () => {
    instances = [observed('cart-1')];
    observer.identityConflict(key('cart-1'), addressSender('10.0.0.9'));
    expect(events).toEqual([
      {
        regarding: CART,
        type: 'Warning',
        reason: 'ForeignSender',
        action: 'Bind',
        note: 'Heartbeats come from elsewhere than the bound Pod. They count as heard and rebind nothing. The last one came from 10.0.0.9.',
      },
    ]);
  });

  it('of an instance that has no object is told nowhere', () => {
    observer.identityConflict(key('cart-1'), addressSender('10.0.0.9'));
    expect(events).toEqual([]);
  });
});

describe('The status of a policy', () => {
  const WELL: PolicyStatus = {
    observedGeneration: 1,
    pods: 3,
    counts: { live: 3, fresh: 3, stale: 0, unknown: 0, held: 0 },
    accepted: condition({ reason: 'Valid', message: 'It can be used.' }),
    conflicted: condition({ status: 'False', reason: 'NoConflict', message: 'None.' }),
    listening: condition({ reason: 'Listening', message: 'Heard.' }),
    stormActive: condition({ status: 'False', reason: 'NoStorm', message: 'None.' }),
  };
  const INVALID = condition({ status: 'False', reason: 'InvalidSelector', message: 'It selects no Pod.' });
  const OVERRULED = condition({ reason: 'OverruledByPolicy', message: 'Ruled by shop.' });

  const write = (after: Partial<PolicyStatus>, before: PolicyStatus | undefined): void => {
    observer.policyWritten(policy('all', { status: { ...WELL, ...after } }), policy('all', { status: before }));
  };

  it.each([
    { what: 'that cannot be used', after: { accepted: INVALID }, told: INVALID },
    { what: 'that is overruled', after: { conflicted: OVERRULED }, told: OVERRULED },
  ])('$what is a warning on it, when that is new', ({ after, told }) => {
    const event = { regarding: ALL, type: 'Warning', reason: told.reason, action: 'Check', note: told.message };
    write(after, WELL);
    write(after, undefined);
    expect(events).toEqual([event, event]);
  });

  it('that cannot be used and is overruled is two', () => {
    write({ accepted: INVALID, conflicted: OVERRULED }, WELL);
    expect(events.map(({ reason }) => reason)).toEqual(['InvalidSelector', 'OverruledByPolicy']);
  });

  it.each([
    { what: 'was so before', after: { accepted: INVALID }, before: { ...WELL, accepted: INVALID } },
    { what: 'is well again', after: {}, before: { ...WELL, accepted: INVALID, conflicted: OVERRULED } },
    { what: 'is well from the first', after: {}, before: undefined },
    { what: 'has new counts', after: { pods: 4 }, before: WELL },
    { what: 'holds Pods in a storm, which is told by the storm', after: { stormActive: RECEIVED }, before: WELL },
    { what: 'has no conditions', after: { accepted: undefined, conflicted: undefined }, before: WELL },
  ])('that $what is no event', ({ after, before }) => {
    write(after, before);
    expect(events).toEqual([]);
  });
});
