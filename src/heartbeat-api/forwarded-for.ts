import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { addressSender, type Sender, UNKNOWN_SENDER } from '../liveness/sender.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/** More proxies in a row are no path that anybody built; whoever sends a longer list makes us work for nothing. */
const HOPS_MAX = 16;

/** The longest entry: an IPv6 address with a zone in brackets, a port, and quotes. */
const ENTRY_LENGTH_MAX = 80;

/**
 * The sender that a trusted proxy names: the rightmost address that is no trusted proxy itself.
 *
 * Each proxy adds at the right the address that it sees, so that what stands there is true as long as who wrote it is
 * trusted; all that is further left may have come with the request. Nobody is known if there is no such address, or
 * something else than an address on the way to it.
 *
 * @param header all values of `X-Forwarded-For`, joined by commas
 */
export function forwardedSender(header: string | undefined, proxies: TrustedProxies): Sender {
  if (header === undefined) return UNKNOWN_SENDER;
  let end = header.length;
  for (let hop = 0; hop < HOPS_MAX && end >= 0; hop += 1) {
    // `lastIndexOf` takes a negative start for 0, where a comma of its own may stand.
    const comma = end === 0 ? -1 : header.lastIndexOf(',', end - 1);
    const sender = end - comma > ENTRY_LENGTH_MAX ? undefined : senderOf(header.slice(comma + 1, end).trim());
    if (sender === undefined) return UNKNOWN_SENDER;
    if (!proxies.has(sender)) return sender;
    end = comma;
  }
  return UNKNOWN_SENDER;
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`; each may stand in quotes. */
function senderOf(entry: string): Sender | undefined {
  const unquoted = /^"(.*)"$/.exec(entry)?.[1] ?? entry;
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(unquoted)?.[1];
  if (bracketed !== undefined) return isIPv6(bracketed) ? ipv6Sender(bracketed) : undefined;
  if (isIPv6(unquoted)) return ipv6Sender(unquoted);
  const ipv4 = unquoted.replace(/:\d{1,5}$/, '');
  return isIPv4(ipv4) ? addressSender(ipv4) : undefined;
}

/** People and proxies write an IPv6 address in many ways; Pods list theirs in the one that Node writes too. */
function ipv6Sender(address: string): Sender {
  const [bare = ''] = address.split('%', 1);
  return addressSender(new SocketAddress({ address: bare, family: 'ipv6' }).address);
}
