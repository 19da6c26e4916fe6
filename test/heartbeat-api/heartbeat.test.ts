import { describe, expect, test } from 'vitest';
import type { HeartbeatAnswer } from '../../src/liveness/heartbeat-answer.ts';
import { errorBody, heartbeatPath, wireRequest } from '../support/http-heartbeat.ts';
import { heartbeatServer, listeningHeartbeatServer, WAYS } from '../support/http-heartbeat-server.ts';

/** What the documented contract says of a heartbeat that is right, and what becomes of it. */

test('a heartbeat is answered 200 with the body Success and exactly these headers', async () => {
  const { connect } = await listeningHeartbeatServer();

  const { statusLine, headers, body } = await (await connect()).send(wireRequest()).reply();

  expect(statusLine).toBe('HTTP/1.1 200 OK');
  expect(headers).toEqual([
    ['content-type', 'text/plain; charset=UTF-8'],
    ['content-length', '7'],
    ['Date', expect.stringMatching(/ GMT$/)],
    ['Connection', 'keep-alive'],
    ['Keep-Alive', 'timeout=120'],
  ]);
  expect(body).toBe('Success');
});

test('the name of the domain header is found in whatever case', async () => {
  const server = await listeningHeartbeatServer();

  await (await server.connect()).send(wireRequest({ headers: ['Host: h', 'X-DOMAIN-NAME: acme'] })).reply();

  expect(server.heard[0]?.identity.domain).toBe('acme');
});

test('a query string is ignored', async () => {
  const server = heartbeatServer();

  const { statusCode } = await server.app.inject({
    method: 'PUT',
    url: `${heartbeatPath()}?instanceId=other&x=%zz`,
    headers: { 'x-domain-name': 'acme' },
  });

  expect(statusCode).toBe(200);
  expect(server.heard[0]?.identity.instanceId).toBe('cart-1');
});

test('an empty success says Content-Length 0 and is not chunked, so that the Go client can keep its connection', async () => {
  const { connect } = await listeningHeartbeatServer();
  const socket = await connect();

  const first = await socket.send(wireRequest({ moreHeaders: ['User-Agent: go-client'] })).reply();
  const second = await socket.send(wireRequest({ moreHeaders: ['User-Agent: go-client'] })).reply();

  expect([first.header('content-length'), first.header('transfer-encoding'), first.body]).toEqual(['0', undefined, '']);
  expect(second.status).toBe(200);
});

const GO_CLIENT = 'go-client';
const JAVA_CLIENT = 'microservice-client/1.0.0';

