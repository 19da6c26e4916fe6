import type { FastifyInstance } from 'fastify';
import type { HeartbeatAnswer } from '../liveness/heartbeat-answer.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import { type DomainRule, parseHeartbeat, type PathParts } from './identity-parser.ts';
import { sendRefusal, V4Refusal } from './v4-refusal.ts';

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

export const SUCCESS = 'Success';
export const TEXT_TYPE = 'text/plain; charset=UTF-8';

/** The Go client's user agent: it never reads a body of a 200, and each one it is sent costs it a connection. */
const LEAKING_CLIENT = 'go-client';

/** `PUT …/heartbeat`: parse, accept, answer, all in one turn of the event loop. */
export function registerHeartbeatRoute(app: FastifyInstance, parts: HeartbeatRouteParts): void {
  const { accept, domainRule, successBody, observer, nowMs } = parts;

  app.put<{ Params: PathParts }>(HEARTBEAT_PATH, { bodyLimit: HEARTBEAT_BODY_BYTES_MAX }, (request, reply) => {
    const atMs = request.receivedAtMs;
    const key = parseHeartbeat(request.headers['x-domain-name'], request.params, domainRule);
    const answer = key instanceof V4Refusal ? key : accept(key, atMs);
    const refused = refusalOf(answer);
    if (refused === undefined) {
      void reply.header('content-type', TEXT_TYPE);
      void reply.send(isBodyEmpty(request.headers['user-agent'], successBody) ? '' : SUCCESS);
    } else {
      void sendRefusal(reply, refused);
    }
    observer.answered(resultOf(answer), refused?.row.status ?? 200, nowMs() - atMs);
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

/** The refusal that an answer comes to; undefined when it is accepted. */
export function refusalOf(answer: HeartbeatAnswer | V4Refusal): V4Refusal | undefined {
  if (answer instanceof V4Refusal) return answer;
  switch (answer.kind) {
    case 'accepted':
      return undefined;
    case 'unknownInstance':
      return UNKNOWN_INSTANCE;
    case 'tooManyNew':
      return new V4Refusal('tooManyNew', `try again in ${answer.retryAfterSeconds} s`, {
        'retry-after': String(answer.retryAfterSeconds),
      });
  }
}

export const UNKNOWN_INSTANCE = new V4Refusal('unknownInstance', 'leaseId not exist, instance not exist');

/** The word under which an answer is counted. */
export function resultOf(answer: HeartbeatAnswer | V4Refusal): string {
  if (answer instanceof V4Refusal) return answer.resultName;
  return answer.kind === 'accepted' ? answer.change : answer.kind;
}
