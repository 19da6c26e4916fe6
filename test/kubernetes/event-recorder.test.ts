import { beforeEach, describe, expect, it } from 'vitest';
import type { ObjectEvent } from '../../src/controller/ports.ts';
import { EVENT_CALLS_MAX, type EventDrop, KubernetesEventRecorder } from '../../src/kubernetes/event-recorder.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { EventsApi, FORBIDDEN, throttled, UNREACHABLE } from './support/events-api.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

let clock: FakeClock;
let api: EventsApi;
let recorded: string[];
let dropped: EventDrop[];
let recorder: KubernetesEventRecorder;

beforeEach(() => {
  clock = new FakeClock();
  api = new EventsApi();
  recorded = [];
  dropped = [];
  recorder = makeRecorder();
});

function makeRecorder(reportingInstance = 'heartbeat-operator-0'): KubernetesEventRecorder {
  const observer = {
    recorded: (reason: string) => recorded.push(reason),
    dropped: (why: EventDrop) => dropped.push(why),
  };
  return new KubernetesEventRecorder({ client: api, clock, reportingInstance, observer });
}

/** A Pod was withdrawn, unless `parts` say otherwise. */
function event(pod: string, parts: Partial<ObjectEvent> = {}): ObjectEvent {
  return {
    regarding: { kind: 'Pod', namespace: 'shop', name: pod, uid: `uid-of-${pod}` },
    type: 'Warning',
    reason: 'HeartbeatExpired',
    action: 'Withdraw',
    note: 'Nothing was heard for 120 s.',
    ...parts,
  };
}

/** The count in the API of the only event there. */
function onlyCount(): number {
  expect(api.list).toHaveLength(1);
  return api.list[0]?.series?.count ?? 1;
}

describe('An event', () => {
  it('is written beside its object, with all that describes it', async () => {
    recorder.record(
      event('web-0', {
        related: { kind: 'HeartbeatInstance', namespace: 'other', name: 'i-1', uid: 'uid-of-i-1' },
      }),
    );
    await settle();
    expect([...api.stored]).toEqual([
      [
        '/apis/events.k8s.io/v1/namespaces/shop/events/web-0.18776f28ca5854c1',
        {
          apiVersion: 'events.k8s.io/v1',
          kind: 'Event',
          metadata: { name: 'web-0.18776f28ca5854c1', namespace: 'shop' },
          eventTime: '2025-11-13T02:13:20.123000Z',
          reportingController: 'heartbeat-operator.io/heartbeat-operator',
          reportingInstance: 'heartbeat-operator-0',
          action: 'Withdraw',
          reason: 'HeartbeatExpired',
          type: 'Warning',
          note: 'Nothing was heard for 120 s.',
          regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'web-0', uid: 'uid-of-web-0' },
          related: {
            apiVersion: 'heartbeat-operator.io/v1alpha1',
            kind: 'HeartbeatInstance',
            namespace: 'other',
            name: 'i-1',
            uid: 'uid-of-i-1',
          },
        },
      ],
    ]);
    expect(recorded).toEqual(['HeartbeatExpired']);
  });

  it('does not make its recorder wait: nothing is sent before it returns to its own work', async () => {
    api.hold();
    recorder.record(event('web-0'));
    expect(api.list).toEqual([]);
    api.release();
    await settle();
    expect(api.list).toHaveLength(1);
  });

  it('of a second kind in the same millisecond has a name of its own', async () => {
    recorder.record(event('web-0'));
    recorder.record(event('web-0', { reason: 'Recovered' }));
    await settle();
    expect(new Set(api.list.map(({ metadata }) => metadata.name)).size).toBe(2);
  });

  it.each([
    ['of the longest name there is', 'a'.repeat(253)],
    ['whose name has a dot where it is cut', `${'a'.repeat(230)}${'.'.repeat(6)}tail-of-the-name`],
  ])('about an object %s has a name that is allowed', async (_which, name) => {
    recorder.record(event(name));
    await settle();
    const [stored] = api.list;
    expect(stored?.metadata.name.length).toBeLessThanOrEqual(253);
    expect(stored?.metadata.name).toMatch(/^a+\.[0-9a-f]{16}$/);
  });

  it('has a note of no more than 1024 bytes, cut between two characters', async () => {
    recorder.record(event('web-0', { note: `x${'é'.repeat(1_000)}` }));
    recorder.record(event('web-1', { note: 'é'.repeat(512) }));
    await settle();
    expect(api.list.map(({ note }) => note)).toEqual([`x${'é'.repeat(510)}…`, 'é'.repeat(512)]);
  });

  it('names its reporting instance in no more than 128 bytes', async () => {
    makeRecorder('h'.repeat(200)).record(event('web-0'));
    await settle();
    expect(api.list[0]?.reportingInstance).toBe(`${'h'.repeat(125)}…`);
  });

  it('that meets a mistake of ours is dropped, and the next one is written', async () => {
    api.failures = [FORBIDDEN];
    api.failures.shift = () => {
      api.failures = [];
      throw new TypeError('a mistake');
    };
    recorder.record(event('web-0'));
    recorder.record(event('web-1'));
    await settle();
    expect(api.list.map(({ regarding }) => regarding)).toMatchObject([{ name: 'web-1' }]);
    expect(dropped).toEqual(['failed']);
  });
});

