import { describe, expect, test } from 'vitest';
import { BATCH_BODY_BYTES_MAX } from '../../src/heartbeat-api/batch-route.ts';
import type { HeartbeatServerParts } from '../../src/heartbeat-api/server.ts';
import { identityOf } from '../../src/liveness/instance-key.ts';
import { errorBody, invalidParameters } from '../support/http-heartbeat.ts';
import { heartbeatServer, RENEWED, sendHeartbeat, type TestHeartbeatServer } from '../support/http-heartbeat-server.ts';

const UNKNOWN_MESSAGE = 'Instance does not exist(leaseId not exist, instance not exist)';

function sendBatch(
  { app }: TestHeartbeatServer,
  body: string | undefined,
  { url = '/v4/default/registry/heartbeats', domain = 'acme', headers = {} } = {},
): ReturnType<typeof sendHeartbeat> {
  return app.inject({
    method: 'PUT',
    url,
    headers: { 'x-domain-name': domain, ...headers },
    ...(body === undefined ? {} : { payload: body }),
  });
}

/** A batch of these pairs, each written `serviceId/instanceId`. */
function batchOf(...pairs: readonly string[]): string {
  return JSON.stringify({
    instances: pairs.map((pair) => ({ serviceId: pair.split('/')[0], instanceId: pair.split('/')[1] })),
  });
}

/** Parts of a server to which these instance ids are unknown, and all others known. */
function onlyUnknown(...unknown: readonly string[]): Pick<HeartbeatServerParts, 'accept'> {
  return {
    accept: (key) => (unknown.includes(identityOf(key).instanceId) ? { kind: 'unknownInstance' } : RENEWED),
  };
}

