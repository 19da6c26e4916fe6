/* oxlint-disable unicorn/consistent-function-scoping -- A word that one group of tests uses stands in that group. */
import { beforeEach, describe, expect, it } from 'vitest';
import { PodCache } from '../../src/controller/pod-cache.ts';
import type { ObservedNode } from '../../src/health/observed-node.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import type { ObservedPolicy } from '../../src/health/observed-policy.ts';
import { pod } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { node, policy } from '../support/pod-builders.ts';

const IP = '10.0.0.5';
const IPV6 = 'fd00::5';
const OWN_IP = '10.0.0.2';
const NODE_IP = '192.168.0.1';

let cache: PodCache;
let told: string[];
let version: number;

beforeEach(() => {
  told = [];
  version = 100;
  cache = new PodCache(new FakeClock(), [OWN_IP], {
    changed: (uid) => told.push(`changed ${uid}`),
    removed: ({ uid }) => told.push(`removed ${uid}`),
    senderChanged: (sender) => told.push(`sender ${sender}`),
    policyRemoved: ({ name }) => told.push(`policy ${name} is gone`),
    synced() {
      told.push('synced');
      return Promise.resolve();
    },
  });
});

/** What was told since this was asked last. */
const news = (): string[] => told.splice(0);

const next = (): { readonly resourceVersion: string } => ({ resourceVersion: String((version += 1)) });

/** A Pod called `uid`, at `IP`, appears or is otherwise than it was. */
function givenPod(uid: string, parts: Partial<ObservedPod> = {}): ObservedPod {
  const item = pod(uid, { uid, addresses: [IP], ...next(), ...parts });
  cache.pods.changed(item);
  return item;
}

function givenNode(name: string, parts: Partial<ObservedNode> = {}): ObservedNode {
  const item = node(name, { ...next(), ...parts });
  cache.nodes.changed(item);
  return item;
}

function givenPolicy(name: string, parts: Partial<ObservedPolicy> = {}): ObservedPolicy {
  const item = policy(name, { ...next(), ...parts });
  cache.policies.changed(item);
  return item;
}

const at = (address: string): string[] => [...cache.atAddress(address)].map(({ uid }) => uid);

describe('The cache', () => {
  it('is synced when Pods, nodes and policies have all been heard, in whatever order', async () => {
    await cache.nodes.replaced([]);
    await cache.pods.replaced([pod('web-1')]);
    expect([cache.isSynced, news()]).toEqual([false, ['sender pod/uid-of-web-1', 'changed uid-of-web-1']]);
    await cache.policies.replaced([]);
    expect([cache.isSynced, news()]).toEqual([true, ['synced']]);
    await cache.pods.replaced([]);
    expect(news()).toEqual(['removed uid-of-web-1']);
  });
});

describe('The Pods at an address', () => {
  it('are those that list it, by either family', () => {
    givenPod('a', { addresses: [IP, IPV6] });
    givenPod('b', { addresses: ['10.0.0.6'] });
    expect([at(IP), at(IPV6), at('10.0.0.6'), at('10.0.0.7')]).toEqual([['a'], ['a'], ['b'], []]);
    expect(cache.byUid('a')?.addresses).toEqual([IP, IPV6]);
  });

  it('are all of them: it is not for the cache to choose among finished ones and those on the host network', () => {
    givenPod('job', { isFinished: true });
    givenPod('agent', { isOnHostNetwork: true });
    givenPod('web');
    expect(at(IP)).toEqual(['job', 'agent', 'web']);
  });

  it('change with the Pod', () => {
    givenPod('a', { addresses: [IP, IPV6] });
    givenPod('a', { addresses: [IPV6, '10.0.0.7'] });
    expect([at(IP), at(IPV6), at('10.0.0.7')]).toEqual([[], ['a'], ['a']]);
  });

  it('are none any more when the Pod is gone', () => {
    const a = givenPod('a');
    cache.pods.removed(a);
    expect([at(IP), cache.byUid('a')]).toEqual([[], undefined]);
  });

  it('are the new one when an address is used again, though the old one goes later', () => {
    const old = givenPod('old', { isFinished: true });
    givenPod('new');
    cache.pods.removed(old);
    expect(at(IP)).toEqual(['new']);
  });

  it('I16: are told apart by uid when they have one name', () => {
    const first = givenPod('first', { name: 'web-0' });
    givenPod('second', { name: 'web-0', addresses: ['10.0.0.6'] });
    cache.pods.removed(first);
    expect([at(IP), at('10.0.0.6'), cache.byUid('second')?.name]).toEqual([[], ['second'], 'web-0']);
  });
});

