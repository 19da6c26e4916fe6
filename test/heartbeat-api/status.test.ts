import { describe, expect, test } from 'vitest';
import { STATUS_VALUES, type StatusValue } from '../../src/heartbeat-api/heartbeat-route.ts';
import type { SenderAuth } from '../../src/heartbeat-api/senders.ts';
import { REPORTED_VALUES } from '../../src/health/observed-instance.ts';
import { identityOf, type InstanceIdentity } from '../../src/liveness/instance-key.ts';
import type { ReportAnswer } from '../../src/liveness/report-answer.ts';
import { podSender, type Sender } from '../../src/liveness/sender.ts';
import { SECOND } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { errorBody, invalidParameters, statusPath, wireRequest } from '../support/http-heartbeat.ts';
import {
  heartbeatServer,
  listeningHeartbeatServer,
  sendersWith,
  type TestHeartbeatServer,
  tokenCache,
} from '../support/http-heartbeat-server.ts';
import { bearer, podToken, TokenReviews, uidOf } from '../support/http-tokens.ts';

/** By a report an application says how it is. */

interface Report {
  readonly identity: InstanceIdentity;
  readonly value: StatusValue;
  readonly atMs: number;
  readonly sender: Sender;
}

const GOOD = bearer(podToken('pod-1'));
const FIVE = 'value: must be one of UP, DOWN, OUTOFSERVICE, STARTING, TESTING';

/** Parts of a server that answers every report alike, and what it was told. */
function setUp({ answer = { kind: 'stored' }, auth = 'none' }: { answer?: ReportAnswer; auth?: SenderAuth } = {}) {
  const reports: Report[] = [];
  const api = new TokenReviews();
  const clock = new FakeClock();
  const parts = {
    report(key: Parameters<typeof identityOf>[0], value: StatusValue, atMs: number, sender: Sender) {
      reports.push({ identity: identityOf(key), value, atMs, sender });
      return Promise.resolve(answer);
    },
    senders: sendersWith({
      auth,
      tokens: tokenCache({ review: api.review, nowMs: clock.nowMs, wallMs: clock.wallMs }),
      schedule: (delayMs, task) => clock.schedule(delayMs, task),
    }),
    nowMs: clock.nowMs,
  };
  return { reports, api, clock, parts };
}

function send({ app }: TestHeartbeatServer, url: string, headers: Readonly<Record<string, string>> = {}) {
  return app.inject({ method: 'PUT', url, headers: { 'x-domain-name': 'acme', ...headers } });
}

test('the five values are those that an instance can hold', () => {
  expect(STATUS_VALUES).toEqual(REPORTED_VALUES);
});

test.each(STATUS_VALUES)(
  'a report of %s is handed in with identity, sender and the moment it arrived',
  async (value) => {
    const { reports, clock, parts } = setUp();
    const server = heartbeatServer(parts);
    await clock.advance(7 * SECOND);

    const url = statusPath({ projectId: 'eu', serviceId: 'shop', instanceId: 'cart-1' }, `?value=${value}`);
    expect((await send(server, url)).statusCode).toBe(200);

    expect(reports).toEqual([
      {
        identity: { domain: 'acme', projectId: 'eu', serviceId: 'shop', instanceId: 'cart-1' },
        value,
        atMs: 7 * SECOND,
        sender: '127.0.0.1',
      },
    ]);
    expect(server.heard).toEqual([]);
  },
);

test('a report that is stored is answered 200 with exactly these headers and no body, as by service-center', async () => {
  const { connect } = await listeningHeartbeatServer(setUp().parts);

  const { statusLine, headers, body } = await (await connect())
    .send(wireRequest({ path: statusPath({}, '?value=DOWN') }))
    .reply();

  expect(statusLine).toBe('HTTP/1.1 200 OK');
  expect(headers).toEqual([
    ['content-type', 'text/plain; charset=UTF-8'],
    ['content-length', '0'],
    ['Date', expect.stringMatching(/ GMT$/)],
    ['Connection', 'keep-alive'],
    ['Keep-Alive', 'timeout=120'],
  ]);
  expect(body).toBe('');
});

