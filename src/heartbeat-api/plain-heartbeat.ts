import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { type HeartbeatRouteParts, isBodyEmpty, refusalOf, resultOf, SUCCESS, TEXT_TYPE } from './heartbeat-route.ts';
import { parseHeartbeat, type PathParts } from './identity-parser.ts';
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
 * Whatever is not plain, wrong parameters included, is left to the route.
 *
 * @returns whether the request was answered.
 */
export function answerPlainHeartbeat(
  request: IncomingMessage,
  response: ServerResponse,
  parts: HeartbeatRouteParts,
): boolean {
  const path = request.method === 'PUT' ? plainHeartbeatPath(request.url ?? '') : undefined;
  const { headers } = request;
  if (path === undefined || hasBody(headers) || headers.host === undefined) return false;
  const receivedAtMs = parts.nowMs();
  const key = parseHeartbeat(headers['x-domain-name'], path, parts.domainRule);
  if (key instanceof V4Refusal) return false;

  const answer = parts.accept(key, receivedAtMs);
  const refused = refusalOf(answer);
  if (refused === undefined)
    send(response, TEXT_TYPE, isBodyEmpty(headers['user-agent'], parts.successBody) ? '' : SUCCESS);
  else sendRefused(response, refused);
  parts.observer.answered(resultOf(answer), response.statusCode, parts.nowMs() - receivedAtMs);
  return true;
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

function hasBody(headers: IncomingHttpHeaders): boolean {
  const length = headers['content-length'];
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined;
}

export function sendRefused(response: ServerResponse, refused: V4Refusal): void {
  response.statusCode = refused.row.status;
  for (const [name, value] of Object.entries(refused.headers)) response.setHeader(name, value);
  send(response, JSON_TYPE, refused.body);
}

/** A body that is a string leaves in one write with the head; a buffer would be a second piece, which costs half as much again. */
function send(response: ServerResponse, type: string, body: string): void {
  response.setHeader('content-type', type);
  response.setHeader('content-length', Buffer.byteLength(body));
  response.end(body);
}
