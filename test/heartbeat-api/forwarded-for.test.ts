import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { forwardedSender } from '../../src/heartbeat-api/forwarded-for.ts';
import { UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import { proxies } from '../support/http-heartbeat-server.ts';

const PROXIES = proxies('10.0.0.0/8, fd00::/8');

const senderFor = (header: string | undefined): string => forwardedSender(header, PROXIES);

describe('X-Forwarded-For from a trusted proxy', () => {
  test.each([
    ['one address', '192.0.2.1', '192.0.2.1'],
    ['white space around it', '  192.0.2.1\t', '192.0.2.1'],
    ['the sender and a proxy', '192.0.2.1, 10.0.0.1', '192.0.2.1'],
    ['the sender and many proxies', '192.0.2.1,10.0.0.1 ,10.0.0.2, fd00::1', '192.0.2.1'],
    ['what the sender itself claimed, further left', '192.0.2.66, 192.0.2.1, 10.0.0.1', '192.0.2.1'],
    ['a proxy that the sender claimed to be', '10.0.0.66, 192.0.2.1', '192.0.2.1'],
    ['garbage that the sender sent, further left', 'garbage, , 192.0.2.1', '192.0.2.1'],
    ['a port', '192.0.2.1:4711', '192.0.2.1'],
    ['a proxy with a port', '192.0.2.1, 10.0.0.1:80', '192.0.2.1'],
    ['IPv6', '2001:db8::1', '2001:db8::1'],
    ['IPv6 written at length', '2001:0DB8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['IPv6 in brackets', '[2001:db8::1]', '2001:db8::1'],
    ['IPv6 in brackets with a port', '[2001:db8::1]:4711', '2001:db8::1'],
    ['IPv6 in quotes, brackets and with a port', '"[2001:db8::1]:4711"', '2001:db8::1'],
    ['IPv6 with a zone', 'fe80::1%eth0', 'fe80::1'],
    ['an IPv6 proxy in brackets', '192.0.2.1, [fd00::1]:80', '192.0.2.1'],
    ['IPv4 in quotes', '"192.0.2.1"', '192.0.2.1'],
    ['IPv4 mapped into IPv6', '::ffff:192.0.2.1', '192.0.2.1'],
    ['IPv4 mapped into IPv6, in hexadecimal', '::FFFF:c000:201', '192.0.2.1'],
    ['a proxy mapped into IPv6', '192.0.2.1, ::ffff:10.0.0.1', '192.0.2.1'],
  ])('with %s names the sender', (_title, header, sender) => {
    expect(senderFor(header)).toBe(sender);
  });

  test.each([
    ['is missing', undefined],
    ['is empty', ''],
    ['is a comma', ','],
    ['begins with a comma before proxies', ',10.0.0.1'],
    ['names only proxies', '10.0.0.1, fd00::1'],
    ['ends with a comma', '192.0.2.1,'],
    ['has an empty entry on the way', '192.0.2.1, , 10.0.0.1'],
    ['says unknown', 'unknown'],
    ['says unknown on the way', '192.0.2.1, unknown, 10.0.0.1'],
    ['names a host', 'client.example'],
    ['has an address that is none', '192.0.2.256'],
    ['has an address with leading zeros', '192.0.2.01'],
    ['has a port that is none', '192.0.2.1:port'],
    ['has brackets around IPv4', '[192.0.2.1]'],
    ['has a bracket that is left open', '[2001:db8::1'],
    ['has RFC 7239 in it', 'for=192.0.2.1'],
    ['has an entry that is too long', `192.0.2.1${' '.repeat(100)}`],
    ['names more proxies in a row than there can be', `192.0.2.1${', 10.0.0.1'.repeat(16)}`],
  ])('that %s leaves the sender unknown', (_title, header) => {
    expect(senderFor(header)).toBe(UNKNOWN_SENDER);
  });

  test('may name fifteen proxies in a row', () => {
    expect(senderFor(`192.0.2.1${', 10.0.0.1'.repeat(15)}`)).toBe('192.0.2.1');
  });

  test('never makes a proxy the sender, whatever it holds', () => {
    const entry = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.ipV4().map((address) => `${address}:80`),
      fc.ipV6().map((address) => `[${address}]:80`),
      fc.nat(255).map((last) => `10.0.0.${last}`),
      fc.nat(255).map((last) => `::ffff:10.0.0.${last}`),
      fc.string({ maxLength: 20 }),
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
        const sender = senderFor(entries.join(', '));
        expect(sender === UNKNOWN_SENDER || !PROXIES.has(sender)).toBe(true);
      }),
    );
  });

  test('as long as a head may be is read no further than its last sixteen entries', () => {
    const looks = vi.spyOn(PROXIES, 'has');
    expect(senderFor(`192.0.2.1${', 10.0.0.1'.repeat(1_600)}`)).toBe(UNKNOWN_SENDER);
    expect(looks).toHaveBeenCalledTimes(16);
    looks.mockRestore();
  });
});