test('a report is answered only when it is stored', async () => {
  const stored = Promise.withResolvers<ReportAnswer>();
  const server = heartbeatServer({ report: () => stored.promise });
  let isAnswered = false;
  const reply = send(server, statusPath({}, '?value=UP')).then(({ statusCode }) => {
    isAnswered = true;
    return statusCode;
  });

  expect((await send(server, '/v4/default/registry/health/readiness')).statusCode).toBe(405);
  expect(isAnswered).toBe(false);
  stored.resolve({ kind: 'stored' });

  expect(await reply).toBe(200);
});

describe('a report', () => {
  test.each([
    ['without a value', ''],
    ['with an empty value', '?value='],
    ['with an unknown value', '?value=FOO'],
    ['with a value in lower case, as service-center refuses it', '?value=down'],
    ['with white space around its value', '?value=%20UP'],
    ['with UNKNOWN, which only clients know', '?value=UNKNOWN'],
    ['with another name for the value', '?status=UP'],
    ['with an unknown value before a known one', '?value=FOO&value=UP'],
  ])('%s is 400001 and names the five', async (_title, query) => {
    const { reports, parts } = setUp();

    const { statusCode, body } = await send(heartbeatServer(parts), statusPath({}, query));

    expect([statusCode, body]).toEqual([400, invalidParameters(FIVE)]);
    expect(reports).toEqual([]);
  });

  test('with two values is taken by the first, as by service-center', async () => {
    const { reports, parts } = setUp();

    await send(heartbeatServer(parts), statusPath({}, '?value=DOWN&value=UP'));

    expect(reports.map(({ value }) => value)).toEqual(['DOWN']);
  });

  test.each([
    ['serviceId', statusPath({ serviceId: '' }, '?value=UP'), {}, 'serviceId: must not be empty'],
    [
      'instanceId',
      statusPath({ instanceId: 'a@b' }, '?value=UP'),
      {},
      'instanceId: only the characters A-Z a-z 0-9 _ . - are allowed',
    ],
    ['domain', statusPath({}, '?value=UP'), { 'x-domain-name': '' }, 'x-domain-name: the header is required'],
    ['instanceId before its value', statusPath({ instanceId: '' }, '?value=FOO'), {}, 'instanceId: must not be empty'],
  ])('is held to the rule for the %s of a heartbeat', async (_part, url, headers, detail) => {
    const { reports, parts } = setUp();

    const { statusCode, body } = await send(heartbeatServer(parts), url, headers);

    expect([statusCode, body]).toEqual([400, invalidParameters(detail)]);
    expect(reports).toEqual([]);
  });

  test('may have a body, which is ignored', async () => {
    const server = heartbeatServer(setUp().parts);
    const url = statusPath({}, '?value=UP');

    const { statusCode } = await server.app.inject({
      method: 'PUT',
      url,
      headers: { 'x-domain-name': 'acme', 'content-type': 'application/json' },
      payload: '{"value":"DOWN',
    });

    expect(statusCode).toBe(200);
  });

  test.each([
    {
      answer: { kind: 'unknownInstance' },
      status: 400,
      body: errorBody('400017', 'Instance does not exist', 'leaseId not exist, instance not exist'),
    },
    {
      answer: { kind: 'foreignSender' },
      status: 403,
      body: errorBody('403205', 'No permission(s)', 'the sender is not the Pod that the instance is bound to'),
    },
    {
      answer: { kind: 'notStored', detail: 'the API server does not answer' },
      status: 500,
      body: errorBody('500011', 'Registry service is unavailable', 'the API server does not answer'),
    },
  ] as const)('that comes to $answer.kind is answered $status', async ({ answer, status, body }) => {
    const reply = await send(heartbeatServer(setUp({ answer }).parts), statusPath({}, '?value=UP'));

    expect([reply.statusCode, reply.body]).toEqual([status, body]);
    expect(reply.headers['content-type']).toBe('application/json; charset=UTF-8');
  });

  test('that provokes a mistake of ours is 500003, without its text, and reported', async () => {
    const mistake = new Error('secret inner state');
    const server = heartbeatServer({ report: () => Promise.reject(mistake) });

    const { statusCode, body } = await send(server, statusPath({}, '?value=UP'));

    expect([statusCode, body]).toEqual([500, errorBody('500003', 'Internal server error', '')]);
    expect(server.mistakes).toEqual([mistake]);
  });

  test('while the process stops is stored, and its answer asks the sender to connect anew', async () => {
    const { reports, parts } = setUp();
    const { connect } = await listeningHeartbeatServer({ ...parts, isDraining: () => true });

    const reply = await (await connect()).send(wireRequest({ path: statusPath({}, '?value=DOWN') })).reply();

    expect([reply.status, reply.header('connection')]).toEqual([200, 'close']);
    expect(reports).toHaveLength(1);
  });
});

