import type { IncomingMessage, ServerResponse } from 'node:http';
import { isBodyEmpty, refusal, type HeartbeatRouteParts } from './heartbeat-route.ts';
import { parseDomain, parseInstanceKey, type PathParts } from './identity-parser.ts';
import { JSON_TYPE, V4Error } from './v4-error.ts';

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
  if (path === undefined || hasBody(request) || request.headers.host === undefined) return false;
  const receivedAtMs = parts.nowMs();
  const key = plainKey(request, path, parts);
  if (key === undefined) return false;

  const answer = parts.accept(key, receivedAtMs);
  if (answer.kind === 'accepted') {
    sendSuccess(response, isBodyEmpty(request.headers['user-agent'], parts.successBody) ? '' : 'Success');
    parts.observer.answered(answer.change, 200, parts.nowMs() - receivedAtMs);
  } else {
    const refused = refusal(answer);
    sendRefusal(response, refused);
    parts.observer.answered(refused.resultName, refused.row.status, parts.nowMs() - receivedAtMs);
  }
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

function hasBody({ headers }: IncomingMessage): boolean {
  const length = headers['content-length'];
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined;
}

function plainKey(
  request: IncomingMessage,
  path: PathParts,
  parts: HeartbeatRouteParts,
): ReturnType<typeof parseInstanceKey> | undefined {
  try {
    return parseInstanceKey(parseDomain(request.headers['x-domain-name'], parts.domainRule), path);
  } catch (error) {
    if (error instanceof V4Error) return undefined;
    throw error;
  }
}

/** A body that is a string leaves in one write with the head; a buffer would be a second piece, which costs half as much again. */
function sendSuccess(response: ServerResponse, body: string): void {
  response.setHeader('content-type', 'text/plain; charset=UTF-8');
  response.setHeader('content-length', body.length);
  response.end(body);
}

function sendRefusal(response: ServerResponse, refused: V4Error): void {
  response.statusCode = refused.row.status;
  for (const [name, value] of Object.entries(refused.headers)) response.setHeader(name, value);
  response.setHeader('content-type', JSON_TYPE);
  response.end(refused.body);
}
