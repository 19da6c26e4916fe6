import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { SenderAuth } from '../../src/heartbeat-api/senders.ts';
import type { HeartbeatServerParts } from '../../src/heartbeat-api/server.ts';
import { identityOf } from '../../src/liveness/instance-key.ts';
import { podSender, UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import { SECOND } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { errorBody, heartbeatPath, wireRequest } from '../support/http-heartbeat.ts';
import {
  heartbeatServer,
  listeningHeartbeatServer,
  proxies,
  RENEWED,
  sendersWith,
  sendHeartbeat,
  type SendOptions,
  type TestHeartbeatServer,
  tokenCache,
  WAYS,
} from '../support/http-heartbeat-server.ts';
import { bearer, podToken, TokenReviews, uidOf } from '../support/http-tokens.ts';

/** Who a heartbeat is said to come from, and whether it is taken at all. */

const LOOPBACK = '127.0.0.1';
const POD = podSender(uidOf('pod-1'));
const GOOD = bearer(podToken('pod-1'));
const BAD = bearer(podToken('stranger'));

const NO_AUTHORIZATION = errorBody(
  '401204',
  'No authorization header',
  'a token for the audience heartbeat-operator is required',
);
const UNAUTHORIZED = errorBody('401201', 'Request unauthorized', 'Authorization: no such Pod');
const NO_TOKEN = errorBody(
  '401201',
  'Request unauthorized',
  'Authorization: use Bearer and a token for the audience heartbeat-operator',
);
const UNPROVED = errorBody(
  '503002',
  'The sender cannot be checked now',
  'the token cannot be reviewed; try again in 5 s',
);

interface Setting {
  readonly auth: SenderAuth;
  /** CIDRs of trusted proxies. */
  readonly trusted?: string;
  /** Instances that there are before anything is sent. */
  readonly known?: readonly string[];
}

/** Parts of a server whose tokens are reviewed by `api`, and whose time stands still. */
function setUp({ auth, trusted = '', known = [] }: Setting) {
  const api = new TokenReviews();
  const clock = new FakeClock();
  const tokens = tokenCache({ review: api.review, nowMs: clock.nowMs, wallMs: clock.wallMs });
  const parts = {
    senders: sendersWith({
      auth,
      tokens,
      trustedProxies: proxies(trusted),
      schedule: (delayMs, task) => clock.schedule(delayMs, task),
    }),
    acceptKnown: (key) => (known.includes(identityOf(key).instanceId) ? RENEWED : { kind: 'unknownInstance' }),
    nowMs: clock.nowMs,
  } satisfies Partial<HeartbeatServerParts>;
  return { api, clock, parts };
}

/** Who the heartbeats that were heard came from. */
function sendersHeard(server: TestHeartbeatServer): readonly string[] {
  return server.heard.map(({ sender }) => sender);
}

const headerLines = (headers: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}`);

describe.each(WAYS)('a heartbeat that is sent $way', ({ send }) => {
  test.each([
    { auth: 'none', headers: {}, sender: LOOPBACK },
    { auth: 'none', headers: GOOD, sender: LOOPBACK },
    { auth: 'none', headers: BAD, sender: LOOPBACK },
    { auth: 'optional', headers: {}, sender: LOOPBACK },
    { auth: 'optional', headers: GOOD, sender: POD },
    { auth: 'optional', headers: { authorization: `bearer   ${podToken('pod-1')}` }, sender: POD },
    { auth: 'optional', headers: BAD, sender: LOOPBACK },
    { auth: 'optional', headers: bearer('no-token'), sender: LOOPBACK },
    { auth: 'optional', headers: { authorization: 'Basic cG9kOjE=' }, sender: LOOPBACK },
    { auth: 'required', headers: GOOD, sender: POD },
  ] as const)('with senderAuth $auth and $headers comes from $sender', async ({ auth, headers, sender }) => {
    const server = heartbeatServer(setUp({ auth }).parts);

    const replies = [await send(server, { headers }), await send(server, { headers })];

    expect(replies.map(({ statusCode }) => statusCode)).toEqual([200, 200]);
    expect(sendersHeard(server)).toEqual([sender, sender]);
  });

  test.each([
    { what: 'no token', headers: {}, body: NO_AUTHORIZATION, result: 'noAuthorization' },
    { what: 'a bad token', headers: BAD, body: UNAUTHORIZED, result: 'unauthorized' },
    { what: 'a text that is no token', headers: bearer('no-token'), body: NO_TOKEN, result: 'unauthorized' },
    { what: 'another scheme', headers: { authorization: 'Basic cG9kOjE=' }, body: NO_TOKEN, result: 'unauthorized' },
    { what: 'an empty header', headers: { authorization: '' }, body: NO_TOKEN, result: 'unauthorized' },
  ])('with $what where one is required is 401, and not heard', async ({ headers, body, result }) => {
    const server = heartbeatServer(setUp({ auth: 'required', known: ['cart-1'] }).parts);

    const replies = [await send(server, { headers }), await send(server, { headers })];

    for (const reply of replies) {
      expect([reply.statusCode, reply.body]).toEqual([401, body]);
      expect(reply.headers['www-authenticate']).toBe('Bearer');
      expect(reply.headers['content-type']).toBe('application/json; charset=UTF-8');
    }
    expect(server.heard).toEqual([]);
    expect(server.answered).toEqual([`${result} 401`, `${result} 401`]);
  });

  test('with a token, while the API server does not answer, is 200 for a known instance, from nobody in particular', async () => {
    const { api, parts } = setUp({ auth: 'required', known: ['cart-1'] });
    const server = heartbeatServer(parts);
    api.isReachable = false;

    const replies = [await send(server, { headers: GOOD }), await send(server, { headers: BAD })];

    expect(replies.map(({ statusCode, body }) => [statusCode, body])).toEqual([
      [200, 'Success'],
      [200, 'Success'],
    ]);
    expect(sendersHeard(server)).toEqual([UNKNOWN_SENDER, UNKNOWN_SENDER]);
  });

  test('with a token, while the API server does not answer, is 503 for an unknown instance', async () => {
    const { api, parts } = setUp({ auth: 'required', known: ['cart-1'] });
    const server = heartbeatServer(parts);
    api.isReachable = false;

    const replies = [
      await send(server, { headers: GOOD, instanceId: 'new' }),
      await send(server, { headers: GOOD, instanceId: 'new' }),
    ];

    for (const reply of replies) {
      expect([reply.statusCode, reply.headers['retry-after'], reply.body]).toEqual([503, '5', UNPROVED]);
    }
    expect(server.heard).toEqual([]);
    expect(server.answered).toEqual(['unproved 503', 'unproved 503']);
  });

  test('without a token, while the API server does not answer, is 401 all the same', async () => {
    const { api, parts } = setUp({ auth: 'required', known: ['cart-1'] });
    const server = heartbeatServer(parts);
    api.isReachable = false;

    expect((await send(server)).statusCode).toBe(401);
    expect(server.heard).toEqual([]);
  });

  test('with a token that was good stays from its Pod while the API server does not answer', async () => {
    const { api, clock, parts } = setUp({ auth: 'required' });
    const server = heartbeatServer(parts);
    const headers = bearer(podToken('pod-1', { exp: clock.wallMs() / 1000 + 3_600 }));
    await send(server, { headers });
    api.isReachable = false;
    await clock.advance(600 * SECOND);

    expect((await send(server, { headers })).statusCode).toBe(200);
    expect(sendersHeard(server)).toEqual([POD, POD]);
  });

  test('with a token that nobody can review comes from its address where none is required', async () => {
    const { api, parts } = setUp({ auth: 'optional' });
    const server = heartbeatServer(parts);
    api.isReachable = false;

    expect((await send(server, { headers: GOOD })).statusCode).toBe(200);
    expect((await send(server, { headers: GOOD })).statusCode).toBe(200);
    expect(sendersHeard(server)).toEqual([LOOPBACK, LOOPBACK]);
  });

  test('with a bad token keeps its address each time that the token is asked about again', async () => {
    const { api, clock, parts } = setUp({ auth: 'optional', known: ['cart-1'] });
    const server = heartbeatServer(parts);
    await send(server, { headers: BAD, instanceId: 'new' });
    await clock.advance(30 * SECOND);
    await send(server, { headers: BAD });

    expect(sendersHeard(server)).toEqual([LOOPBACK, LOOPBACK]);
    expect(api.asked).toHaveLength(2);
  });

  test('with the token of another Pod than that of the instance is 403', async () => {
    const { parts } = setUp({ auth: 'optional' });
    const server = heartbeatServer({
      ...parts,
      accept: (_key, _atMs, sender) => (sender === POD ? { kind: 'foreignSender' } : RENEWED),
    });

    const replies = [await send(server, { headers: GOOD }), await send(server, { headers: GOOD })];

    for (const { statusCode, body } of replies) {
      expect([statusCode, body]).toEqual([
        403,
        errorBody('403205', 'No permission(s)', 'the sender is not the Pod that the instance is bound to'),
      ]);
    }
    expect(server.answered).toEqual(['foreignSender 403', 'foreignSender 403']);
  });

  test('comes from whom a trusted proxy names, and from nobody if it names none', async () => {
    const server = heartbeatServer(setUp({ auth: 'none', trusted: '127.0.0.0/8' }).parts);

    await send(server, { headers: { 'x-forwarded-for': '192.0.2.66, 192.0.2.1, 127.0.0.9' } });
    await send(server);
    await send(server, { headers: { 'x-forwarded-for': '127.0.0.9' } });
    await send(server, { headers: { 'x-forwarded-for': 'garbage' } });

    expect(sendersHeard(server)).toEqual(['192.0.2.1', UNKNOWN_SENDER, UNKNOWN_SENDER, UNKNOWN_SENDER]);
  });

  test('that names somebody else, and comes from no trusted proxy, comes from its address', async () => {
    const server = heartbeatServer(setUp({ auth: 'none', trusted: '10.0.0.0/8' }).parts);

    await send(server, { headers: { 'x-forwarded-for': '192.0.2.1' } });

    expect(sendersHeard(server)).toEqual([LOOPBACK]);
  });

  test('with a token that came through a trusted proxy comes from the Pod of the token', async () => {
    const server = heartbeatServer(setUp({ auth: 'optional', trusted: '127.0.0.0/8' }).parts);

    await send(server, { headers: { ...GOOD, 'x-forwarded-for': '192.0.2.1' } });

    expect(sendersHeard(server)).toEqual([POD]);
  });

  test('is refused for a broken parameter only after it is refused for its token', async () => {
    const server = heartbeatServer(setUp({ auth: 'required' }).parts);

    const { statusCode } = await send(server, { instanceId: 'a@b' });

    expect(statusCode).toBe(401);
  });
});

/** A connection, and a way to send heartbeats over it. */
async function keptConnection(setting: Setting) {
  const { api, clock, parts } = setUp(setting);
  const server = await listeningHeartbeatServer(parts);
  const socket = await server.connect();
  const beat = async (headers: Readonly<Record<string, string>>, options: SendOptions = {}) =>
    (await socket.send(wireRequest({ path: heartbeatPath(options), moreHeaders: headerLines(headers) })).reply())
      .status;
  return { api, clock, server, beat, socket };
}

describe('a connection that is kept', () => {
  test('may change its token: each heartbeat comes from the Pod of its own', async () => {
    const { api, server, beat } = await keptConnection({ auth: 'optional' });
    const other = bearer(podToken('pod-2'));

    for (const headers of [GOOD, GOOD, other, GOOD, {}, BAD, bearer('x'), GOOD]) await beat(headers);

    expect(sendersHeard(server)).toEqual([POD, POD, podSender(uidOf('pod-2')), POD, LOOPBACK, LOOPBACK, LOOPBACK, POD]);
    expect(api.asked).toEqual(['pod-1', 'pod-2', 'stranger']);
  });

  test('does not lend its token to a heartbeat without one', async () => {
    const { beat } = await keptConnection({ auth: 'required' });

    expect([await beat(GOOD), await beat({}), await beat(BAD), await beat(GOOD)]).toEqual([200, 401, 401, 200]);
  });

  test('has its token refused when the Pod was deleted, though nothing else changed', async () => {
    const { api, clock, beat } = await keptConnection({ auth: 'required' });
    await beat(GOOD);
    api.deleted.add('pod-1');
    await clock.advance(60 * SECOND);

    expect([await beat(GOOD), await beat(GOOD)]).toEqual([401, 401]);
  });

  test('of a proxy carries heartbeats of many: each comes from the address that goes with it', async () => {
    const { server, beat, socket } = await keptConnection({ auth: 'none', trusted: LOOPBACK });

    for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.2']) await beat({ 'x-forwarded-for': address });
    await beat({});
    await beat({ 'x-forwarded-for': '192.0.2.2' });
    const twoHeaders = ['X-Forwarded-For: 192.0.2.3', 'x-forwarded-for: 127.0.0.1'];
    await socket.send(wireRequest({ moreHeaders: twoHeaders })).reply();
    await socket.send(wireRequest({ path: `${heartbeatPath()}?by-the-routes`, moreHeaders: twoHeaders })).reply();

    expect(sendersHeard(server)).toEqual([
      '192.0.2.1',
      '192.0.2.1',
      '192.0.2.2',
      UNKNOWN_SENDER,
      '192.0.2.2',
      '192.0.2.3',
      '192.0.2.3',
    ]);
  });

  test('to a socket for both families shows an IPv4 sender as such', async () => {
    const server = heartbeatServer(setUp({ auth: 'none' }).parts);
    await server.app.listen({ host: '::', port: 0 });

    await WAYS[1]?.send(server);

    expect(sendersHeard(server)).toEqual([LOOPBACK]);
  });

  test('is looked at once for its address, however many heartbeats it carries', () => {
    let looks = 0;
    const socket = Object.defineProperty(new Socket(), 'remoteAddress', {
      get() {
        looks += 1;
        return '::ffff:192.0.2.1';
      },
    });
    const senders = sendersWith();
    const nothing = { authorization: undefined, forwardedFor: undefined };

    const first = senders.find(socket, nothing);

    expect(first).toEqual({ kind: 'found', sender: '192.0.2.1' });
    for (let beat = 0; beat < 100; beat += 1) expect(senders.find(socket, nothing)).toBe(first);
    expect(looks).toBe(1);
  });

  test('that ended before it was looked at comes from nobody', () => {
    const nothing = { authorization: undefined, forwardedFor: '192.0.2.1' };

    expect(sendersWith().find(new Socket(), nothing)).toEqual({ kind: 'found', sender: UNKNOWN_SENDER });
  });
});

/** A server whose reviews are not answered until the test says so. */
function setUpHeld(setting: Setting) {
  const answered = Promise.withResolvers<void>();
  const { api, clock, parts } = setUp(setting);
  api.hold = answered.promise;
  return { api, clock, server: heartbeatServer(parts), answer: answered.resolve };
}

describe('while a token is reviewed for the first time', () => {
  test('a known instance is answered at once where no token is required, and its next heartbeat has the Pod', async () => {
    const { server, answer } = setUpHeld({ auth: 'optional', known: ['cart-1'] });

    expect((await sendHeartbeat(server, { headers: GOOD })).statusCode).toBe(200);
    expect(sendersHeard(server)).toEqual([UNKNOWN_SENDER]);

    answer();
    await settle();
    await sendHeartbeat(server, { headers: GOOD });
    expect(sendersHeard(server)).toEqual([UNKNOWN_SENDER, POD, POD]);
  });

  test.each([
    { auth: 'optional', instanceId: 'new' },
    { auth: 'required', instanceId: 'new' },
    { auth: 'required', instanceId: 'cart-1' },
  ] as const)(
    'I5: with senderAuth $auth the heartbeat of $instanceId waits for the answer, and counts from when it arrived',
    async ({ auth, instanceId }) => {
      const { clock, server, answer } = setUpHeld({ auth, known: ['cart-1'] });
      const arrivedAtMs = clock.nowMs();
      const reply = sendHeartbeat(server, { headers: GOOD, instanceId });
      await clock.advance(SECOND - 1);
      expect(server.heard).toEqual([]);

      answer();
      expect((await reply).statusCode).toBe(200);
      expect(server.heard).toMatchObject([{ identity: { instanceId }, atMs: arrivedAtMs, sender: POD }]);
      expect(clock.timers).toEqual([]);
    },
  );

  test.each([
    { auth: 'optional', instanceId: 'new', status: 200, heard: [LOOPBACK] },
    { auth: 'required', instanceId: 'cart-1', status: 200, heard: [UNKNOWN_SENDER] },
    { auth: 'required', instanceId: 'new', status: 503, heard: [] },
  ] as const)(
    'nobody waits longer than a second: with senderAuth $auth, $instanceId is then $status',
    async ({ auth, instanceId, status, heard }) => {
      const { clock, server } = setUpHeld({ auth, known: ['cart-1'] });
      const reply = sendHeartbeat(server, { headers: GOOD, instanceId });
      await clock.advance(SECOND);

      expect((await reply).statusCode).toBe(status);
      expect(sendersHeard(server)).toEqual(heard);
    },
  );

  test('a bad token is refused when the answer is there, and not before', async () => {
    const { clock, server, answer } = setUpHeld({ auth: 'required', known: ['cart-1'] });
    const reply = sendHeartbeat(server, { headers: BAD });
    await clock.advance(SECOND - 1);
    answer();

    expect((await reply).body).toBe(UNAUTHORIZED);
    expect(server.heard).toEqual([]);
  });

  test('heartbeats that come together wait for one review', async () => {
    const { api, server, answer } = setUpHeld({ auth: 'required' });
    const replies = ['a', 'b', 'c'].map((instanceId) => sendHeartbeat(server, { headers: GOOD, instanceId }));
    await settle();
    answer();

    expect((await Promise.all(replies)).map(({ statusCode }) => statusCode)).toEqual([200, 200, 200]);
    expect(api.asked).toEqual(['pod-1']);
  });
});

const BATCH = '/v4/default/registry/heartbeats';
const bodyOf = (...instanceIds: readonly string[]): string =>
  JSON.stringify({ instances: instanceIds.map((instanceId) => ({ serviceId: 'shop', instanceId })) });

function sendBatch({ app }: TestHeartbeatServer, headers: Readonly<Record<string, string>>, body: string) {
  return app.inject({ method: 'PUT', url: BATCH, headers: { 'x-domain-name': 'acme', ...headers }, payload: body });
}

describe('a batch', () => {
  test('comes from one sender, whole', async () => {
    const server = heartbeatServer(setUp({ auth: 'required' }).parts);

    const { statusCode, body } = await sendBatch(server, GOOD, bodyOf('a', 'b'));

    expect([statusCode, body]).toEqual([200, bodyOf('a', 'b')]);
    expect(sendersHeard(server)).toEqual([POD, POD]);
  });

  test('without a good token where one is required is 401, and nothing of it is heard', async () => {
    const server = heartbeatServer(setUp({ auth: 'required', known: ['a'] }).parts);

    expect((await sendBatch(server, {}, bodyOf('a'))).body).toBe(NO_AUTHORIZATION);
    expect((await sendBatch(server, BAD, bodyOf('a'))).body).toBe(UNAUTHORIZED);
    expect((await sendBatch(server, BAD, 'not even JSON')).body).toBe(UNAUTHORIZED);
    expect(server.heard).toEqual([]);
  });

  test('without a token where one is required is refused before its body is there', async () => {
    const server = await listeningHeartbeatServer(setUp({ auth: 'required' }).parts);

    const reply = await (await server.connect())
      .send(wireRequest({ path: BATCH, moreHeaders: ['Content-Length: 2000000'] }))
      .reply();

    expect([reply.status, reply.body]).toEqual([401, NO_AUTHORIZATION]);
  });

  test('with a token that nobody can review is taken for the instances that are known', async () => {
    const { api, parts } = setUp({ auth: 'required', known: ['a'] });
    const server = heartbeatServer(parts);
    api.isReachable = false;

    const { statusCode, body } = await sendBatch(server, GOOD, bodyOf('a', 'new'));

    expect(statusCode).toBe(200);
    expect(JSON.parse(body)).toEqual({
      instances: [
        { serviceId: 'shop', instanceId: 'a' },
        {
          serviceId: 'shop',
          instanceId: 'new',
          errMessage: 'The sender cannot be checked now(the token cannot be reviewed; try again in 5 s)',
        },
      ],
    });
    expect(server.heard).toMatchObject([{ identity: { instanceId: 'a' }, sender: UNKNOWN_SENDER }]);
  });

  test('has the known ones heard at once where no token is required, and waits for the review only for the others', async () => {
    const { api, clock, parts } = setUp({ auth: 'optional', known: ['a', 'b'] });
    const answered = Promise.withResolvers<void>();
    api.hold = answered.promise;
    const server = heartbeatServer(parts);

    expect((await sendBatch(server, GOOD, bodyOf('a', 'a@', 'b'))).statusCode).toBe(200);
    const waiting = sendBatch(server, GOOD, bodyOf('a', 'new', 'b'));
    await clock.advance(SECOND / 2);
    expect(server.heard.map(({ identity }) => identity.instanceId)).toEqual(['a', 'b', 'a', 'b']);

    answered.resolve();
    expect((await waiting).body).toBe(bodyOf('a', 'new', 'b'));
    expect(server.heard.at(-1)).toMatchObject({ identity: { instanceId: 'new' }, sender: POD, atMs: 0 });
  });

  test('names the elements that belong to another Pod than the token', async () => {
    const server = heartbeatServer({
      ...setUp({ auth: 'optional' }).parts,
      accept: (key) => (identityOf(key).instanceId === 'foreign' ? { kind: 'foreignSender' } : RENEWED),
    });

    const { body } = await sendBatch(server, GOOD, bodyOf('a', 'foreign'));

    expect(JSON.parse(body)).toEqual({
      instances: [
        { serviceId: 'shop', instanceId: 'a' },
        {
          serviceId: 'shop',
          instanceId: 'foreign',
          errMessage: 'No permission(s)(the sender is not the Pod that the instance is bound to)',
        },
      ],
    });
  });
});

test('a flood of bad tokens is refused without a word to the API server once it has been asked enough', async () => {
  const { api, parts } = setUp({ auth: 'required' });
  let left = 20;
  const tokens = tokenCache({ review: api.review, unprovedReviews: { take: () => (left -= 1) >= 0 } });
  const server = heartbeatServer({ ...parts, senders: sendersWith({ auth: 'required', tokens }) });

  const replies = await Promise.all(
    Array.from({ length: 200 }, (_, index) =>
      sendHeartbeat(server, { headers: bearer(podToken(`stranger-${index}`)) }),
    ),
  );

  expect(api.asked).toHaveLength(20);
  const statuses = replies.map(({ statusCode }) => statusCode);
  expect(statuses.filter((status) => status === 401)).toHaveLength(20);
  // Of the others nobody can tell; the instance is unknown.
  expect(statuses.filter((status) => status === 503)).toHaveLength(180);
  expect(server.heard).toEqual([]);
});
