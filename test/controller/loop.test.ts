/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the fixture: expectHealthy, expectStale. */
import { describe, expect, it } from 'vitest';
import { HOUR, identity, key, MINUTE, SECOND, TTL } from '../support/builders.ts';
import { BEAT, LoopFixture } from '../support/loop-fixture.ts';

const RETENTION = 10 * MINUTE;
const FLEET = Array.from({ length: 1_000 }, (_, index) => `cart-${index}`);

describe('A first heartbeat', () => {
  it('of an unknown instance creates its object and makes it healthy', async () => {
    const loop = await LoopFixture.started();
    expect(loop.heartbeatFrom('a')).toEqual({ kind: 'accepted', change: 'appeared' });
    await loop.clock.advance(0);
    loop.expectHealthy('a');
    expect(loop.object('a')).toMatchObject({
      key: key('a'),
      managed: true,
      namespace: 'default',
      name: loop.nameOf('a'),
    });
    expect(loop.object('a').status).toMatchObject({
      lastHeartbeatWallMs: loop.clock.wallMs(),
      effective: { intervalSeconds: 30, times: 3, ttlSeconds: 120, source: 'Default' },
      podSynced: { status: 'False', reason: 'NotBound' },
      observedGeneration: 1,
    });
  });

  it('of an instance that a person expects is shown on the object that the person made', async () => {
    const loop = await LoopFixture.started();
    await loop.createByPerson('a', 'my-cart');
    loop.expectAwaiting('a');
    await loop.clock.advance(10 * TTL);
    loop.expectAwaiting('a');
    loop.heartbeatFrom('a');
    await loop.clock.advance(0);
    expect(loop.objects('a').map((object) => object.name)).toEqual(['my-cart']);
    loop.expectHealthy('a');
  });

  it('of ten heartbeats at once makes one object', async () => {
    const loop = await LoopFixture.started();
    for (let count = 0; count < 10; count += 1) loop.heartbeatFrom('a');
    await loop.clock.advance(0);
    expect(loop.store.writes.map((write) => write.kind)).toEqual(['create', 'writeStatus']);
  });

  it('that is refused makes nothing', async () => {
    const loop = await LoopFixture.started({ unknownInstances: 'reject' });
    expect(loop.heartbeatFrom('a')).toEqual({ kind: 'unknownInstance' });
    await loop.clock.advance(TTL);
    loop.expectNoObject('a');
  });
});

describe('Silence', () => {
  it('of a known instance is told before a flood of new ones has its objects', async () => {
    const loop = await LoopFixture.started({ workers: 1 });
    await loop.givenHealthy('known');
    loop.store.answerDelayMs = 100;
    await loop.clock.advance(TTL - SECOND);
    for (let index = 0; index < 1_000; index += 1) loop.heartbeatFrom(`new-${index}`);
    await loop.clock.advance(SECOND + BEAT + SECOND);

    loop.expectStale('known');
    expect(loop.memory.list().length).toBeLessThan(50);
  });

  it('that begins anew while nothing can be written is told with its own deadline', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a');
    const firstExpiredWallMs = loop.object('a').status?.expiredWallMs;

    loop.store.failWhenever(() => ({ kind: 'unreachable', message: 'away' }));
    loop.heartbeatFrom('a');
    const heardWallMs = loop.clock.wallMs();
    await loop.clock.advance(TTL + MINUTE);
    loop.store.heal();
    await loop.clock.advance(10 * SECOND);

    loop.expectStale('a');
    expect(loop.object('a').status).toMatchObject({
      expiredWallMs: heardWallMs + TTL,
      lastHeartbeatWallMs: heardWallMs,
    });
    expect(firstExpiredWallMs).toBeLessThan(heardWallMs);
  });

  it('of just under the time to live is healthy, and from the deadline on it is not', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    const heardWallMs = loop.clock.wallMs();
    await loop.clock.advance(TTL - 1);
    loop.expectHealthy('a');
    await loop.clock.advance(1);
    loop.expectStale('a');
    expect(loop.object('a').status).toMatchObject({
      lastHeartbeatWallMs: heardWallMs,
      expiredWallMs: heardWallMs + TTL,
      fresh: { lastTransitionSeconds: Math.floor((heardWallMs + TTL) / 1000) },
    });
  });

  it('is told within one beat of the sweeper, with the deadline that was missed and not the moment it was noticed', async () => {
    const loop = await LoopFixture.started();
    await loop.clock.advance(13);
    await loop.givenHealthy('a');
    const deadlineWallMs = loop.clock.wallMs() + TTL;
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a');
    expect(loop.object('a').status?.expiredWallMs).toBe(deadlineWallMs);
    const [, transition] = loop.observer.transitions;
    expect(transition).toMatchObject({ id: 'a', from: 'True', to: 'False' });
    expect(transition?.delayMs).toBeGreaterThanOrEqual(0);
    expect(transition?.delayMs).toBeLessThanOrEqual(BEAT);
  });

  it('of one instance says nothing about the others', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('silent', 'beats');
    await loop.beatFor(TTL + BEAT, ['beats']);
    loop.expectStale('silent');
    loop.expectHealthy('beats');
  });

  it('ends with the next heartbeat, and the deadline is taken away', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.advance(TTL + 10 * MINUTE);
    expect(loop.heartbeatFrom('a')).toEqual({ kind: 'accepted', change: 'recovered' });
    await loop.clock.advance(0);
    loop.expectHealthy('a');
    expect(loop.object('a').status).toMatchObject({
      expiredWallMs: undefined,
      lastHeartbeatWallMs: loop.clock.wallMs(),
      healthy: { lastTransitionSeconds: Math.floor(loop.clock.wallMs() / 1000) },
    });
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a');
  });

  it('that ends while its verdict is being written ends in health', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    loop.store.answerDelayMs = 5 * SECOND;
    await loop.clock.advance(TTL + SECOND);
    loop.heartbeatFrom('a');
    await loop.clock.advance(20 * SECOND);
    loop.expectHealthy('a');
    await loop.clock.advance(TTL);
    loop.expectStale('a');
  });

  it('of a thousand at once is told of each', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy(...FLEET);
    await loop.clock.advance(TTL + BEAT);
    for (const id of FLEET) loop.expectStale(id);
  });
});

