import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HeartbeatRouteParts } from './heartbeat-route.ts';
import { isBodyEmpty, refusalOf, resultOf, SUCCESS, takeHeartbeat, TEXT_TYPE } from './heartbeat-route.ts';
import { parseHeartbeat, type PathParts } from './identity-parser.ts';
import type { SenderHeaders } from './senders.ts';
import { JSON_TYPE, V4Refusal } from './v4-refusal.ts';

const BEFORE_PROJECT = '/v4/';
const BEFORE_SERVICE = '/registry/microservices/';
const BEFORE_INSTANCE = '/instances/';
const AFTER_INSTANCE = '/heartbeat';

/** What makes a path need decoding or cutting. */
const NEEDS_ROUTER = /[%?#]/;

/**
 * Answers the heartbeat that nearly all heartbeats are: a plain path, no body, everything in order.
 *
 * It says and does what the route in `heartbeat-route.ts` does, without the router, for half of the cost.
 * Whatever is not plain, wrong parameters and a token that must be reviewed included, is left to the route.
 *
 * @returns whether the request was answered.
 */
export function answerPlainHeartbeat(
  request: IncomingMessage,
  response: ServerResponse,
  parts: HeartbeatRouteParts,
): boolean {
  const path = request.method === 'PUT' ? plainHeartbeatPath(request.url ?? '') : undefined;
  if (path === undefined) return false;
  const headers = plainHeaders(request.rawHeaders);
  if (headers === undefined) return false;
  const receivedAtMs = parts.nowMs();
  const key = parseHeartbeat(headers.domain, path, parts.domainRule);
  if (key instanceof V4Refusal) return false;
  const finding = parts.senders.find(request.socket, headers);
  if (finding.kind === 'reviewing') return false;

  const answer = takeHeartbeat(parts, key, receivedAtMs, finding);
  const refused = refusalOf(answer);
  if (refused !== undefined) {
    sendRefused(response, refused);
  } else if (isBodyEmpty(headers.userAgent, parts.successBody)) {
    response.writeHead(200, EMPTY_HEAD).end();
  } else {
    // A body that is a string leaves in one write with the head; a buffer would be a second piece, and half as dear again.
    response.writeHead(200, SUCCESS_HEAD).end(SUCCESS);
  }
  parts.observer.answered(resultOf(answer), response.statusCode, parts.nowMs() - receivedAtMs);
  return true;
}

// Names and values in turn, which Node takes as they are.
const SUCCESS_HEAD = ['content-type', TEXT_TYPE, 'content-length', String(SUCCESS.length)];
const EMPTY_HEAD = ['content-type', TEXT_TYPE, 'content-length', '0'];

/** What a heartbeat says in its headers. */
interface PlainHeaders extends SenderHeaders {
  readonly domain: string | undefined;
  readonly userAgent: string | undefined;
}

/**
 * The headers that count, read from the list as it came: Node's own table of all of them costs as much as the rest of
 * a heartbeat. undefined for a request with a body, without `Host`, or with two domains.
 */
function plainHeaders(rawHeaders: readonly string[]): PlainHeaders | undefined {
  let domain: string | undefined;
  let userAgent: string | undefined;
  let authorization: string | undefined;
  let forwardedFor: string | undefined;
  let hasHost = false;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const value = rawHeaders[index + 1];
    switch ((rawHeaders[index] ?? '').toLowerCase()) {
      case 'host':
        hasHost = true;
        break;
      case 'x-domain-name':
        if (domain !== undefined) return undefined;
        domain = value;
        break;
      case 'user-agent':
        userAgent ??= value;
        break;
      case 'authorization':
        authorization ??= value;
        break;
      case 'x-forwarded-for':
        forwardedFor = forwardedFor === undefined ? value : `${forwardedFor}, ${value}`;
        break;
      case 'content-length':
        if (value !== '0') return undefined;
        break;
      case 'transfer-encoding':
        return undefined;
      default:
    }
  }
  return hasHost ? { domain, userAgent, authorization, forwardedFor } : undefined;
}

/** The parts of a heartbeat's path if it is one, and none of them is escaped or empty. */
export function plainHeartbeatPath(url: string): PathParts | undefined {
  if (!url.startsWith(BEFORE_PROJECT) || !url.endsWith(AFTER_INSTANCE) || NEEDS_ROUTER.test(url)) return undefined;
  const projectEnd = url.indexOf('/', BEFORE_PROJECT.length);
  if (!url.startsWith(BEFORE_SERVICE, projectEnd)) return undefined;
  const serviceStart = projectEnd + BEFORE_SERVICE.length;
  const serviceEnd = url.indexOf('/', serviceStart);
  if (!url.startsWith(BEFORE_INSTANCE, serviceEnd)) return undefined;
  const instanceStart = serviceEnd + BEFORE_INSTANCE.length;
  const instanceEnd = url.indexOf('/', instanceStart);
  if (instanceEnd !== url.length - AFTER_INSTANCE.length) return undefined;
  return {
    projectId: url.slice(BEFORE_PROJECT.length, projectEnd),
    serviceId: url.slice(serviceStart, serviceEnd),
    instanceId: url.slice(instanceStart, instanceEnd),
  };
}

export function sendRefused(response: ServerResponse, refused: V4Refusal): void {
  const { body } = refused;
  response.writeHead(refused.row.status, {
    ...refused.headers,
    'content-type': JSON_TYPE,
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
