/* oxlint-disable unicorn/consistent-function-scoping -- A word that one group of tests uses stands in that group. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Bindings, INSTANCES_PER_POD_MAX } from '../../src/controller/bindings.ts';
import { InstanceCache } from '../../src/controller/instance-cache.ts';
import { ADDRESS_EVIDENCE_MS, InstancePods } from '../../src/controller/instance-pods.ts';
import { PodCache } from '../../src/controller/pod-cache.ts';
import type { PodRef } from '../../src/health/observed-instance.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import { identityOf, type InstanceKey } from '../../src/liveness/instance-key.ts';
import { LivenessEngine } from '../../src/liveness/liveness-engine.ts';
import { SelfDoubt } from '../../src/liveness/self-doubt.ts';
import { addressSender, podSender, type Sender, UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import { key, MINUTE, observed, pod, SECOND, TIMING, TTL } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';

const A = key('a');
const B = key('b');
const IP = '10.0.0.5';
const OTHER_IP = '10.0.0.9';
const AT_IP = addressSender(IP);
const AT_OTHER_IP = addressSender(OTHER_IP);

let clock: FakeClock;
let cache: PodCache;
let bindings: Bindings;
/** `a: → web-1`, `a: web-1 →`: who joined and who left which Pod. */
let told: string[];
/** The senders that may be somebody else than before, as the cache tells. */
let changedSenders: Sender[];
let version: number;

beforeEach(() => {
  told = [];
  changedSenders = [];
  version = 100;
  clock = new FakeClock();
  cache = new PodCache(clock, [], {
    changed: () => undefined,
    removed: () => undefined,
    senderChanged: (sender) => changedSenders.push(sender),
    policyRemoved: () => undefined,
    synced: () => Promise.resolve(),
  });
  bindings = new Bindings(cache, (key, ref, before) => {
    told.push(`${identityOf(key).instanceId}: ${before?.name ?? ''} → ${ref?.name ?? ''}`);
  });
});

/** A Pod appears, or is otherwise than it was. */
function given(name: string, parts: Partial<ObservedPod> = {}): ObservedPod {
  version += 1;
  const item = pod(name, { addresses: [IP], resourceVersion: String(version), ...parts });
  cache.pods.changed(item);
  return item;
}

const news = (): string[] => told.splice(0);
const refTo = (name: string, matchedBy: PodRef['matchedBy'] = 'PodIP', uid = `uid-of-${name}`): PodRef => ({
  namespace: 'default',
  name,
  uid,
  matchedBy,
});
const residents = (name: string): string[] =>
  [...bindings.instancesOf(`uid-of-${name}`)].map((key) => identityOf(key).instanceId);
const waiting = (sender: Sender): string[] => [...bindings.waitingFor(sender)].map((key) => identityOf(key).instanceId);