describe('A repeated event', () => {
  it('becomes a series at once, whatever its note says', async () => {
    recorder.record(event('web-0', { note: 'first' }));
    await settle();
    await clock.advance(10 * SECOND);
    recorder.record(event('web-0', { note: 'second' }));
    await settle();
    expect(api.list).toMatchObject([
      { note: 'first', series: { count: 2, lastObservedTime: '2025-11-13T02:13:30.123000Z' } },
    ]);
    expect(recorded).toEqual(['HeartbeatExpired', 'HeartbeatExpired']);
  });

  it('is written with its count when it was repeated before its first write', async () => {
    api.hold();
    for (const pod of ['a', 'b', 'c', 'c', 'c']) recorder.record(event(pod));
    api.release();
    await settle();
    expect(api.list.map(({ series }) => series?.count)).toEqual([undefined, undefined, 3]);
    expect(api.calls).toBe(3);
  });

  it('that was repeated during its first write is written again at once', async () => {
    api.hold();
    recorder.record(event('web-0'));
    recorder.record(event('web-0'));
    api.release();
    await settle();
    expect(onlyCount()).toBe(2);
  });

  it('that goes on is written once in five minutes, and shows its last count when it is over', async () => {
    for (let second = 0; second < 600; second += 10) {
      recorder.record(event('web-0'));
      await clock.advance(10 * SECOND);
    }
    expect(api.calls).toBe(3);
    await clock.advance(7 * MINUTE);
    expect(onlyCount()).toBe(60);
    expect(api.list[0]?.series?.lastObservedTime).toBe('2025-11-13T02:23:10.123000Z');
    expect(api.calls).toBe(4);
  });

  it.each([
    ['six minutes after the one before still belongs to it', 6 * MINUTE, [2]],
    ['more than six minutes after the one before is a new one', 6 * MINUTE + 1, [1, 1]],
  ])('%s', async (_what, pauseMs, counts) => {
    recorder.record(event('web-0'));
    await clock.advance(pauseMs);
    recorder.record(event('web-0'));
    await settle();
    expect(api.list.map(({ series }) => series?.count ?? 1)).toEqual(counts);
  });

  it.each<[string, Partial<ObjectEvent>]>([
    ['reason', { reason: 'ReportedDown' }],
    ['action', { action: 'Hold' }],
    ['type', { type: 'Normal' }],
    ['related object', { related: { kind: 'HeartbeatPolicy', namespace: 'shop', name: 'p', uid: 'p' } }],
    ['object of the same name', { regarding: { kind: 'Pod', namespace: 'shop', name: 'web-0', uid: 'another' } }],
  ])('with another %s is another event', async (_what, parts) => {
    recorder.record(event('web-0'));
    recorder.record(event('web-0', parts));
    await settle();
    expect(api.list).toHaveLength(2);
  });

  it('whose object in the API has ended is written anew, with its count', async () => {
    recorder.record(event('web-0'));
    await settle();
    api.expireAll();
    recorder.record(event('web-0'));
    await settle();
    expect(onlyCount()).toBe(2);
  });

  it('sets no timer once its series is over', async () => {
    recorder.record(event('web-0'));
    await clock.advance(8 * MINUTE);
    expect(clock.timers).toEqual([]);
  });

  it('is forgotten when more than 4096 others were there since, and its count is written before', async () => {
    recorder.record(event('web-0'));
    await settle();
    recorder.record(event('web-0'));
    await settle();
    recorder.record(event('web-0'));
    for (let i = 0; i < 4_097; i += 1) {
      recorder.record(event(`other-${i}`));
      if (i % 50 === 0) await clock.advance(3 * SECOND);
    }
    await clock.advance(5 * SECOND);
    expect(api.list.find(({ metadata }) => metadata.name.startsWith('web-0.'))?.series?.count).toBe(3);
  });
});