describe('A stall of the whole process', () => {
  it.each([
    { what: 'shorter than the time to live', stallMs: 90 * SECOND },
    { what: 'of ten times to live', stallMs: 10 * TTL },
    { what: 'of a day', stallMs: 24 * HOUR },
  ])('$what marks nobody who beats afterwards, and in time the one who does not', async ({ stallMs }) => {
    const loop = await LoopFixture.started({ retentionMs: 100 * HOUR });
    await loop.givenHealthy('beats', 'silent');
    await loop.clock.advance(60 * SECOND);
    await loop.clock.stall(stallMs);
    loop.expectHealthy('beats');
    loop.expectHealthy('silent');
    await loop.clock.advance(29 * SECOND);
    await loop.beatFor(TTL - 29 * SECOND - 2 * BEAT, ['beats']);
    loop.expectHealthy('silent');
    await loop.beatFor(3 * BEAT, ['beats']);
    loop.expectHealthy('beats');
    loop.expectStale('silent');
    expect(loop.object('silent').status?.fresh?.message).toContain('s of the silence did not count');
  });

  it('marks nobody whose heartbeat lay in a buffer meanwhile, however short the time to live', async () => {
    const loop = await LoopFixture.started({ timing: { intervalSeconds: 0.1, times: 0 } });
    await loop.givenHealthy('a', 'silent');
    loop.clock.arriveOnTurn(() => loop.heartbeatFrom('a'));
    await loop.clock.stall(100);
    loop.expectHealthy('a');
    loop.expectStale('silent');
  });

  it('that happens before the first beat of the sweeper is noticed, too', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.stall(5 * TTL);
    loop.expectHealthy('a');
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a');
  });
});

