import { isIP, SocketAddress } from 'node:net';
import { addressSender, senderAddress } from '../liveness/sender.ts';

/**
 * An IP address in the one form in which a socket shows it too: IPv6 shortened and in lower case, IPv4 not mapped into
 * IPv6. Undefined if the text is no IP address, but a host name for instance.
 */
export function canonicalAddress(text: string): string | undefined {
  switch (isIP(text)) {
    case 4:
      return text;
    case 6:
      return senderAddress(addressSender(new SocketAddress({ address: text, family: 'ipv6' }).address));
    default:
      return undefined;
  }
}
