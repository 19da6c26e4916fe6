import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from './free-port.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A server that answers each chunk with the same bytes, and the connections it holds. */
interface Echo {
  readonly server: Server;
  readonly port: number;
  readonly connections: Socket[];
}

let echo: Echo;
let proxy: TcpProxy;
const clients: Socket[] = [];

async function startEcho(port: number): Promise<Echo> {
  const connections: Socket[] = [];
  const server = createServer((socket) => {
    connections.push(socket);
    socket.on('data', (bytes) => socket.write(bytes));
    socket.on('error', () => {}); // The proxy resets it: seen by 'close'.
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { server, port, connections };
}

beforeEach(async () => {
  echo = await startEcho(await freePort());
  proxy = await TcpProxy.start({ targetPort: echo.port });
});

afterEach(async () => {
  for (const client of clients.splice(0)) {
    client.destroy();
  }
  await proxy.close();
  echo.server.close();
});

async function connectClient(): Promise<Socket> {
  const client = connect(proxy.port, '127.0.0.1');
  clients.push(client);
  client.on('error', () => {}); // Tests look at 'close' and at what was received.
  await once(client, 'connect');
  return client;
}

/** Sends the text and returns the first chunk of the answer: on loopback a short one comes in one piece. */
async function ask(client: Socket, text: string): Promise<string> {
  client.write(text);
  const [bytes] = (await once(client, 'data')) as [Buffer];
  return bytes.toString();
}

/** Everything the client receives until its connection is gone. */
async function receivedUntilClosed(client: Socket): Promise<string> {
  const received: Buffer[] = [];
  client.on('data', (bytes) => received.push(bytes));
  await once(client, 'close');
  return Buffer.concat(received).toString();
}

test('bytes pass in both directions until something is broken', async () => {
  const client = await connectClient();

  expect(await ask(client, 'hello')).toBe('hello');
  expect(proxy.connectionCount).toBe(1);
});

test('more than the buffers hold passes whole', async () => {
  const client = await connectClient();
  const text = 'x'.repeat(8 * 1024 * 1024);
  const received: Buffer[] = [];
  let receivedLength = 0;
  const all = new Promise<void>((resolve) => {
    client.on('data', (bytes) => {
      received.push(bytes);
      receivedLength += bytes.length;
      if (receivedLength === text.length) {
        resolve();
      }
    });
  });

  client.write(text);
  await all;

  expect(Buffer.concat(received).toString() === text).toBe(true);
});

test('the end of the connection by the client reaches the server', async () => {
  const client = await connectClient();
  await ask(client, 'hello');

  client.end();
  await once(client, 'close');

  await expect.poll(() => proxy.connectionCount).toBe(0);
  await expect.poll(() => echo.connections[0]?.closed).toBe(true);
});

test('cutAll resets every connection on both sides, and new ones work', async () => {
  const first = await connectClient();
  const second = await connectClient();
  await ask(first, 'hello');
  await ask(second, 'hello');
  const errors = Promise.all([once(first, 'error'), once(second, 'error')]);

  proxy.cutAll();

  const [[firstError], [secondError]] = await errors;
  expect([firstError, secondError]).toEqual([
    expect.objectContaining({ code: 'ECONNRESET' }),
    expect.objectContaining({ code: 'ECONNRESET' }),
  ]);
  await expect.poll(() => echo.connections.every((connection) => connection.closed)).toBe(true);
  expect(await ask(await connectClient(), 'again')).toBe('again');
});

test('during a hang nothing arrives and no connection ends, and those held stay silent after it', async () => {
  const held = await connectClient();
  await ask(held, 'hello');
  let heldReceived = 0;
  held.on('data', (bytes) => {
    heldReceived += bytes.length;
  });

  proxy.hang();
  held.write('lost');
  const madeMeanwhile = await connectClient();
  let meanwhileReceived = 0;
  madeMeanwhile.on('data', (bytes) => {
    meanwhileReceived += bytes.length;
  });
  madeMeanwhile.write('lost');
  proxy.resume();

  // Two round trips of a new connection: what was sent before would have come back by now.
  const fresh = await connectClient();
  await ask(fresh, 'one');
  await ask(fresh, 'two');
  expect({ heldReceived, meanwhileReceived }).toEqual({ heldReceived: 0, meanwhileReceived: 0 });
  expect([held.destroyed, madeMeanwhile.destroyed]).toEqual([false, false]);
  expect(proxy.connectionCount).toBe(3);
});

test('the end of the server does not reach a client whose packets are lost', async () => {
  const held = await connectClient();
  await ask(held, 'hello');

  proxy.hang();
  echo.connections[0]?.destroy();
  await once(echo.connections[0] as Socket, 'close');
  proxy.resume();

  await ask(await connectClient(), 'one');
  expect(held.closed || held.readableEnded).toBe(false);
});

test('when the packets of a hang were only late, what was sent meanwhile arrives', async () => {
  const held = await connectClient();
  await ask(held, 'hello');

  proxy.hang();
  held.write('late');
  const madeMeanwhile = await connectClient();
  madeMeanwhile.write('late too');
  const answers = Promise.all([once(held, 'data'), once(madeMeanwhile, 'data')]);
  proxy.resume('go-on');

  expect((await answers).map(([bytes]) => String(bytes))).toEqual(['late', 'late too']);
});

test('while it refuses, new connections fail and open ones go on', async () => {
  const open = await connectClient();
  await ask(open, 'hello');

  await proxy.refuse();

  await expect(connectClient()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(await ask(open, 'still here')).toBe('still here');
});

test('after it accepts again, the same port serves', async () => {
  const port = proxy.port;
  await proxy.refuse();
  await proxy.accept();

  expect(await ask(await connectClient(), 'hello')).toBe('hello');
  expect(proxy.port).toBe(port);
});

test('a cut after some bytes ends the connection in the middle of an answer, and only that one', async () => {
  const client = await connectClient();
  const untouched = await connectClient();
  await ask(client, 'hello');
  const received = receivedUntilClosed(client);

  proxy.cutAfterBytes(7);
  client.write('one line that is never whole\n');

  expect(await received).toBe('one lin');
  await expect.poll(() => echo.connections[0]?.closed).toBe(true);
  expect(await ask(untouched, 'whole')).toBe('whole');
});

test('the bytes before a cut are counted over several answers of one connection', async () => {
  const client = await connectClient();
  proxy.cutAfterBytes(7);
  const first = await ask(client, 'first');
  const received = receivedUntilClosed(client);

  client.write('second');

  expect(first + (await received)).toBe('firstse');
});

test('a client is reset when the server behind the proxy refuses the connection', async () => {
  echo.server.close();
  const client = connect(proxy.port, '127.0.0.1');
  clients.push(client);

  await expect(once(client, 'end')).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('close ends all connections and the port', async () => {
  const client = await connectClient();
  await ask(client, 'hello');

  await proxy.close();

  await expect.poll(() => client.closed).toBe(true);
  await expect(connectClient()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});