describe("A person's edit", () => {
  it('of the timing is in force at once and makes nobody stale by itself', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.advance(TTL - SECOND);
    await loop.edit('a', { heartbeat: { intervalSeconds: 5, times: 1 } });
    loop.expectHealthy('a');
    expect(loop.object('a').status).toMatchObject({
      effective: { intervalSeconds: 5, times: 1, ttlSeconds: 10, source: 'Spec' },
      observedGeneration: 2,
    });
    await loop.clock.advance(10 * SECOND - BEAT);
    loop.expectHealthy('a');
    await loop.clock.advance(2 * BEAT);
    loop.expectStale('a');
  });

  it('to a longer timing keeps an instance that the shorter one would have lost', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.advance(TTL - SECOND);
    await loop.edit('a', { heartbeat: { intervalSeconds: 600, times: 0 } });
    await loop.clock.advance(600 * SECOND - BEAT);
    loop.expectHealthy('a');
    await loop.clock.advance(2 * BEAT);
    loop.expectStale('a');
  });

  it('that takes the timing back gives the default again, counted from then', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.edit('a', { heartbeat: { intervalSeconds: 600, times: 0 } });
    await loop.clock.advance(500 * SECOND);
    await loop.edit('a', { heartbeat: undefined });
    loop.expectHealthy('a');
    expect(loop.object('a').status?.effective?.source).toBe('Default');
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a');
  });

  it('that takes the instance out of service beats heartbeats, silence and a restart, until it is taken back', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.edit('a', { outOfService: true });
    const expectOverridden = (fresh: string): void => {
      expect(loop.object('a').status).toMatchObject({
        fresh: { status: fresh },
        healthy: { status: 'False', reason: 'OverriddenOutOfService' },
        healthySummary: 'False',
      });
    };
    expectOverridden('True');
    await loop.beatFor(MINUTE, ['a']);
    expectOverridden('True');
    await loop.restart();
    expectOverridden('True');
    await loop.clock.advance(TTL + BEAT);
    expectOverridden('False');
    loop.heartbeatFrom('a');
    await loop.edit('a', { outOfService: false });
    loop.expectHealthy('a');
  });

  it('that pauses an instance stops the judging at once, and for as long as it stands', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.edit('a', { paused: true });
    loop.expectCondition('a', 'Unknown', 'Paused');
    await loop.clock.advance(10 * TTL);
    loop.expectCondition('a', 'Unknown', 'Paused');
  });

  it('that resumes a silent instance gives it a full time to live', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.edit('a', { paused: true });
    await loop.clock.advance(10 * TTL);
    await loop.edit('a', { paused: false });
    await loop.clock.advance(TTL - BEAT);
    expect(loop.object('a').status?.healthySummary).toBe('Unknown');
    await loop.clock.advance(2 * BEAT);
    loop.expectStale('a');
  });

  it('that resumes an instance that went on beating makes it healthy at once', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.edit('a', { paused: true });
    await loop.beatFor(10 * TTL, ['a']);
    await loop.edit('a', { paused: false });
    loop.expectHealthy('a');
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a');
  });
});

describe('An object that a person deletes', () => {
  it('comes back with the next heartbeat if the instance beats', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.delete('a');
    loop.expectNoObject('a');
    await loop.clock.advance(30 * SECOND);
    loop.expectNoObject('a');
    expect(loop.heartbeatFrom('a')).toEqual({ kind: 'accepted', change: 'appeared' });
    await loop.clock.advance(0);
    loop.expectHealthy('a');
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a');
  });

  it('stays away if the instance is silent, and the instance is forgotten after its time to live', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.delete('a');
    await loop.clock.advance(TTL + BEAT);
    loop.expectNoObject('a');
    expect(loop.engine.size).toBe(0);
  });

  it('stays away if the instance was stale already, until it is heard', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.advance(TTL + BEAT);
    await loop.delete('a');
    expect(loop.engine.size).toBe(0);
    await loop.clock.advance(10 * TTL);
    loop.expectNoObject('a');
    await loop.givenHealthy('a');
  });

  it('and makes again is judged at once from what was heard', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.delete('a');
    await loop.createByPerson('a');
    loop.expectHealthy('a');
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a');
  });

  it('while its status is being written comes back with the next heartbeat all the same', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    loop.store.answerDelayMs = SECOND;
    await loop.edit('a', { outOfService: true });
    await loop.delete('a');
    await loop.clock.advance(5 * SECOND);
    loop.expectNoObject('a');
    loop.heartbeatFrom('a');
    await loop.clock.advance(5 * SECOND);
    loop.expectHealthy('a');
  });
});

