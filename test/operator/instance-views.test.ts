import { beforeEach, describe, expect, it } from 'vitest';
import { Timeline, type TimelineNote } from '../../src/controller/timeline.ts';
import { addressSender } from '../../src/liveness/sender.ts';
import type { InstanceViews } from '../../src/management-api/server.ts';
import { instanceViews } from '../../src/operator/instance-views.ts';
import { key, SECOND, TTL } from '../support/builders.ts';
import { identityWith, OPERATOR_NAMESPACE, PodWorld } from '../support/pod-world.ts';

let world: PodWorld;
let timeline: Timeline;
let views: InstanceViews;

beforeEach(async () => {
  world = await PodWorld.started();
  timeline = new Timeline();
  views = viewsOf(world);
});

function viewsOf({ loop, clock }: PodWorld): InstanceViews {
  return instanceViews({ loop, timeline, clock });
}

/** As people read a moment that is so long ago. */
const ago = (ms: number): string => new Date(world.clock.wallMs() - ms).toISOString();

const ids = (items: readonly object[]): readonly unknown[] =>
  items.map((item) => (item as { readonly instanceId: string }).instanceId);

const nameOf = (instanceId: string): string => world.object(instanceId).name;

/** What is told of the one instance, asked by the name of its object. */
const get = (instanceId: string): object | undefined => views.get(OPERATOR_NAMESPACE, nameOf(instanceId));

/** Heard once, from outside of every Pod. */
async function heard(...instanceIds: readonly string[]): Promise<void> {
  for (const instanceId of instanceIds) world.heartbeat(identityWith(instanceId), addressSender('192.0.2.7'));
  await world.clock.advance(0);
}

describe('A page of instances', () => {
  it('has no more than it is asked for, begins where it is asked to, and is empty beyond the last one', async () => {
    await heard('a', 'b', 'c');
    expect(
      [[0, 2] as const, [2, 2] as const, [3, 2] as const].map(([at, count]) => ids(views.list(at, count))),
    ).toEqual([['a', 'b'], ['c'], []]);
  });

  it('has also those that have no object yet, since they are answered like any other', async () => {
    const before = new PodWorld();
    before.startHearing();
    before.heartbeat(identityWith('a'), addressSender('192.0.2.7'));
    expect(viewsOf(before).list(0, 10)).toMatchObject([
      { instanceId: 'a', belief: { state: 'fresh' }, pod: null, object: null },
    ]);
  });
});

describe('What is believed of an instance', () => {
  it('is told in moments of the calendar and lengths in seconds', async () => {
    await heard('a');
    await world.clock.advance(10 * SECOND);
    expect(views.list(0, 1)).toMatchObject([
      {
        belief: {
          state: 'fresh',
          paused: false,
          ttlSeconds: 120,
          lastHeartbeat: ago(10 * SECOND),
          silentSeconds: 10,
          deadline: ago(10 * SECOND - TTL),
          sender: '192.0.2.7',
        },
      },
    ]);
  });

  it('follows the calendar when somebody sets it: the lengths are what is known', async () => {
    await heard('a');
    world.clock.jumpWall(3_600 * SECOND);
    await world.clock.advance(10 * SECOND);
    expect(views.list(0, 1)).toMatchObject([{ belief: { lastHeartbeat: ago(10 * SECOND), silentSeconds: 10 } }]);
  });

  it('of a silent one tells the deadline that passed', async () => {
    await heard('a');
    await world.clock.advance(TTL + SECOND);
    expect(views.list(0, 1)).toMatchObject([
      {
        belief: { state: 'stale', silentSeconds: 121, deadline: ago(SECOND) },
        object: { healthy: 'False', reason: 'HeartbeatExpired' },
      },
    ]);
  });

  it('of a paused one tells no deadline, since it has none', async () => {
    await heard('a');
    await world.edit('a', { paused: true });
    expect(views.list(0, 1)).toMatchObject([
      {
        belief: { paused: true, deadline: null, lastHeartbeat: ago(0) },
        object: { healthy: 'Unknown', reason: 'Paused' },
      },
    ]);
  });

  it('of one that a person expects tells that nothing was heard, by null', async () => {
    world.memory.createByPerson('default', 'expected', identityWith('a'));
    await world.clock.advance(0);
    expect(views.list(0, 1)).toMatchObject([
      {
        belief: { state: 'awaiting', lastHeartbeat: null, silentSeconds: null, sender: null },
        object: { namespace: 'default', name: 'expected', healthy: 'Unknown' },
      },
    ]);
  });

  it('after a restart tells by null what only the process before has known', async () => {
    await heard('a');
    await world.clock.advance(2 * TTL);
    await world.restart();
    expect(viewsOf(world).list(0, 1)).toMatchObject([
      { belief: { state: 'stale', lastHeartbeat: null, silentSeconds: null, deadline: null, sender: null } },
    ]);
  });
});

