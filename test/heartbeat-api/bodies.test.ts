import { describe, expect, test } from 'vitest';
import { errorBody, wireRequest } from '../support/http-heartbeat.ts';
import { heartbeatServer, listeningHeartbeatServer, sendHeartbeat } from '../support/http-heartbeat-server.ts';

/** A heartbeat's body means nothing: whatever it is, it is read to its end and left. */

const KIB = 1024;
const TOO_LARGE = errorBody('413001', 'The request body is too large', 'a heartbeat may have 16 KiB, a batch 2 MiB');

test.each([
  { contentType: 'application/json', body: undefined },
  { contentType: 'application/json', body: '' },
  { contentType: 'application/json', body: '{}' },
  { contentType: 'application/json', body: '{"broken"' },
  { contentType: 'application/json; charset=utf-16', body: '[1]' },
  { contentType: 'application/x-www-form-urlencoded', body: 'a=b' },
  { contentType: 'multipart/form-data', body: 'no boundary' },
  { contentType: 'text/plain', body: 'beat' },
  { contentType: 'application/x-of-nobody', body: '\u0000\u0001' },
  { contentType: 'not a content type', body: 'x' },
  { contentType: '', body: 'x' },
  { contentType: '/', body: undefined },
  { contentType: undefined, body: '{}' },
  { contentType: undefined, body: undefined },
])('a heartbeat of the type $contentType with the body $body is answered 200', async ({ contentType, body }) => {
  const server = heartbeatServer();

  const reply = await sendHeartbeat(server, {
    ...(contentType === undefined ? {} : { headers: { 'content-type': contentType } }),
    ...(body === undefined ? {} : { body }),
  });

  expect([reply.statusCode, reply.body]).toEqual([200, 'Success']);
  expect(server.mistakes).toEqual([]);
});