describe('The object of an instance that stays silent', () => {
  it('is removed when its time is over, and comes back with a heartbeat', async () => {
    const loop = await LoopFixture.started({ retentionMs: RETENTION });
    await loop.givenHealthy('a');
    await loop.clock.advance(TTL + RETENTION - BEAT);
    loop.expectStale('a');
    await loop.clock.advance(2 * BEAT);
    loop.expectNoObject('a');
    expect(loop.observer.removedIds).toEqual(['a']);
    expect(loop.engine.size).toBe(0);
    await loop.givenHealthy('a');
  });

  it('is kept when it is heard once before that, and its time begins anew', async () => {
    const loop = await LoopFixture.started({ retentionMs: RETENTION });
    await loop.givenHealthy('a');
    await loop.clock.advance(TTL + RETENTION - SECOND);
    loop.heartbeatFrom('a');
    await loop.clock.advance(TTL + RETENTION - BEAT);
    loop.expectStale('a');
    await loop.clock.advance(2 * BEAT);
    loop.expectNoObject('a');
  });

  it('is kept when a person decided something about it, and removed when that is taken back', async () => {
    const loop = await LoopFixture.started({ retentionMs: RETENTION });
    await loop.givenHealthy('a');
    await loop.edit('a', { outOfService: true });
    await loop.clock.advance(3 * RETENTION);
    expect(loop.objects('a')).toHaveLength(1);
    await loop.edit('a', { outOfService: false });
    loop.expectNoObject('a');
  });

  it('is kept when a person made it', async () => {
    const loop = await LoopFixture.started({ retentionMs: RETENTION });
    await loop.createByPerson('a');
    await loop.givenHealthy('a');
    await loop.clock.advance(3 * RETENTION);
    loop.expectStale('a');
  });

  it('whose time ran out while we were away has a time to live after our start to be heard', async () => {
    const loop = await LoopFixture.started({ retentionMs: RETENTION });
    await loop.givenHealthy('heard', 'silent');
    await loop.clock.advance(TTL + BEAT);
    loop.kill();
    loop.clock.jumpWall(10 * HOUR);
    await loop.start();
    await loop.clock.advance(TTL - SECOND);
    loop.expectStale('silent');
    loop.heartbeatFrom('heard');
    await loop.clock.advance(2 * SECOND);
    loop.expectNoObject('silent');
    loop.expectHealthy('heard');
  });
});

describe('Several objects of one identity', () => {
  it('leave the oldest in force, and each other says so', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.advance(5 * SECOND);
    await loop.createByPerson('a', 'twin');
    const [winner, twin] = loop.objects('a');
    expect(winner).toMatchObject({ managed: true, status: { healthySummary: 'True' } });
    expect(twin).toMatchObject({
      name: 'twin',
      status: { healthySummary: 'Unknown', fresh: { reason: 'DuplicateIdentity' }, lastHeartbeatWallMs: undefined },
    });
    await loop.clock.advance(TTL);
    const [staleWinner, sameTwin] = loop.objects('a');
    expect(staleWinner?.status?.healthySummary).toBe('False');
    expect(sameTwin).toEqual(twin);
  });

  it('put the next oldest in force when the oldest is deleted', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.advance(5 * SECOND);
    await loop.createByPerson('a', 'twin');
    await loop.delete('a');
    expect(loop.objects('a')).toHaveLength(1);
    loop.expectHealthy('a');
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a');
  });
});

