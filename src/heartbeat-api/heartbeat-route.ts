import type { FastifyInstance } from 'fastify';
import type { HeartbeatAnswer } from '../liveness/heartbeat-answer.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { ReportAnswer } from '../liveness/report-answer.ts';
import type { Sender } from '../liveness/sender.ts';
import { type DomainRule, parseHeartbeat, type PathParts } from './identity-parser.ts';
import { senderHeaders, type ReviewingFinding, type Senders, type SettledFinding } from './senders.ts';
import { sendRefusal, V4Refusal } from './v4-refusal.ts';

export const HEARTBEAT_PATH =
  '/v4/:projectId/registry/microservices/:serviceId/instances/:instanceId/heartbeat' as const;

/** Takes one heartbeat, at once. */
export type AcceptHeartbeat = (key: InstanceKey, receivedAtMs: number, sender: Sender) => HeartbeatAnswer;

/**
 * Takes one heartbeat of which nobody can tell who sent it, at once, if there is such an instance; else it is
 * `unknownInstance`. While it is not yet known which instances exist, nobody counts as unknown.
 */
export type AcceptKnown = (key: InstanceKey, receivedAtMs: number) => HeartbeatAnswer;

/** Takes what an application says of itself. Resolves when it is stored, or when that has failed. */
export type TakeReport = (
  key: InstanceKey,
  value: StatusValue,
  receivedAtMs: number,
  sender: Sender,
) => Promise<ReportAnswer>;

/** What an application can say of itself. */
export const STATUS_VALUES = ['UP', 'DOWN', 'OUTOFSERVICE', 'STARTING', 'TESTING'] as const;

export type StatusValue = (typeof STATUS_VALUES)[number];

/** When the body of a success is empty instead of `Success`. */
export type SuccessBody = 'auto' | 'documented' | 'empty';

export interface HeartbeatRouteParts {
  readonly accept: AcceptHeartbeat;
  readonly acceptKnown: AcceptKnown;
  readonly report: TakeReport;
  readonly senders: Senders;
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
export const HEARTBEAT_BODY_BYTES_MAX = 16 * 1024;

export const SUCCESS = 'Success';
export const TEXT_TYPE = 'text/plain; charset=UTF-8';

/** The Go client's user agent: it never reads a body of a 200, and each one it is sent costs it a connection. */
const LEAKING_CLIENT = 'go-client';

/** `PUT …/heartbeat`: parse, accept, answer, all in one turn of the event loop unless a token must be reviewed. */
export function registerHeartbeatRoute(app: FastifyInstance, parts: HeartbeatRouteParts): void {
  const { domainRule, senders, successBody, observer, nowMs } = parts;

  app.put<{ Params: PathParts }>(HEARTBEAT_PATH, { bodyLimit: HEARTBEAT_BODY_BYTES_MAX }, async (request, reply) => {
    const atMs = request.receivedAtMs;
    const finding = senders.find(request.raw.socket, senderHeaders(request.headers));
    const key =
      finding.kind === 'refused'
        ? finding.refusal
        : parseHeartbeat(request.headers['x-domain-name'], request.params, domainRule);
    let answer: HeartbeatAnswer | V4Refusal;
    if (key instanceof V4Refusal) answer = key;
    else if (finding.kind !== 'reviewing') answer = takeHeartbeat(parts, key, atMs, finding);
    else {
      const early = takeWithoutReview(parts, key, atMs, finding);
      if (early !== undefined) tellSenderLater(parts, key, atMs, finding);
      answer = early ?? takeHeartbeat(parts, key, atMs, await finding.settled());
    }
    const refused = refusalOf(answer);
    observer.answered(resultOf(answer), refused?.row.status ?? 200, nowMs() - atMs);
    if (refused !== undefined) return sendRefusal(reply, refused);
    const body = isBodyEmpty(request.headers['user-agent'], successBody) ? '' : SUCCESS;
    return reply.header('content-type', TEXT_TYPE).send(body);
  });
}

/** Takes a heartbeat of which it is known whether and from whom it may be taken. */
export function takeHeartbeat(
  parts: HeartbeatRouteParts,
  key: InstanceKey,
  atMs: number,
  finding: SettledFinding,
): HeartbeatAnswer | V4Refusal {
  switch (finding.kind) {
    case 'found':
      return parts.accept(key, atMs, finding.sender);
    case 'unproved': {
      // That the token cannot be reviewed is not the fault of an instance that is known, and is no proof for a new one.
      const answer = parts.acceptKnown(key, atMs);
      return answer.kind === 'unknownInstance' ? UNPROVED : answer;
    }
    case 'refused':
      return finding.refusal;
  }
}

/**
 * Takes a heartbeat while its token is still being reviewed, or answers undefined if that must be waited for.
 *
 * Where a token is required, the review decides whether a heartbeat is one. Elsewhere it only tells who sent it, and
 * that is needed for the first heartbeat of an instance, by which its Pod is found: the address alone may be that of
 * something in between. A known instance is heard at once, so that no deadline passes while somebody waits, and without
 * a word on its sender, since an address that holds until the token is reviewed would look like somebody else's.
 */
export function takeWithoutReview(
  parts: HeartbeatRouteParts,
  key: InstanceKey,
  atMs: number,
  finding: ReviewingFinding,
): HeartbeatAnswer | undefined {
  if (finding.isRequired) return undefined;
  const answer = parts.acceptKnown(key, atMs);
  return answer.kind === 'unknownInstance' ? undefined : answer;
}

/** A heartbeat that was taken before its token was reviewed: when it is, its sender is told, by the same stamp. */
function tellSenderLater(parts: HeartbeatRouteParts, key: InstanceKey, atMs: number, finding: ReviewingFinding): void {
  const tell = async (): Promise<void> => {
    const settled = await finding.settled();
    if (settled.kind === 'found') parts.accept(key, atMs, settled.sender);
  };
  void tell();
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
    case 'foreignSender':
      return FOREIGN_SENDER;
    case 'tooManyNew':
      return new V4Refusal('tooManyNew', `try again in ${answer.retryAfterSeconds} s`, {
        'retry-after': String(answer.retryAfterSeconds),
      });
  }
}

export const UNKNOWN_INSTANCE = new V4Refusal('unknownInstance', 'leaseId not exist, instance not exist');

export const FOREIGN_SENDER = new V4Refusal('foreignSender', 'the sender is not the Pod that the instance is bound to');

/** New ones come again soon; a review is possible again within a second of the API server's answering. */
const UNPROVED_RETRY_SECONDS = 5;

const UNPROVED = new V4Refusal('unproved', `the token cannot be reviewed; try again in ${UNPROVED_RETRY_SECONDS} s`, {
  'retry-after': String(UNPROVED_RETRY_SECONDS),
});

/** The word under which an answer is counted. */
export function resultOf(answer: HeartbeatAnswer | V4Refusal): string {
  if (answer instanceof V4Refusal) return answer.resultName;
  return answer.kind === 'accepted' ? answer.change : answer.kind;
}
