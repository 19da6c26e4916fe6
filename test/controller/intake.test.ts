import { beforeEach, describe, expect, it } from 'vitest';
import { InstanceCache } from '../../src/controller/instance-cache.ts';
import { Intake, type IntakeParts } from '../../src/controller/intake.ts';
import { NewIdentityLimit } from '../../src/controller/new-identity-limit.ts';
import { identityOf } from '../../src/liveness/instance-key.ts';
import { addressSender, podSender } from '../../src/liveness/sender.ts';
import { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { freshStatus, key, observed, pod, TIMING, TTL } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { noPods } from '../support/no-pods.ts';
import { RecordingObserver } from '../support/recording-observer.ts';

const accepted = (change: string): object => ({ kind: 'accepted', change });

let clock: FakeClock;
let engine: LivenessEngine;
let cache: InstanceCache;
let observer: RecordingObserver;
let enqueued: string[];
let world: ReturnType<typeof noPods>;

const SENDER = addressSender('127.0.0.1');

beforeEach(() => {
  clock = new FakeClock();
  engine = new LivenessEngine(new SelfDoubt());
  cache = new InstanceCache(clock, {
    changed: () => undefined,
    vanished: () => undefined,
    synced: () => Promise.resolve(),
  });
  world = noPods(clock, engine, cache);
  observer = new RecordingObserver();
  enqueued = [];
});

function intake(parts: Partial<IntakeParts> = {}, limit = { perSecond: 1, burst: 100, total: 1_000 }): Intake {
  return new Intake({
    engine,
    cache,
    ...world,
    limit: new NewIdentityLimit(limit, 0),
    enqueue: (key) => enqueued.push(identityOf(key).instanceId),
    enqueueNew: (key) => enqueued.push(identityOf(key).instanceId),
    observer,
    unknownInstances: 'auto',
    defaultTiming: TIMING,
    provisionalMax: 1_000,
    ...parts,
  });
}

describe('A heartbeat of a known instance', () => {
  it('that is fresh moves a number and nothing else', async () => {
    await cache.replaced([]);
    engine.adopt(key('a'), TTL, 0, SENDER);
    expect(intake().accept(key('a'), 30_000, SENDER)).toEqual(accepted('renewed'));
    expect(enqueued).toEqual([]);
    expect(engine.look(key('a'))?.lastHeardMs).toBe(30_000);
  });

  it.each([
    { was: 'awaiting', change: 'appeared' },
    { was: 'unheard', change: 'confirmed' },
    { was: 'stale', change: 'recovered' },
  ] as const)('that was $was is $change and reconciled', async ({ was, change }) => {
    await cache.replaced([]);
    engine.restore(key('a'), TTL, was, 0);
    expect(intake().accept(key('a'), 30_000, SENDER)).toEqual(accepted(change));
    expect(enqueued).toEqual(['a']);
    expect(engine.look(key('a'))?.kind).toBe('fresh');
  });

  it('is accepted however full, fast or strict we are', async () => {
    await cache.replaced([]);
    engine.restore(key('a'), TTL, 'stale', 0);
    const strict = intake({ unknownInstances: 'reject', provisionalMax: 0 }, { perSecond: 1, burst: 0, total: 0 });
    expect(strict.accept(key('a'), 1_000, SENDER)).toEqual(accepted('recovered'));
    expect(strict.accept(key('a'), 2_000, SENDER)).toEqual(accepted('renewed'));
  });

  it('that only has an object is taken in as the object says, and reconciled', async () => {
    const wish = { intervalSeconds: 5, times: 1 };
    await cache.replaced([observed('a', { status: freshStatus(), heartbeat: wish, paused: true })]);
    expect(intake({ unknownInstances: 'reject' }).accept(key('a'), 1_000, SENDER)).toEqual(accepted('confirmed'));
    expect(enqueued).toEqual(['a']);
    expect(engine.look(key('a'))).toMatchObject({ kind: 'fresh', isPaused: true, ttlMs: 10_000, lastHeardMs: 1_000 });
  });
});

describe('A heartbeat of an unknown instance', () => {
  it.each(['auto', 'adopt'] as const)('is adopted when the setting is %s', async (unknownInstances) => {
    await cache.replaced([]);
    expect(intake({ unknownInstances }).accept(key('a'), 1_000, SENDER)).toEqual(accepted('appeared'));
    expect(enqueued).toEqual(['a']);
    expect(engine.look(key('a'))).toMatchObject({ kind: 'fresh', ttlMs: TTL, deadlineMs: 1_000 + TTL });
  });

  it('is refused when the setting is reject, and leaves nothing behind', async () => {
    await cache.replaced([]);
    expect(intake({ unknownInstances: 'reject' }).accept(key('a'), 1_000, SENDER)).toEqual({ kind: 'unknownInstance' });
    expect([engine.size, enqueued]).toEqual([0, []]);
  });

  it('is told to come again when too many came at once, and leaves nothing behind', async () => {
    await cache.replaced([]);
    const limited = intake({}, { perSecond: 1, burst: 1, total: 1_000 });
    limited.accept(key('a'), 0, SENDER);
    expect(limited.accept(key('b'), 0, SENDER)).toEqual({ kind: 'tooManyNew', retryAfterSeconds: 1 });
    expect([engine.size, enqueued, observer.refusals]).toEqual([1, ['a'], ['rate']]);
    expect(limited.accept(key('b'), 1_000, SENDER)).toEqual(accepted('appeared'));
  });

  it('is told to come again when there are as many as there may be', async () => {
    await cache.replaced([]);
    const limited = intake({}, { perSecond: 1, burst: 100, total: 2 });
    for (const id of ['a', 'b']) expect(limited.accept(key(id), 0, SENDER)).toEqual(accepted('appeared'));
    expect(limited.accept(key('c'), 0, SENDER)).toEqual({ kind: 'tooManyNew', retryAfterSeconds: 60 });
    expect([engine.size, observer.refusals]).toEqual([2, ['total']]);
    engine.forget(key('a'));
    expect(limited.accept(key('c'), 0, SENDER)).toEqual(accepted('appeared'));
  });

  it('cannot fill our memory: of a hundred thousand made-up ids at once only the burst is kept', async () => {
    await cache.replaced([]);
    const limited = intake({}, { perSecond: 1, burst: 100, total: 1_000 });
    for (let index = 0; index < 100_000; index += 1) limited.accept(key(`made-up-${index}`), 0, SENDER);
    expect([engine.size, enqueued.length]).toEqual([100, 100]);
  });
});

describe('While it is not known yet who exists', () => {
  it.each(['auto', 'adopt', 'reject'] as const)(
    'nobody is unknown, also when the setting is %s',
    (unknownInstances) => {
      expect(intake({ unknownInstances }).accept(key('a'), 1_000, SENDER)).toEqual(accepted('appeared'));
      expect(enqueued).toEqual([]);
      expect(engine.look(key('a'))?.lastHeardMs).toBe(1_000);
    },
  );

  it('ids beyond the limit are accepted without being kept', () => {
    const limited = intake({ provisionalMax: 2 });
    for (const id of ['a', 'b', 'c', 'd']) expect(limited.accept(key(id), 0, SENDER)).toEqual(accepted('appeared'));
    expect(engine.size).toBe(2);
    expect(limited.accept(key('a'), 1_000, SENDER)).toEqual(accepted('renewed'));
  });

  it('an object that is known already is followed', () => {
    cache.changed(observed('a', { status: freshStatus() }));
    expect(intake().accept(key('a'), 1_000, SENDER)).toEqual(accepted('confirmed'));
    expect(enqueued).toEqual(['a']);
  });
});

describe('Once it is known who exists', () => {
  it('those taken on trust are reconciled, whether they have an object or not', async () => {
    const loop = intake();
    loop.accept(key('has-object'), 0, SENDER);
    loop.accept(key('new'), 0, SENDER);
    await cache.replaced([observed('has-object', { status: freshStatus() })]);
    await loop.settleProvisional(clock);
    expect(enqueued).toEqual(['has-object', 'new']);
    expect(engine.size).toBe(2);
  });

  it('those without an object are forgotten when the setting is reject, and the others stay', async () => {
    const loop = intake({ unknownInstances: 'reject' });
    loop.accept(key('has-object'), 0, SENDER);
    loop.accept(key('new'), 0, SENDER);
    await cache.replaced([observed('has-object', { status: freshStatus() })]);
    await loop.settleProvisional(clock);
    expect(enqueued).toEqual(['has-object']);
    expect(loop.accept(key('new'), 6_000, SENDER)).toEqual({ kind: 'unknownInstance' });
    expect(loop.accept(key('has-object'), 6_000, SENDER)).toEqual(accepted('renewed'));
  });

  it('those without an object count as new ones that came then, so that the limits hold', async () => {
    const loop = intake({}, { perSecond: 1, burst: 2, total: 1_000 });
    for (let index = 0; index < 5; index += 1) loop.accept(key(`new-${index}`), 0, SENDER);
    await cache.replaced([]);
    await loop.settleProvisional(clock);
    expect(enqueued).toEqual(['new-0', 'new-1']);
    expect([engine.size, observer.refusals]).toEqual([2, ['rate', 'rate', 'rate']]);
  });

  it('a total that is just reached keeps all who were taken on trust', async () => {
    const loop = intake({ provisionalMax: 3 }, { perSecond: 1, burst: 100, total: 3 });
    for (const id of ['a', 'b', 'c']) loop.accept(key(id), 0, SENDER);
    await cache.replaced([]);
    await loop.settleProvisional(clock);
    expect(engine.size).toBe(3);
  });

  it('those that have an object follow it at once, since they are judged from then on', async () => {
    const loop = intake();
    loop.accept(key('slow'), 0, SENDER);
    await cache.replaced([observed('slow', { heartbeat: { intervalSeconds: 600, times: 0 } })]);
    await clock.advance(2 * TTL);
    await loop.settleProvisional(clock);
    expect(engine.look(key('slow'))).toMatchObject({ kind: 'fresh', ttlMs: 600_000, deadlineMs: 2 * TTL + 600_000 });
  });

  it('thousands of them are settled over several turns of the event loop', async () => {
    const loop = intake({ provisionalMax: 5_000 }, { perSecond: 1, burst: 5_000, total: 5_000 });
    for (let index = 0; index < 2_000; index += 1) loop.accept(key(`i${index}`), 0, SENDER);
    await cache.replaced([]);
    const settledAtTurn: number[] = [];
    const noteTurn = (): void => {
      settledAtTurn.push(enqueued.length);
      clock.arriveOnTurn(noteTurn);
    };
    clock.arriveOnTurn(noteTurn);
    await loop.settleProvisional(clock);
    expect(settledAtTurn).toEqual([500, 1_000, 1_500, 2_000]);
  });

  it('they are settled once', async () => {
    const loop = intake();
    loop.accept(key('a'), 0, SENDER);
    await cache.replaced([]);
    await loop.settleProvisional(clock);
    await loop.settleProvisional(clock);
    expect(enqueued).toEqual(['a']);
  });
});

describe('The sender of a heartbeat', () => {
  const WEB = addressSender('10.0.0.7');

  beforeEach(async () => {
    await cache.replaced([]);
    world.pods.pods.changed(pod('web', { uid: 'web', addresses: ['10.0.0.7'] }));
    world.pods.pods.changed(pod('other', { uid: 'other', addresses: ['10.0.0.8'] }));
  });

  it('that changes is told, and the instance is answered as ever', () => {
    engine.adopt(key('a'), TTL, 0, SENDER);
    expect(intake().accept(key('a'), 1_000, WEB)).toEqual(accepted('renewed'));
    expect(enqueued).toEqual(['a']);
    expect(engine.look(key('a'))?.sender).toBe(WEB);
  });

  it.each([
    { proof: 'its address', sender: WEB },
    { proof: 'a token', sender: podSender('web') },
  ])('that is a Pod by $proof may bring 32 instances, however full and fast we are', ({ sender }) => {
    const strict = intake({}, { perSecond: 1, burst: 1, total: 1 });
    expect(strict.accept(key('first'), 0, SENDER)).toEqual(accepted('appeared'));
    for (let index = 0; index < 32; index += 1) {
      expect(strict.accept(key(`pod-${index}`), 0, sender)).toEqual(accepted('appeared'));
    }
    // Beyond them it shares the limits of those who prove nothing, and what is refused leaves nothing behind.
    expect(strict.accept(key('pod-32'), 0, sender)).toMatchObject({ kind: 'tooManyNew' });
    expect(strict.accept(key('second'), 0, SENDER)).toMatchObject({ kind: 'tooManyNew' });
    expect([engine.size, world.bindings.instancesOf('web').size]).toEqual([33, 32]);
  });

  it('that is a Pod brings none when unknown instances are refused', () => {
    expect(intake({ unknownInstances: 'reject' }).accept(key('a'), 0, WEB)).toEqual({ kind: 'unknownInstance' });
    expect([engine.size, world.bindings.instancesOf('web').size]).toEqual([0, 0]);
  });

  it('that was a Pod may bring none beyond the limits once the Pod is gone', () => {
    const strict = intake({}, { perSecond: 1, burst: 0, total: 1_000 });
    world.pods.pods.removed(pod('web', { uid: 'web' }));
    expect(strict.accept(key('a'), 0, WEB)).toMatchObject({ kind: 'tooManyNew' });
    expect(strict.accept(key('a'), 0, podSender('web'))).toMatchObject({ kind: 'tooManyNew' });
  });

  it('that proved by a token to be another Pod than that of the instance is refused, and nothing is heard', () => {
    const taker = intake();
    taker.accept(key('a'), 0, podSender('web'));
    expect(taker.accept(key('a'), 5_000, podSender('other'))).toEqual({ kind: 'foreignSender' });
    expect(engine.look(key('a'))?.lastHeardMs).toBe(0);
    world.pods.pods.removed(pod('web', { uid: 'web' }));
    expect(taker.accept(key('a'), 6_000, podSender('other'))).toEqual(accepted('renewed'));
  });

  it('that is another Pod by its address alone is heard, since the path may have changed', () => {
    const taker = intake();
    taker.accept(key('a'), 0, WEB);
    expect(taker.accept(key('a'), 5_000, addressSender('10.0.0.8'))).toEqual(accepted('renewed'));
    expect(engine.look(key('a'))?.lastHeardMs).toBe(5_000);
    expect(world.bindings.refOf(key('a'))?.uid).toBe('web');
  });

  it('that cannot be looked into is no reason to refuse a known instance, which keeps its Pod', () => {
    const taker = intake();
    taker.accept(key('a'), 0, podSender('web'));
    expect(taker.acceptKnown(key('a'), 1_000)).toEqual(accepted('renewed'));
    expect(engine.look(key('a'))?.lastHeardMs).toBe(1_000);
    expect(world.bindings.refOf(key('a'))?.uid).toBe('web');
  });

  it('that cannot be looked into is heard for one that only has an object', async () => {
    await cache.replaced([observed('a', { status: freshStatus() })]);
    expect(intake().acceptKnown(key('a'), 1_000)).toEqual(accepted('confirmed'));
    expect(enqueued).toEqual(['a']);
  });

  it('that cannot be looked into brings no new instance, and leaves nothing behind', () => {
    expect(intake().acceptKnown(key('new'), 1_000)).toEqual({ kind: 'unknownInstance' });
    expect([engine.look(key('new')), enqueued, observer.refusals]).toEqual([undefined, [], []]);
  });
});

it('Once it is known who exists, those that a Pod brought stay, however full and fast we are', async () => {
  const strict = intake({}, { perSecond: 1, burst: 0, total: 0 });
  world.pods.pods.changed(pod('web', { uid: 'web', addresses: ['10.0.0.7'] }));
  strict.accept(key('of-the-pod'), 0, addressSender('10.0.0.7'));
  strict.accept(key('of-nobody'), 0, SENDER);
  await cache.replaced([]);
  await strict.settleProvisional(clock);
  expect(enqueued).toEqual(['of-the-pod']);
  expect(engine.look(key('of-nobody'))).toBeUndefined();
});

it('While it is not known yet who exists, one whose sender cannot be looked into is known as well', () => {
  expect(intake().acceptKnown(key('a'), 0)).toEqual(accepted('appeared'));
});