test.each([
  ['no length at all', [], ''],
  ['the length 0', ['Content-Length: 0'], ''],
  [
    'JSON of the length 0, as the Go and the Java client send it',
    ['Content-Type: application/json', 'Content-Length: 0'],
    '',
  ],
  ['no chunks', ['Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ['no chunks and the type JSON', ['Content-Type: application/json', 'Transfer-Encoding: chunked'], '0\r\n\r\n'],
  ['two chunks', ['Transfer-Encoding: chunked'], '1\r\n{\r\n1\r\n}\r\n0\r\n\r\n'],
  ['a chunk with an extension and a trailer', ['Transfer-Encoding: chunked'], '1;a=b\r\nx\r\n0\r\nT: v\r\n\r\n'],
  ['two content types', ['Content-Type: text/plain', 'Content-Type: application/json', 'Content-Length: 1'], 'x'],
  ['an encoding that nobody undoes', ['Content-Encoding: gzip', 'Content-Length: 1'], 'x'],
])('a heartbeat on the wire with %s is answered 200, and so is the next one', async (_title, moreHeaders, body) => {
  const server = await listeningHeartbeatServer();
  const socket = await server.connect();

  const replies = [
    await socket.send(wireRequest({ moreHeaders, body })).reply(),
    await socket.send(wireRequest()).reply(),
  ];

  expect(replies.map(({ status }) => status)).toEqual([200, 200]);
});

describe('the limit of 16 KiB', () => {
  test('lets a body of just that size pass', async () => {
    const server = heartbeatServer();

    expect((await sendHeartbeat(server, { body: 'x'.repeat(16 * KIB) })).statusCode).toBe(200);
  });

  test('refuses one byte more with 413 in the API shape, unheard, and counts it', async () => {
    const server = heartbeatServer();

    const { statusCode, body } = await sendHeartbeat(server, { body: 'x'.repeat(16 * KIB + 1) });

    expect([statusCode, body]).toEqual([413, TOO_LARGE]);
    expect(server.heard).toEqual([]);
    expect(server.answered).toEqual(['bodyTooLarge 413']);
    expect(server.mistakes).toEqual([]);
  });

  test('refuses an announced length before a byte of the body has come', async () => {
    const { connect } = await listeningHeartbeatServer();

    const reply = await (await connect()).send(wireRequest({ moreHeaders: ['Content-Length: 16385'] })).reply();

    expect([reply.status, reply.body]).toEqual([413, TOO_LARGE]);
  });

  test('refuses chunks that come to more, before their end has come', async () => {
    const { connect } = await listeningHeartbeatServer();
    const chunk = `1000\r\n${'x'.repeat(4 * KIB)}\r\n`;

    const socket = await connect();
    const reply = await socket
      .send(wireRequest({ moreHeaders: ['Transfer-Encoding: chunked'], body: `${chunk.repeat(4)}1\r\nx\r\n` }))
      .reply();

    expect([reply.status, reply.body]).toEqual([413, TOO_LARGE]);
  });

  test('lets chunks that come to just that size pass', async () => {
    const { connect } = await listeningHeartbeatServer();
    const chunk = `1000\r\n${'x'.repeat(4 * KIB)}\r\n`;

    const reply = await (await connect())
      .send(wireRequest({ moreHeaders: ['Transfer-Encoding: chunked'], body: `${chunk.repeat(4)}0\r\n\r\n` }))
      .reply();

    expect(reply.status).toBe(200);
  });

  test('leaves the connection usable once the refused body has been sent', async () => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();
    const body = 'x'.repeat(16 * KIB + 1);

    const refused = await socket.send(wireRequest({ moreHeaders: ['Content-Length: 16385'], body })).reply();
    const next = await (refused.header('connection') === 'close' ? await connect() : socket)
      .send(wireRequest())
      .reply();

    expect([refused.status, next.status]).toEqual([413, 200]);
  });
});

test('a body of another length than was said is 400001 and no mistake of ours', async () => {
  const server = heartbeatServer();

  const { statusCode, body } = await sendHeartbeat(server, { headers: { 'content-length': '5' }, body: 'xyz' });

  expect([statusCode, JSON.parse(body)]).toEqual([
    400,
    expect.objectContaining({ errCode: '400001', detail: 'body: its length is not what Content-Length said' }),
  ]);
  expect(server.mistakes).toEqual([]);
});

test.each([
  ['a negative length', ['Content-Length: -1']],
  ['a length that is no number', ['Content-Length: ten']],
  ['two lengths that differ', ['Content-Length: 1', 'Content-Length: 2']],
  ['a length and chunks, as in request smuggling', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
])('a request with %s is 400 in the API shape, and the connection ends', async (_title, moreHeaders) => {
  const server = await listeningHeartbeatServer();
  const socket = await server.connect();

  const reply = await socket.send(wireRequest({ moreHeaders, body: '0\r\n\r\n' })).reply();

  expect(reply.status).toBe(400);
  expect(JSON.parse(reply.body)).toMatchObject({ errCode: '400001', errorCode: '400001' });
  await socket.closed();
  expect(server.heard).toEqual([]);
});

test.each([
  ['closes', 'end'],
  ['resets', 'reset'],
] as const)('a sender that %s the connection in the middle of its body is no mistake of ours', async (_title, how) => {
  const arrived = Promise.withResolvers<void>();
  const server = await listeningHeartbeatServer({
    nowMs() {
      arrived.resolve();
      return performance.now();
    },
  });
  const socket = await server.connect();
  socket.send(wireRequest({ moreHeaders: ['Content-Length: 10'], body: 'half' }));
  await arrived.promise;

  socket[how]();
  await expect.poll(() => connectionCount(server.app.server)).toBe(0);

  expect(server.mistakes).toEqual([]);
  expect(server.answered).not.toContain('internal 500');
  expect(server.heard).toEqual([]);
});

function connectionCount(server: { getConnections(report: (error: Error | null, count: number) => void): unknown }) {
  const counted = Promise.withResolvers<number>();
  server.getConnections((_error, count) => counted.resolve(count));
  return counted.promise;
}