describe('An instance that is found in a Pod', () => {
  it('is bound both ways, and that is told once', () => {
    given('web-1');
    expect(bindings.decide(A, AT_IP)).toEqual({ kind: 'bound', ref: refTo('web-1'), isForeign: false });
    expect(bindings.decide(A, AT_IP).kind).toBe('bound');
    expect(bindings.refOf(A)).toEqual(refTo('web-1'));
    expect(residents('web-1')).toEqual(['a']);
    expect(news()).toEqual(['a:  → web-1']);
  });

  it('I27: shares it with the other services there', () => {
    given('web-1');
    bindings.decide(A, AT_IP);
    bindings.decide(B, podSender('uid-of-web-1'));
    expect(residents('web-1')).toEqual(['a', 'b']);
  });

  it('keeps it when it is heard from elsewhere while the Pod lives, and nothing is told', () => {
    given('web-1');
    given('stranger', { addresses: [OTHER_IP] });
    bindings.decide(A, AT_IP);
    news();
    for (const sender of [AT_OTHER_IP, podSender('uid-of-stranger'), addressSender('203.0.113.7'), UNKNOWN_SENDER]) {
      expect(bindings.decide(A, sender)).toMatchObject({ kind: 'bound', ref: refTo('web-1') });
    }
    expect(residents('web-1')).toEqual(['a']);
    expect(residents('stranger')).toEqual([]);
    expect(news()).toEqual([]);
  });

  it('moves to the Pod that it is heard from when its own is gone', () => {
    const web = given('web-1');
    given('web-2', { addresses: [OTHER_IP] });
    bindings.decide(A, AT_IP);
    news();
    cache.pods.removed(web);
    expect(bindings.decide(A, AT_OTHER_IP)).toEqual({ kind: 'bound', ref: refTo('web-2'), isForeign: false });
    expect(news()).toEqual(['a: web-1 → web-2']);
    expect([residents('web-1'), residents('web-2')]).toEqual([[], ['a']]);
  });

  it('I16: moves from a Pod to its namesake with a new uid, which is another one', () => {
    const first = given('web-0', { uid: 'uid-of-the-first' });
    bindings.decide(A, AT_IP);
    cache.pods.removed(first);
    given('web-0', { addresses: [OTHER_IP] });
    expect(bindings.decide(A, AT_OTHER_IP)).toMatchObject({ ref: { uid: 'uid-of-web-0' } });
    expect(news()).toEqual(['a:  → web-0', 'a: web-0 → web-0']);
    expect(bindings.instancesOf('uid-of-the-first').size).toBe(0);
  });

  it('leaves it when the Pod is gone and nobody else is there', () => {
    const web = given('web-1');
    bindings.decide(A, AT_IP);
    news();
    cache.pods.removed(web);
    expect(bindings.decide(A, AT_IP)).toEqual({ kind: 'unbound', why: 'UnknownSender' });
    expect([bindings.refOf(A), residents('web-1'), news()]).toEqual([undefined, [], ['a: web-1 → ']]);
    bindings.decide(A, AT_IP);
    expect(news()).toEqual([]);
  });

  it('is not found, by the heartbeat that bound it, in another Pod that was given the address meanwhile', () => {
    const web = given('web-1');
    bindings.decide(A, AT_IP);
    cache.pods.removed(web);
    given('web-2');
    expect(bindings.decide(A, AT_IP)).toEqual({ kind: 'unbound', why: 'UnknownSender' });
    expect([residents('web-2'), waiting(AT_IP)]).toEqual([[], []]);
  });

  it('is found by its token wherever that says', () => {
    const web = given('web-1');
    bindings.decide(A, podSender('uid-of-web-1'));
    cache.pods.removed(web);
    expect(bindings.decide(A, podSender('uid-of-web-1'))).toEqual({ kind: 'unbound', why: 'NoPod' });
    expect(waiting(podSender('uid-of-web-1'))).toEqual(['a']);
  });

  it('leaves it when the Pod has finished, which frees its address', () => {
    given('web-1');
    bindings.decide(A, AT_IP);
    given('web-1', { isFinished: true });
    given('web-2');
    expect(bindings.decide(B, AT_IP)).toMatchObject({ ref: refTo('web-2') });
    expect(bindings.decide(A, UNKNOWN_SENDER)).toEqual({ kind: 'unbound', why: 'UnknownSender' });
    expect(residents('web-1')).toEqual([]);
  });

  it('that is forgotten leaves nothing behind', () => {
    given('web-1');
    bindings.decide(A, AT_IP);
    news();
    bindings.forget(A);
    bindings.forget(A);
    expect([bindings.refOf(A), residents('web-1'), news()]).toEqual([undefined, [], ['a: web-1 → ']]);
  });
});

describe('A hint', () => {
  it('binds nothing, and tells nobody', () => {
    given('a', { isOnHostNetwork: true });
    expect(bindings.decide(A, AT_IP)).toEqual({ kind: 'hinted', ref: refTo('a', 'InstanceId') });
    expect([bindings.refOf(A), residents('a'), news()]).toEqual([undefined, [], []]);
  });

  it('leaves the instance waiting for proof from the same sender', () => {
    given('a', { isOnHostNetwork: true });
    bindings.decide(A, AT_IP);
    expect(waiting(AT_IP)).toEqual(['a']);
  });
});

