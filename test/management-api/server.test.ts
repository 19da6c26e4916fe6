import { describe, expect, onTestFinished, test } from 'vitest';
import {
  buildManagementServer,
  type HealthCheck,
  type ManagementServerParts,
} from '../../src/management-api/server.ts';

type App = ReturnType<typeof buildManagementServer>;

const well = (name: string): HealthCheck => ({ name, problem: () => undefined });
const ill = (name: string, problem: string): HealthCheck => ({ name, problem: () => problem });

const NAMES = ['a', 'b', 'c', 'd', 'e'];

function managementServer(parts: Partial<ManagementServerParts> = {}): App {
  const app = buildManagementServer({
    liveness: [well('event-loop')],
    readiness: [well('listening'), well('not-draining')],
    metrics: { contentType: 'text/plain; version=0.0.4; charset=utf-8', metrics: () => Promise.resolve('m 1\n') },
    instances: {
      list: (offset, limit) => NAMES.slice(offset, offset + limit).map((name) => ({ name })),
      get: (namespace, name) => (namespace === 'default' && NAMES.includes(name) ? { namespace, name } : undefined),
    },
    ...parts,
  });
  onTestFinished(() => app.close());
  return app;
}

type Reply = Awaited<ReturnType<App['inject']>>;

const get = (app: App, url: string): Promise<Reply> => app.inject({ method: 'GET', url });

