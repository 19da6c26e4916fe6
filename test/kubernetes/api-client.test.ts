import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type ApiCall, ApiClient, type ApiClientOptions } from '../../src/kubernetes/api-client.ts';
import type { ConnectionFacts } from '../../src/kubernetes/connection-facts.ts';
import { Credentials } from '../../src/kubernetes/credentials.ts';

let server: Server;
let client: ApiClient;
let facts: ConnectionFacts;
let sockets: number;
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  sockets = 0;
  server = createServer((request, response) => {
    request.resume();
    answer(request, response);
  });
  server.on('connection', () => {
    sockets += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  facts = {
    server: `http://127.0.0.1:${port}/prefix/`,
    proxyUrl: undefined,
    tls: {},
    headers: { authorization: 'Bearer token-1' },
    namespace: undefined,
  };
});
afterEach(async () => {
  await client.close();
  server.closeAllConnections();
  server.close();
});

/** A client whose credentials are always read anew. */
function makeClient(options: Partial<ApiClientOptions> = {}): ApiClient {
  let nowMs = 0;
  const clock = { ...systemClock, nowMs: () => (nowMs += 60_000) };
  const credentials = new Credentials({ read: () => Promise.resolve(facts) }, clock);
  client = new ApiClient({ credentials, clock: systemClock, version: '1.2.3', ...options });
  return client;
}

const reply = (response: ServerResponse, statusCode: number, body: unknown, headers: Record<string, string> = {}) => {
  response.writeHead(statusCode, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};

describe('a call', () => {
  it('says who we are and what is asked, below the path of the server', async () => {
    answer = (request, response) => {
      const { method, url, headers } = request;
      reply(response, 200, { method, url, agent: headers['user-agent'], authorization: headers.authorization });
    };
    const result = await makeClient().request({
      method: 'GET',
      path: '/api/v1/pods',
      query: { limit: '5', continue: 'a/b' },
    });
    expect(result).toEqual({
      kind: 'ok',
      status: 200,
      body: {
        method: 'GET',
        url: '/prefix/api/v1/pods?limit=5&continue=a%2Fb',
        agent: 'heartbeat-operator/1.2.3',
        authorization: 'Bearer token-1',
      },
    });
  });

  it('sends its body as JSON of the kind that it names', async () => {
    answer = (request, response) => {
      let text = '';
      request.on('data', (chunk) => {
        text += String(chunk);
      });
      request.on('end', () => reply(response, 200, { type: request.headers['content-type'], text }));
    };
    const contentType = 'application/merge-patch+json';
    const result = await makeClient().request({ method: 'PATCH', path: '/x', body: { a: null }, contentType });
    expect(result).toMatchObject({ body: { type: contentType, text: '{"a":null}' } });
  });

  it('that is refused for its token is sent again with the token that is there by now', async () => {
    const tokens: unknown[] = [];
    answer = (request, response) => {
      tokens.push(request.headers.authorization);
      facts = { ...facts, headers: { authorization: 'Bearer token-2' } };
      reply(response, request.headers.authorization === 'Bearer token-2' ? 200 : 401, {});
    };
    expect(await makeClient().request({ method: 'POST', path: '/x', body: {} })).toMatchObject({ kind: 'ok' });
    expect(tokens).toEqual(['Bearer token-1', 'Bearer token-2']);
  });

  it('that is refused for its token is not sent again when there is no other', async () => {
    let calls = 0;
    answer = (_request, response) => {
      calls += 1;
      reply(response, 401, { reason: 'Unauthorized' });
    };
    expect(await makeClient().request({ method: 'GET', path: '/x' })).toMatchObject({ kind: 'unauthorized' });
    expect(calls).toBe(1);
  });

  it('ends at its time limit, and says so', async () => {
    answer = () => undefined;
    const result = await makeClient({ timeoutMs: 20 }).request({ method: 'GET', path: '/x', action: 'reading x' });
    expect(result).toEqual({ kind: 'unreachable', message: 'reading x: no answer within 0.02 s' });
  });

  it('ends at its time limit also when only the end of the answer is missing', async () => {
    answer = (_request, response) => {
      response.writeHead(200);
      response.write('{"a":');
    };
    expect(await makeClient({ timeoutMs: 20 }).request({ method: 'GET', path: '/x' })).toMatchObject({
      kind: 'unreachable',
    });
  });

  it('ends when its caller no longer wants it', async () => {
    const stop = new AbortController();
    answer = () => stop.abort(new Error('stopped'));
    const result = await makeClient().request({ method: 'GET', path: '/x', signal: stop.signal });
    expect(result).toEqual({ kind: 'unreachable', message: 'GET /x: stopped' });
    expect(await client.request({ method: 'GET', path: '/x', signal: stop.signal })).toEqual(result);
  });

  it('is unreachable when the connection breaks in the middle of the answer', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"a":');
      setImmediate(() => response.destroy());
    };
    expect(await makeClient().request({ method: 'GET', path: '/x' })).toMatchObject({ kind: 'unreachable' });
  });

  it('honours Retry-After, whoever sends it', async () => {
    answer = (_request, response) => reply(response, 429, 'slow down', { 'retry-after': '3' });
    expect(await makeClient().request({ method: 'GET', path: '/x' })).toEqual({
      kind: 'throttled',
      retryAfterMs: 3_000,
      message: 'GET /x: 429: slow down',
    });
  });

  it('is unreachable when the credentials cannot be read', async () => {
    makeClient({
      credentials: new Credentials({ read: () => Promise.reject(new Error('no token')) }, systemClock),
    });
    expect(await client.request({ method: 'GET', path: '/x' })).toEqual({
      kind: 'unreachable',
      message: 'GET /x: no token',
    });
  });

  it('is counted with its method, code, host and time', async () => {
    const calls: ApiCall[] = [];
    makeClient({ observer: { called: (call) => calls.push(call) }, timeoutMs: 20 });
    answer = (_request, response) => reply(response, 404, {});
    await client.request({ method: 'GET', path: '/x' });
    answer = () => undefined;
    await client.request({ method: 'PATCH', path: '/x' });
    const { host } = new URL(facts.server);
    const durationSeconds = expect.any(Number);
    expect(calls).toEqual([
      { method: 'GET', code: '404', host, durationSeconds },
      { method: 'PATCH', code: '<error>', host, durationSeconds },
    ]);
    expect(calls[1]?.durationSeconds).toBeGreaterThan(0.015);
  });
});

