import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, it, onTestFinished } from 'vitest';
import { addressSender } from '../../src/liveness/sender.ts';
import { ownAddresses } from '../../src/operator/own-addresses.ts';

describe('The addresses of this process', () => {
  it('are all that its interfaces have', () => {
    const ofInterfaces = Object.values(networkInterfaces()).flatMap((addresses = []) =>
      addresses.map(({ address }) => addressSender(address)),
    );
    expect(ofInterfaces.filter((address) => !ownAddresses().includes(address))).toEqual([]);
    expect(ownAddresses()).toContain('127.0.0.1');
  });

  it('are in the form in which a sender is known, so that one of them is found among senders', () => {
    expect(ownAddresses().map((address) => addressSender(address))).toEqual(ownAddresses());
  });

  it('have the one in them from which a connection of this machine comes', async () => {
    expect(ownAddresses()).toContain(await addressOfConnection());
  });

  it('have none that is of another machine', () => {
    expect(ownAddresses()).not.toContain('192.0.2.1');
  });
});

/** As whom a server on this machine knows a client on it. */
async function addressOfConnection(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  onTestFinished(() => void client.destroy());
  const [socket] = (await accepted) as [Socket];
  onTestFinished(() => void socket.destroy());
  return addressSender(socket.remoteAddress ?? '');
}