describe('What events may cost', () => {
  it('is two calls at a time', async () => {
    api.hold();
    for (let i = 0; i < 50; i += 1) recorder.record(event(`web-${i}`));
    await settle();
    expect(api.open).toBe(EVENT_CALLS_MAX);
    api.release();
    await settle();
    expect(api.list).toHaveLength(50);
    expect(api.openMax).toBe(EVENT_CALLS_MAX);
  });

  it('is a hundred at once and twenty a second from then on', async () => {
    for (let i = 0; i < 500; i += 1) recorder.record(event(`web-${i}`));
    await settle();
    expect(api.list).toHaveLength(100);
    await clock.advance(5 * SECOND);
    expect(api.list).toHaveLength(200);
    await clock.advance(15 * SECOND);
    expect(api.list).toHaveLength(500);
    expect(dropped).toEqual([]);
  });

  it('is a thousand that wait; what comes then is dropped, and what waits is not', async () => {
    api.hold();
    for (let i = 0; i < 1_010; i += 1) recorder.record(event(`web-${i}`));
    expect(dropped).toEqual(Array(8).fill('queueFull'));
    api.release();
    await clock.advance(60 * SECOND);
    expect(api.list).toHaveLength(1_002);
    expect(api.list.at(-1)?.regarding).toMatchObject({ name: 'web-1001' });
  });

  it('is 25 kinds of events for one object, one more every five minutes, and nothing less for the others', async () => {
    for (let i = 0; i < 27; i += 1) recorder.record(event('noisy', { reason: `Reason${i}` }));
    recorder.record(event('quiet'));
    await settle();
    expect(api.list).toHaveLength(26);
    expect(dropped).toEqual(['spam', 'spam']);
    await clock.advance(5 * MINUTE);
    recorder.record(event('noisy', { reason: 'Later' }));
    recorder.record(event('noisy', { reason: 'TooSoon' }));
    await settle();
    expect(api.list).toHaveLength(27);
    expect(dropped).toEqual(['spam', 'spam', 'spam']);
  });

  it('is no longer remembered of an object when 4096 others had events since', async () => {
    for (let i = 0; i < 26; i += 1) recorder.record(event('noisy', { reason: `Reason${i}` }));
    expect(dropped).toEqual(['spam']);
    dropped.length = 0;
    for (let i = 0; i < 4_096; i += 1) {
      recorder.record(event(`other-${i}`));
      if (i % 50 === 0) await clock.advance(3 * SECOND);
    }
    recorder.record(event('noisy', { reason: 'Reason25' }));
    expect(dropped).toEqual([]);
  });
});

