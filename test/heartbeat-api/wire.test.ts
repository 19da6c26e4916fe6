import { describe, expect, test } from 'vitest';
import { errorBody, heartbeatPath, invalidParameters, wireRequest } from '../support/http-heartbeat.ts';
import { listeningHeartbeatServer } from '../support/http-heartbeat-server.ts';

/** What can only be seen on a socket. */

describe('one connection', () => {
  test('carries one heartbeat after the other', async () => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();

    for (let beat = 0; beat < 20; beat += 1) expect((await socket.send(wireRequest()).reply()).body).toBe('Success');
    expect(socket.isClosed).toBe(false);
  });

  test('is told by a header how long it may be idle', async () => {
    const { connect } = await listeningHeartbeatServer({ keepAliveMs: 77_000 });

    const reply = await (await connect()).send(wireRequest()).reply();

    expect([reply.header('connection'), reply.header('keep-alive')]).toEqual(['keep-alive', 'timeout=77']);
  });

  test('with many requests at once has all of them answered, in order', async () => {
    const server = await listeningHeartbeatServer();
    const ids = Array.from({ length: 100 }, (_, index) => (index % 3 === 1 ? `bad@${index}` : `i-${index}`));
    const socket = await server.connect();

    socket.send(ids.map((instanceId) => wireRequest({ path: heartbeatPath({ instanceId }) })).join(''));
    const statuses: number[] = [];
    while (statuses.length < ids.length) statuses.push((await socket.reply()).status);

    expect(statuses).toEqual(ids.map((id) => (id.includes('@') ? 400 : 200)));
    expect(server.heard.map(({ identity }) => identity.instanceId)).toEqual(ids.filter((id) => !id.includes('@')));
  });

  test('has a heartbeat that follows a batch answered after the batch', async () => {
    const { connect } = await listeningHeartbeatServer();
    const body = JSON.stringify({ instances: [{ serviceId: 's', instanceId: 'i' }] });
    const batch = wireRequest({
      path: '/v4/default/registry/heartbeats',
      moreHeaders: [`Content-Length: ${body.length}`],
      body,
    });
    const socket = await connect();

    socket.send(batch + wireRequest());

    expect([(await socket.reply()).body, (await socket.reply()).body]).toEqual([body, 'Success']);
  });

  test('that sends its request byte by byte is answered', async () => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();

    for (const byte of Buffer.from(wireRequest())) socket.send(Uint8Array.of(byte));

    expect((await socket.reply()).status).toBe(200);
  });

  test('that says Connection: close is closed after the answer', async () => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();

    const reply = await socket.send(wireRequest({ moreHeaders: ['Connection: close'] })).reply();

    expect([reply.status, reply.header('connection')]).toEqual([200, 'close']);
    expect(await socket.closed()).toBe('');
  });

  test('that is half closed by the sender still gets its answer', async () => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();

    socket.send(wireRequest()).end();

    expect((await socket.reply()).status).toBe(200);
  });

  test('that ends in the middle of a head is nobody, and the server goes on', async () => {
    const server = await listeningHeartbeatServer();
    const cut = await server.connect();
    cut.send('PUT /v4/default/reg').end();
    await cut.closed();

    expect((await (await server.connect()).send(wireRequest()).reply()).status).toBe(200);
    expect(server.heard).toHaveLength(1);
    expect(server.mistakes).toEqual([]);
  });
});

describe('HTTP/1.0', () => {
  test('gets one answer and the end of the connection', async () => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();

    const reply = await socket.send(wireRequest({ version: 'HTTP/1.0' })).reply();

    expect([reply.status, reply.body, reply.header('connection')]).toEqual([200, 'Success', 'close']);
    expect(await socket.closed()).toBe('');
  });

  test('that asks to keep the connection keeps it', async () => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();
    const request = wireRequest({ version: 'HTTP/1.0', moreHeaders: ['Connection: keep-alive'] });

    const first = await socket.send(request).reply();
    const second = await socket.send(request).reply();

    expect([first.header('connection'), first.status, second.status]).toEqual(['keep-alive', 200, 200]);
  });

  test('needs no Host', async () => {
    const { connect } = await listeningHeartbeatServer();

    const reply = await (await connect())
      .send(wireRequest({ version: 'HTTP/1.0', headers: ['x-domain-name: acme'] }))
      .reply();

    expect(reply.status).toBe(200);
  });
});

test('a sender that expects 100-continue is told to go on, and then answered', async () => {
  const { connect } = await listeningHeartbeatServer();
  const socket = await connect();

  socket.send(wireRequest({ moreHeaders: ['Expect: 100-continue', 'Content-Length: 2'] }));
  expect((await socket.reply()).statusLine).toBe('HTTP/1.1 100 Continue');

  expect((await socket.send('{}').reply()).status).toBe(200);
});

test('a PUT that offers HTTP/2 first, as the Java 11 client does, is answered over HTTP/1.1', async () => {
  const { connect } = await listeningHeartbeatServer();
  const moreHeaders = [
    'Connection: Upgrade, HTTP2-Settings',
    'Upgrade: h2c',
    'HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
  ];

  expect((await (await connect()).send(wireRequest({ moreHeaders })).reply()).status).toBe(200);
});

test('the whole URL in the request line, as proxies write it, is the same path', async () => {
  const server = await listeningHeartbeatServer();

  const reply = await (await server.connect())
    .send(wireRequest({ path: `http://localhost:30100${heartbeatPath({ instanceId: 'far-1' })}` }))
    .reply();

  expect(reply.status).toBe(200);
  expect(server.heard[0]?.identity.instanceId).toBe('far-1');
});