describe('connections', () => {
  it('are reused and never more than allowed, however many calls wait', async () => {
    answer = (_request, response) => reply(response, 200, {});
    makeClient({ writeConnections: 3 });
    const calls = Array.from({ length: 200 }, () => client.request({ method: 'PATCH', path: '/x', body: {} }));
    const results = await Promise.all(calls);
    expect(results.every((result) => result.kind === 'ok')).toBe(true);
    expect(sockets).toBe(3);
  });

  it('of writes are not taken by watches', async () => {
    answer = (request, response) => {
      response.writeHead(200);
      if (request.url?.includes('watch') === true) response.write('\n');
      else response.end('{}');
    };
    makeClient({ writeConnections: 1 });
    const stop = new AbortController();
    const watches = await Promise.all(Array.from({ length: 5 }, () => client.watch('/x', { watch: '1' }, stop.signal)));
    expect(watches.map((watch) => watch.kind)).toEqual(Array(5).fill('ok'));
    expect(await client.request({ method: 'PATCH', path: '/x' })).toMatchObject({ kind: 'ok' });
    expect(sockets).toBe(6);
    stop.abort();
  });

  it('are made anew when the TLS material changes, while a watch on the old one goes on', async () => {
    let watchResponse: ServerResponse | undefined;
    answer = (request, response) => {
      response.writeHead(200);
      if (request.url?.includes('watch') !== true) {
        response.end('{}');
        return;
      }
      response.write('first\n');
      watchResponse = response;
    };
    makeClient({ writeConnections: 1 });
    const watch = await client.watch('/x', { watch: '1' }, new AbortController().signal);
    await client.request({ method: 'GET', path: '/x' });
    expect(sockets).toBe(2);
    facts = { ...facts, tls: { ca: 'a new bundle' } };
    await client.request({ method: 'GET', path: '/x' });
    expect(sockets).toBe(3);

    watchResponse?.end('last\n');
    if (watch.kind !== 'ok') throw new Error(watch.message);
    let text = '';
    for await (const chunk of watch.bytes) text += Buffer.from(chunk).toString();
    expect(text).toBe('first\nlast\n');
    await vi.waitFor(() => expect(openConnections()).resolves.toBe(1));
  });

  it('stay when only the token changes', async () => {
    answer = (_request, response) => reply(response, 200, {});
    makeClient({ writeConnections: 1 });
    await client.request({ method: 'GET', path: '/x' });
    facts = { ...facts, headers: { authorization: 'Bearer token-2' } };
    await client.request({ method: 'GET', path: '/x' });
    expect(sockets).toBe(1);
  });

  it('are cut by close, and every later call is unreachable', async () => {
    answer = () => undefined;
    makeClient();
    const waiting = client.request({ method: 'GET', path: '/x' });
    await vi.waitFor(() => expect(sockets).toBe(1));
    await client.close();
    expect(await waiting).toMatchObject({ kind: 'unreachable' });
    expect(await client.request({ method: 'GET', path: '/x' })).toEqual({
      kind: 'unreachable',
      message: 'GET /x: the client is closed',
    });
    expect(await client.watch('/x', {}, new AbortController().signal)).toMatchObject({ kind: 'unreachable' });
  });
});

function openConnections(): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}
