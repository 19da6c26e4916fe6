/* oxlint-disable promise/always-return -- What is waited for is that an answer came, not what it was. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Bindings } from '../../src/controller/bindings.ts';
import { InstanceCache } from '../../src/controller/instance-cache.ts';
import { PodCache } from '../../src/controller/pod-cache.ts';
import type { WriteOutcome } from '../../src/controller/ports.ts';
import { StatusReporter } from '../../src/controller/status-reporter.ts';
import { REPORTED_VALUES, type ReportedValue, type StatusReport } from '../../src/health/observed-instance.ts';
import { resourceName } from '../../src/health/resource-name.ts';
import { identityOf } from '../../src/liveness/instance-key.ts';
import { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import type { ReportAnswer } from '../../src/liveness/report-answer.ts';
import { SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { addressSender, podSender, type Sender, UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import { MemoryInstanceStore } from '../../src/memory/memory-instance-store.ts';
import { HOUR, identity, key, pod, SECOND, TTL } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { FaultyStore } from '../support/faulty-store.ts';

const A = key('a');
const NAME = resourceName(A);
const HOME = addressSender('10.0.0.5');
const STRANGER = addressSender('10.0.0.9');
const STORED: ReportAnswer = { kind: 'stored' };
const UNREACHABLE: WriteOutcome = { kind: 'unreachable', message: 'storing the report: no answer' };

let clock: FakeClock;
let memory: MemoryInstanceStore;
let store: FaultyStore;
let engine: LivenessEngine;
let cache: InstanceCache;
let pods: PodCache;
let bindings: Bindings;
let reporter: StatusReporter;
/** Whether it is known which instances exist, and whose they are. */
let isReady: boolean;
/** What the observer was told: `a DOWN true`. */
let observed: string[];

beforeEach(async () => {
  observed = [];
  isReady = true;
  clock = new FakeClock();
  memory = new MemoryInstanceStore(clock.wallMs);
  store = new FaultyStore(memory, clock);
  engine = new LivenessEngine(new SelfDoubt());
  cache = new InstanceCache(clock, { changed: () => {}, vanished: () => {}, synced: () => Promise.resolve() });
  const nobody = {
    changed: () => {},
    removed: () => {},
    senderChanged: () => {},
    policyRemoved: () => {},
    synced: () => Promise.resolve(),
  };
  pods = new PodCache(clock, [], nobody);
  bindings = new Bindings(pods, () => undefined);
  reporter = new StatusReporter({
    clock,
    engine,
    cache,
    bindings,
    store,
    observer: {
      reported: (key, value, isStored) => observed.push(`${identityOf(key).instanceId} ${value} ${isStored}`),
    },
    isReady: () => isReady,
  });
  await memory.listen(cache);
  await clock.advance(5 * SECOND);
});

/** The instance has an object, as it has soon after its first heartbeat. */
async function givenObject(): Promise<void> {
  await store.create({ identity: identity('a'), namespace: 'default', name: NAME, owner: undefined });
}

/** The instance is bound to a Pod that lives. */
function givenBound(): void {
  pods.pods.changed(pod('web-1', { addresses: ['10.0.0.5'] }));
  bindings.decide(A, HOME);
}

/** A report that was read `agoMs` ago. What becomes of it is known when the clock was moved. */
function report(value: ReportedValue, agoMs = 0, sender: Sender = HOME): Promise<ReportAnswer> {
  return reporter.report(A, value, clock.nowMs() - agoMs, sender);
}

/** What a report comes to when time passes. */
async function answerTo(answer: Promise<ReportAnswer>, withinMs = 10 * SECOND): Promise<ReportAnswer> {
  await clock.advance(withinMs);
  return answer;
}

const stored = (): StatusReport | undefined => memory.get('default', NAME)?.reported;
const reports = (): string[] => store.writes.filter(({ kind }) => kind === 'report').map(({ outcome }) => outcome);