test('a heartbeat counts from when its head was read, however late its body comes', async () => {
  let nowMs = 1_000;
  const headRead = Promise.withResolvers<void>();
  const server = await listeningHeartbeatServer({
    nowMs() {
      headRead.resolve();
      return nowMs;
    },
  });
  const socket = await server.connect();

  socket.send(wireRequest({ moreHeaders: ['Content-Length: 2'] }));
  await headRead.promise;
  nowMs = 4_000;
  await socket.send('{').send('}').reply();

  expect(server.heard.map(({ atMs }) => atMs)).toEqual([1_000]);
});

test('a batch counts from when its head was read', async () => {
  let nowMs = 1_000;
  const headRead = Promise.withResolvers<void>();
  const server = await listeningHeartbeatServer({
    nowMs() {
      headRead.resolve();
      return nowMs;
    },
  });
  const body = JSON.stringify({ instances: [{ serviceId: 's', instanceId: 'i' }] });
  const socket = await server.connect();

  socket.send(
    wireRequest({ path: '/v4/default/registry/heartbeats', moreHeaders: [`Content-Length: ${body.length}`] }),
  );
  await headRead.promise;
  nowMs = 4_000;
  await socket.send(body).reply();

  expect(server.heard.map(({ atMs }) => atMs)).toEqual([1_000]);
});

describe('a head', () => {
  const TOO_LARGE = errorBody('431001', 'The request line and headers are too large', 'at most 16384 bytes');

  test.each([
    ['one header is', wireRequest({ moreHeaders: [`X-Long: ${'x'.repeat(17 * 1024)}`] })],
    ['its path is', wireRequest({ path: heartbeatPath({ serviceId: 'x'.repeat(17 * 1024) }) })],
    [
      'many small headers come to',
      wireRequest({ moreHeaders: Array.from({ length: 900 }, (_, n) => `X-${n}: ${'y'.repeat(16)}`) }),
    ],
  ])('is 431 in the API shape, and the end of the connection, when %s more than 16 KiB', async (_title, bytes) => {
    const server = await listeningHeartbeatServer();
    const socket = await server.connect();

    const reply = await socket.send(bytes).reply();

    expect([reply.status, reply.body]).toEqual([431, TOO_LARGE]);
    expect(reply.header('content-type')).toBe('application/json; charset=UTF-8');
    expect(reply.header('connection')).toBe('close');
    await socket.closed();
    expect(server.heard).toEqual([]);
  });

  test('of nearly 16 KiB is read', async () => {
    const { connect } = await listeningHeartbeatServer();

    const reply = await (await connect())
      .send(wireRequest({ moreHeaders: [`X-Long: ${'x'.repeat(15 * 1024)}`] }))
      .reply();

    expect(reply.status).toBe(200);
  });

  test('whose id fills it is refused by the rule for ids', async () => {
    const { connect } = await listeningHeartbeatServer();

    const path = heartbeatPath({ instanceId: 'x'.repeat(15_000) });
    const reply = await (await connect()).send(wireRequest({ path })).reply();

    expect([reply.status, reply.body]).toEqual([
      400,
      invalidParameters('instanceId: has 15000 characters, at most 64 are allowed'),
    ]);
  });

  test('without the Host that HTTP/1.1 demands is refused in the API shape', async () => {
    const { connect } = await listeningHeartbeatServer();

    const reply = await (await connect()).send(wireRequest({ headers: ['x-domain-name: acme'] })).reply();

    expect([200, 400]).toContain(reply.status);
    expect(reply.status === 200 ? { errCode: '400001' } : JSON.parse(reply.body || '{}')).toMatchObject({
      errCode: '400001',
    });
  });

  test('that expects what nobody knows is refused, or served, in the API shape', async () => {
    const { connect } = await listeningHeartbeatServer();

    const reply = await (await connect()).send(wireRequest({ moreHeaders: ['Expect: the-unexpected'] })).reply();

    expect([200, 417]).toContain(reply.status);
    expect(reply.status === 200 ? { errCode: '' } : JSON.parse(reply.body || '{}')).toHaveProperty('errCode');
  });
});

describe('what is no HTTP', () => {
  test.each([
    ['words', Buffer.from('hello there\r\n\r\n')],
    ['a TLS greeting', Buffer.from('16030100c8010000c40303', 'hex')],
    ['an HTTP/2 greeting', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
    ['a method in lower case', Buffer.from(wireRequest({ method: 'put' }))],
    ['another version', Buffer.from(wireRequest({ version: 'HTTP/3.7' }))],
    ['a header without a colon', Buffer.from(wireRequest({ moreHeaders: ['no colon here'] }))],
    ['a space before a colon', Buffer.from(wireRequest({ moreHeaders: ['X-Space : x'] }))],
    ['a path with a space', Buffer.from(wireRequest({ path: heartbeatPath({ instanceId: 'a b' }) }))],
    ['zeros', Buffer.alloc(64)],
  ])('is 400 in the API shape and the end of the connection: %s', async (_title, bytes) => {
    const server = await listeningHeartbeatServer();
    const socket = await server.connect();

    const reply = await socket.send(bytes).reply();

    expect([reply.status, reply.body]).toEqual([400, invalidParameters('not an HTTP/1.1 request')]);
    expect(reply.statusLine).toBe('HTTP/1.1 400 Bad Request');
    expect(reply.header('connection')).toBe('close');
    await socket.closed();
    expect(server.heard).toEqual([]);
    expect(server.mistakes).toEqual([]);
  });

  test('after a good heartbeat leaves the good one answered', async () => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();

    socket.send(`${wireRequest()}garbage\r\n\r\n`);

    expect([(await socket.reply()).status, (await socket.reply()).status]).toEqual([200, 400]);
    await socket.closed();
  });
});
