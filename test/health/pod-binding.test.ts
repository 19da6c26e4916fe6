/* oxlint-disable vitest/no-conditional-expect -- A property expects something only of the cases that it is about. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { MatchedBy, PodRef } from '../../src/health/observed-instance.ts';
import type { ObservedPod } from '../../src/health/observed-pod.ts';
import {
  type BindingDecision,
  decideBinding,
  isProof,
  type PodLookup,
  type UnboundReason,
} from '../../src/health/pod-binding.ts';
import { addressSender, podSender, type Sender, UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import { pod } from '../support/builders.ts';

const IP = '10.0.0.5';
const IPV6 = 'fd00::5';
const NODE_IP = '192.168.0.1';

/** The Pods that there are; loopback and the node's address are shared. */
function pods(...all: readonly ObservedPod[]): PodLookup {
  return {
    byUid: (uid) => all.find((pod) => pod.uid === uid),
    atAddress: (address) => all.filter((pod) => pod.addresses.includes(address)),
    isSharedAddress: (address) => address === NODE_IP || address === '127.0.0.1',
  };
}

/** A Pod at `IP`, unless `parts` say otherwise. */
const at = (name: string, parts: Partial<ObservedPod> = {}): ObservedPod => pod(name, { addresses: [IP], ...parts });

const ref = (name: string, matchedBy: MatchedBy = 'PodIP', uid = `uid-of-${name}`): PodRef => ({
  namespace: 'default',
  name,
  uid,
  matchedBy,
});

const bound = (ref: PodRef): BindingDecision => ({ kind: 'bound', ref, isForeign: false });
const foreign = (ref: PodRef): BindingDecision => ({ kind: 'bound', ref, isForeign: true });
const hinted = (name: string): BindingDecision => ({ kind: 'hinted', ref: ref(name, 'InstanceId') });
const unbound = (why: UnboundReason): BindingDecision => ({ kind: 'unbound', why });

interface Row {
  readonly title: string;
  readonly current?: PodRef;
  readonly sender: Sender;
  readonly pods: readonly ObservedPod[];
  readonly decision: BindingDecision;
}

const FROM_IP = addressSender(IP);

const BY_ADDRESS: readonly Row[] = [
  { title: 'The one Pod at the address', sender: FROM_IP, pods: [at('web')], decision: bound(ref('web')) },
  { title: 'No Pod at the address', sender: FROM_IP, pods: [pod('web')], decision: unbound('NoPod') },
  { title: 'An unknown sender', sender: UNKNOWN_SENDER, pods: [at('web')], decision: unbound('UnknownSender') },
  {
    title: 'Dual stack: the Pod is found by its second address, too',
    sender: addressSender(IPV6),
    pods: [at('web', { addresses: [IP, IPV6] })],
    decision: bound(ref('web')),
  },
  {
    title: 'An IPv4 address mapped into IPv6 is the IPv4 address',
    sender: addressSender(`::ffff:${IP}`),
    pods: [at('web')],
    decision: bound(ref('web')),
  },
  {
    title: 'An IPv6 address in capitals and with a zone is the same address',
    sender: addressSender('FD00::5%eth0'),
    pods: [at('web', { addresses: [IPV6] })],
    decision: bound(ref('web')),
  },
  {
    title: 'A finished Pod that still lists the address leaves it to the one that lives',
    sender: FROM_IP,
    pods: [at('job', { isFinished: true }), at('web')],
    decision: bound(ref('web')),
  },
  {
    title: 'A finished Pod alone is nobody: it sends no heartbeats',
    sender: FROM_IP,
    pods: [at('job', { isFinished: true })],
    decision: unbound('NoPod'),
  },
  {
    title: 'A Pod that is being deleted and one that stays: the one that stays',
    sender: FROM_IP,
    pods: [at('old', { isTerminating: true }), at('new')],
    decision: bound(ref('new')),
  },
  {
    title: 'A Pod that is being deleted still beats, and alone at the address it is the one',
    sender: FROM_IP,
    pods: [at('old', { isTerminating: true })],
    decision: bound(ref('old')),
  },
  {
    title: 'Two Pods with one address that both stay cannot be told apart',
    sender: FROM_IP,
    pods: [at('a'), at('b')],
    decision: unbound('SeveralPods'),
  },
  {
    title: 'Two Pods with one address that are both being deleted cannot be told apart',
    sender: FROM_IP,
    pods: [at('a', { isTerminating: true }), at('b', { isTerminating: true })],
    decision: unbound('SeveralPods'),
  },
  {
    title: 'Two that stay and one that is being deleted cannot be told apart',
    sender: FROM_IP,
    pods: [at('a', { isTerminating: true }), at('b'), at('c')],
    decision: unbound('SeveralPods'),
  },
  {
    title: "A Pod on the host network has its node's address, which proves nothing",
    sender: FROM_IP,
    pods: [at('web', { isOnHostNetwork: true })],
    decision: unbound('NoPod'),
  },
  {
    title: 'A Pod on the host network spoils the address for the others there',
    sender: FROM_IP,
    pods: [at('agent', { isOnHostNetwork: true }), at('web')],
    decision: unbound('SeveralPods'),
  },
  {
    title: 'A finished Pod on the host network spoils nothing',
    sender: FROM_IP,
    pods: [at('agent', { isOnHostNetwork: true, isFinished: true }), at('web')],
    decision: bound(ref('web')),
  },
  {
    title: 'Loopback proves nothing',
    sender: addressSender('127.0.0.1'),
    pods: [at('web', { addresses: ['127.0.0.1'] })],
    decision: unbound('SharedAddress'),
  },
  {
    title: 'The address of a node proves nothing, even if a Pod lists it',
    sender: addressSender(NODE_IP),
    pods: [at('web', { addresses: [NODE_IP] })],
    decision: unbound('SharedAddress'),
  },
];