describe('a batch', () => {
  test('of known instances is 200 and names each one', async () => {
    const server = heartbeatServer();

    const { statusCode, headers, body } = await sendBatch(server, batchOf('shop/cart-1', 'shop/cart-2'));

    expect(statusCode).toBe(200);
    expect(headers['content-type']).toBe('application/json; charset=UTF-8');
    expect(body).toBe(batchOf('shop/cart-1', 'shop/cart-2'));
  });

  test('is heard as one heartbeat for each instance, with the domain of the header and the project of the path', async () => {
    const server = heartbeatServer();

    await sendBatch(server, batchOf('shop/a', 'bank/b'), { url: '/v4/eu/registry/heartbeats?x=1', domain: 'acme' });

    expect(server.heard.map(({ identity }) => identity)).toEqual([
      { domain: 'acme', projectId: 'eu', serviceId: 'shop', instanceId: 'a' },
      { domain: 'acme', projectId: 'eu', serviceId: 'bank', instanceId: 'b' },
    ]);
    expect(server.answered).toEqual(['renewed 200', 'renewed 200']);
  });

  test('is answered in the order of the request', async () => {
    const server = heartbeatServer(onlyUnknown('i-3', 'i-7'));
    const pairs = Array.from({ length: 1_200 }, (_, index) => `s/i-${(index * 7_919) % 1_200}`);

    const { body } = await sendBatch(server, batchOf(...pairs));

    const answers = (JSON.parse(body) as { instances: { serviceId: string; instanceId: string }[] }).instances;
    expect(answers.map(({ serviceId, instanceId }) => `${serviceId}/${instanceId}`)).toEqual(pairs);
  });

  test('in which some are unknown is 200, and says so for these', async () => {
    const server = heartbeatServer(onlyUnknown('gone'));

    const { statusCode, body } = await sendBatch(server, batchOf('shop/here', 'shop/gone'));

    expect(statusCode).toBe(200);
    expect(JSON.parse(body)).toEqual({
      instances: [
        { serviceId: 'shop', instanceId: 'here' },
        { serviceId: 'shop', instanceId: 'gone', errMessage: UNKNOWN_MESSAGE },
      ],
    });
    expect(server.answered).toEqual(['renewed 200', 'unknownInstance 200']);
  });

  test('in which all are unknown is still 200', async () => {
    const server = heartbeatServer(onlyUnknown('gone'));

    const { statusCode, body } = await sendBatch(server, batchOf('shop/gone'));

    expect(statusCode).toBe(200);
    expect(JSON.parse(body)).toEqual({
      instances: [{ serviceId: 'shop', instanceId: 'gone', errMessage: UNKNOWN_MESSAGE }],
    });
  });

  test('with too many new ones says so for these, and is 200 for the rest', async () => {
    const server = heartbeatServer({
      accept: (key) => (identityOf(key).instanceId === 'new' ? { kind: 'tooManyNew', retryAfterSeconds: 5 } : RENEWED),
    });

    const { statusCode, body } = await sendBatch(server, batchOf('shop/new', 'shop/old'));

    expect(statusCode).toBe(200);
    expect(JSON.parse(body)).toEqual({
      instances: [
        { serviceId: 'shop', instanceId: 'new', errMessage: 'Too many new instances(try again in 5 s)' },
        { serviceId: 'shop', instanceId: 'old' },
      ],
    });
  });

  test('that names a pair twice has it heard and answered once, where it came first', async () => {
    const server = heartbeatServer();

    const { body } = await sendBatch(server, batchOf('shop/a', 'shop/b', 'shop/a'));

    expect(body).toBe(batchOf('shop/a', 'shop/b'));
    expect(server.heard.map(({ identity }) => identity.instanceId)).toEqual(['a', 'b']);
  });

  test('takes two pairs for two that are alike only when run together', async () => {
    const server = heartbeatServer();

    await sendBatch(server, batchOf('ab/c', 'a/bc'));

    expect(server.heard).toHaveLength(2);
  });

  test.each([
    ['{"Instances":[{"ServiceId":"s","InstanceId":"i"}]}'],
    ['{"INSTANCES":[{"SERVICEID":"s","INSTANCEID":"i"}]}'],
    ['{"instances":[{"serviceid":"s","instanceid":"i"}]}'],
    ['{"other":1,"instances":[{"serviceId":"s","instanceId":"i","more":[{}]}]}'],
    [' \n{"instances":\t[{"serviceId":"s","instanceId":"i"}]}\r\n '],
  ])('may spell its keys in whatever case and hold more than is needed: %s', async (body) => {
    const server = heartbeatServer();

    expect((await sendBatch(server, body)).body).toBe(batchOf('s/i'));
  });

  test.each(['application/json', 'text/plain', 'not a content type', ''])(
    'is read as JSON whatever its content type: "%s"',
    async (contentType) => {
      const server = heartbeatServer();

      const reply = await sendBatch(server, batchOf('s/i'), { headers: { 'content-type': contentType } });

      expect([reply.statusCode, reply.body]).toEqual([200, batchOf('s/i')]);
    },
  );

  test.each([
    ['an illegal character', { serviceId: 's', instanceId: 'a@b' }],
    ['an id that is too long', { serviceId: 's', instanceId: 'x'.repeat(65) }],
    ['a service that is too long', { serviceId: 'x'.repeat(65), instanceId: 'i' }],
    ['a line feed', { serviceId: 's\n', instanceId: 'i' }],
  ])('has an element with %s answered as an unknown instance, unheard', async (_title, element) => {
    const server = heartbeatServer();

    const { statusCode, body } = await sendBatch(server, JSON.stringify({ instances: [element] }));

    expect(statusCode).toBe(200);
    expect(JSON.parse(body)).toEqual({ instances: [{ ...element, errMessage: UNKNOWN_MESSAGE }] });
    expect(server.heard).toEqual([]);
  });

  test.each([
    ['{}', {}],
    ['{"serviceId":"s"}', { serviceId: 's' }],
    ['{"instanceId":"i"}', { instanceId: 'i' }],
    ['{"serviceId":"","instanceId":null}', {}],
  ])(
    'has the element %s answered as an unknown instance, with the keys left out that are empty',
    async (element, named) => {
      const server = heartbeatServer();

      const { body } = await sendBatch(server, `{"instances":[${element}]}`);

      expect(JSON.parse(body)).toEqual({ instances: [{ ...named, errMessage: UNKNOWN_MESSAGE }] });
    },
  );

  test.each([
    ['no body', undefined, 'Unmarshal error'],
    ['an empty body', '', 'Unmarshal error'],
    ['no JSON', 'beat', 'Unmarshal error'],
    ['JSON that is cut off', '{"instances":[{"serviceId":"s"', 'Unmarshal error'],
    ['a list instead of an object', '[{"serviceId":"s","instanceId":"i"}]', 'Unmarshal error'],
    ['a text instead of an object', '"instances"', 'Unmarshal error'],
    ['a number instead of an object', '7', 'Unmarshal error'],
    ['a text instead of the list', '{"instances":"all"}', 'Unmarshal error'],
    ['an object instead of the list', '{"instances":{"0":{}}}', 'Unmarshal error'],
    ['a text in the list', '{"instances":["i"]}', 'Unmarshal error'],
    ['a list in the list', '{"instances":[[]]}', 'Unmarshal error'],
    ['an id that is a number', '{"instances":[{"serviceId":"s","instanceId":7}]}', 'Unmarshal error'],
    ['an id that is an object', '{"instances":[{"serviceId":{},"instanceId":"i"}]}', 'Unmarshal error'],
    ['bytes that are no UTF-8 outside of a text', '\u00ff{"instances":[]}', 'Unmarshal error'],
    ['no list', '{}', 'Request format invalid.'],
    ['no list but one of another name', '{"instance":[{}]}', 'Request format invalid.'],
    ['null instead of the list', '{"instances":null}', 'Request format invalid.'],
    ['an empty list', '{"instances":[]}', 'Request format invalid.'],
  ])('with %s is 400001, and nothing of it is heard', async (_title, body, detail) => {
    const server = heartbeatServer();

    const reply = await sendBatch(server, body);

    expect([reply.statusCode, reply.body]).toEqual([400, invalidParameters(detail)]);
    expect(server.heard).toEqual([]);
    expect(server.mistakes).toEqual([]);
  });

  test('with one element that cannot be read has none of its elements heard', async () => {
    const server = heartbeatServer();

    await sendBatch(server, '{"instances":[{"serviceId":"s","instanceId":"i"},7]}');

    expect(server.heard).toEqual([]);
  });

  test('without the domain header is 400001 when it is required', async () => {
    const server = heartbeatServer();

    const { statusCode, body } = await sendBatch(server, batchOf('s/i'), { domain: '' });

    expect([statusCode, body]).toEqual([400, invalidParameters('x-domain-name: the header is required')]);
  });

  test('without the domain header is for the domain default when it is not required', async () => {
    const server = heartbeatServer({ domainRule: { isRequired: false } });

    await sendBatch(server, batchOf('s/i'), { domain: '' });

    expect(server.heard[0]?.identity.domain).toBe('default');
  });

  test('whose project breaks its rule says so for every element', async () => {
    const server = heartbeatServer();

    const { body } = await sendBatch(server, batchOf('s/i'), { url: `/v4/${'p'.repeat(65)}/registry/heartbeats` });

    expect(body).toContain('project_id: has 65 characters, at most 64 are allowed');
    expect(server.heard).toEqual([]);
  });

  test('in which taking one heartbeat is a mistake of ours is 500 and reported', async () => {
    const mistake = new Error('broken');
    const server = heartbeatServer({
      accept() {
        throw mistake;
      },
    });

    const { statusCode, body } = await sendBatch(server, batchOf('s/i'));

    expect([statusCode, body]).toEqual([500, errorBody('500003', 'Internal server error', '')]);
    expect(server.mistakes).toEqual([mistake]);
  });
});

