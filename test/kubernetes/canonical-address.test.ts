import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { canonicalAddress } from '../../src/kubernetes/canonical-address.ts';
import { addressSender, senderAddress } from '../../src/liveness/sender.ts';

describe('An address in its one form', () => {
  it.each([
    ['10.1.0.7', '10.1.0.7'],
    ['::', '::'],
    ['FD00::A', 'fd00::a'],
    ['fd00:0000:0:0:0:0:0:0007', 'fd00::7'],
    ['::ffff:10.1.0.7', '10.1.0.7'],
    ['::FFFF:0a01:0007', '10.1.0.7'],
  ])('%s is %s', (text, address) => {
    expect(canonicalAddress(text)).toBe(address);
  });

  it.each(['', 'node-1', '10.1.0', '010.1.0.7', '10.1.0.7/24', '[fd00::7]', 'fd00::7::1', ' 10.1.0.7'])(
    'there is none of "%s"',
    (text) => {
      expect(canonicalAddress(text)).toBeUndefined();
    },
  );

  it('is that which a socket shows of a sender, also on a listener for both families', async () => {
    const server = createServer();
    server.listen(0, '::');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const accepted = once(server, 'connection');
    const client = connect(address.port, '127.0.0.1');
    const [socket] = (await accepted) as [{ readonly remoteAddress?: string; destroy(): void }];
    expect(senderAddress(addressSender(socket.remoteAddress ?? ''))).toBe(canonicalAddress('127.0.0.1'));
    socket.destroy();
    client.destroy();
    server.close();
  });
});
