import { METHODS } from 'node:http';
import { describe, expect, test } from 'vitest';
import { errorBody, heartbeatPath, invalidParameters, statusPath, wireRequest } from '../support/http-heartbeat.ts';
import { heartbeatServer, listeningHeartbeatServer } from '../support/http-heartbeat-server.ts';

const NOT_FOUND = errorBody('404001', 'No such path', 'see docs/protocol.md for the paths that are served');

const ROUTES = [
  { path: heartbeatPath(), allow: 'PUT' },
  { path: '/v4/default/registry/heartbeats', allow: 'PUT' },
  { path: statusPath({}, '?value=UP'), allow: 'PUT' },
  { path: '/v4/default/registry/health', allow: 'GET, HEAD' },
  { path: '/v4/default/registry/health/readiness', allow: 'GET, HEAD' },
  { path: '/v4/default/registry/version', allow: 'GET, HEAD' },
] as const;

describe('an unknown path', () => {
  test.each([
    ['the root', '/'],
    ['another API version', heartbeatPath().replace('/v4/', '/v3/')],
    ['a trailing slash', `${heartbeatPath()}/`],
    ['a doubled slash in front', `/${heartbeatPath()}`],
    ['a doubled slash within', heartbeatPath().replace('/registry/', '//registry/')],
    ['a doubled slash before the last word', heartbeatPath().replace('/heartbeat', '//heartbeat')],
    ['another case', heartbeatPath().replace('heartbeat', 'Heartbeat')],
    ['a word too many', `${heartbeatPath()}/now`],
    ['a word too few', heartbeatPath().replace('/heartbeat', '')],
    ['a slash in an id that is not escaped', heartbeatPath({ serviceId: 'a/b' })],
    ['a hash, after which nothing counts', heartbeatPath({ instanceId: 'a#b' })],
    ['an asterisk', '*'],
    ['the trailing slash of the batch', '/v4/default/registry/heartbeats/'],
    ['the trailing slash of a report', `${statusPath()}/`],
  ])('is 404 in the API shape: %s', async (_title, path) => {
    const server = await listeningHeartbeatServer();

    const reply = await (await server.connect()).send(wireRequest({ path })).reply();

    expect(reply.status).toBe(404);
    expect(reply.header('content-type')).toBe('application/json; charset=UTF-8');
    expect(reply.body).toBe(NOT_FOUND);
    expect(server.heard).toEqual([]);
  });

  test('is 404 for every method', async () => {
    const server = await listeningHeartbeatServer();
    const socket = await server.connect();

    for (const method of METHODS.filter((name) => name !== 'CONNECT')) {
      const reply = await socket.send(wireRequest({ method, path: '/nowhere' })).reply(method);
      expect([method, reply.status]).toEqual([method, 404]);
    }
  });

  test.each(['projectId', 'serviceId', 'instanceId'] as const)(
    'is not what an empty %s makes: that is 400001',
    async (part) => {
      const server = await listeningHeartbeatServer();

      const path = heartbeatPath({ [part]: '' });
      const reply = await (await server.connect()).send(wireRequest({ path })).reply();

      const field = part === 'projectId' ? 'project_id' : part;
      expect(reply.status).toBe(400);
      expect(reply.body).toBe(invalidParameters(`${field}: must not be empty`));
    },
  );

  test('may have a body, which is not read as anything', async () => {
    const server = heartbeatServer();

    const { statusCode } = await server.app.inject({ method: 'POST', url: '/nowhere', payload: '{"broken"' });

    expect(statusCode).toBe(404);
  });
});

describe('a wrong method', () => {
  test.each(ROUTES)('on $path is 405 with Allow: $allow, whichever it is', async ({ path, allow }) => {
    const server = await listeningHeartbeatServer();
    const socket = await server.connect();
    const allowed = allow.split(', ');

    // CONNECT names a host and no path; Node ends the connection.
    for (const method of METHODS.filter((name) => name !== 'CONNECT' && !allowed.includes(name))) {
      const reply = await socket.send(wireRequest({ method, path })).reply(method);
      expect([method, reply.status, reply.header('allow')]).toEqual([method, 405, allow]);
      expect(reply.header('content-type')).toBe('application/json; charset=UTF-8');
    }
    expect(server.heard).toEqual([]);
  });

  test('has a body in the API shape that names what is allowed', async () => {
    const server = heartbeatServer();

    const { body } = await server.app.inject({ method: 'POST', url: `${heartbeatPath()}?x=1` });

    expect(body).toBe(errorBody('405001', 'Method not allowed', 'allowed here: PUT'));
  });

  test('with ids that break a rule is still 405: the ids are nobody', async () => {
    const server = heartbeatServer();

    const url = heartbeatPath({ serviceId: '', instanceId: '@' });

    expect((await server.app.inject({ method: 'DELETE', url })).statusCode).toBe(405);
  });

  test('that HTTP does not know is 400, and the connection ends', async () => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();

    const reply = await socket.send(wireRequest({ method: 'BEAT' })).reply();

    expect(reply.status).toBe(400);
    expect(reply.header('connection')).toBe('close');
    await socket.closed();
  });

  test('that asks for a WebSocket is refused at once, so that the client falls back to PUT', async () => {
    const { connect } = await listeningHeartbeatServer();
    const moreHeaders = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];

    const reply = await (await connect()).send(wireRequest({ method: 'GET', moreHeaders })).reply('GET');

    expect([reply.status, reply.header('allow')]).toEqual([405, 'PUT']);
    expect(JSON.parse(reply.body)).toMatchObject({ errorCode: '405001' });
  });
});

test.each(ROUTES.filter(({ allow }) => allow !== 'PUT'))(
  'HEAD on $path has the head of GET and no body',
  async ({ path }) => {
    const { connect } = await listeningHeartbeatServer();
    const socket = await connect();

    const get = await socket.send(wireRequest({ method: 'GET', path })).reply('GET');
    const head = await socket.send(wireRequest({ method: 'HEAD', path })).reply('HEAD');

    expect(head.status).toBe(200);
    expect(head.header('content-length')).toBe(get.header('content-length'));
  },
);