const BY_TOKEN: readonly Row[] = [
  {
    title: 'The Pod of the token',
    sender: podSender('uid-of-web'),
    pods: [at('web')],
    decision: bound(ref('web', 'Token')),
  },
  {
    title: 'The Pod of the token on the host network: a token is proof where an address is none',
    sender: podSender('uid-of-web'),
    pods: [at('web', { addresses: [NODE_IP], isOnHostNetwork: true }), at('other', { addresses: [NODE_IP] })],
    decision: bound(ref('web', 'Token')),
  },
  {
    title: 'The Pod of the token is not known, or not yet',
    sender: podSender('uid-of-web'),
    pods: [at('other')],
    decision: unbound('NoPod'),
  },
  {
    title: 'The Pod of the token has finished: the token outlives it',
    sender: podSender('uid-of-job'),
    pods: [at('job', { isFinished: true })],
    decision: unbound('NoPod'),
  },
  {
    title: 'The Pod of the token is being deleted and still beats',
    sender: podSender('uid-of-web'),
    pods: [at('web', { isTerminating: true })],
    decision: bound(ref('web', 'Token')),
  },
  {
    title: 'I16: a namesake of the Pod of the token has another uid and is another Pod',
    sender: podSender('uid-of-the-first-web'),
    pods: [at('web')],
    decision: unbound('NoPod'),
  },
];

/** The instance is called `web-a`. */
const BY_NAME: readonly Row[] = [
  {
    title: 'Among the Pods at a shared address the one that is named like the instance',
    sender: addressSender(NODE_IP),
    pods: [at('web-a', { addresses: [NODE_IP] }), at('web-b', { addresses: [NODE_IP] })],
    decision: hinted('web-a'),
  },
  {
    title: 'On the host network the one that is named like the instance',
    sender: FROM_IP,
    pods: [at('web-a', { isOnHostNetwork: true })],
    decision: hinted('web-a'),
  },
  {
    title: 'Of two Pods with one address the one that is named like the instance',
    sender: FROM_IP,
    pods: [at('web-a'), at('web-b')],
    decision: hinted('web-a'),
  },
  {
    title: 'Two namesakes in different namespaces are no hint',
    sender: FROM_IP,
    pods: [at('web-a'), at('web-a', { namespace: 'shop', uid: 'another' })],
    decision: unbound('SeveralPods'),
  },
  {
    title: 'A finished namesake is no hint',
    sender: addressSender(NODE_IP),
    pods: [at('web-a', { addresses: [NODE_IP], isFinished: true })],
    decision: unbound('SharedAddress'),
  },
  {
    title: 'A namesake at another address is no hint',
    sender: FROM_IP,
    pods: [pod('web-a', { addresses: ['10.0.0.6'] })],
    decision: unbound('NoPod'),
  },
  {
    title: 'A namesake is no hint for a token, which says who it is',
    sender: podSender('uid-of-a-stranger'),
    pods: [at('web-a')],
    decision: unbound('NoPod'),
  },
  {
    title: 'A hint of before is no reason to stay: what is proved now counts',
    current: ref('web-a', 'InstanceId'),
    sender: FROM_IP,
    pods: [pod('web-a'), at('web-b')],
    decision: bound(ref('web-b')),
  },
];