describe('A report', () => {
  it.each(REPORTED_VALUES)(
    'is stored with the moment at which it was read, and acknowledged then: %s',
    async (value) => {
      await givenObject();
      const readWallMs = clock.wallMs() - 40;
      expect(await report(value, 40)).toEqual(STORED);
      expect(stored()).toEqual({ value, wallMs: readWallMs, podUid: undefined });
      expect(observed).toEqual([`a ${value} true`]);
    },
  );

  it('can be read from the cache at once', async () => {
    await givenObject();
    await report('DOWN');
    expect(cache.get(A)?.winner.reported?.value).toBe('DOWN');
  });

  it('is acknowledged only when the API has it', async () => {
    await givenObject();
    store.answerDelayMs = 500;
    let isAnswered = false;
    const answer = report('DOWN').finally(() => {
      isAnswered = true;
    });
    await clock.advance(499);
    expect(isAnswered).toBe(false);
    await clock.advance(1);
    expect([isAnswered, await answer]).toEqual([true, STORED]);
  });

  it('of an instance that nobody knows is refused, and nothing is written', async () => {
    expect(await report('UP')).toEqual({ kind: 'unknownInstance' });
    expect([reports(), observed]).toEqual([[], []]);
  });

  it('of an instance that has an object and was never heard is stored', async () => {
    await givenObject();
    expect(engine.look(A)).toBeUndefined();
    expect(await report('STARTING')).toEqual(STORED);
  });

  it('is stored again when it says the same later, since it is newer', async () => {
    await givenObject();
    await report('UP');
    const first = stored();
    await clock.advance(MINUTE);
    expect(await report('UP')).toEqual(STORED);
    expect(stored()).toEqual({ value: 'UP', wallMs: (first?.wallMs ?? 0) + MINUTE, podUid: undefined });
  });

  it('that was read before the calendar was set back is still taken for what it is: the newest', async () => {
    await givenObject();
    await report('DOWN');
    clock.jumpWall(-HOUR);
    await clock.advance(SECOND);
    expect(await report('UP')).toEqual(STORED);
    expect(stored()?.value).toBe('UP');
  });
});

const MINUTE = 60 * SECOND;

describe('A report of an instance whose object is not there yet', () => {
  beforeEach(() => {
    engine.adopt(A, TTL, clock.nowMs(), HOME);
  });

  it('waits for it', async () => {
    const answer = report('STARTING');
    await clock.advance(SECOND);
    expect(reports()).toEqual([]);
    await givenObject();
    expect(await answerTo(answer)).toEqual(STORED);
    expect(stored()?.value).toBe('STARTING');
  });

  it('is not acknowledged if it does not come within the patience of SDKs', async () => {
    const answer = await answerTo(report('STARTING'), 3 * SECOND);
    expect(answer).toEqual({ kind: 'notStored', detail: 'the object of the instance is not there yet' });
    expect(observed).toEqual(['a STARTING false']);
    expect(clock.timers).toEqual([]);
  });
});

describe('A report that cannot be stored', () => {
  beforeEach(givenObject);

  it('because of a conflict is tried again on what is there now', async () => {
    store.failNext({ kind: 'conflict' });
    const answer = report('DOWN');
    await settle();
    expect(memory.edit('default', NAME, { paused: true }).kind).toBe('written');
    expect(await answerTo(answer)).toEqual(STORED);
    expect(memory.get('default', NAME)).toMatchObject({ paused: true, reported: { value: 'DOWN' } });
  });

  it('because the object has changed and nobody has told us yet is tried until we know', async () => {
    const stale = cache.get(A)?.winner;
    expect(memory.edit('default', NAME, { paused: true }).kind).toBe('written');
    // The watch is behind: the cache holds what was before the edit.
    const edited = cache.get(A)?.winner;
    if (stale === undefined || edited === undefined) throw new Error('the object is in the cache');
    cache.removed(edited);
    const late = new InstanceCache(clock, { changed: () => {}, vanished: () => {}, synced: () => Promise.resolve() });
    await late.replaced([stale]);
    const behind = new StatusReporter({
      clock,
      engine,
      cache: late,
      bindings,
      store,
      observer: { reported: () => undefined },
      isReady: () => true,
    });
    const answer = behind.report(A, 'DOWN', clock.nowMs(), HOME);
    await clock.advance(250);
    expect(reports()).toEqual(['conflict', 'conflict', 'conflict']);
    late.changed(edited);
    expect(await answerTo(answer)).toEqual(STORED);
    expect(stored()?.value).toBe('DOWN');
  });

  it('because the store cannot be reached for a moment is tried again', async () => {
    store.failNext(UNREACHABLE, { kind: 'throttled', retryAfterMs: 1_000, message: 'too many requests' });
    expect(await answerTo(report('DOWN'))).toEqual(STORED);
    expect(reports()).toEqual(['unreachable', 'throttled', 'written']);
  });

  it('because the store cannot be reached is not acknowledged, and says why', async () => {
    store.failWhenever((kind) => (kind === 'report' ? UNREACHABLE : undefined));
    expect(await answerTo(report('DOWN'), 3 * SECOND)).toEqual({
      kind: 'notStored',
      detail: 'storing the report: no answer',
    });
    expect([stored(), observed]).toEqual([undefined, ['a DOWN false']]);
  });

  it('because the store refuses it is told at once: trying again will not help', async () => {
    store.failWhenever(() => ({ kind: 'refused', reason: 'Forbidden', message: 'storing the report: not allowed' }));
    expect(await report('DOWN')).toEqual({ kind: 'notStored', detail: 'storing the report: not allowed' });
    expect(reports()).toEqual(['refused']);
  });

  it('because its object is gone meanwhile is not acknowledged', async () => {
    store.failWhenever(() => ({ kind: 'absent' }));
    expect(await answerTo(report('DOWN'), 3 * SECOND)).toEqual({
      kind: 'notStored',
      detail: 'storing the report: absent',
    });
  });

  it('leaves the way free for the next one', async () => {
    store.failNext({ kind: 'refused', reason: 'Other', message: 'no' });
    await report('DOWN');
    expect(await report('UP')).toEqual(STORED);
    expect(stored()?.value).toBe('UP');
  });

  // Up to a thousand reports may be under way, and none of them is to call a server every 100 ms that asks for a pause.
  it('because the store asks for a pause is not tried again before that is over', async () => {
    store.failWhenever(() => ({ kind: 'throttled', retryAfterMs: 2_000, message: 'too many requests' }));
    const answer = report('DOWN');
    await clock.advance(1_900);
    expect(reports()).toHaveLength(1);
    await answerTo(answer);
  });
});