describe('A restart', () => {
  it('changes nothing on the objects of those that go on beating, and marks the one that stays silent', async () => {
    const loop = await LoopFixture.started();
    const beating = FLEET.slice(0, 50);
    await loop.givenHealthy(...beating, 'silent', 'stale');
    await loop.beatFor(TTL + BEAT, [...beating, 'silent']);
    loop.expectStale('stale');
    const before = loop.conditions();

    loop.kill();
    loop.clock.jumpWall(10 * MINUTE);
    await loop.start();
    expect(loop.conditions()).toEqual(before);
    await loop.beatFor(TTL - BEAT, beating);
    expect(loop.conditions()).toEqual(before);

    await loop.beatFor(2 * BEAT, beating);
    loop.expectStale('silent', 'NotHeardSinceObserverStart');
    expect(loop.conditions()).toEqual(
      new Map([...before, ...[...loop.conditions()].filter(([name]) => name === loop.nameOf('silent'))]),
    );
    loop.heartbeatFrom('silent');
    loop.heartbeatFrom('stale');
    await loop.clock.advance(0);
    loop.expectHealthy('silent');
    loop.expectHealthy('stale');
  });

  it('between the creation of an object and its first status leaves an instance that is judged', async () => {
    const loop = await LoopFixture.started();
    loop.store.failWhenever((kind) => (kind === 'writeStatus' ? { kind: 'unreachable', message: 'gone' } : undefined));
    loop.heartbeatFrom('a');
    await loop.clock.advance(0);
    expect(loop.object('a').status).toBeUndefined();
    loop.store.heal();
    await loop.restart();
    await loop.clock.advance(TTL + BEAT);
    loop.expectStale('a', 'NotHeardSinceObserverStart');
  });

  it('keeps an instance paused that a person paused, and expected one that nobody heard', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('paused');
    await loop.edit('paused', { paused: true });
    await loop.createByPerson('expected');
    await loop.restart();
    await loop.clock.advance(10 * TTL);
    loop.expectCondition('paused', 'Unknown', 'Paused');
    loop.expectAwaiting('expected');
  });

  it('after which the store cannot be reached for long marks nobody who beats within a longer time to live', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('slow');
    await loop.edit('slow', { heartbeat: { intervalSeconds: 300, times: 2 } });
    loop.kill();
    loop.startHearing();
    loop.heartbeatFrom('slow');
    await loop.clock.advance(290 * SECOND);
    await loop.learnWhatIsStored();
    loop.expectHealthy('slow');
    await loop.clock.advance(900 * SECOND + BEAT);
    loop.expectStale('slow');
  });

  it('accepts everyone while it does not know yet who exists, and makes objects for the new ones afterwards', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('known');
    loop.kill();
    loop.startHearing();
    expect(loop.heartbeatFrom('known').kind).toBe('accepted');
    expect(loop.heartbeatFrom('new').kind).toBe('accepted');
    await loop.clock.advance(10 * SECOND);
    loop.expectNoObject('new');
    await loop.learnWhatIsStored();
    loop.expectHealthy('known');
    loop.expectHealthy('new');
    await loop.clock.advance(TTL - 10 * SECOND + BEAT);
    loop.expectStale('known');
    loop.expectStale('new');
  });
});

describe('A store that fails', () => {
  it.each([
    { kind: 'conflict' },
    { kind: 'unreachable', message: 'connection reset' },
    { kind: 'throttled', retryAfterMs: 500, message: 'slow down' },
    { kind: 'refused', reason: 'Other', message: 'no' },
    { kind: 'absent' },
  ] as const)('once with $kind delays a verdict, and loses none', async (outcome) => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.advance(TTL - BEAT);
    loop.store.failNext(outcome);
    // An object that is absent comes back when the walk over all of them finds it.
    await loop.clock.advance(outcome.kind === 'absent' ? 6 * MINUTE : 2 * SECOND);
    loop.expectStale('a');
  });

  it.each([
    { kind: 'conflict' },
    { kind: 'exists' },
    { kind: 'unreachable', message: 'connection reset' },
    { kind: 'throttled', retryAfterMs: 500, message: 'slow down' },
  ] as const)('once with $kind when an object is made makes it all the same', async (outcome) => {
    const loop = await LoopFixture.started();
    loop.store.failNext(outcome);
    loop.heartbeatFrom('a');
    await loop.clock.advance(SECOND);
    loop.expectHealthy('a');
  });

  it('whose answer was lost after it had made the object is not asked twice for another', async () => {
    const loop = await LoopFixture.started();
    loop.heartbeatFrom('a');
    const lost = { kind: 'unreachable', message: 'answer lost' } as const;
    loop.store.failNext(lost);
    loop.memory.createByPerson('default', loop.nameOf('a'), identity('a'));
    await loop.clock.advance(SECOND);
    expect(loop.objects('a')).toHaveLength(1);
    loop.expectHealthy('a');
  });

  it('for a minute while a thousand beat changes no condition, and the one that fell silent is marked afterwards', async () => {
    const loop = await LoopFixture.started({ workers: 16 });
    await loop.givenHealthy(...FLEET, 'silent');
    await loop.beatFor(TTL - 30 * SECOND, FLEET);
    const before = loop.conditions();

    loop.store.failWhenever(() => ({ kind: 'unreachable', message: 'connection refused' }));
    await loop.beatFor(MINUTE, FLEET);
    expect(loop.conditions()).toEqual(before);
    loop.store.heal();
    await loop.beatFor(10 * SECOND, FLEET);

    const after = new Map(loop.conditions());
    loop.expectStale('silent');
    for (const id of FLEET) expect(after.get(loop.nameOf(id))).toEqual(before.get(loop.nameOf(id)));
  });

  it('for half an hour leaves the deadline that was missed on the object, not the moment it could be written', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    const deadlineWallMs = loop.clock.wallMs() + TTL;
    loop.store.failWhenever(() => ({ kind: 'unreachable', message: 'connection refused' }));
    await loop.clock.advance(HOUR / 2);
    loop.store.heal();
    await loop.clock.advance(10 * SECOND);
    loop.expectStale('a');
    expect(loop.object('a').status?.expiredWallMs).toBe(deadlineWallMs);
  });

  it('never replays a verdict that a heartbeat has overtaken', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    const before = loop.conditions();
    loop.store.failWhenever(() => ({ kind: 'unreachable', message: 'connection refused' }));
    await loop.clock.advance(TTL + MINUTE);
    loop.heartbeatFrom('a');
    loop.store.heal();
    await loop.clock.advance(10 * SECOND);
    expect(loop.conditions()).toEqual(before);
    await loop.clock.advance(TTL);
    loop.expectStale('a');
  });

  it('for one object only does not keep the others from being marked', async () => {
    const loop = await LoopFixture.started({ workers: 1 });
    await loop.givenHealthy('poison', 'a', 'b');
    loop.store.failWhenever((_kind, instance) =>
      instance === key('poison') ? { kind: 'refused', reason: 'Forbidden', message: 'no' } : undefined,
    );
    await loop.clock.advance(TTL + 2 * BEAT);
    loop.expectStale('a');
    loop.expectStale('b');
    loop.expectHealthy('poison');
    loop.store.heal();
    await loop.clock.advance(MINUTE);
    loop.expectStale('poison');
  });
});

