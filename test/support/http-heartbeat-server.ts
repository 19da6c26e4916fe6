import type { FastifyInstance } from 'fastify';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { buildHeartbeatServer, type HeartbeatServerParts } from '../../src/heartbeat-api/server.ts';
import { Senders, type SendersParts } from '../../src/heartbeat-api/senders.ts';
import { TokenCache, type TokenCacheParts } from '../../src/heartbeat-api/token-cache.ts';
import { parseTrustedProxies, type TrustedProxies } from '../../src/heartbeat-api/trusted-proxies.ts';
import type { HeartbeatAnswer } from '../../src/liveness/heartbeat-answer.ts';
import { identityOf, type InstanceIdentity } from '../../src/liveness/instance-key.ts';
import { type Sender, UNKNOWN_SENDER } from '../../src/liveness/sender.ts';
import { heartbeatPath, type HeartbeatOptions, wireRequest } from './http-heartbeat.ts';
import { HttpSocket } from './http-socket.ts';

/** A heartbeat API that accepts everyone, and what reached the parts around it. */
export interface TestHeartbeatServer {
  readonly app: FastifyInstance;
  /** Heartbeats that were handed in, in their order; those of unknown instances that only known ones may send are not. */
  readonly heard: { readonly identity: InstanceIdentity; readonly atMs: number; readonly sender: Sender }[];
  /** What the observer was told: `result status`. */
  readonly answered: string[];
  /** Mistakes of ours. A test that provokes none expects this to stay empty. */
  readonly mistakes: unknown[];
  /** How many connections were turned away. */
  readonly dropped: { count: number };
}

export const RENEWED: HeartbeatAnswer = { kind: 'accepted', change: 'renewed' };

export function heartbeatServer(parts: Partial<HeartbeatServerParts> = {}): TestHeartbeatServer {
  const server = {
    heard: [] as TestHeartbeatServer['heard'],
    answered: [] as string[],
    mistakes: [] as unknown[],
    dropped: { count: 0 },
  };
  const app = buildHeartbeatServer({
    report: () => Promise.resolve({ kind: 'stored' }),
    senders: sendersWith(),
    domainRule: { isRequired: true },
    successBody: 'auto',
    observer: { answered: (result, status) => server.answered.push(`${result} ${status}`) },
    nowMs: () => performance.now(),
    isDraining: () => false,
    version: '1.2.3',
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    keepAliveMs: 120_000,
    headersTimeoutMs: 5_000,
    requestTimeoutMs: 10_000,
    connectionsMax: 1_000,
    onError: (error) => server.mistakes.push(error),
    onConnectionDropped: () => {
      server.dropped.count += 1;
    },
    ...parts,
    accept(key, atMs, sender) {
      server.heard.push({ identity: identityOf(key), atMs, sender });
      return parts.accept?.(key, atMs, sender) ?? RENEWED;
    },
    acceptKnown(key, atMs) {
      const answer = parts.acceptKnown?.(key, atMs) ?? { kind: 'unknownInstance' };
      if (answer.kind === 'accepted') server.heard.push({ identity: identityOf(key), atMs, sender: UNKNOWN_SENDER });
      return answer;
    },
  });
  onTestFinished(async () => {
    app.server.closeAllConnections();
    await app.close();
  });
  return { app, ...server };
}

/** No tokens, no proxies, unless `parts` say otherwise. */
export function sendersWith(parts: Partial<SendersParts> = {}): Senders {
  return new Senders({
    auth: 'none',
    trustedProxies: proxies(''),
    tokens: tokenCache(),
    schedule: (delayMs, task) => systemClock.schedule(delayMs, task),
    ...parts,
  });
}

/** A cache that refuses every token, in real time, unless `parts` say otherwise. */
export function tokenCache(parts: Partial<TokenCacheParts> = {}): TokenCache {
  return new TokenCache({
    review: () => Promise.resolve({ kind: 'refused', why: 'unknown' }),
    unprovedReviews: { take: () => true },
    repeatedReviews: { take: () => true },
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    onReviewed: () => {},
    tokensMax: 1_000,
    ...parts,
  });
}

/** @throws Error for what is no list of CIDRs. */
export function proxies(cidrs: string): TrustedProxies {
  const parsed = parseTrustedProxies(cidrs);
  if (parsed.kind === 'mistake') throw new Error(parsed.mistake);
  return parsed.proxies;
}

/** The same on a free port of the loopback, with a way to connect. */
export async function listeningHeartbeatServer(
  parts: Partial<HeartbeatServerParts> = {},
): Promise<TestHeartbeatServer & { readonly port: number; readonly connect: () => Promise<HttpSocket> }> {
  const server = heartbeatServer(parts);
  await server.app.listen({ host: '127.0.0.1', port: 0 });
  const port = portOf(server.app);
  return { ...server, port, connect: () => HttpSocket.open(port) };
}

export interface SendOptions extends HeartbeatOptions {
  /** `acme` if not said; `null` leaves the header out. */
  readonly domain?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

type InjectedReply = Awaited<ReturnType<TestHeartbeatServer['app']['inject']>>;

/** Sends a heartbeat without a socket, which leads it by the routes. */
export function sendHeartbeat({ app }: TestHeartbeatServer, options: SendOptions = {}): Promise<InjectedReply> {
  const { domain = 'acme', headers, body } = options;
  return app.inject({
    method: 'PUT',
    url: heartbeatPath(options),
    headers: { ...(domain === null ? {} : { 'x-domain-name': domain }), ...headers },
    ...(body === undefined ? {} : { payload: body }),
  });
}

/** What of a reply both ways of sending give. */
export type SentReply = Pick<InjectedReply, 'statusCode' | 'headers' | 'body'>;

/** Sends a heartbeat over a connection of its own, which leads a plain one past the routes. */
async function sendHeartbeatByWire({ app }: TestHeartbeatServer, options: SendOptions = {}): Promise<SentReply> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 });
  const { domain = 'acme', headers = {}, body = '' } = options;
  const socket = await HttpSocket.open(portOf(app));
  const reply = await socket
    .send(
      wireRequest({
        path: heartbeatPath(options),
        headers: ['Host: localhost', ...(domain === null ? [] : [`x-domain-name: ${domain}`])],
        moreHeaders: [
          ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
          ...(body.length === 0 ? [] : [`Content-Length: ${body.length}`]),
        ],
        body: String(body),
      }),
    )
    .reply();
  const replyHeaders = Object.fromEntries(reply.headers.map(([name, value]) => [name.toLowerCase(), value]));
  return { statusCode: reply.status, headers: replyHeaders, body: reply.body };
}

/** A plain heartbeat is answered past the routes, everything else by them: the contract holds both ways. */
export const WAYS: readonly {
  readonly way: string;
  readonly send: (server: TestHeartbeatServer, options?: SendOptions) => Promise<SentReply>;
}[] = [
  { way: 'by the routes', send: sendHeartbeat },
  { way: 'past the routes', send: sendHeartbeatByWire },
];

function portOf(app: FastifyInstance): number {
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}