describe('An instance whose Pod appears after its first heartbeat', () => {
  it('waits at the address, and is found there by what the cache tells of the Pod', () => {
    bindings.decide(A, AT_IP);
    expect(waiting(AT_IP)).toEqual(['a']);
    given('web-1');
    expect(changedSenders).toContain(AT_IP);
    for (const sender of changedSenders) for (const key of bindings.waitingFor(sender)) bindings.decide(key, sender);
    expect(bindings.refOf(A)).toEqual(refTo('web-1'));
    expect(waiting(AT_IP)).toEqual([]);
  });

  it('waits for the Pod of its token just the same', () => {
    const sender = podSender('uid-of-web-1');
    expect(bindings.decide(A, sender)).toEqual({ kind: 'unbound', why: 'NoPod' });
    expect(waiting(sender)).toEqual(['a']);
    given('web-1', { addresses: [] });
    expect(changedSenders).toContain(sender);
    expect(bindings.decide(A, sender)).toMatchObject({ ref: refTo('web-1', 'Token') });
    expect(waiting(sender)).toEqual([]);
  });

  it('waits until the Pod has an address, which it gets later than its name', () => {
    given('web-1', { addresses: [] });
    bindings.decide(A, AT_IP);
    changedSenders = [];
    given('web-1');
    expect(changedSenders).toEqual([AT_IP]);
    expect(bindings.decide(A, AT_IP).kind).toBe('bound');
  });

  it('waits until the second of two Pods with its address is gone', () => {
    given('web-1');
    const second = given('web-2');
    expect(bindings.decide(A, AT_IP)).toEqual({ kind: 'unbound', why: 'SeveralPods' });
    changedSenders = [];
    cache.pods.removed(second);
    expect(changedSenders).toEqual([AT_IP]);
    expect(bindings.decide(A, AT_IP)).toMatchObject({ ref: refTo('web-1') });
  });

  it('waits where it was heard last, and nowhere else', () => {
    bindings.decide(A, AT_IP);
    bindings.decide(A, AT_OTHER_IP);
    expect([waiting(AT_IP), waiting(AT_OTHER_IP)]).toEqual([[], ['a']]);
    bindings.decide(A, UNKNOWN_SENDER);
    expect([waiting(AT_IP), waiting(AT_OTHER_IP), waiting(UNKNOWN_SENDER)]).toEqual([[], [], []]);
  });

  it('waits no longer when it is forgotten', () => {
    bindings.decide(A, AT_IP);
    bindings.forget(A);
    expect(waiting(AT_IP)).toEqual([]);
  });

  it('waits with all the others at the address', () => {
    bindings.decide(A, AT_IP);
    bindings.decide(B, AT_IP);
    expect(waiting(AT_IP)).toEqual(['a', 'b']);
  });
});

const many = (count: number): InstanceKey[] => Array.from({ length: count }, (_, index) => key(`i${index}`));

describe('A Pod whose address stands for many, as that of a proxy or a mesh does', () => {
  beforeEach(() => {
    given('proxy');
    for (const key of many(INSTANCES_PER_POD_MAX)) bindings.decide(key, AT_IP);
  });

  it('proves nothing any more for those that come after so many', () => {
    expect(bindings.decide(A, AT_IP)).toEqual({ kind: 'unbound', why: 'SharedAddress' });
    expect(bindings.instancesOf('uid-of-proxy').size).toBe(INSTANCES_PER_POD_MAX);
    expect(waiting(AT_IP)).toEqual(['a']);
  });

  it('keeps those that it has', () => {
    for (const key of many(INSTANCES_PER_POD_MAX)) expect(bindings.decide(key, AT_IP).kind).toBe('bound');
  });

  it('does not bound those that prove by a token that they are this Pod', () => {
    expect(bindings.decide(A, podSender('uid-of-proxy'))).toMatchObject({ ref: refTo('proxy', 'Token') });
  });

  it('has room again when one of them is gone', () => {
    bindings.forget(key('i0'));
    expect(bindings.decide(A, AT_IP)).toMatchObject({ ref: refTo('proxy') });
  });
});

