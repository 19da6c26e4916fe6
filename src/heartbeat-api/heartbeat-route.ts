import type { FastifyInstance, FastifyReply } from 'fastify';
import type { HeartbeatAnswer } from '../liveness/heartbeat-answer.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import { parseDomain, parseInstanceKey, type DomainRule, type PathParts } from './identity-parser.ts';
import { receivedAtMs } from './received-at.ts';
import { V4Error } from './v4-error.ts';

export const HEARTBEAT_PATH =
  '/v4/:projectId/registry/microservices/:serviceId/instances/:instanceId/heartbeat' as const;

/** Takes one heartbeat, at once. */
export type AcceptHeartbeat = (key: InstanceKey, receivedAtMs: number) => HeartbeatAnswer;

/** When the body of a success is empty instead of `Success`. */
export type SuccessBody = 'auto' | 'documented' | 'empty';

export interface HeartbeatRouteParts {
  readonly accept: AcceptHeartbeat;
  readonly domainRule: DomainRule;
  readonly successBody: SuccessBody;
  readonly observer: HeartbeatObserver;
  readonly nowMs: () => number;
}

/** Hears of every answered heartbeat; for metrics. */
export interface HeartbeatObserver {
  /** @param result `renewed`, `appeared`, …, or the name of the refusal. */
  answered(result: string, status: number, durationMs: number): void;
}

/** Heartbeats carry no information in their body; more than this is no heartbeat. */
const HEARTBEAT_BODY_BYTES_MAX = 16 * 1024;

const SUCCESS = 'Success';

/** The Go client's user agent: it never reads a body of a 200, and each one it is sent costs it a connection. */
const LEAKING_CLIENT = 'go-client';

/** `PUT …/heartbeat`: parse, accept, answer, all in one turn of the event loop. */
export function registerHeartbeatRoute(app: FastifyInstance, parts: HeartbeatRouteParts): void {
  const { accept, domainRule, successBody, observer, nowMs } = parts;

  app.put<{ Params: PathParts }>(HEARTBEAT_PATH, { bodyLimit: HEARTBEAT_BODY_BYTES_MAX }, (request, reply) => {
    const atMs = receivedAtMs(request);
    const domain = parseDomain(request.headers['x-domain-name'], domainRule);
    const answer = accept(parseInstanceKey(domain, request.params), atMs);
    if (answer.kind !== 'accepted') throw refusal(answer);
    sendSuccess(reply, isBodyEmpty(request.headers['user-agent'], successBody) ? '' : SUCCESS);
    observer.answered(answer.change, 200, nowMs() - atMs);
    return reply;
  });
}

/** Whether a success says nothing to this client. */
export function isBodyEmpty(userAgent: string | undefined, successBody: SuccessBody): boolean {
  switch (successBody) {
    case 'documented':
      return false;
    case 'empty':
      return true;
    case 'auto':
      return userAgent?.startsWith(LEAKING_CLIENT) ?? false;
  }
}

function sendSuccess(reply: FastifyReply, body: string): void {
  void reply.header('content-type', 'text/plain; charset=UTF-8').header('content-length', body.length).send(body);
}

/** The refusal that an answer other than `accepted` means. */
export function refusal(answer: Exclude<HeartbeatAnswer, { kind: 'accepted' }>): V4Error {
  switch (answer.kind) {
    case 'unknownInstance':
      return new V4Error('unknownInstance', 'leaseId not exist, instance not exist');
    case 'tooManyNew':
      return new V4Error('tooManyNew', `try again in ${answer.retryAfterSeconds} s`, {
        'retry-after': String(answer.retryAfterSeconds),
      });
  }
}