describe('Beside the belief', () => {
  it('stands the Pod that the instance is, and by which evidence', async () => {
    await world.givenServing(['web-0']);
    const { uid } = world.pod('web-0');
    expect(views.list(0, 1)).toMatchObject([
      {
        pod: { namespace: 'default', name: 'web-0', uid, matchedBy: 'PodIP' },
        object: { namespace: 'default', podSynced: 'PodConditionCurrent' },
      },
    ]);
  });

  it('stands no Pod for one that comes from none', async () => {
    await heard('a');
    expect(views.list(0, 1)).toMatchObject([
      { pod: null, object: { namespace: OPERATOR_NAMESPACE, podSynced: 'NotBound' } },
    ]);
  });

  it('stands what the application said of itself', async () => {
    await world.givenServing(['web-0']);
    await world.report('DOWN', { instanceId: 'web-0' });
    expect(views.list(0, 1)).toMatchObject([
      { object: { reported: 'DOWN', healthy: 'False', reason: 'ReportedDown' } },
    ]);
  });
});

describe('One instance', () => {
  const NOW = 1_763_000_000_123;
  const TIME = '2025-11-13T02:13:20.123Z';

  it('is found by the namespace and the name of its object, and by nothing else', async () => {
    await heard('a');
    expect(get('a')).toMatchObject({ instanceId: 'a', belief: { state: 'fresh' }, object: { name: nameOf('a') } });
    expect(views.get('default', nameOf('a'))).toBeUndefined();
    expect(views.get(OPERATOR_NAMESPACE, 'a')).toBeUndefined();
  });

  it('to which nothing happened has an empty timeline', async () => {
    await heard('a');
    expect(get('a')).toMatchObject({ timeline: [] });
  });

  it.each<{ what: string; note: TimelineNote; entry: object }>([
    {
      what: 'a verdict',
      note: {
        kind: 'transition',
        wallMs: NOW,
        from: 'True',
        to: 'False',
        reason: 'HeartbeatExpired',
        deadlineWallMs: NOW,
        lastHeardWallMs: NOW,
        uncountedMs: 1_500,
        evidence: 'No heartbeat.',
      },
      entry: {
        kind: 'transition',
        time: TIME,
        from: 'True',
        to: 'False',
        reason: 'HeartbeatExpired',
        deadlineTime: TIME,
        lastHeardTime: TIME,
        uncountedMs: 1_500,
        evidence: 'No heartbeat.',
      },
    },
    {
      what: 'a first verdict, before which and of which nothing else is known,',
      note: {
        kind: 'transition',
        wallMs: NOW,
        from: undefined,
        to: 'True',
        reason: 'HeartbeatReceived',
        deadlineWallMs: undefined,
        lastHeardWallMs: undefined,
        uncountedMs: 0,
        evidence: '',
      },
      entry: {
        kind: 'transition',
        time: TIME,
        from: null,
        to: 'True',
        reason: 'HeartbeatReceived',
        deadlineTime: null,
        lastHeardTime: null,
        uncountedMs: 0,
        evidence: '',
      },
    },
    {
      what: 'a write',
      note: {
        kind: 'podWrite',
        wallMs: NOW,
        pod: 'default/web-0',
        status: 'False',
        reason: 'HeartbeatExpired',
        result: 'ok',
        tookMs: 12,
      },
      entry: {
        kind: 'podWrite',
        time: TIME,
        pod: 'default/web-0',
        status: 'False',
        reason: 'HeartbeatExpired',
        result: 'ok',
        tookMs: 12,
      },
    },
    {
      what: 'a report that was not stored',
      note: { kind: 'report', wallMs: NOW, value: 'DOWN', isStored: false },
      entry: { kind: 'report', time: TIME, value: 'DOWN', isStored: false },
    },
  ])('tells $what with the time of day, and by null what is not known', async ({ note, entry }) => {
    await heard('a');
    timeline.note(key('a'), note);
    expect(get('a')).toHaveProperty('timeline', [{ ...entry, times: 1, lastTime: TIME }]);
  });

  it('tells how often the same happened, and when first and last', async () => {
    await heard('a');
    for (const wallMs of [NOW, NOW + SECOND, NOW + 2 * SECOND]) {
      timeline.note(key('a'), { kind: 'conflict', wallMs, sender: addressSender('10.0.0.9') });
    }
    expect(get('a')).toHaveProperty('timeline', [
      { kind: 'conflict', sender: '10.0.0.9', time: TIME, times: 3, lastTime: '2025-11-13T02:13:22.123Z' },
    ]);
  });

  it('that a person made a second time is told of as it is judged: by the object that counts', async () => {
    await heard('a');
    await world.clock.advance(SECOND);
    world.memory.createByPerson('default', 'second', identityWith('a'));
    await world.clock.advance(0);
    expect(views.get('default', 'second')).toMatchObject({ object: { name: nameOf('a') } });
  });
});
