import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../../src/clock.ts';
import { ApiClient } from '../../../src/kubernetes/api-client.ts';
import { Credentials } from '../../../src/kubernetes/credentials.ts';

/** What the next request gets, for answers that a real API server cannot be brought to give at will. */
export type Answer = (response: ServerResponse) => void;

export interface ScriptedServer {
  /** The queries of the requests so far. */
  readonly queries: readonly URLSearchParams[];
  readonly client: ApiClient;
  stop(): Promise<void>;
}

/** Answers one request after the other as told, and holds every later one. */
export async function startScriptedServer(answers: readonly Answer[]): Promise<ScriptedServer> {
  const queries: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    const answer = answers[queries.length];
    queries.push(new URL(request.url ?? '', 'http://server').searchParams);
    answer?.(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const facts = {
    server: `http://127.0.0.1:${port}`,
    proxyUrl: undefined,
    tls: {},
    headers: {},
    namespace: undefined,
  };
  const credentials = new Credentials({ read: () => Promise.resolve(facts) }, systemClock);
  const client = new ApiClient({ credentials, clock: systemClock, version: 'test' });
  return {
    queries,
    client,
    async stop() {
      await client.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

function instanceObject(name: string, resourceVersion: string): object {
  const uid = `uid-of-${name}`;
  const creationTimestamp = '2026-11-25T10:00:00Z';
  return {
    metadata: { uid, name, namespace: 'team', resourceVersion, generation: 1, creationTimestamp },
    spec: { domain: 'd', projectId: 'p', serviceId: 's', instanceId: name },
  };
}

export const added = (name: string, version: string) => ({ type: 'ADDED', object: instanceObject(name, version) });
export const modified = (name: string, version: string) => ({
  type: 'MODIFIED',
  object: instanceObject(name, version),
});
export const deleted = (name: string, version: string) => ({ type: 'DELETED', object: instanceObject(name, version) });
export const bookmark = (resourceVersion: string) => ({ type: 'BOOKMARK', object: { metadata: { resourceVersion } } });
export const endOfList = (resourceVersion: string) => ({
  type: 'BOOKMARK',
  object: { metadata: { resourceVersion, annotations: { 'k8s.io/initial-events-end': 'true' } } },
});
export const failure = (code: number, reason: string, details: object = {}) => ({
  type: 'ERROR',
  object: { kind: 'Status', code, reason, message: 'as told', details },
});

/** A watch that brings these events and stays open. */
export function events(...list: readonly object[]): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const event of list) response.write(`${JSON.stringify(event)}\n`);
  };
}

/** A watch that brings these events and is ended by the server. */
export function endedAfter(...list: readonly object[]): Answer {
  return (response) => {
    events(...list)(response);
    response.end();
  };
}

/** A watch that brings this text and ends. */
export function text(body: string): Answer {
  return (response) => response.end(body);
}

export function refusal(code: number, reason: string, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify({ kind: 'Status', code, reason, message: 'as told' }));
  };
}

export function page(names: readonly string[], resourceVersion: string, continueToken = ''): Answer {
  return (response) => {
    const items = names.map((name) => instanceObject(name, resourceVersion));
    response.end(JSON.stringify({ metadata: { resourceVersion, continue: continueToken }, items }));
  };
}
