import { beforeEach, describe, expect, it } from 'vitest';
import { Timeline, type TimelineEntry } from '../../src/controller/timeline.ts';
import type { InstanceStatus } from '../../src/health/observed-instance.ts';
import type { InstanceKey } from '../../src/liveness/instance-key.ts';
import { addressSender } from '../../src/liveness/sender.ts';
import { whyObserver } from '../../src/operator/why.ts';
import { condition, freshStatus, key, observed, pod, podCondition, TTL } from '../support/builders.ts';

const NOW = 1_763_000_000_123;

/** What is written to each entry beside what happened: once, and just now. */
const JUST_NOW = { wallMs: NOW, times: 1, lastWallMs: NOW };

const WEB = { namespace: 'default', name: 'web-0', uid: 'uid-of-web-0', matchedBy: 'PodIP' } as const;
const OTHER = { namespace: 'default', name: 'web-1', uid: 'uid-of-web-1', matchedBy: 'Token' } as const;

let timeline: Timeline;
let why: ReturnType<typeof whyObserver>;

beforeEach(() => {
  timeline = new Timeline();
  const residents = new Map<string, readonly InstanceKey[]>([[WEB.uid, [key('a'), key('b')]]]);
  why = whyObserver(
    timeline,
    () => NOW,
    (uid) => residents.get(uid) ?? [],
  );
});

const toldOf = (instanceId: string): readonly TimelineEntry[] => timeline.of(key(instanceId));

function staleStatus(parts: Partial<InstanceStatus> = {}): InstanceStatus {
  return freshStatus({
    healthy: condition({ status: 'False', reason: 'HeartbeatExpired', message: 'No heartbeat.' }),
    fresh: condition({ status: 'False', reason: 'HeartbeatExpired', message: 'No heartbeat.' }),
    lastHeartbeatWallMs: NOW - TTL,
    expiredWallMs: NOW,
    ...parts,
  });
}

describe('A verdict', () => {
  it('is told with its deadline, the last heartbeat and what was known', () => {
    why.transitioned(observed('a', { status: staleStatus() }), 'True', 12);
    expect(toldOf('a')).toEqual([
      {
        kind: 'transition',
        from: 'True',
        to: 'False',
        reason: 'HeartbeatExpired',
        deadlineWallMs: NOW,
        lastHeardWallMs: NOW - TTL,
        uncountedMs: 0,
        evidence: 'No heartbeat.',
        ...JUST_NOW,
      },
    ]);
  });

  it.each([
    { what: 'none of the silence when it was as long as the time to live', silence: TTL, uncountedMs: 0 },
    { what: 'the rest of the silence when it was longer', silence: TTL + 7_500, uncountedMs: 7_500 },
    { what: 'none of the silence when a time to live was made longer during it', silence: TTL - 1, uncountedMs: 0 },
  ])('tells as not counted $what', ({ silence, uncountedMs }) => {
    why.transitioned(observed('a', { status: staleStatus({ lastHeartbeatWallMs: NOW - silence }) }), 'True', 12);
    expect(toldOf('a')).toMatchObject([{ uncountedMs, lastHeardWallMs: NOW - silence }]);
  });

  it.each([
    { what: 'that no deadline caused has none', parts: { expiredWallMs: undefined } },
    {
      what: 'on one that an earlier process heard last',
      parts: { fresh: condition({ status: 'False', reason: 'NotHeardSinceObserverStart' }) },
    },
    { what: 'on one that was never heard has no last heartbeat', parts: { lastHeartbeatWallMs: undefined } },
  ])('$what, and nothing that did not count', ({ parts }) => {
    const status = staleStatus({ lastHeartbeatWallMs: NOW - TTL - 7_500, ...parts });
    why.transitioned(observed('a', { status }), 'True', undefined);
    expect(toldOf('a')).toMatchObject([
      {
        deadlineWallMs: 'expiredWallMs' in parts ? undefined : NOW,
        lastHeardWallMs: 'lastHeartbeatWallMs' in parts ? undefined : NOW - TTL - 7_500,
        uncountedMs: 0,
      },
    ]);
  });

  it('that is the first one comes from nowhere', () => {
    why.transitioned(observed('a', { status: freshStatus() }), undefined, undefined);
    expect(toldOf('a')).toMatchObject([{ from: undefined, to: 'True', reason: 'HeartbeatReceived' }]);
  });

  it('on an object without a status is unknown, and breaks nothing', () => {
    why.transitioned(observed('a'), 'True', undefined);
    expect(toldOf('a')).toMatchObject([{ from: 'True', to: 'Unknown', reason: '', evidence: '', uncountedMs: 0 }]);
  });

  it('is told of its own instance alone', () => {
    why.transitioned(observed('a', { status: staleStatus() }), 'True', 12);
    expect(toldOf('b')).toEqual([]);
  });
});

