import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { addressSender, podSender, provedPodUid, senderAddress, UNKNOWN_SENDER } from '../../src/liveness/sender.ts';

const UID = '6d5a3c1e-0000-4000-8000-000000000001';

describe('A sender at an address', () => {
  test.each([
    { shown: '10.0.0.5', address: '10.0.0.5', what: 'IPv4' },
    { shown: '::ffff:10.0.0.5', address: '10.0.0.5', what: 'IPv4 as a socket for both families shows it' },
    { shown: '::FFFF:10.0.0.5', address: '10.0.0.5', what: 'the same in capitals' },
    { shown: 'fd00::a:1', address: 'fd00::a:1', what: 'IPv6' },
    { shown: 'FD00::A:1', address: 'fd00::a:1', what: 'IPv6 in capitals' },
    { shown: 'fe80::1%eth0', address: 'fe80::1', what: 'IPv6 with a zone' },
    { shown: '::ffff:0:10.0.0.5', address: '::ffff:0:10.0.0.5', what: 'another prefix than that of mapped addresses' },
    {
      shown: '64:ff9b::10.0.0.5',
      address: '64:ff9b::10.0.0.5',
      what: 'IPv4 translated for IPv6, which is another host',
    },
    { shown: '::1', address: '::1', what: 'loopback' },
  ])('is written as Pods write theirs: $what', ({ shown, address }) => {
    expect(senderAddress(addressSender(shown))).toBe(address);
    expect(provedPodUid(addressSender(shown))).toBeUndefined();
  });

  it('is the same by either family of one socket, and another than any other', () => {
    expect(addressSender('::ffff:10.0.0.5')).toBe(addressSender('10.0.0.5'));
    expect(addressSender('10.0.0.5')).not.toBe(addressSender('10.0.0.50'));
  });

  it('is unknown if there is no address', () => {
    expect(addressSender('')).toBe(UNKNOWN_SENDER);
  });
});

describe('A sender proved by a token', () => {
  it('is its Pod and has no address', () => {
    expect(provedPodUid(podSender(UID))).toBe(UID);
    expect(senderAddress(podSender(UID))).toBeUndefined();
  });

  it('is never mistaken for one at an address', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.oneof(fc.ipV4(), fc.ipV6()), (uid, address) => {
        expect(podSender(uid)).not.toBe(addressSender(address));
        expect(provedPodUid(addressSender(address))).toBeUndefined();
      }),
    );
  });
});

describe('An unknown sender', () => {
  it('is no Pod and no address', () => {
    expect([provedPodUid(UNKNOWN_SENDER), senderAddress(UNKNOWN_SENDER)]).toEqual([undefined, undefined]);
  });
});