describe('I23: of several reports of an instance', () => {
  beforeEach(givenObject);

  it('the newest stands, in the order in which they were read', async () => {
    for (const value of ['STARTING', 'UP', 'DOWN', 'UP'] as const) {
      expect(await report(value)).toEqual(STORED);
      await clock.advance(10);
    }
    expect(stored()?.value).toBe('UP');
  });

  it('an older one that is still under way gives way to a newer one', async () => {
    store.failNext(UNREACHABLE);
    const older = report('DOWN');
    await clock.advance(50);
    const newer = report('UP');
    expect(await answerTo(newer, 0)).toEqual(STORED);
    expect(await answerTo(older)).toEqual(STORED);
    expect([stored()?.value, reports()]).toEqual(['UP', ['unreachable', 'written']]);
  });

  it('an older one that comes while a newer one is under way gives way, and is acknowledged when that is stored', async () => {
    store.failNext(UNREACHABLE);
    const newer = report('UP');
    const older = report('DOWN', 500);
    const answers: string[] = [];
    void older.then(({ kind }) => answers.push(kind));
    await clock.advance(50);
    expect(answers).toEqual([]);
    expect(await answerTo(newer)).toEqual(STORED);
    expect(await answerTo(older)).toEqual(STORED);
    expect([stored()?.value, reports()]).toEqual(['UP', ['unreachable', 'written']]);
  });

  // While the API cannot be reached each report but the last would be acknowledged, and nothing of them be stored.
  it('one that gave way to a newer one is not acknowledged if that could not be stored', async () => {
    store.failWhenever((kind) => (kind === 'report' ? UNREACHABLE : undefined));
    const older = report('DOWN');
    await clock.advance(50);
    const newer = report('UP');
    expect(await answerTo(newer)).toMatchObject({ kind: 'notStored' });
    expect(await answerTo(older)).toMatchObject({ kind: 'notStored' });
    expect(observed).toEqual(['a UP false', 'a DOWN false']);
  });

  it('one that gave way to a newer one that was refused at once is stored itself', async () => {
    store.failNext(UNREACHABLE);
    const older = report('DOWN');
    await clock.advance(50);
    store.failNext({ kind: 'refused', reason: 'Other', message: 'no' });
    expect(await answerTo(report('UP'), 0)).toMatchObject({ kind: 'notStored' });
    expect(await answerTo(older)).toEqual(STORED);
    expect(stored()?.value).toBe('DOWN');
  });

  it('one of another instance gives way to none', async () => {
    engine.adopt(key('b'), TTL, 0, HOME);
    await store.create({ identity: identity('b'), namespace: 'default', name: 'b', owner: undefined });
    store.failNext(UNREACHABLE);
    const ofB = reporter.report(key('b'), 'DOWN', clock.nowMs(), HOME);
    await clock.advance(50);
    await report('UP');
    expect(await answerTo(ofB)).toEqual(STORED);
    expect(memory.get('default', 'b')?.reported?.value).toBe('DOWN');
  });

  it('an older one that says the same comes late, and the newer moment stays', async () => {
    await report('UP');
    const newest = stored();
    await clock.advance(SECOND);
    expect(await report('UP', 2 * SECOND)).toEqual(STORED);
    expect(stored()).toEqual(newest);
  });

  // Its token had to be looked up first, for instance.
  it('an older one that comes when a newer one is stored already does not override it', async () => {
    await clock.advance(SECOND);
    await report('UP');
    await clock.advance(SECOND);
    await report('DOWN', 1_500);
    expect(stored()?.value).toBe('UP');
  });

  it('of two that were read in the same millisecond the one that came last stands, and neither is acknowledged before it is stored', async () => {
    store.failWhenever((kind) => (kind === 'report' ? UNREACHABLE : undefined));
    const answers: string[] = [];
    for (const value of ['DOWN', 'UP'] as const) void report(value).then(({ kind }) => answers.push(kind));
    await clock.advance(SECOND);
    expect(answers).toEqual([]);
    store.heal();
    await clock.advance(SECOND);
    expect(answers).toEqual(['stored', 'stored']);
    expect(stored()?.value).toBe('UP');
  });
});

