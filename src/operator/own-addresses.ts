import { networkInterfaces } from 'node:os';
import { addressSender } from '../liveness/sender.ts';

/** The addresses of this process: whoever comes from one of them comes through us, and could be anybody. */
export function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.map(({ address }) => addressSender(address)),
  );
}