describe.each(WAYS)('a heartbeat that is sent $way', ({ send }) => {
  test('the four parts of the identity are taken from the header and the path', async () => {
    const server = heartbeatServer();

    await send(server, { domain: 'acme', projectId: 'eu', serviceId: 'shop', instanceId: 'cart-1' });

    expect(server.heard.map(({ identity }) => identity)).toEqual([
      { domain: 'acme', projectId: 'eu', serviceId: 'shop', instanceId: 'cart-1' },
    ]);
  });

  test('a heartbeat that comes twice is answered 200 twice', async () => {
    const server = heartbeatServer();

    const replies = [await send(server), await send(server)];

    expect(replies.map(({ statusCode, body }) => [statusCode, body])).toEqual([
      [200, 'Success'],
      [200, 'Success'],
    ]);
  });

  test.each(['renewed', 'confirmed', 'appeared', 'recovered'] as const)(
    'a heartbeat that is accepted as %s is answered alike, and counted as that',
    async (change) => {
      const server = heartbeatServer({ accept: () => ({ kind: 'accepted', change }) });

      const { statusCode, body } = await send(server);

      expect([statusCode, body]).toEqual([200, 'Success']);
      expect(server.answered).toEqual([`${change} 200`]);
    },
  );

  test.each([
    { successBody: 'auto', userAgent: GO_CLIENT, body: '' },
    { successBody: 'auto', userAgent: `${GO_CLIENT}/0.7`, body: '' },
    { successBody: 'auto', userAgent: JAVA_CLIENT, body: 'Success' },
    { successBody: 'auto', userAgent: `not-${GO_CLIENT}`, body: 'Success' },
    { successBody: 'auto', userAgent: undefined, body: 'Success' },
    { successBody: 'documented', userAgent: GO_CLIENT, body: 'Success' },
    { successBody: 'documented', userAgent: JAVA_CLIENT, body: 'Success' },
    { successBody: 'empty', userAgent: GO_CLIENT, body: '' },
    { successBody: 'empty', userAgent: JAVA_CLIENT, body: '' },
    { successBody: 'empty', userAgent: undefined, body: '' },
  ] as const)(
    'with successBody $successBody a client that calls itself $userAgent gets the body "$body"',
    async ({ successBody, userAgent, body }) => {
      const server = heartbeatServer({ successBody });

      // Without a name of its own, the injected request would call itself lightMyRequest.
      const reply = await send(server, { headers: { 'user-agent': userAgent ?? '' } });

      expect(reply.statusCode).toBe(200);
      expect(reply.body).toBe(body);
      expect(reply.headers['content-length']).toBe(String(body.length));
    },
  );

  test('an unknown instance is answered 400 with code 400017, which makes SDKs register again', async () => {
    const server = heartbeatServer({ accept: () => ({ kind: 'unknownInstance' }) });

    const { statusCode, headers, body } = await send(server);

    expect(statusCode).toBe(400);
    expect(headers['content-type']).toBe('application/json; charset=UTF-8');
    expect(body).toBe(errorBody('400017', 'Instance does not exist', 'leaseId not exist, instance not exist'));
    expect(server.answered).toEqual(['unknownInstance 400']);
  });

  test('an instance that is one new one too many is answered 503 and told when to come again', async () => {
    const tooManyNew: HeartbeatAnswer = { kind: 'tooManyNew', retryAfterSeconds: 7 };
    const server = heartbeatServer({ accept: () => tooManyNew });

    const { statusCode, headers, body } = await send(server);

    expect(statusCode).toBe(503);
    expect(headers['retry-after']).toBe('7');
    expect(headers['content-type']).toBe('application/json; charset=UTF-8');
    expect(body).toBe(errorBody('503001', 'Too many new instances', 'try again in 7 s'));
    expect(server.answered).toEqual(['tooManyNew 503']);
  });

  test('a mistake of ours is answered 500 in the API shape without its text, reported, and counted', async () => {
    const mistake = new Error('secret inner state');
    const server = heartbeatServer({
      accept() {
        throw mistake;
      },
    });

    const { statusCode, body } = await send(server);

    expect(statusCode).toBe(500);
    expect(body).toBe(errorBody('500003', 'Internal server error', ''));
    expect(server.mistakes).toEqual([mistake]);
    expect(server.answered).toEqual(['internal 500']);
  });

  test('after a mistake of ours the next heartbeat is served', async () => {
    let isFirst = true;
    const server = heartbeatServer({
      accept() {
        if (!isFirst) return { kind: 'accepted', change: 'renewed' };
        isFirst = false;
        throw new Error('once');
      },
    });
    await send(server);

    expect((await send(server)).statusCode).toBe(200);
  });
});

test('a reply while the process stops asks the sender to connect anew, and the connection is closed', async () => {
  const { connect } = await listeningHeartbeatServer({ isDraining: () => true });
  const socket = await connect();

  const reply = await socket.send(wireRequest()).reply();

  expect([reply.status, reply.body]).toEqual([200, 'Success']);
  expect(reply.header('connection')).toBe('close');
  expect(await socket.closed()).toBe('');
});

test.each([
  ['a refused heartbeat', wireRequest({ path: heartbeatPath({ instanceId: 'a@b' }) }), 'PUT'],
  ['a batch', wireRequest({ path: '/v4/default/registry/heartbeats', moreHeaders: ['Content-Length: 0'] }), 'PUT'],
  ['a health call', wireRequest({ method: 'GET', path: '/v4/default/registry/health' }), 'GET'],
])('the reply to %s while the process stops asks the sender to connect anew', async (_what, bytes, method) => {
  const { connect } = await listeningHeartbeatServer({ isDraining: () => true });

  const reply = await (await connect()).send(bytes).reply(method);

  expect(reply.header('connection')).toBe('close');
});