describe('What an earlier process has proved', () => {
  it('stays proved: an instance not heard yet is where it was', () => {
    given('web-1');
    bindings.restore(A, refTo('web-1', 'Token'));
    expect(bindings.decide(A, UNKNOWN_SENDER)).toEqual({
      kind: 'bound',
      ref: refTo('web-1', 'Token'),
      isForeign: false,
    });
    expect(residents('web-1')).toEqual(['a']);
  });

  it('yields to what this process has found itself', () => {
    given('web-1');
    bindings.decide(A, AT_IP);
    bindings.restore(A, refTo('web-2'));
    expect(bindings.refOf(A)).toEqual(refTo('web-1'));
  });

  it('ends an instance’s waiting', () => {
    bindings.decide(A, AT_OTHER_IP);
    bindings.restore(A, refTo('web-1'));
    expect(waiting(AT_OTHER_IP)).toEqual([]);
  });

  it('is worth nothing if its Pod is gone', () => {
    bindings.restore(A, refTo('web-1'));
    expect(bindings.decide(A, UNKNOWN_SENDER)).toEqual({ kind: 'unbound', why: 'UnknownSender' });
    expect(residents('web-1')).toEqual([]);
  });

  it('I16: is worth nothing to a namesake of its Pod', () => {
    given('web-0');
    bindings.restore(A, refTo('web-0', 'PodIP', 'uid-of-the-first'));
    expect(bindings.decide(A, UNKNOWN_SENDER)).toEqual({ kind: 'unbound', why: 'UnknownSender' });
    expect(residents('web-0')).toEqual([]);
  });
});

describe('Who may speak for an instance', () => {
  beforeEach(() => {
    given('web-1');
    given('stranger', { addresses: [OTHER_IP] });
    bindings.decide(A, AT_IP);
  });

  it.each([
    { who: 'its Pod by its address', sender: AT_IP, isForeign: false, isOfAnotherPod: false },
    { who: 'its Pod by its token', sender: podSender('uid-of-web-1'), isForeign: false, isOfAnotherPod: false },
    { who: 'another Pod by its address', sender: AT_OTHER_IP, isForeign: true, isOfAnotherPod: false },
    { who: 'another Pod by its token', sender: podSender('uid-of-stranger'), isForeign: true, isOfAnotherPod: true },
    { who: 'a Pod that is not known by its token', sender: podSender('nobody'), isForeign: true, isOfAnotherPod: true },
    {
      who: 'loopback, by which anybody may come',
      sender: addressSender('127.0.0.1'),
      isForeign: true,
      isOfAnotherPod: false,
    },
    { who: 'nobody who can be told', sender: UNKNOWN_SENDER, isForeign: true, isOfAnotherPod: false },
  ])('while its Pod lives: $who', ({ sender, isForeign, isOfAnotherPod }) => {
    expect(bindings.isForeign(A, sender)).toBe(isForeign);
    expect(bindings.isOfAnotherPod(A, sender)).toBe(isOfAnotherPod);
  });

  it.each([
    { what: 'is gone', end: () => cache.pods.removed(pod('web-1')) },
    { what: 'has finished', end: () => given('web-1', { isFinished: true }) },
  ])('is anybody when its Pod $what, even before that is decided', ({ end }) => {
    end();
    for (const sender of [AT_OTHER_IP, podSender('uid-of-stranger'), UNKNOWN_SENDER]) {
      expect(bindings.isForeign(A, sender)).toBe(false);
      expect(bindings.isOfAnotherPod(A, sender)).toBe(false);
    }
  });

  it('is nobody else while its Pod is being deleted', () => {
    given('web-1', { isTerminating: true });
    expect(bindings.isForeign(A, AT_OTHER_IP)).toBe(true);
    expect(bindings.isOfAnotherPod(A, podSender('uid-of-stranger'))).toBe(true);
  });

  it('is anybody of one that is bound to no Pod', () => {
    expect(bindings.isForeign(B, AT_OTHER_IP)).toBe(false);
    expect(bindings.isOfAnotherPod(B, podSender('uid-of-stranger'))).toBe(false);
  });

  it('is asked without consequences: nothing is bound by that', () => {
    bindings.isForeign(B, AT_IP);
    bindings.isOfAnotherPod(B, podSender('uid-of-web-1'));
    expect(bindings.refOf(B)).toBeUndefined();
  });
});

