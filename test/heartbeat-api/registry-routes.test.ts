import { expect, test } from 'vitest';
import { wireRequest } from '../support/http-heartbeat.ts';
import { heartbeatServer, listeningHeartbeatServer } from '../support/http-heartbeat-server.ts';

/** What SDKs ask before they send heartbeats. */

test('health names this one server, in the shape of an instance', async () => {
  const { app } = heartbeatServer();

  const { statusCode, headers, body } = await app.inject({ method: 'GET', url: '/v4/default/registry/health' });

  expect(statusCode).toBe(200);
  expect(headers['content-type']).toBe('application/json; charset=UTF-8');
  expect(JSON.parse(body)).toEqual({
    instances: [
      {
        instanceId: expect.any(String),
        serviceId: 'heartbeat-operator',
        hostName: expect.any(String),
        endpoints: [],
        status: 'UP',
        version: '1.2.3',
      },
    ],
  });
});

test('readiness is 200 with no body at all and says so, since the Go client never closes one', async () => {
  const { connect } = await listeningHeartbeatServer();
  const socket = await connect();
  const request = wireRequest({ method: 'GET', path: '/v4/default/registry/health/readiness' });

  const reply = await socket.send(request).reply('GET');

  expect([reply.status, reply.body]).toEqual([200, '']);
  expect([reply.header('content-length'), reply.header('transfer-encoding')]).toEqual(['0', undefined]);
  expect((await socket.send(request).reply('GET')).status).toBe(200);
});

test('version tells ours and the API version that SDKs look for', async () => {
  const { app } = heartbeatServer();

  const { statusCode, headers, body } = await app.inject({ method: 'GET', url: '/v4/default/registry/version' });

  expect(statusCode).toBe(200);
  expect(headers['content-type']).toBe('application/json; charset=UTF-8');
  expect(JSON.parse(body)).toMatchObject({ version: '1.2.3', apiVersion: '4.0.0' });
});

test.each(['health', 'health/readiness', 'version'])(
  '%s needs no domain header and looks at no query, content type or project',
  async (call) => {
    const server = heartbeatServer();

    const { statusCode } = await server.app.inject({
      method: 'GET',
      url: `/v4/any%20project/registry/${call}?x=1`,
      headers: { 'content-type': 'application/json' },
    });

    expect(statusCode).toBe(200);
    expect(server.answered).toEqual([]);
  },
);
