import { METHODS } from 'node:http';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { heartbeatPath, statusPath, wireRequest } from '../support/http-heartbeat.ts';
import {
  heartbeatServer,
  listeningHeartbeatServer,
  proxies,
  sendersWith,
  type TestHeartbeatServer,
} from '../support/http-heartbeat-server.ts';

/** Whatever is sent, the server neither answers 5xx nor breaks. */

const segment = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 70 }),
  fc.string({ unit: 'binary', maxLength: 70 }).map(encodeURIComponent),
  fc.constantFrom(
    '',
    '.',
    '%',
    '%2',
    '%2F',
    '%252F',
    '%00',
    '%FF',
    '%C3%28',
    '%E2%80%A8',
    'a',
    '😀',
    ':id',
    '*',
    '..;',
  ),
);

const path = fc.oneof(
  fc
    .tuple(segment, segment, segment)
    .map(([projectId, serviceId, instanceId]) => heartbeatPath({ projectId, serviceId, instanceId })),
  fc
    .tuple(segment, segment, segment, segment)
    .map(([projectId, serviceId, instanceId, value]) =>
      statusPath({ projectId, serviceId, instanceId }, `?value=${value}`),
    ),
  segment.map((projectId) => `/v4/${projectId}/registry/heartbeats`),
  segment.map((projectId) => `/v4/${projectId}/registry/health/readiness`),
  fc.array(segment, { maxLength: 12 }).map((segments) => `/v4/${segments.join('/')}`),
);

const headerValue = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCodePoint(byte)) });

const headers = fc.record(
  {
    'x-domain-name': headerValue,
    'content-type': fc.oneof(headerValue, fc.constantFrom('application/json', 'text/plain', ';', 'a/b; c')),
    'user-agent': headerValue,
    'accept-encoding': headerValue,
    authorization: fc.oneof(
      headerValue,
      headerValue.map((text) => `Bearer ${text}`),
      fc.constant(`Bearer a.${'b'.repeat(99)}.c`),
    ),
    'x-forwarded-for': fc.oneof(
      headerValue,
      fc.array(fc.ipV6()).map((addresses) => addresses.join(',')),
    ),
  },
  { requiredKeys: [] },
);

const body = fc.oneof(
  fc.constant(undefined),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.json().map((json) => Buffer.from(json)),
  fc.json().map((json) => Buffer.from(`{"instances":[${json}]}`)),
  fc.constantFrom(16_384, 16_385).map((length) => Buffer.alloc(length)),
);

// CONNECT names no path: Node ends the connection.
const method = fc.oneof(fc.constantFrom(...METHODS.filter((name) => name !== 'CONNECT')), fc.constant('PUT'));

test.each(['none', 'optional', 'required'] as const)(
  'no path, header, method or body is answered 5xx with senderAuth %s, and every refusal is JSON with both spellings',
  async (auth) => {
    const server = heartbeatServer({ senders: sendersWith({ auth, trustedProxies: proxies('127.0.0.1') }) });

    await fc.assert(
      fc.asyncProperty(method, path, headers, body, async (method, url, headers, payload) => {
        const reply = await server.app.inject({
          method: method as 'PUT',
          url,
          headers,
          ...(payload === undefined ? {} : { payload }),
        });

        expect(reply.statusCode).toBeLessThan(500);
        expect(server.mistakes).toEqual([]);
        const refusal = reply.statusCode === 200 || method === 'HEAD' ? BOTH_SPELLINGS : JSON.parse(reply.body);
        expect(refusal).toMatchObject(BOTH_SPELLINGS);
      }),
      { numRuns: 500 },
    );
  },
);

const BOTH_SPELLINGS = {
  errCode: expect.any(String),
  errMsg: expect.any(String),
  errorCode: expect.any(String),
  errorMessage: expect.any(String),
};

const SEEDS = [
  wireRequest(),
  wireRequest({ moreHeaders: ['Content-Length: 5'], body: 'hello' }),
  wireRequest({ moreHeaders: ['Transfer-Encoding: chunked'], body: '5\r\nhello\r\n0\r\n\r\n' }),
  wireRequest({ moreHeaders: ['Expect: 100-continue', 'Content-Length: 1'], body: 'x' }),
  wireRequest({
    path: '/v4/default/registry/heartbeats',
    moreHeaders: ['Content-Length: 40'],
    body: '{"instances":[{"serviceId":"s","inst":7}]',
  }),
  wireRequest({
    path: statusPath({}, '?value=UP'),
    moreHeaders: ['Authorization: Bearer a.b.c', 'X-Forwarded-For: 192.0.2.1'],
  }),
  wireRequest({ method: 'GET', moreHeaders: ['Connection: Upgrade', 'Upgrade: websocket'] }),
  wireRequest({ version: 'HTTP/1.0' }) + wireRequest(),
].map((text) => Buffer.from(text));

const byte = fc.integer({ min: 0, max: 255 });

/** A request in which bytes were changed, taken out and put in, and which may break off. */
const mutated = fc
  .record({
    seed: fc.constantFrom(...SEEDS),
    edits: fc.array(fc.record({ at: fc.nat(), remove: fc.nat(3), insert: fc.array(byte, { maxLength: 3 }) }), {
      maxLength: 6,
    }),
    cut: fc.option(fc.nat(), { freq: 4 }),
  })
  .map(({ seed, edits, cut }) => {
    const bytes = [...seed];
    for (const { at, remove, insert } of edits) bytes.splice(at % bytes.length, remove, ...insert);
    return Buffer.from(cut === null ? bytes : bytes.slice(0, cut % bytes.length));
  });

const rawBytes = fc.oneof(
  { weight: 4, arbitrary: mutated },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 400 }).map((bytes) => Buffer.from(bytes)) },
);

test('2,000 byte sequences on the socket, mutated and at random, get no 5xx and break nothing', async () => {
  const server = await listeningHeartbeatServer();

  await fc.assert(
    fc.asyncProperty(fc.array(rawBytes, { minLength: 50, maxLength: 50 }), async (sequences) => {
      const answers = await Promise.all(sequences.map((bytes) => answerTo(server, bytes)));
      for (const answer of answers) expect(answer).not.toMatch(/HTTP\/1\.1 5\d\d/);
    }),
    { numRuns: 40, endOnFailure: true },
  );

  expect((await (await server.connect()).send(wireRequest()).reply()).body).toBe('Success');
  expect(server.mistakes).toEqual([]);
}, 30_000);

/** Sends the bytes, says that no more will come, and returns all that came back. */
async function answerTo(
  server: TestHeartbeatServer & {
    connect(): Promise<{ send(bytes: Buffer): { end(): { closed(): Promise<string> } } }>;
  },
  bytes: Buffer,
): Promise<string> {
  return (await server.connect()).send(bytes).end().closed();
}
