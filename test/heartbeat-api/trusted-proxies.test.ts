import { describe, expect, test } from 'vitest';
import { parseTrustedProxies } from '../../src/heartbeat-api/trusted-proxies.ts';
import { proxies } from '../support/http-heartbeat-server.ts';

describe('a list of trusted proxies', () => {
  test.each([
    { cidrs: '', address: '10.0.0.1', isTrusted: false },
    { cidrs: '10.0.0.0/8', address: '10.255.255.255', isTrusted: true },
    { cidrs: '10.0.0.0/8', address: '11.0.0.0', isTrusted: false },
    { cidrs: '10.1.2.3/8', address: '10.9.9.9', isTrusted: true },
    { cidrs: '10.0.0.1', address: '10.0.0.1', isTrusted: true },
    { cidrs: '10.0.0.1', address: '10.0.0.2', isTrusted: false },
    { cidrs: '0.0.0.0/0', address: '203.0.113.9', isTrusted: true },
    { cidrs: '0.0.0.0/0', address: '2001:db8::1', isTrusted: false },
    { cidrs: ' 192.0.2.0/24 , 10.0.0.0/8,', address: '10.1.1.1', isTrusted: true },
    { cidrs: 'fd00::/8', address: 'fd12:3456::1', isTrusted: true },
    { cidrs: 'FD00::/8', address: 'fc00::1', isTrusted: false },
    { cidrs: '2001:db8::1', address: '2001:db8::1', isTrusted: true },
    { cidrs: '2001:db8::1', address: '2001:db8::2', isTrusted: false },
    { cidrs: '10.0.0.0/8', address: '', isTrusted: false },
    { cidrs: '10.0.0.0/8', address: 'proxy', isTrusted: false },
  ])('"$cidrs" holds "$address": $isTrusted', ({ cidrs, address, isTrusted }) => {
    expect(proxies(cidrs).has(address)).toBe(isTrusted);
  });

  test.each([
    ['proxy.example', '"proxy.example": not an IP address or CIDR'],
    ['10.0.0.0/8, 10.0.0', '"10.0.0": not an IP address or CIDR'],
    ['10.0.0.0/8/8', '"10.0.0.0/8/8": not an IP address or CIDR'],
    ['10.0.0.0/8 fd00::/8', '"10.0.0.0/8 fd00::/8": not an IP address or CIDR'],
    ['fe80::1%eth0/64', '"fe80::1%eth0/64": not an IP address or CIDR'],
    ['10.0.0.0/33', '"10.0.0.0/33": the prefix must be 0 to 32'],
    ['10.0.0.0/-1', '"10.0.0.0/-1": the prefix must be 0 to 32'],
    ['10.0.0.0/', '"10.0.0.0/": the prefix must be 0 to 32'],
    ['10.0.0.0/8.5', '"10.0.0.0/8.5": the prefix must be 0 to 32'],
    ['fd00::/129', '"fd00::/129": the prefix must be 0 to 128'],
    ['::ffff:10.0.0.0/104', '"::ffff:10.0.0.0/104": write an IPv4 address as such'],
  ])('that reads "%s" names its mistake', (text, mistake) => {
    expect(parseTrustedProxies(text)).toEqual({ kind: 'mistake', mistake });
  });
});