describe('A report from elsewhere', () => {
  beforeEach(async () => {
    await givenObject();
    givenBound();
  });

  it.each([
    { who: 'another address', sender: STRANGER },
    { who: "another Pod's token", sender: podSender('uid-of-stranger') },
    { who: 'a sender that cannot be told', sender: UNKNOWN_SENDER },
    { who: 'loopback', sender: addressSender('127.0.0.1') },
  ])('changes nothing while the Pod of the instance lives: $who', async ({ sender }) => {
    expect(await report('DOWN', 0, sender)).toEqual({ kind: 'foreignSender' });
    expect([stored(), reports(), observed]).toEqual([undefined, [], []]);
  });

  it.each([HOME, podSender('uid-of-web-1')])(
    'is not one from the Pod itself, which it is stored with: %s',
    async (sender) => {
      expect(await report('DOWN', 0, sender)).toEqual(STORED);
      expect(stored()).toMatchObject({ value: 'DOWN', podUid: 'uid-of-web-1' });
    },
  );

  it('does not make one from the Pod itself give way', async () => {
    store.failNext(UNREACHABLE);
    const own = report('UP');
    await clock.advance(50);
    await report('DOWN', 0, STRANGER);
    expect(await answerTo(own)).toEqual(STORED);
    expect(stored()?.value).toBe('UP');
  });

  it('is stored when the Pod of the instance is gone: it may have moved, and which Pod it is now is stored with it', async () => {
    pods.pods.removed(pod('web-1'));
    pods.pods.changed(pod('web-2', { addresses: ['10.0.0.9'] }));
    expect(await report('UP', 0, STRANGER)).toEqual(STORED);
    expect(stored()).toMatchObject({ value: 'UP', podUid: 'uid-of-web-2' });
  });

  it.each([addressSender('127.0.0.1'), UNKNOWN_SENDER, podSender('nobody')])(
    'about one that is bound to no Pod is stored as nobody’s: %s',
    async (sender) => {
      bindings.forget(A);
      expect(await report('DOWN', 0, sender)).toEqual(STORED);
      expect(stored()).toMatchObject({ value: 'DOWN', podUid: undefined });
    },
  );
});

describe('A report before it is known which instances exist, and whose they are', () => {
  beforeEach(() => {
    isReady = false;
  });

  it('waits until that is known, and is stored then', async () => {
    await givenObject();
    givenBound();
    const answer = report('DOWN');
    await clock.advance(SECOND);
    expect(reports()).toEqual([]);
    isReady = true;
    expect(await answerTo(answer)).toEqual(STORED);
    expect(stored()?.value).toBe('DOWN');
  });

  it('from elsewhere changes nothing when that is known', async () => {
    await givenObject();
    givenBound();
    const answer = report('DOWN', 0, STRANGER);
    isReady = true;
    expect(await answerTo(answer)).toEqual({ kind: 'foreignSender' });
    expect(stored()).toBeUndefined();
  });

  it('is not acknowledged if that takes too long', async () => {
    await givenObject();
    expect(await answerTo(report('DOWN'), 3 * SECOND)).toMatchObject({ kind: 'notStored' });
    expect(reports()).toEqual([]);
  });

  it('is not called unknown while it is not known who exists', async () => {
    expect(await answerTo(report('DOWN'), 3 * SECOND)).toMatchObject({ kind: 'notStored' });
  });

  // It would be acknowledged and lost: the newer one is nobody's.
  it('does not give way to one from elsewhere', async () => {
    await givenObject();
    givenBound();
    const own = report('DOWN');
    await clock.advance(50);
    const foreign = report('UP', 0, STRANGER);
    isReady = true;
    await answerTo(foreign);
    expect(await own).toEqual(STORED);
    expect(stored()?.value).toBe('DOWN');
  });
});

describe('Many reports', () => {
  it('are bounded: what is too much is told at once, and the others are stored', async () => {
    const ids = Array.from({ length: 1_001 }, (_, index) => `i${index}`);
    for (const id of ids) engine.adopt(key(id), TTL, 0, HOME);
    const answers = ids.map((id) => reporter.report(key(id), 'UP', clock.nowMs(), HOME));
    expect(await answers.at(-1)).toEqual({ kind: 'notStored', detail: 'too many reports are under way' });
    for (const id of ids) {
      await memory.create({ identity: identity(id), namespace: 'default', name: id, owner: undefined });
    }
    await clock.advance(200);
    expect(await Promise.all(answers.slice(0, 1_000))).toEqual(Array.from({ length: 1_000 }, () => STORED));
  });
});