describe('A sender may be another Pod than before', () => {
  it('when a Pod appears, by each of its addresses and by its token', () => {
    givenPod('a', { addresses: [IP, IPV6] });
    expect(news()).toEqual([`sender ${IP}`, `sender ${IPV6}`, 'sender pod/a', 'changed a']);
  });

  it('when a Pod gets an address, and not for those that it had', () => {
    givenPod('a', { addresses: [] });
    expect(news()).toEqual(['sender pod/a', 'changed a']);
    givenPod('a', { addresses: [IP] });
    expect(news()).toEqual([`sender ${IP}`, 'changed a']);
    givenPod('a', { addresses: [IP, IPV6] });
    expect(news()).toEqual([`sender ${IPV6}`, 'changed a']);
  });

  it('when a Pod loses an address', () => {
    givenPod('a', { addresses: [IP, IPV6] });
    news();
    givenPod('a', { addresses: [IP] });
    expect(news()).toEqual([`sender ${IPV6}`, 'changed a']);
  });

  it('when a Pod finishes: its address is free though it goes on listing it', () => {
    givenPod('a');
    news();
    givenPod('a', { isFinished: true });
    expect(news()).toEqual([`sender ${IP}`, 'changed a']);
  });

  it('when a Pod is gone', () => {
    const a = givenPod('a');
    news();
    cache.pods.removed(a);
    expect(news()).toEqual([`sender ${IP}`, 'removed a']);
  });

  it('not when anything else about a Pod changes', () => {
    givenPod('a');
    news();
    givenPod('a', { isReady: true, labels: { app: 'web' }, restarts: 1 });
    expect(news()).toEqual(['changed a']);
  });

  it('and is found there by whoever asks when told', () => {
    const seen: string[][] = [];
    const asking = new PodCache(new FakeClock(), [], {
      changed: () => undefined,
      removed: () => undefined,
      senderChanged: () => seen.push([...asking.atAddress(IP)].map(({ uid }) => uid)),
      policyRemoved: () => undefined,
      synced: () => Promise.resolve(),
    });
    const a = pod('a', { uid: 'a', addresses: [IP], resourceVersion: '1' });
    asking.pods.changed(a);
    asking.pods.removed(a);
    expect(seen).toEqual([['a'], ['a'], []]);
  });

  // Two Pods with one address bind nothing until one of them is being deleted.
  it('when one of two Pods with its address is being deleted, which leaves one that stays', () => {
    givenPod('old');
    givenPod('new');
    news();
    givenPod('old', { isTerminating: true });
    expect(news()).toContain(`sender ${IP}`);
  });

  // An address of a node proves nothing for as long as it is one.
  it('when its address is that of a node no longer', () => {
    const gone = givenNode('node-1', { addresses: [IP] });
    givenPod('a');
    news();
    cache.nodes.removed(gone);
    expect(news()).toContain(`sender ${IP}`);
  });
});

describe('An address is shared', () => {
  it.each(['127.0.0.1', '127.8.9.10', '::1', OWN_IP])('if it is loopback or our own: %s', (address) => {
    expect(cache.isSharedAddress(address)).toBe(true);
  });

  it.each([IP, IPV6, '10.127.0.1', '::12', ''])('not if it is any other: %s', (address) => {
    expect(cache.isSharedAddress(address)).toBe(false);
  });

  it('if a node has it, for as long as one does', () => {
    const first = givenNode('node-1', { addresses: [NODE_IP, 'fd00::1'] });
    expect([cache.isSharedAddress(NODE_IP), cache.isSharedAddress('fd00::1')]).toEqual([true, true]);
    givenNode('node-1', { addresses: [NODE_IP] });
    expect([cache.isSharedAddress(NODE_IP), cache.isSharedAddress('fd00::1')]).toEqual([true, false]);
    givenNode('node-2', { addresses: [NODE_IP] });
    cache.nodes.removed(first);
    expect(cache.isSharedAddress(NODE_IP)).toBe(true);
    cache.nodes.removed(node('node-2'));
    expect(cache.isSharedAddress(NODE_IP)).toBe(false);
  });
});