const WEB = ref('web');
const elsewhere = at('stranger', { addresses: ['10.0.0.9'] });

const WHILE_BOUND: readonly Row[] = [
  { title: 'Its own address', current: WEB, sender: FROM_IP, pods: [at('web')], decision: bound(WEB) },
  {
    title: 'Its own second address',
    current: WEB,
    sender: addressSender(IPV6),
    pods: [at('web', { addresses: [IP, IPV6] })],
    decision: bound(WEB),
  },
  {
    title: 'Its own token, where it was found by its address',
    current: WEB,
    sender: podSender('uid-of-web'),
    pods: [at('web')],
    decision: bound(WEB),
  },
  {
    title: 'Its own address, where it was found by its token',
    current: ref('web', 'Token'),
    sender: FROM_IP,
    pods: [at('web')],
    decision: bound(ref('web', 'Token')),
  },
  {
    title: 'Nobody was heard since our start: it stays what an earlier process proved',
    current: WEB,
    sender: UNKNOWN_SENDER,
    pods: [at('web')],
    decision: bound(WEB),
  },
  {
    title: 'The address of another Pod',
    current: WEB,
    sender: addressSender('10.0.0.9'),
    pods: [at('web'), elsewhere],
    decision: foreign(WEB),
  },
  {
    title: 'The token of another Pod',
    current: WEB,
    sender: podSender('uid-of-stranger'),
    pods: [at('web'), elsewhere],
    decision: foreign(WEB),
  },
  {
    title: 'The token of a Pod that is not known',
    current: WEB,
    sender: podSender('uid-of-nobody'),
    pods: [at('web')],
    decision: foreign(WEB),
  },
  {
    title: 'The address of a node, by which many come',
    current: WEB,
    sender: addressSender(NODE_IP),
    pods: [at('web')],
    decision: foreign(WEB),
  },
  {
    title: 'An address that nobody has',
    current: WEB,
    sender: addressSender('203.0.113.7'),
    pods: [at('web')],
    decision: foreign(WEB),
  },
  {
    title: 'The token of another Pod that has the same address',
    current: WEB,
    sender: podSender('uid-of-other'),
    pods: [at('web'), at('other')],
    decision: foreign(WEB),
  },
  {
    title: 'Its address, which another Pod now has as well: it was proved before there were two',
    current: WEB,
    sender: FROM_IP,
    pods: [at('web'), at('other')],
    decision: bound(WEB),
  },
  {
    title: 'The address of another while its own Pod is being deleted: it lives until it is gone',
    current: WEB,
    sender: addressSender('10.0.0.9'),
    pods: [at('web', { isTerminating: true }), elsewhere],
    decision: foreign(WEB),
  },
  {
    title: 'A Pod that has lost its address, as one does whose sandbox was made anew',
    current: WEB,
    sender: FROM_IP,
    pods: [pod('web', { addresses: [] })],
    decision: foreign(WEB),
  },
];