describe('An event that fails', () => {
  it.each([
    ['when the server asks for it', throttled(4 * SECOND), 4 * SECOND],
    ['when the server was unreachable', UNREACHABLE, SECOND],
  ])('is tried once more %s, after a pause in which nothing is sent', async (_when, failure, pauseMs) => {
    api.failures = [failure];
    recorder.record(event('web-0'));
    await settle();
    recorder.record(event('web-1'));
    await clock.advance(pauseMs - 1);
    expect(api.calls).toBe(1);
    await clock.advance(1);
    expect(api.list.map(({ regarding }) => regarding)).toMatchObject([{ name: 'web-0' }, { name: 'web-1' }]);
    expect(dropped).toEqual([]);
  });

  it('twice is dropped and counted', async () => {
    api.failures = [UNREACHABLE, UNREACHABLE];
    recorder.record(event('web-0'));
    await clock.advance(10 * SECOND);
    expect([api.calls, api.list, dropped, recorded]).toEqual([2, [], ['failed'], []]);
  });

  it('because the server says no is not tried again', async () => {
    api.failures = [FORBIDDEN];
    recorder.record(event('web-0'));
    await clock.advance(MINUTE);
    expect([api.calls, dropped]).toEqual([1, ['failed']]);
  });

  it('is written as a new one when it happens again', async () => {
    api.failures = [FORBIDDEN];
    recorder.record(event('web-0'));
    await settle();
    recorder.record(event('web-0'));
    await settle();
    expect(onlyCount()).toBe(1);
  });

  it('only for its new count keeps the series, whose count is written later', async () => {
    recorder.record(event('web-0'));
    await settle();
    api.failures = [FORBIDDEN];
    recorder.record(event('web-0'));
    await settle();
    recorder.record(event('web-0'));
    await clock.advance(5 * MINUTE);
    expect(onlyCount()).toBe(3);
    expect(dropped).toEqual(['failed']);
  });

  it('only for its answer, which was lost, is there once and counts as written', async () => {
    api.failures = [UNREACHABLE];
    api.losesAnswers = true;
    recorder.record(event('web-0'));
    await clock.advance(SECOND);
    expect(onlyCount()).toBe(1);
    expect([dropped, recorded]).toEqual([[], ['HeartbeatExpired']]);
  });
});

describe('The end', () => {
  it('comes when all that waits is written, the last counts too', async () => {
    recorder.record(event('web-0'));
    await settle();
    for (let i = 0; i < 4; i += 1) recorder.record(event('web-0'));
    await settle();
    for (let i = 1; i < 50; i += 1) recorder.record(event(`web-${i}`));
    await recorder.stop();
    expect(api.list).toHaveLength(50);
    expect(api.list[0]?.series?.count).toBe(5);
    expect(clock.timers).toEqual([]);
  });

  it('comes at once when there is nothing to write', async () => {
    await recorder.stop();
    expect(api.calls).toBe(0);
  });

  it('comes after two seconds when the server does not answer, and counts what is lost', async () => {
    api.hold();
    for (let i = 0; i < 5; i += 1) recorder.record(event(`web-${i}`));
    let endedAtMs: number | undefined;
    const stopping = async (): Promise<void> => {
      await recorder.stop();
      endedAtMs = clock.nowMs();
    };
    const stopped = stopping();
    await clock.advance(10 * SECOND);
    await stopped;
    expect(endedAtMs).toBe(2 * SECOND);
    expect(dropped).toEqual(Array(5).fill('stopped'));
    expect(clock.timers).toEqual([]);
  });

  it('leaves nothing that is written later, also when a pause was asked for', async () => {
    api.failures = [throttled(10 * SECOND)];
    recorder.record(event('web-0'));
    await settle();
    const stopped = recorder.stop();
    await clock.advance(2 * SECOND);
    await stopped;
    recorder.record(event('web-1'));
    await clock.advance(MINUTE);
    expect([api.calls, dropped]).toEqual([1, ['stopped', 'stopped']]);
  });
});
