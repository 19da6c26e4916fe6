import type { Socket } from 'node:net';
import { type RequestListener, Server, STATUS_CODES } from 'node:http';
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { BATCH_PATH, registerBatchRoute } from './batch-route.ts';
import { answerPlainHeartbeat, sendRefused } from './plain-heartbeat.ts';
import { HEARTBEAT_PATH, registerHeartbeatRoute, type HeartbeatRouteParts } from './heartbeat-route.ts';
import { stampRequests } from './received-at.ts';
import { HEALTH_PATH, READINESS_PATH, registerRegistryRoutes, VERSION_PATH } from './registry-routes.ts';
import { registerStatusRoute, STATUS_PATH } from './status-route.ts';
import { JSON_TYPE, sendRefusal, V4Refusal } from './v4-refusal.ts';

export interface HeartbeatServerParts extends HeartbeatRouteParts {
  readonly version: string;
  readonly turn: () => Promise<void>;
  /** Whether the process is stopping: replies then ask the sender to connect anew, which leads it elsewhere. */
  readonly isDraining: () => boolean;
  /** Idle connections are kept this long: longer than the longest usual heartbeat interval. */
  readonly keepAliveMs: number;
  /** A request without a body must have arrived within this, else 408. */
  readonly headersTimeoutMs: number;
  /** A whole request must have arrived within this, else 408. Greater than `headersTimeoutMs`. */
  readonly requestTimeoutMs: number;
  /** Connections above this are closed at once. */
  readonly connectionsMax: number;
  /** A mistake of ours while serving a request. */
  readonly onError: (error: unknown) => void;
  /** A connection was turned away because there are too many. */
  readonly onConnectionDropped: () => void;
}

/** The request line and the headers together. */
const HEAD_BYTES_MAX = 16 * 1024;

/** How often Node looks for requests that take too long; its own default of 30 s would let them live that much longer. */
const TIMEOUT_CHECK_MS = 1_000;

/** The application behind the heartbeat port. It does not listen yet. */
export function buildHeartbeatServer(parts: HeartbeatServerParts): FastifyInstance {
  const app = Fastify({
    logger: false,
    serverFactory: (handleByRoutes) => createServer(parts, handleByRoutes),
    return503OnClosing: false,
    clientErrorHandler: replyToBrokenRequest,
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      const refused = refusalOfFastify(error, parts.onError);
      if (HEARTBEAT_LIKE.test(request.url)) parts.observer.answered(refused.resultName, refused.row.status, 0);
      void sendRefusal(reply, refused);
    },
    routerOptions: {
      // Our own rules for lengths answer in the API's words; the router's limit must not come first.
      maxParamLength: HEAD_BYTES_MAX,
      caseSensitive: true,
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
    },
  });
  stampRequests(app, parts.nowMs);
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (parts.isDraining()) void reply.header('connection', 'close');
    done();
  });
  app.addHook('onRequest', (request, reply, done) => {
    // Node would refuse this by itself, with an empty body.
    if (request.raw.httpVersion === '1.1' && request.raw.headers.host === undefined) {
      void sendRefusal(reply, new V4Refusal('invalidParameters', 'Host: HTTP/1.1 requires the header'));
    } else {
      done();
    }
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const refused = error.code === NO_CONTENT_TYPE ? unserved(request.url) : refusalOfFastify(error, parts.onError);
    if (request.routeOptions.url === HEARTBEAT_PATH) {
      parts.observer.answered(refused.resultName, refused.row.status, parts.nowMs() - request.receivedAtMs);
    }
    return sendRefusal(reply, refused);
  });
  app.setNotFoundHandler((request, reply) => sendRefusal(reply, unserved(request.url)));

  registerHeartbeatRoute(app, parts);
  registerBatchRoute(app, parts, parts.turn);
  registerStatusRoute(app, parts);
  registerRegistryRoutes(app, parts.version);
  return app;
}

/**
 * Node's server with all its limits. Heartbeats of the plain kind are answered here, everything else by the routes.
 *
 * While the process is stopping, all goes by the routes, which ask the sender to connect anew.
 */