describe('A binding', () => {
  it.each([
    {
      what: 'to a first Pod',
      ref: WEB,
      before: undefined,
      told: { kind: 'bound', pod: 'default/web-0', matchedBy: 'PodIP', why: '' },
    },
    {
      what: 'to another Pod, with the one before',
      ref: OTHER,
      before: WEB,
      told: { kind: 'bound', pod: 'default/web-1', matchedBy: 'Token', why: 'before: default/web-0' },
    },
    {
      what: 'that ends, with the Pod that it was to',
      ref: undefined,
      before: WEB,
      told: { kind: 'unbound', pod: 'default/web-0', matchedBy: 'PodIP', why: '' },
    },
  ])('$what', ({ ref, before, told }) => {
    why.bound(key('a'), ref, before);
    expect(toldOf('a')).toEqual([{ ...told, ...JUST_NOW }]);
  });

  it('to no Pod of one that had none is no news', () => {
    why.bound(key('a'), undefined, undefined);
    expect(toldOf('a')).toEqual([]);
  });
});

it.each([true, false])('A report is told with its value, and whether it was stored: %s', (isStored) => {
  why.reported(key('a'), 'DOWN', isStored);
  expect(toldOf('a')).toEqual([{ kind: 'report', value: 'DOWN', isStored, ...JUST_NOW }]);
});

it('A conflict is told with the sender', () => {
  why.identityConflict(key('a'), addressSender('10.0.0.9'));
  expect(toldOf('a')).toEqual([{ kind: 'conflict', sender: '10.0.0.9', ...JUST_NOW }]);
});

describe('What is done to a Pod', () => {
  it('is told of every instance in it, and of no other', () => {
    why.podHeld(pod('web-1'), { reason: 'StormHold', message: 'a storm' });
    why.podHeld(pod('web-0'), { reason: 'RateLimited', message: 'not yet' });
    const told = { kind: 'hold', change: 'began', reason: 'RateLimited', message: 'not yet', ...JUST_NOW };
    expect([toldOf('a'), toldOf('b'), toldOf('c')]).toEqual([[told], [told], []]);
  });

  it('a write is told with what was written and how long it took', () => {
    const written = podCondition({ status: 'False', reason: 'HeartbeatExpired' });
    why.podWritten(pod('web-0'), written, { tookMs: 12, delayMs: 40, instances: [key('a')] });
    expect(toldOf('a')).toEqual([
      {
        kind: 'podWrite',
        pod: 'default/web-0',
        status: 'False',
        reason: 'HeartbeatExpired',
        result: 'ok',
        tookMs: 12,
        ...JUST_NOW,
      },
    ]);
  });

  it.each(['absent', 'throttled', 'unreachable', 'refused'] as const)(
    'a write that came to %s is told as that, with what was to be written',
    (result) => {
      why.podWriteFailed(pod('web-0'), podCondition({ status: 'False', reason: 'ReportedDown' }), result);
      expect(toldOf('a')).toMatchObject([{ kind: 'podWrite', status: 'False', reason: 'ReportedDown', result }]);
    },
  );

  it('a hold is told when it begins and when it ends', () => {
    why.podHeld(pod('web-0'), { reason: 'MinimumHealthyFloor', message: 'the last one' });
    why.podHeld(pod('web-0'), undefined);
    expect(toldOf('a')).toMatchObject([
      { kind: 'hold', change: 'began', reason: 'MinimumHealthyFloor', message: 'the last one' },
      { kind: 'hold', change: 'ended', reason: '', message: '' },
    ]);
  });
});
