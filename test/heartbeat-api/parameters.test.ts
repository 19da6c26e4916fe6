import { describe, expect, test } from 'vitest';
import { heartbeatPath, invalidParameters, wireRequest } from '../support/http-heartbeat.ts';
import { heartbeatServer, listeningHeartbeatServer, sendHeartbeat, WAYS } from '../support/http-heartbeat-server.ts';

/** Each parameter's rule, from both sides. */

const EMOJI = '😀';
const CONTROL = 'control characters and line breaks are not allowed';

describe.each(WAYS)('sent $way,', ({ send }) => {
  describe.each([
    { part: 'projectId', field: 'project_id' },
    { part: 'serviceId', field: 'serviceId' },
  ] as const)('the path part $field', ({ part, field }) => {
    test.each([
      { title: 'one character', value: 'a' },
      { title: '64 characters', value: 'a'.repeat(64) },
      { title: '64 emoji, which are 128 code units and 256 bytes', value: EMOJI.repeat(64) },
      { title: 'a slash that is escaped', value: 'a/b' },
      { title: 'a percent sign', value: '100%' },
      { title: 'what looks like an escape after decoding', value: '%2F' },
      { title: 'white space', value: 'a b' },
      { title: 'Chinese', value: '中文' },
      { title: 'every mark that means something in a URL', value: ';,/?:@&=+$#[]!\'()*"<>\\^`{|}' },
    ])('may have $title', async ({ value }) => {
      const server = heartbeatServer();

      const { statusCode } = await send(server, { [part]: encodeURIComponent(value) });

      expect(statusCode).toBe(200);
      expect(server.heard[0]?.identity[part]).toBe(value);
    });

    test.each([
      { title: 'no character', encoded: '', rule: 'must not be empty' },
      { title: '65 characters', encoded: 'a'.repeat(65), rule: 'has 65 characters, at most 64 are allowed' },
      {
        title: '65 emoji',
        encoded: encodeURIComponent(EMOJI.repeat(65)),
        rule: 'has 65 characters, at most 64 are allowed',
      },
      { title: 'a NUL', encoded: 'a%00', rule: CONTROL },
      { title: 'a tab', encoded: 'a%09b', rule: CONTROL },
      { title: 'a line feed', encoded: '%0A', rule: CONTROL },
      { title: 'a carriage return', encoded: 'a%0D', rule: CONTROL },
      { title: 'an escape character', encoded: '%1B[31m', rule: CONTROL },
      { title: 'a delete character', encoded: '%7F', rule: CONTROL },
      { title: 'the line break U+0085', encoded: '%C2%85', rule: CONTROL },
      { title: 'the line separator U+2028', encoded: '%E2%80%A8', rule: CONTROL },
      { title: 'the paragraph separator U+2029', encoded: '%E2%80%A9', rule: CONTROL },
    ])('is refused with $title, in words that name it and the rule', async ({ encoded, rule }) => {
      const server = heartbeatServer();

      const { statusCode, headers, body } = await send(server, { [part]: encoded });

      expect(statusCode).toBe(400);
      expect(headers['content-type']).toBe('application/json; charset=UTF-8');
      expect(body).toBe(invalidParameters(`${field}: ${rule}`));
      expect(server.heard).toEqual([]);
      expect(server.answered).toEqual(['invalidParameters 400']);
    });
  });

  describe('the path part instanceId', () => {
    test.each([
      { title: 'one character', encoded: 'a', value: 'a' },
      { title: '64 characters', encoded: 'a'.repeat(64), value: 'a'.repeat(64) },
      { title: 'every kind of character it may have', encoded: 'aZ09_.-', value: 'aZ09_.-' },
      { title: 'only marks', encoded: '-._', value: '-._' },
      { title: 'escapes of characters it may have', encoded: '%61%2D%5f', value: 'a-_' },
      { title: '64 characters that are 192 when escaped', encoded: '%61'.repeat(64), value: 'a'.repeat(64) },
    ])('may have $title', async ({ encoded, value }) => {
      const server = heartbeatServer();

      const { statusCode } = await send(server, { instanceId: encoded });

      expect(statusCode).toBe(200);
      expect(server.heard[0]?.identity.instanceId).toBe(value);
    });

    const CHARACTERS = 'only the characters A-Z a-z 0-9 _ . - are allowed';

    test.each([
      { title: 'no character', encoded: '', rule: 'must not be empty' },
      { title: '65 characters', encoded: 'a'.repeat(65), rule: 'has 65 characters, at most 64 are allowed' },
      { title: 'an @', encoded: 'a@b', rule: CHARACTERS },
      { title: 'a space', encoded: 'a%20b', rule: CHARACTERS },
      { title: 'a plus', encoded: 'a+b', rule: CHARACTERS },
      { title: 'a colon', encoded: '10.0.0.1:8080', rule: CHARACTERS },
      { title: 'an escaped slash', encoded: 'a%2Fb', rule: CHARACTERS },
      { title: 'an escaped percent sign', encoded: 'a%252Fb', rule: CHARACTERS },
      { title: 'an escaped question mark', encoded: 'a%3Fb', rule: CHARACTERS },
      { title: 'a letter outside of ASCII', encoded: '%C3%A9', rule: CHARACTERS },
      { title: 'the Kelvin sign, which is no K', encoded: '%E2%84%AA', rule: CHARACTERS },
      { title: 'a line feed at its end', encoded: 'a%0A', rule: CONTROL },
      { title: 'the line separator U+2028', encoded: 'a%E2%80%A8', rule: CONTROL },
    ])('is refused with $title', async ({ encoded, rule }) => {
      const server = heartbeatServer();

      const { statusCode, body } = await send(server, { instanceId: encoded });

      expect(statusCode).toBe(400);
      expect(body).toBe(invalidParameters(`instanceId: ${rule}`));
      expect(server.heard).toEqual([]);
    });

    test.each(['.', '..', '...'])('may be %s, which is no way up on the path', async (instanceId) => {
      const server = await listeningHeartbeatServer();

      const reply = await (await server.connect()).send(wireRequest({ path: heartbeatPath({ instanceId }) })).reply();

      expect(reply.status).toBe(200);
      expect(server.heard[0]?.identity.instanceId).toBe(instanceId);
    });
  });
});