describe('The node of a Pod', () => {
  it('is found by its name, and not at all before the Pod is scheduled', () => {
    const known = givenNode('node-1');
    expect(cache.nodeOf(givenPod('a'))).toEqual(known);
    expect(cache.nodeOf(givenPod('b', { nodeName: '' }))).toBeUndefined();
    expect(cache.nodeOf(givenPod('c', { nodeName: 'node-2' }))).toBeUndefined();
  });

  it('that is ready no longer, or again, is told of each of its Pods', () => {
    givenNode('node-1');
    givenPod('a');
    givenPod('b');
    givenPod('elsewhere', { nodeName: 'node-2' });
    news();
    givenNode('node-1', { isReady: false });
    expect(news()).toEqual(['changed a', 'changed b']);
    givenNode('node-1');
    expect(news()).toEqual(['changed a', 'changed b']);
  });

  it('that only reports in, as nodes do every few minutes, is told of nobody', () => {
    givenNode('node-1');
    givenPod('a');
    news();
    givenNode('node-1');
    givenNode('node-1', { addresses: [NODE_IP] });
    expect(news()).toEqual([]);
  });

  it('that is gone is told of its Pods', () => {
    const gone = givenNode('node-1', { isReady: false });
    const a = givenPod('a');
    news();
    cache.nodes.removed(gone);
    expect([cache.nodeOf(a), news()]).toEqual([undefined, ['changed a']]);
  });

  it('that was registered anew is the new one, though the end of the old one is heard later', () => {
    const old = givenNode('node-1', { uid: 'old' });
    const a = givenPod('a');
    const now = givenNode('node-1', { uid: 'new', isReady: false });
    cache.nodes.removed(old);
    expect(cache.nodeOf(a)).toEqual(now);
  });

  it('is told of no Pod that has left it', () => {
    givenNode('node-1');
    const a = givenPod('a');
    cache.pods.removed(a);
    news();
    givenNode('node-1', { isReady: false });
    expect(news()).toEqual([]);
  });

  it('is told of a Pod that was scheduled after it was seen', () => {
    givenNode('node-1');
    givenPod('a', { nodeName: '' });
    givenPod('a');
    news();
    givenNode('node-1', { isReady: false });
    expect(news()).toEqual(['changed a']);
  });
});

const selects = (app: string): Pick<ObservedPolicy, 'selector'> => ({
  selector: { matchLabels: { app }, matchExpressions: [] },
});

describe('The policy of a Pod', () => {
  it('is the one that wins of all that select it; the others come behind it', () => {
    givenPolicy('all');
    givenPolicy('web', { priority: 5, ...selects('web') });
    givenPolicy('cart', { priority: 9, ...selects('cart') });
    const a = givenPod('a', { labels: { app: 'web' } });
    expect(cache.policyOf(a)?.name).toBe('web');
    expect(cache.policiesOf(a).map(({ name }) => name)).toEqual(['web', 'all']);
  });

  it('is none of another namespace', () => {
    givenPolicy('all', { namespace: 'shop' });
    expect(cache.policyOf(givenPod('a'))).toBeUndefined();
  });

  it('is none if there is none', () => {
    const a = givenPod('a');
    expect([cache.policyOf(a), cache.policiesOf(a)]).toEqual([undefined, []]);
  });

  it('follows the labels of the Pod', () => {
    givenPolicy('web', selects('web'));
    expect(cache.policyOf(givenPod('a'))).toBeUndefined();
    expect(cache.policyOf(givenPod('a', { labels: { app: 'web' } }))?.name).toBe('web');
  });

  it('that appears, changes or is deleted is told of every Pod of its namespace', () => {
    givenPod('a');
    givenPod('b');
    givenPod('elsewhere', { namespace: 'shop' });
    news();
    givenPolicy('all', { generation: 1 });
    expect(news()).toEqual(['changed a', 'changed b']);
    const last = givenPolicy('all', { generation: 2, enforcement: 'Observe' });
    expect(news()).toEqual(['changed a', 'changed b']);
    cache.policies.removed(last);
    expect([cache.policyOf(pod('a')), news()]).toEqual([undefined, ['policy all is gone', 'changed a', 'changed b']]);
  });

  it('in whose status we write is told of nobody, and is known as it is now', () => {
    givenPolicy('all');
    const a = givenPod('a');
    news();
    const written = givenPolicy('all');
    expect(news()).toEqual([]);
    expect(cache.policyOf(a)).toEqual(written);
  });

  it('I16: that was deleted and made again is told, though its generation is the same', () => {
    givenPod('a');
    givenPolicy('all', { uid: 'first' });
    news();
    cache.policies.removed(policy('all', { uid: 'first' }));
    givenPolicy('all', { uid: 'second' });
    expect(news()).toEqual(['policy all is gone', 'changed a', 'changed a']);
  });
});

describe('The Pods of a namespace', () => {
  it('are those that are there', () => {
    const a = givenPod('a');
    givenPod('b');
    givenPod('c', { namespace: 'shop' });
    expect([...cache.podsIn('default')]).toEqual(['a', 'b']);
    cache.pods.removed(a);
    expect([...cache.podsIn('default')]).toEqual(['b']);
    expect([...cache.podsIn('nowhere')]).toEqual([]);
  });
});