const WHEN_ITS_POD_IS_GONE: readonly Row[] = [
  {
    title: 'The address of another Pod binds it there',
    current: WEB,
    sender: addressSender('10.0.0.9'),
    pods: [elsewhere],
    decision: bound(ref('stranger')),
  },
  {
    title: 'The token of another Pod binds it there',
    current: WEB,
    sender: podSender('uid-of-stranger'),
    pods: [elsewhere],
    decision: bound(ref('stranger', 'Token')),
  },
  {
    title: 'A Pod that has finished is gone',
    current: WEB,
    sender: addressSender('10.0.0.9'),
    pods: [at('web', { isFinished: true }), elsewhere],
    decision: bound(ref('stranger')),
  },
  {
    title: 'I16: a namesake with a new uid is another Pod, which the address proves anew',
    current: ref('web-0', 'PodIP', 'uid-of-the-first-web-0'),
    sender: FROM_IP,
    pods: [at('web-0')],
    decision: bound(ref('web-0')),
  },
  {
    title: 'I16: a namesake with a new uid inherits nothing from the name',
    current: ref('web-0', 'PodIP', 'uid-of-the-first-web-0'),
    sender: UNKNOWN_SENDER,
    pods: [at('web-0')],
    decision: unbound('UnknownSender'),
  },
  {
    title: 'Nobody has the address any more',
    current: WEB,
    sender: FROM_IP,
    pods: [],
    decision: unbound('NoPod'),
  },
];

describe.each([
  { what: 'An instance heard from an address', rows: BY_ADDRESS },
  { what: 'An instance heard with a token', rows: BY_TOKEN },
  { what: 'A hint', rows: BY_NAME },
  { what: 'An instance whose Pod lives', rows: WHILE_BOUND },
  { what: 'An instance whose Pod is gone', rows: WHEN_ITS_POD_IS_GONE },
])('$what', ({ rows }) => {
  test.each(rows)('$title', (row) => {
    expect(decideBinding(row.current, row.sender, 'web-a', pods(...row.pods))).toEqual(row.decision);
  });
});

describe('Whatever there is and whoever sends', () => {
  const NAMES = ['web-a', 'web-b', 'web-c'] as const;
  const ADDRESSES = [IP, IPV6, NODE_IP, '127.0.0.1'] as const;
  const anyPod = (name: string): fc.Arbitrary<ObservedPod> =>
    fc
      .record({
        addresses: fc.subarray([...ADDRESSES]),
        isTerminating: fc.boolean(),
        isFinished: fc.boolean(),
        isOnHostNetwork: fc.boolean(),
      })
      .map((parts) => pod(name, parts));
  const anyPods = fc.tuple(...NAMES.map(anyPod)).chain((all) => fc.subarray(all));
  const anySender = fc.constantFrom<Sender>(
    UNKNOWN_SENDER,
    ...ADDRESSES.map(addressSender),
    ...NAMES.map((name) => podSender(`uid-of-${name}`)),
  );
  const anyCurrent = fc.option(
    fc
      .record({
        name: fc.constantFrom(...NAMES),
        matchedBy: fc.constantFrom<MatchedBy>('Token', 'PodIP', 'InstanceId'),
      })
      .map(({ name, matchedBy }) => ref(name, matchedBy)),
    { nil: undefined },
  );

  it('a bound instance is bound by proof, to a Pod that there is and that has not finished', () => {
    fc.assert(
      fc.property(anyCurrent, anySender, anyPods, (current, sender, all) => {
        const decision = decideBinding(current, sender, 'web-a', pods(...all));
        fc.pre(decision.kind === 'bound');
        expect(isProof(decision.ref.matchedBy)).toBe(true);
        expect(pods(...all).byUid(decision.ref.uid)).toMatchObject({ name: decision.ref.name, isFinished: false });
      }),
    );
  });

  it('nobody takes it from a Pod that lives, and a sender that is that Pod is not foreign', () => {
    fc.assert(
      fc.property(anyCurrent, anySender, anyPods, (current, sender, all) => {
        const own = current === undefined ? undefined : pods(...all).byUid(current.uid);
        fc.pre(current !== undefined && isProof(current.matchedBy) && own?.isFinished === false);
        const isItself = sender === podSender(own.uid) || own.addresses.some((one) => addressSender(one) === sender);
        const isForeign = !isItself && sender !== UNKNOWN_SENDER;
        expect(decideBinding(current, sender, 'web-a', pods(...all))).toEqual({
          kind: 'bound',
          ref: current,
          isForeign,
        });
      }),
    );
  });

  it('an address that is shared binds nobody anew', () => {
    fc.assert(
      fc.property(fc.constantFrom(NODE_IP, '127.0.0.1'), anyPods, (address, all) => {
        expect(decideBinding(undefined, addressSender(address), 'web-a', pods(...all)).kind).not.toBe('bound');
      }),
    );
  });
});