describe('A jump of the wall clock', () => {
  it.each([HOUR, -HOUR])('by %d ms marks nobody who beats, and the silent one in time', async (jumpMs) => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('beats', 'silent');
    await loop.clock.advance(60 * SECOND);
    const before = loop.conditions();
    loop.clock.jumpWall(jumpMs);
    await loop.beatFor(60 * SECOND - BEAT, ['beats']);
    expect(loop.conditions()).toEqual(before);
    await loop.beatFor(2 * BEAT, ['beats']);
    loop.expectHealthy('beats');
    loop.expectStale('silent');
    await loop.beatFor(10 * MINUTE, ['beats']);
    loop.expectHealthy('beats');
  });
});

describe('A steady fleet', () => {
  it('of a thousand causes no write but refreshes, no more than four a second, and no change of any condition', async () => {
    const loop = await LoopFixture.started({ workers: 16 });
    await loop.givenHealthy(...FLEET);
    const before = loop.conditions();
    const written = loop.store.writes.length;
    const startMs = loop.clock.nowMs();

    await loop.beatFor(12 * MINUTE, FLEET);

    const refreshes = loop.store.writes.slice(written);
    expect(loop.conditions()).toEqual(before);
    expect(loop.observer.transitions).toHaveLength(FLEET.length);
    expect(loop.observer.refreshCount).toBe(refreshes.length);
    const perSecond = new Map<number, number>();
    for (const { atMs } of refreshes) {
      const second = Math.floor((atMs - startMs) / SECOND);
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    }
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(4);
    for (const { status } of loop.memory.list()) {
      expect(loop.clock.wallMs() - (status?.lastHeartbeatWallMs ?? 0)).toBeLessThan(6 * MINUTE);
    }

    await loop.clock.advance(TTL + BEAT);
    for (const id of FLEET) loop.expectStale(id);
  });
});

describe('An orderly stop', () => {
  it('writes what is due, and nothing that falls due later', async () => {
    const loop = await LoopFixture.started();
    await loop.givenHealthy('a');
    await loop.clock.advance(TTL - SECOND);
    loop.heartbeatFrom('b');
    await loop.stop();
    loop.expectHealthy('b');
    await loop.clock.advance(10 * TTL);
    loop.expectHealthy('a');
    expect(loop.clock.timers).toEqual([]);
  });

  it('waits for the answer to the last write', async () => {
    const loop = await LoopFixture.started();
    loop.store.answerDelayMs = 2 * SECOND;
    loop.heartbeatFrom('a');
    await loop.clock.advance(0);
    let isStopped = false;
    const stopping = loop.stop().finally(() => {
      isStopped = true;
    });
    await loop.clock.advance(SECOND);
    expect(isStopped).toBe(false);
    await loop.clock.advance(5 * SECOND);
    await stopping;
    loop.expectHealthy('a');
  });
});
