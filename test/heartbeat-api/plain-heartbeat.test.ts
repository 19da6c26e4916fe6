import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plainHeartbeatPath } from '../../src/heartbeat-api/plain-heartbeat.ts';
import { identityOf } from '../../src/liveness/instance-key.ts';
import { podSender } from '../../src/liveness/sender.ts';
import { heartbeatPath, wireRequest } from '../support/http-heartbeat.ts';
import {
  listeningHeartbeatServer,
  proxies,
  RENEWED,
  sendersWith,
  tokenCache,
} from '../support/http-heartbeat-server.ts';
import { podToken, TokenReviews, uidOf } from '../support/http-tokens.ts';

/** Mostly what is allowed, at times what is not. */
const segment = fc.oneof(
  { weight: 12, arbitrary: fc.stringMatching(/^[A-Za-z0-9_.-]{1,20}$/) },
  { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z0-9_.~@:;,-]{1,20}$/) },
  { weight: 1, arbitrary: fc.stringMatching(/^[A-Za-z0-9]{64,66}$/) },
  { weight: 1, arbitrary: fc.constant('') },
);

/** Names and values as they stand on the wire; one name may come twice. */
const senderHeaders = fc.array(
  fc.constantFrom(
    `Authorization: Bearer ${podToken('pod-1')}`,
    `authorization: bearer  ${podToken('pod-2')}`,
    `AUTHORIZATION: Bearer ${podToken('stranger')}`,
    'Authorization: Bearer garbage',
    'Authorization: Basic cG9kOjE=',
    'Authorization:',
    'X-Forwarded-For: 192.0.2.1',
    'x-forwarded-for: 192.0.2.2, 127.0.0.1',
    'X-Forwarded-For: 127.0.0.1',
    'X-Forwarded-For: garbage',
    'X-Forwarded-For:',
  ),
  { maxLength: 3 },
);

const heartbeat = fc.record({
  projectId: segment,
  serviceId: segment,
  instanceId: segment,
  domain: fc.oneof(
    { weight: 8, arbitrary: fc.constant('tenant') },
    { weight: 1, arbitrary: fc.constant('') },
    { weight: 1, arbitrary: fc.stringMatching(/^[a-z]{256,257}$/) },
  ),
  userAgent: fc.constantFrom('curl/8', 'go-client'),
  moreHeaders: senderHeaders,
});

test.each([
  { auth: 'none', trusted: '', isReachable: true, runs: 100 },
  { auth: 'optional', trusted: '127.0.0.1', isReachable: true, runs: 100 },
  { auth: 'required', trusted: '127.0.0.1', isReachable: true, runs: 150 },
  { auth: 'required', trusted: '', isReachable: false, runs: 100 },
] as const)(
  'a heartbeat is answered and heard to the letter the same with and without a query string, which sends it by the router: senderAuth $auth, trusted "$trusted", reviews $isReachable',
  async ({ auth, trusted, isReachable, runs }) => {
    const reviews = new TokenReviews();
    reviews.isReachable = isReachable;
    const server = await listeningHeartbeatServer({
      senders: sendersWith({ auth, trustedProxies: proxies(trusted), tokens: tokenCache({ review: reviews.review }) }),
      accept: (key, _atMs, sender) => {
        const { instanceId } = identityOf(key);
        if (instanceId.startsWith('a')) return { kind: 'unknownInstance' };
        if (instanceId.startsWith('b')) return { kind: 'tooManyNew', retryAfterSeconds: 7 };
        return sender === podSender(uidOf('pod-2')) ? { kind: 'foreignSender' } : RENEWED;
      },
      acceptKnown: (key) => (identityOf(key).instanceId < 'c' ? { kind: 'unknownInstance' } : RENEWED),
    });

    await fc.assert(
      fc.asyncProperty(heartbeat, async ({ projectId, serviceId, instanceId, domain, userAgent, moreHeaders }) => {
        const path = heartbeatPath({ projectId, serviceId, instanceId });
        const headers = ['Host: localhost', `x-domain-name: ${domain}`, `User-Agent: ${userAgent}`];
        const send = async (sentPath: string) => {
          server.heard.length = 0;
          const reply = await (await server.connect())
            .send(wireRequest({ path: sentPath, headers, moreHeaders }))
            .reply();
          return { reply, heard: server.heard.map(({ identity, sender }) => ({ identity, sender })) };
        };
        // Else the first of the two might come while its token is not yet reviewed.
        await send(path);
        const [plain, routed] = [await send(path), await send(`${path}?x`)];

        expect(plain.heard).toEqual(routed.heard);
        expect(plain.reply.status).toBe(routed.reply.status);
        expect(plain.reply.body).toBe(routed.reply.body);
        for (const name of ['content-type', 'content-length', 'retry-after', 'www-authenticate', 'connection']) {
          expect(plain.reply.header(name)).toBe(routed.reply.header(name));
        }
      }),
      { numRuns: runs },
    );
    expect(server.answered.length % 3).toBe(0);
    expect(server.mistakes).toEqual([]);
  },
);

test.each([
  ['an escape', '/v4/p/registry/microservices/s%2D/instances/i/heartbeat'],
  ['a query string', '/v4/p/registry/microservices/s/instances/i/heartbeat?x'],
  ['a hash', '/v4/p/registry/microservices/s/instances/i#/heartbeat'],
  ['a part too many', '/v4/p/registry/microservices/s/t/instances/i/heartbeat'],
  ['a part too many at the end', '/v4/p/registry/microservices/s/instances/i/j/heartbeat'],
  ['a trailing slash', '/v4/p/registry/microservices/s/instances/i/heartbeat/'],
  ['no project', '/v4/registry/microservices/s/instances/i/heartbeat'],
  ['no instance', '/v4/p/registry/microservices/s/instances/heartbeat'],
  ['another word', '/v4/p/registry/microservices/s/instance/i/heartbeat'],
])('a path with %s is left to the router', (_title, path) => {
  expect(plainHeartbeatPath(path)).toBeUndefined();
});

test('a plain path comes apart into its three parts', () => {
  expect(plainHeartbeatPath('/v4/p/registry/microservices/s/instances/i/heartbeat')).toEqual({
    projectId: 'p',
    serviceId: 's',
    instanceId: 'i',
  });
});