function createServer(parts: HeartbeatServerParts, handleByRoutes: RequestListener): Server {
  const server = new Server(
    {
      maxHeaderSize: HEAD_BYTES_MAX,
      headersTimeout: parts.headersTimeoutMs,
      requestTimeout: parts.requestTimeoutMs,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      keepAliveTimeout: parts.keepAliveMs,
      noDelay: true,
      requireHostHeader: false,
    },
    (request, response) => {
      try {
        if (!parts.isDraining() && answerPlainHeartbeat(request, response, parts)) return;
      } catch (error) {
        // Fastify catches what throws in its routes; here nobody else would, and the process would end.
        parts.onError(error);
        if (!response.headersSent) sendRefused(response, INTERNAL);
        parts.observer.answered(INTERNAL.resultName, INTERNAL.row.status, 0);
        return;
      }
      handleByRoutes(request, response);
    },
  );
  server.maxConnections = parts.connectionsMax;
  server.on('drop', parts.onConnectionDropped);
  // An expectation that nobody knows is no reason to refuse a heartbeat.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  return server;
}

/** Each path that is served, as a pattern, with the methods that may be used on it. */
const ALLOWED: readonly (readonly [RegExp, string])[] = [
  [HEARTBEAT_PATH, 'PUT'],
  [BATCH_PATH, 'PUT'],
  [STATUS_PATH, 'PUT'],
  [HEALTH_PATH, 'GET, HEAD'],
  [READINESS_PATH, 'GET, HEAD'],
  [VERSION_PATH, 'GET, HEAD'],
].map(([path, allow]) => [new RegExp(`^${path?.replaceAll(/:\w+/g, '[^/]*')}$`), allow ?? '']);

/** A path that cannot be decoded has no route; by its end it was meant as a heartbeat. */
const HEARTBEAT_LIKE = /\/heartbeat(?:$|[?#])/;

/** Fastify's word for a QUERY, which must say what its content is, before it looks for the path. */
const NO_CONTENT_TYPE = 'FST_ERR_ROUTE_MISSING_CONTENT_TYPE';

/** Why a request that no route takes is refused: its path is not served, or not with this method. */
function unserved(url: string): V4Refusal {
  const [path = ''] = url.split(/[?#]/, 1);
  const allow = ALLOWED.find(([pattern]) => pattern.test(path))?.[1];
  if (allow === undefined) return new V4Refusal('notFound', 'see docs/protocol.md for the paths that are served');
  return new V4Refusal('methodNotAllowed', `allowed here: ${allow}`, { allow });
}

const INTERNAL = new V4Refusal('internal', '');

/** Fastify's errors in the API's words. What is no known refusal is a mistake of ours, and is reported. */
function refusalOfFastify(error: FastifyError, onError: (error: unknown) => void): V4Refusal {
  switch (error.code) {
    case 'FST_ERR_BAD_URL':
      return new V4Refusal('invalidParameters', 'path: a percent escape does not decode to UTF-8');
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new V4Refusal('bodyTooLarge', 'a heartbeat may have 16 KiB, a batch 2 MiB');
    // The sender is gone, and nobody reads this.
    case 'ECONNRESET':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new V4Refusal('invalidParameters', 'body: its length is not what Content-Length said');
    default:
      onError(error);
      return INTERNAL;
  }
}

/** Answers what Node could not read as HTTP, in the API's shape, on the bare socket. */
function replyToBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  // A connection on which nothing was ever sent is closed without a word: a sender that opened it in advance
  // would take an answer for the one to its next request.
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesRead === 0) {
    socket.destroy();
    return;
  }
  const refused = brokenRequest(error.code);
  const { status } = refused.row;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Content-Type: ${JSON_TYPE}`,
    `Content-Length: ${Buffer.byteLength(refused.body)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${refused.body}`);
}

function brokenRequest(code: string | undefined): V4Refusal {
  if (code === 'HPE_HEADER_OVERFLOW') return new V4Refusal('headTooLarge', `at most ${HEAD_BYTES_MAX} bytes`);
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new V4Refusal('requestTimeout', 'send the whole request at once');
  return new V4Refusal('invalidParameters', 'not an HTTP/1.1 request');
}