describe.each([
  { endpoint: 'livez', part: 'liveness' },
  { endpoint: 'readyz', part: 'readiness' },
] as const)('/$endpoint', ({ endpoint, part }) => {
  test('says ok and nothing else when all is well', async () => {
    const { statusCode, headers, body } = await get(managementServer(), `/${endpoint}`);

    expect([statusCode, body]).toEqual([200, 'ok']);
    expect(headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(headers['cache-control']).toBe('no-cache, private');
  });

  test.each(['?verbose', '?verbose=', '?verbose=true', '?a=b&verbose'])('names every check with %s', async (query) => {
    const app = managementServer({ [part]: [well('one'), well('two')] });

    const { statusCode, body } = await get(app, `/${endpoint}${query}`);

    expect([statusCode, body]).toEqual([200, `[+]one ok\n[+]two ok\n${endpoint} check passed\n`]);
  });

  test('is 503 and names the check that fails, and why, beside those that do not', async () => {
    const app = managementServer({ [part]: [well('one'), ill('two', 'the process is stopping'), well('three')] });

    const { statusCode, headers, body } = await get(app, `/${endpoint}`);

    expect([statusCode, body]).toEqual([
      503,
      `[+]one ok\n[-]two failed: the process is stopping\n[+]three ok\n${endpoint} check failed\n`,
    ]);
    expect(headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  test('looks afresh each time', async () => {
    let problem: string | undefined = 'not yet';
    const app = managementServer({ [part]: [{ name: 'one', problem: () => problem }] });

    const before = (await get(app, `/${endpoint}`)).statusCode;
    problem = undefined;
    const after = (await get(app, `/${endpoint}`)).statusCode;

    expect([before, after]).toEqual([503, 200]);
  });

  test('can be asked with HEAD', async () => {
    const app = managementServer({ [part]: [ill('one', 'x')] });

    const { statusCode, body } = await app.inject({ method: 'HEAD', url: `/${endpoint}` });

    expect([statusCode, body]).toEqual([503, '']);
  });
});

test('readiness that fails leaves liveness alone, so that a draining process is not restarted', async () => {
  const app = managementServer({ readiness: [ill('not-draining', 'the process is stopping')] });

  expect([(await get(app, '/livez')).statusCode, (await get(app, '/readyz')).statusCode]).toEqual([200, 503]);
});

test('/metrics gives the exposition with its content type', async () => {
  const { statusCode, headers, body } = await get(managementServer(), '/metrics');

  expect([statusCode, body]).toEqual([200, 'm 1\n']);
  expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
});

test('/metrics is 500 when a metric cannot be read, and the next scrape is served', async () => {
  let isBroken = true;
  const app = managementServer({
    metrics: {
      contentType: 'text/plain',
      metrics: () => (isBroken ? Promise.reject(new Error('broken')) : Promise.resolve('m 1\n')),
    },
  });

  const broken = await get(app, '/metrics');
  isBroken = false;

  expect(broken.statusCode).toBe(500);
  expect((await get(app, '/metrics')).statusCode).toBe(200);
});

describe('/instances', () => {
  test('gives all of a small fleet on one page, without a way to go on', async () => {
    const { statusCode, headers, body } = await get(managementServer(), '/instances');

    expect(statusCode).toBe(200);
    expect(headers['content-type']).toContain('application/json');
    expect(JSON.parse(body)).toEqual({ items: NAMES.map((name) => ({ name })) });
  });

  test('gives pages that together hold each instance once', async () => {
    const app = managementServer();
    const names: string[] = [];
    let next: string | undefined = '0';
    while (next !== undefined) {
      const page: { items: { name: string }[]; continue?: string } = (
        await get(app, `/instances?limit=2&continue=${next}`)
      ).json();
      names.push(...page.items.map(({ name }) => name));
      next = page.continue;
    }

    expect(names).toEqual(NAMES);
  });

  test('gives 500 at a time unless asked for another number', async () => {
    const asked: number[][] = [];
    const app = managementServer({
      instances: {
        list(offset, limit) {
          asked.push([offset, limit]);
          return Array.from({ length: limit }, () => ({}));
        },
        get: () => undefined,
      },
    });

    const first = (await get(app, '/instances')).json();
    const largest = (await get(app, '/instances?limit=500&continue=7')).json();

    expect(asked).toEqual([
      [0, 250],
      [7, 500],
    ]);
    expect([first.continue, largest.continue]).toEqual(['250', '507']);
  });

  test('past the end is an empty page', async () => {
    expect((await get(managementServer(), '/instances?continue=99')).json()).toEqual({ items: [] });
  });

  test.each([
    'limit=0',
    'limit=501',
    'limit=-1',
    'limit=1.5',
    'limit=ten',
    'limit=',
    'limit=1e2',
    'limit=99999999999999999999',
    'limit=2&limit=3',
    'continue=-1',
    'continue=abc',
    'continue=',
    'continue=9999999999',
    'continue=%20',
  ])('with %s is 400 and says what is allowed', async (query) => {
    const { statusCode, body } = await get(managementServer(), `/instances?${query}`);

    expect(statusCode).toBe(400);
    expect(JSON.parse(body)).toEqual({ error: 'limit must be 1 to 500, continue what an earlier page gave' });
  });

  test('of a namespace and a name gives that instance', async () => {
    const { statusCode, body } = await get(managementServer(), '/instances/default/b');

    expect([statusCode, JSON.parse(body)]).toEqual([200, { namespace: 'default', name: 'b' }]);
  });

  test.each(['/instances/default/nobody', '/instances/elsewhere/b', '/instances/default/'])(
    'of %s, which is not there, is 404',
    async (url) => {
      const { statusCode, body } = await get(managementServer(), url);

      expect([statusCode, JSON.parse(body)]).toEqual([404, { error: 'no such instance' }]);
    },
  );
});

test.each([
  ['GET', '/'],
  ['GET', '/healthz'],
  ['GET', '/metrics/'],
  ['GET', '/instances/default'],
  ['GET', '/instances/default/b/more'],
  ['GET', '//livez'],
  ['POST', '/metrics'],
  ['DELETE', '/instances/default/b'],
] as const)('%s %s is 404 and names what is served', async (method, url) => {
  const { statusCode, body } = await managementServer().inject({ method, url });

  expect(statusCode).toBe(404);
  expect(JSON.parse(body).error).toContain('/livez /readyz /metrics /instances');
});

test.each(['/instances/default/%zz', '/%FF', '/instances/%E4%B8/x'])('%s, whose escape is bad, is 400', async (url) => {
  expect((await get(managementServer(), url)).statusCode).toBe(400);
});