describe('an escape in the path', () => {
  test.each([
    ['is not hexadecimal', '%zz'],
    ['is cut off', '%4'],
    ['is a bare percent sign', '%'],
    ['is no UTF-8', '%FF'],
    ['is an unfinished UTF-8 sequence', '%E4%B8'],
    ['is an overlong UTF-8 sequence', '%C0%AF'],
    ['is half a surrogate pair', '%ED%A0%80'],
    ['is beyond Unicode', '%F4%90%80%80'],
  ])('that %s is 400001, whichever part it stands in', async (_title, escape) => {
    const server = heartbeatServer();

    const replies = [
      await sendHeartbeat(server, { projectId: escape }),
      await sendHeartbeat(server, { serviceId: `a${escape}` }),
      await sendHeartbeat(server, { instanceId: `${escape}z` }),
    ];

    const expected = [400, invalidParameters('path: a percent escape does not decode to UTF-8')];
    expect(replies.map(({ statusCode, body }) => [statusCode, body])).toEqual([expected, expected, expected]);
    expect(server.heard).toEqual([]);
    expect(server.mistakes).toEqual([]);
  });

  test('that is bad is counted as a refused heartbeat', async () => {
    const server = heartbeatServer();

    await sendHeartbeat(server, { instanceId: '%zz' });

    expect(server.answered).toEqual(['invalidParameters 400']);
  });
});

describe('a detail', () => {
  test('never holds a long input', async () => {
    const server = heartbeatServer();
    const long = 'input'.repeat(2_000);

    const replies = [
      await sendHeartbeat(server, { projectId: long }),
      await sendHeartbeat(server, { serviceId: long }),
      await sendHeartbeat(server, { instanceId: long }),
      await sendHeartbeat(server, { domain: long }),
      await sendHeartbeat(server, { instanceId: `${long}%zz` }),
      await server.app.inject({ method: 'PUT', url: `/${long}` }),
      await server.app.inject({ method: 'POST', url: heartbeatPath({ instanceId: long }) }),
    ];

    for (const { statusCode, body } of replies) {
      expect(statusCode).toBeGreaterThanOrEqual(400);
      expect(body.length).toBeLessThan(300);
      expect(body).not.toContain('inputinput');
    }
  });

  test('names the first part that is wrong when several are', async () => {
    const server = heartbeatServer();

    const { body } = await sendHeartbeat(server, { domain: '', projectId: '', serviceId: '', instanceId: '@' });

    expect(body).toBe(invalidParameters('x-domain-name: the header is required'));
  });
});

