import type { FastifyInstance } from 'fastify';
import type { ReportAnswer } from '../liveness/report-answer.ts';
import {
  FOREIGN_SENDER,
  HEARTBEAT_BODY_BYTES_MAX,
  type HeartbeatRouteParts,
  STATUS_VALUES,
  type StatusValue,
  TEXT_TYPE,
  UNKNOWN_INSTANCE,
} from './heartbeat-route.ts';
import { parseHeartbeat, type PathParts } from './identity-parser.ts';
import { senderHeaders } from './senders.ts';
import { sendRefusal, V4Refusal } from './v4-refusal.ts';

export const STATUS_PATH = '/v4/:projectId/registry/microservices/:serviceId/instances/:instanceId/status' as const;

interface StatusRequest {
  readonly Params: PathParts;
  readonly Querystring: { readonly value?: string | string[] };
}

/**
 * `PUT …/status?value=`: an application says how it is. Answered when that is stored.
 *
 * A report of which nobody can tell who sent it is not taken where a token is required, unlike a heartbeat: it can take
 * traffic away, and the application can say it again.
 */
export function registerStatusRoute(app: FastifyInstance, parts: HeartbeatRouteParts): void {
  const { domainRule, report, senders } = parts;

  app.put<StatusRequest>(STATUS_PATH, { bodyLimit: HEARTBEAT_BODY_BYTES_MAX }, async (request, reply) => {
    const found = senders.find(request.raw.socket, senderHeaders(request.headers));
    if (found.kind === 'refused') return sendRefusal(reply, found.refusal);
    const key = parseHeartbeat(request.headers['x-domain-name'], request.params, domainRule);
    if (key instanceof V4Refusal) return sendRefusal(reply, key);
    const value = parseValue(request.query.value);
    if (value instanceof V4Refusal) return sendRefusal(reply, value);

    const finding = found.kind === 'reviewing' ? await found.settled() : found;
    if (finding.kind === 'refused') return sendRefusal(reply, finding.refusal);
    if (finding.kind === 'unproved') return sendRefusal(reply, UNPROVED);
    const refused = refusalOf(await report(key, value, request.receivedAtMs, finding.sender));
    if (refused !== undefined) return sendRefusal(reply, refused);
    return reply.header('content-type', TEXT_TYPE).send('');
  });
}

const UNPROVED = new V4Refusal('unavailable', 'the token cannot be reviewed now');

/** One of the five, spelled as they are; of several, the first counts, as with service-center. */
function parseValue(query: string | string[] | undefined): StatusValue | V4Refusal {
  const text = Array.isArray(query) ? query[0] : query;
  return STATUS_VALUES.find((value) => value === text) ?? NO_VALUE;
}

const NO_VALUE = new V4Refusal('invalidParameters', `value: must be one of ${STATUS_VALUES.join(', ')}`);

function refusalOf(answer: ReportAnswer): V4Refusal | undefined {
  switch (answer.kind) {
    case 'stored':
      return undefined;
    case 'unknownInstance':
      return UNKNOWN_INSTANCE;
    case 'foreignSender':
      return FOREIGN_SENDER;
    case 'notStored':
      return new V4Refusal('unavailable', answer.detail);
  }
}