describe('a large batch', () => {
  test('of just 2 MiB is read', async () => {
    const server = heartbeatServer();
    const body = batchOf('s/i').padEnd(BATCH_BODY_BYTES_MAX, ' ');

    expect((await sendBatch(server, body)).statusCode).toBe(200);
  });

  test('of one byte more is 413 in the API shape', async () => {
    const server = heartbeatServer();
    const body = batchOf('s/i').padEnd(BATCH_BODY_BYTES_MAX + 1, ' ');

    const reply = await sendBatch(server, body);

    expect([reply.statusCode, reply.body]).toEqual([
      413,
      errorBody('413001', 'The request body is too large', 'a heartbeat may have 16 KiB, a batch 2 MiB'),
    ]);
    expect(server.heard).toEqual([]);
    expect(server.mistakes).toEqual([]);
  });

  const TEN_THOUSAND = batchOf(...Array.from({ length: 10_000 }, (_, index) => `shop/instance-${index}`));

  test('of 10,000 elements is heard whole', async () => {
    const server = heartbeatServer();

    const { body } = await sendBatch(server, TEN_THOUSAND);

    expect(body === TEN_THOUSAND).toBe(true);
    expect(server.heard).toHaveLength(10_000);
  });

  test('of more than 10,000 elements is refused before it is read', async () => {
    const server = heartbeatServer();

    const { statusCode, body } = await sendBatch(
      server,
      batchOf(...Array.from({ length: 10_001 }, (_, index) => `s/${index}`)),
    );

    expect(statusCode).toBe(400);
    expect(body).toBe(invalidParameters('instances: at most 10000 in one request'));
    expect(server.heard).toEqual([]);
  });

  test('of 10,000 elements lets single heartbeats in between, many times', async () => {
    const server = heartbeatServer();
    const batch = sendBatch(server, TEN_THOUSAND);

    // An injected request is served without waiting for the event loop; one from a socket comes with its turn.
    for (let turn = 0; turn < 10; turn += 1) {
      await nextTurn();
      expect((await sendHeartbeat(server, { instanceId: `single-${turn}` })).statusCode).toBe(200);
    }
    await batch;

    const singles = server.heard.flatMap(({ identity }, index) =>
      identity.instanceId.startsWith('single') ? [index] : [],
    );
    expect(singles).toHaveLength(10);
    expect(server.heard.slice(singles.at(-1)).length).toBeGreaterThan(1);
  });

  test.each([
    ['10,000 elements', TEN_THOUSAND],
    ['10,000 elements that are all illegal', TEN_THOUSAND.replaceAll('instance-', '@')],
  ])('of %s is read and answered 500 at a time, a turn of the event loop apart', async (_title, body) => {
    let turns = 0;
    const server = heartbeatServer({
      turn: () => {
        turns += 1;
        return Promise.resolve();
      },
    });

    expect((await sendBatch(server, body)).statusCode).toBe(200);

    expect(turns).toBe(2 * (10_000 / 500));
  });

  // Text is read in one go: what takes long to read must be refused by a look at its bytes.
  test.each([
    ['as many empty elements as 2 MiB hold', `{"instances":[${'{},'.repeat(690_000)}{}]}`],
    ['as many lists as 2 MiB hold', `{"instances":[${'[],'.repeat(690_000)}[]]}`],
    ['lists in lists, as deep as 2 MiB allow', '['.repeat(1_000_000) + ']'.repeat(1_000_000)],
    ['one element with as many keys as 2 MiB hold', manyKeys()],
    ['as many distinct elements as 2 MiB hold', smallestElements()],
  ])('of %s is refused unread', async (_title, body) => {
    const server = heartbeatServer();
    expect(body.length).toBeLessThanOrEqual(BATCH_BODY_BYTES_MAX);

    expect((await sendBatch(server, body)).body).toBe(invalidParameters('instances: at most 10000 in one request'));
    expect(server.heard).toEqual([]);
  });
});

function manyKeys(): string {
  return `{"instances":[{${Array.from({ length: 190_000 }, (_, index) => `"${index.toString(36)}":0`).join(',')}}]}`;
}

function smallestElements(): string {
  return `{"instances":[${Array.from({ length: 80_000 }, (_, index) => `{"instanceid":"${index.toString(36)}"}`).join(',')}]}`;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