describe('the header x-domain-name', () => {
  test.each([
    { title: 'missing', domain: null },
    { title: 'empty', domain: '' },
  ])('is 400001 when it is $title and required', async ({ domain }) => {
    const server = heartbeatServer();

    const { statusCode, body } = await sendHeartbeat(server, { domain });

    expect(statusCode).toBe(400);
    expect(body).toBe(invalidParameters('x-domain-name: the header is required'));
    expect(server.heard).toEqual([]);
    expect(server.answered).toEqual(['invalidParameters 400']);
  });

  test.each([
    { title: 'missing', domain: null },
    { title: 'empty', domain: '' },
  ])('means the domain default when it is $title and not required', async ({ domain }) => {
    const server = heartbeatServer({ domainRule: { isRequired: false } });

    expect((await sendHeartbeat(server, { domain })).statusCode).toBe(200);
    expect(server.heard[0]?.identity.domain).toBe('default');
  });

  test('is still checked when it is there and not required', async () => {
    const server = heartbeatServer({ domainRule: { isRequired: false } });

    expect((await sendHeartbeat(server, { domain: 'a'.repeat(257) })).statusCode).toBe(400);
  });

  test.each([
    { title: '256 characters', bytes: Buffer.from('d'.repeat(256)), domain: 'd'.repeat(256) },
    { title: 'UTF-8', bytes: Buffer.from('租户'), domain: '租户' },
    { title: '256 emoji in UTF-8', bytes: Buffer.from(EMOJI.repeat(256)), domain: EMOJI.repeat(256) },
    { title: 'Latin-1 that is no UTF-8', bytes: Buffer.from('café', 'latin1'), domain: 'café' },
    { title: 'white space within', bytes: Buffer.from('acme inc'), domain: 'acme inc' },
    { title: 'white space around it, which is no part of it', bytes: Buffer.from('  acme \t'), domain: 'acme' },
  ])('may have $title', async ({ bytes, domain }) => {
    const server = await listeningHeartbeatServer();

    expect((await (await server.connect()).send(withDomain(bytes)).reply()).status).toBe(200);
    expect(server.heard[0]?.identity.domain).toBe(domain);
  });

  test.each([
    {
      title: '257 characters',
      bytes: Buffer.from('d'.repeat(257)),
      rule: 'has 257 characters, at most 256 are allowed',
    },
    {
      title: '257 emoji',
      bytes: Buffer.from(EMOJI.repeat(257)),
      rule: 'has 257 characters, at most 256 are allowed',
    },
    { title: 'a tab within', bytes: Buffer.from('a\tb'), rule: CONTROL },
    { title: 'the line break U+0085 in UTF-8', bytes: Buffer.from('a\u0085b'), rule: CONTROL },
    { title: 'the line break U+0085 in Latin-1', bytes: Buffer.from('a\u0085b', 'latin1'), rule: CONTROL },
    { title: 'the line separator U+2028', bytes: Buffer.from('a\u2028b'), rule: CONTROL },
  ])('is refused with $title', async ({ bytes, rule }) => {
    const server = await listeningHeartbeatServer();

    const reply = await (await server.connect()).send(withDomain(bytes)).reply();

    expect(reply.status).toBe(400);
    expect(reply.body).toBe(invalidParameters(`x-domain-name: ${rule}`));
    expect(server.heard).toEqual([]);
  });

  test.each([
    ['a NUL', 0],
    ['a bell', 7],
    ['a delete character', 127],
  ])('is refused with %s, which is no HTTP', async (_title, byte) => {
    const server = await listeningHeartbeatServer();
    const socket = await server.connect();

    const reply = await socket.send(withDomain(Buffer.from([97, byte, 98]))).reply();

    expect(reply.status).toBe(400);
    expect(JSON.parse(reply.body)).toMatchObject({ errCode: '400001', errorCode: '400001' });
    expect(server.heard).toEqual([]);
  });

  test('that begins with a byte order mark is another domain than the same without it', async () => {
    const server = await listeningHeartbeatServer();

    await (await server.connect()).send(withDomain(Buffer.from('\uFEFFacme'))).reply();

    expect(server.heard.map(({ identity }) => identity.domain)).not.toEqual(['acme']);
  });
});

/** The bytes of a heartbeat with these bytes as the value of its domain header. */
function withDomain(value: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from(`PUT ${heartbeatPath()} HTTP/1.1\r\nHost: h\r\nx-domain-name: `),
    value,
    Buffer.from('\r\n\r\n'),
  ]);
}