describe('the sender of a report', () => {
  test.each([
    { auth: 'none', headers: GOOD, sender: '127.0.0.1' },
    { auth: 'optional', headers: {}, sender: '127.0.0.1' },
    { auth: 'optional', headers: bearer(podToken('stranger')), sender: '127.0.0.1' },
    { auth: 'optional', headers: GOOD, sender: podSender(uidOf('pod-1')) },
    { auth: 'required', headers: GOOD, sender: podSender(uidOf('pod-1')) },
  ] as const)('with senderAuth $auth and $headers is $sender', async ({ auth, headers, sender }) => {
    const { reports, parts } = setUp({ auth });

    await send(heartbeatServer(parts), statusPath({}, '?value=UP'), headers);

    expect(reports).toMatchObject([{ sender }]);
  });

  test.each([
    ['no token', {}, '401204'],
    ['a bad token', bearer(podToken('stranger')), '401201'],
    ['no token and a broken value', {}, '401204'],
  ])('with %s where one is required is refused', async (_what, headers, code) => {
    const { reports, parts } = setUp({ auth: 'required' });

    const reply = await send(heartbeatServer(parts), statusPath({}, '?value=DOWN'), headers);

    expect([reply.statusCode, reply.headers['www-authenticate']]).toEqual([401, 'Bearer']);
    expect(JSON.parse(reply.body)).toMatchObject({ errorCode: code });
    expect(reports).toEqual([]);
  });

  test('that nobody can tell while the API server does not answer is not believed: 500011', async () => {
    const { reports, api, parts } = setUp({ auth: 'required' });
    api.isReachable = false;
    const server = heartbeatServer({ ...parts, acceptKnown: () => ({ kind: 'accepted', change: 'renewed' }) });

    const reply = await send(server, statusPath({}, '?value=DOWN'), GOOD);

    expect([reply.statusCode, reply.body]).toEqual([
      500,
      errorBody('500011', 'Registry service is unavailable', 'the token cannot be reviewed now'),
    ]);
    expect(reports).toEqual([]);
  });

  test('is waited for until the token is reviewed, for a second at the most', async () => {
    const { reports, api, clock, parts } = setUp({ auth: 'optional' });
    const answered = Promise.withResolvers<void>();
    api.hold = answered.promise;
    const server = heartbeatServer(parts);

    const slow = send(server, statusPath({}, '?value=DOWN'), GOOD);
    await clock.advance(SECOND);
    await slow;
    const quick = send(server, statusPath({}, '?value=UP'), GOOD);
    await clock.advance(SECOND - 1);
    answered.resolve();
    await quick;

    expect(reports).toMatchObject([
      { value: 'DOWN', sender: '127.0.0.1', atMs: 0 },
      { value: 'UP', sender: podSender(uidOf('pod-1')), atMs: SECOND },
    ]);
  });
});