/** A heartbeat proves what it proves for as long as its sender is who it was when it was sent. */
describe('A heartbeat of before', () => {
  let engine: LivenessEngine;
  let instancePods: InstancePods;

  beforeEach(async () => {
    engine = new LivenessEngine(new SelfDoubt());
    instancePods = new InstancePods({
      clock,
      engine,
      instances: new InstanceCache(clock, { changed: () => {}, vanished: () => {}, synced: () => Promise.resolve() }),
      pods: cache,
      bindings,
      syncedOf: () => undefined,
      onConflict: () => undefined,
      defaultTiming: TIMING,
    });
    // The Pod of a job sends one heartbeat and has done its work half a minute later. It still lists its address.
    given('job');
    engine.adopt(A, TTL, clock.nowMs(), AT_IP);
    decide();
    await clock.advance(30 * SECOND);
    given('job', { isFinished: true });
    decide();
    await clock.advance(MINUTE);
  });

  function decide(key = A): string | undefined {
    const belief = engine.look(key);
    const decision = belief === undefined ? undefined : instancePods.decide(key, belief);
    return decision?.kind === 'bound' ? decision.ref.name : undefined;
  }

  it('binds nobody while no other Pod has the address', () => {
    expect(decide()).toBeUndefined();
  });

  it('binds nobody to a Pod that was given the address after it was sent', () => {
    given('web', { createdSeconds: Math.floor(clock.wallMs() / 1000) });
    expect(decide()).toBeUndefined();
  });

  it('binds nobody when it is older than it takes to learn of an address, though nobody had the address before', async () => {
    engine.adopt(B, TTL, clock.nowMs(), AT_OTHER_IP);
    await clock.advance(ADDRESS_EVIDENCE_MS + 1);
    given('late', { addresses: [OTHER_IP] });
    expect(decide(B)).toBeUndefined();
    engine.record(B, clock.nowMs(), AT_OTHER_IP);
    expect(decide(B)).toBe('late');
  });

  it('binds a Pod whose address is learned a moment later', async () => {
    engine.adopt(B, TTL, clock.nowMs(), AT_OTHER_IP);
    await clock.advance(ADDRESS_EVIDENCE_MS);
    given('late', { addresses: [OTHER_IP] });
    expect(decide(B)).toBe('late');
  });

  it('is told as a move when it comes again from the same address, so that it is looked at', () => {
    expect(engine.look(A)?.sender).toBe(UNKNOWN_SENDER);
    expect(engine.record(A, clock.nowMs(), AT_IP)).toBe('moved');
  });

  it('binds the instance to that Pod as soon as it is heard from there', () => {
    given('web', { createdSeconds: Math.floor(clock.wallMs() / 1000) });
    engine.record(A, clock.nowMs(), AT_IP);
    expect(decide()).toBe('web');
  });

  it('from elsewhere is no conflict for ever', async () => {
    const web = given('web', { addresses: [OTHER_IP] });
    engine.record(A, clock.nowMs(), AT_OTHER_IP);
    decide();
    engine.record(A, clock.nowMs() + 1, addressSender('203.0.113.7'));
    const isConflict = (): boolean | undefined => {
      const belief = engine.look(A);
      if (belief === undefined) return undefined;
      return instancePods.factsOf(observed('a'), belief, instancePods.decide(A, belief)).hasConflict;
    };
    expect(web.name).toBe(bindings.refOf(A)?.name);
    for (let minute = 0; minute < 10; minute += 1) {
      isConflict();
      await clock.advance(MINUTE);
    }
    expect(isConflict()).toBe(false);
  });
});
