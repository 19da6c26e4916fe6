import fc from 'fast-check';
import { expect, test } from 'vitest';
import { plainHeartbeatPath } from '../../src/heartbeat-api/plain-heartbeat.ts';
import { identityOf } from '../../src/liveness/instance-key.ts';
import { wireRequest } from '../support/http-heartbeat.ts';
import { listeningHeartbeatServer } from '../support/http-heartbeat-server.ts';

/** Mostly what is allowed, at times what is not. */
const segment = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9_.~@:;,-]{1,20}$/),
  fc.stringMatching(/^[A-Za-z0-9]{64,66}$/),
  fc.constant(''),
);

test('a heartbeat is answered to the letter the same with and without a query string, which sends it by the router', async () => {
  const server = await listeningHeartbeatServer({
    accept: (key) => {
      const { instanceId } = identityOf(key);
      if (instanceId.startsWith('a')) return { kind: 'unknownInstance' };
      return instanceId.startsWith('b')
        ? { kind: 'tooManyNew', retryAfterSeconds: 7 }
        : { kind: 'accepted', change: 'renewed' };
    },
  });
  const heartbeat = fc.record({
    projectId: segment,
    serviceId: segment,
    instanceId: segment,
    domain: fc.oneof(fc.constant('tenant'), fc.constant(''), fc.stringMatching(/^[a-z]{256,257}$/)),
    userAgent: fc.constantFrom('curl/8', 'go-client'),
  });

  await fc.assert(
    fc.asyncProperty(heartbeat, async ({ projectId, serviceId, instanceId, domain, userAgent }) => {
      const path = `/v4/${projectId}/registry/microservices/${serviceId}/instances/${instanceId}/heartbeat`;
      const headers = ['Host: localhost', `x-domain-name: ${domain}`, `User-Agent: ${userAgent}`];
      const plain = await (await server.connect()).send(wireRequest({ path, headers })).reply();
      const routed = await (await server.connect()).send(wireRequest({ path: `${path}?x`, headers })).reply();

      expect(plain.status).toBe(routed.status);
      expect(plain.body).toBe(routed.body);
      for (const name of ['content-type', 'content-length', 'retry-after', 'connection']) {
        expect(plain.header(name)).toBe(routed.header(name));
      }
    }),
    { numRuns: 300 },
  );
  expect(server.answered.length % 2).toBe(0);
});

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
