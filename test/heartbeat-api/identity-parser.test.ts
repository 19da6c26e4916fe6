import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseDomain, parseInstanceKey } from '../../src/heartbeat-api/identity-parser.ts';
import { identityOf, type InstanceKey } from '../../src/liveness/instance-key.ts';
import { heartbeatPath } from '../support/http-heartbeat.ts';
import { listeningHeartbeatServer } from '../support/http-heartbeat-server.ts';

const isAllowed = (text: string): boolean => !/[\p{Cc}\u2028\u2029]/u.test(text);

/** Marks that mean something in URLs and headers come often, so that a slip with one of them is found. */
const character = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
  fc.constantFrom(
    ...Array.from('%/?#;:@&=+,$[]{}|\\^`"\'<>!*()~._- aZ0'),
    '%2F',
    '%25',
    'é',
    '中',
    '😀',
    '\u00A0',
    '\uFEFF',
    '\uFFFD',
  ),
);

const name = (lengthMax: number): fc.Arbitrary<string> =>
  fc
    .array(character, { minLength: 1, maxLength: lengthMax })
    .map((characters) => Array.from(characters.join('')).slice(0, lengthMax).join(''))
    .filter(isAllowed);

const identity = fc.record({
  // White space around a header's value is no part of it, in HTTP.
  domain: name(256).filter((text) => !/^[ \t]|[ \t]$/.test(text)),
  projectId: name(64),
  serviceId: name(64),
  instanceId: fc.stringMatching(/^[A-Za-z0-9_.-]{1,64}$/),
});

/** Every byte as an escape, also those that need none. */
function escapeAll(text: string): string {
  return [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

test('every legal identity that is sent percent-encoded arrives as exactly that identity', async () => {
  const server = await listeningHeartbeatServer();
  const socket = await server.connect();

  await fc.assert(
    fc.asyncProperty(identity, fc.constantFrom(encodeURIComponent, escapeAll), async (sent, encode) => {
      const path = heartbeatPath({
        projectId: encode(sent.projectId),
        serviceId: encode(sent.serviceId),
        instanceId: encode(sent.instanceId),
      });
      socket.send(`PUT ${path} HTTP/1.1\r\nHost: h\r\nx-domain-name: ${sent.domain}\r\n\r\n`);

      expect((await socket.reply()).status).toBe(200);
      expect(server.heard.pop()?.identity).toEqual(sent);
    }),
    { numRuns: 500 },
  );
});

test('a key holds the four parts so that they come out as they went in', () => {
  fc.assert(
    fc.property(identity, ({ domain, ...parts }) => {
      expect(identityOf(parseInstanceKey(domain, parts) as InstanceKey)).toEqual({ domain, ...parts });
    }),
  );
});

test('a part is refused exactly when it is empty, too long, or holds a control character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 70 }), (serviceId) => {
      const parsed = parseInstanceKey('acme', { projectId: 'p', serviceId, instanceId: 'i' });

      const { length } = Array.from(serviceId);
      expect(typeof parsed === 'string').toBe(length > 0 && length <= 64 && isAllowed(serviceId));
      expect(typeof parsed === 'string' ? 'serviceId: ' : parsed.detail).toMatch(/^serviceId: /);
    }),
  );
});

test('two domain headers are one name that says so, never one of the two', () => {
  expect(parseDomain(['acme', 'evil'], { isRequired: true })).toBe('acme, evil');
});

test('a detail counts characters as people do, not code units', () => {
  const parsed = parseInstanceKey('acme', { projectId: '😀'.repeat(65), serviceId: 's', instanceId: 'i' });

  expect(parsed).toMatchObject({ detail: 'project_id: has 65 characters, at most 64 are allowed' });
});
