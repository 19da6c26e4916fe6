import type { FastifyInstance } from 'fastify';
import { type HeartbeatRouteParts, refusalOf, resultOf, UNKNOWN_INSTANCE } from './heartbeat-route.ts';
import { parseDomain, parseInstanceKey } from './identity-parser.ts';
import { JSON_TYPE, sendRefusal, V4Refusal } from './v4-refusal.ts';

export const BATCH_PATH = '/v4/:projectId/registry/heartbeats' as const;

export const BATCH_BODY_BYTES_MAX = 2 * 1024 * 1024;

/** Heartbeats taken in one turn of the event loop; others are answered in between. */
const PER_TURN = 500;

/** Reading a text cannot be done a part at a time: more heartbeats at once would hold the event loop for too long. */
const ELEMENTS_MAX = 10_000;

// What begins or separates a value in JSON, and how many of these an element takes at the most, with some to spare.
const BRACE = '{'.charCodeAt(0);
const BRACKET = '['.charCodeAt(0);
const COMMA = ','.charCodeAt(0);
const TOKENS_PER_ELEMENT = 5;

/** One heartbeat of a batch, as service-center names its parts. */
interface BatchElement {
  readonly serviceId: string;
  readonly instanceId: string;
}

/**
 * `PUT …/heartbeats`: many heartbeats in one request.
 *
 * Always 200 when the body can be read; an element that failed carries `errMessage`. A pair that comes twice is
 * answered once. The answer is in the order of the request.
 */
export function registerBatchRoute(app: FastifyInstance, parts: HeartbeatRouteParts, turn: () => Promise<void>): void {
  const { accept, domainRule, observer, nowMs } = parts;

  app.put<{ Params: { projectId: string } }>(
    BATCH_PATH,
    { bodyLimit: BATCH_BODY_BYTES_MAX },
    async (request, reply) => {
      const atMs = request.receivedAtMs;
      const domain = parseDomain(request.headers['x-domain-name'], domainRule);
      if (domain instanceof V4Refusal) return sendRefusal(reply, domain);
      const items = parseBatch(request.body);
      if (items instanceof V4Refusal) return sendRefusal(reply, items);
      const elements = new Map<string, BatchElement>();
      for (const [index, item] of items.entries()) {
        if (index % PER_TURN === PER_TURN - 1) await turn();
        const element = parseElement(item);
        // Nothing is heard of a batch that is not whole.
        if (element === undefined) return sendRefusal(reply, UNMARSHAL_ERROR);
        elements.set(`${element.serviceId}\n${element.instanceId}`, element);
      }
      const answers: string[] = [];
      for (const element of elements.values()) {
        if (answers.length % PER_TURN === PER_TURN - 1) await turn();
        answers.push(answerElement(domain, request.params.projectId, element, atMs));
      }
      return reply.header('content-type', JSON_TYPE).send(`{"instances":[${answers.join(',')}]}`);
    },
  );

  function answerElement(domain: string, projectId: string, element: BatchElement, atMs: number): string {
    const key = parseInstanceKey(domain, { projectId, ...element });
    const answer = key instanceof V4Refusal ? asUnknown(key) : accept(key, atMs);
    const refused = refusalOf(answer);
    observer.answered(resultOf(answer), 200, nowMs() - atMs);
    return JSON.stringify({
      ...(element.serviceId === '' ? {} : { serviceId: element.serviceId }),
      ...(element.instanceId === '' ? {} : { instanceId: element.instanceId }),
      ...(refused === undefined ? {} : { errMessage: `${refused.row.message}(${refused.detail})` }),
    });
  }
}

/** service-center does not look at the ids of a batch: one that is not legal is one that does not exist. */
function asUnknown(refused: V4Refusal): V4Refusal {
  return refused.detail.startsWith('project_id') ? refused : UNKNOWN_INSTANCE;
}

// service-center's two details.
const UNMARSHAL_ERROR = new V4Refusal('invalidParameters', 'Unmarshal error');
const FORMAT_INVALID = new V4Refusal('invalidParameters', 'Request format invalid.');

const TOO_MANY = new V4Refusal('invalidParameters', `instances: at most ${ELEMENTS_MAX} in one request`);

function parseBatch(body: unknown): readonly unknown[] | V4Refusal {
  if (!Buffer.isBuffer(body)) return UNMARSHAL_ERROR;
  if (tokenCount(body) > ELEMENTS_MAX * TOKENS_PER_ELEMENT) return TOO_MANY;
  const document = parseJson(body);
  if (!isRecord(document)) return UNMARSHAL_ERROR;
  const list = field(document, 'instances');
  if (list === undefined || list === null) return FORMAT_INVALID;
  if (!Array.isArray(list)) return UNMARSHAL_ERROR;
  if (list.length > ELEMENTS_MAX) return TOO_MANY;
  return list.length === 0 ? FORMAT_INVALID : (list as readonly unknown[]);
}

/** How many values the text can hold at the most. Counted before it is parsed, which cannot be done a part at a time. */
function tokenCount(body: Buffer): number {
  let count = 0;
  for (const byte of body) if (byte === BRACE || byte === BRACKET || byte === COMMA) count += 1;
  return count;
}

/** undefined for what is no heartbeat at all. */
function parseElement(item: unknown): BatchElement | undefined {
  if (!isRecord(item)) return undefined;
  const serviceId = field(item, 'serviceId') ?? '';
  const instanceId = field(item, 'instanceId') ?? '';
  return typeof serviceId === 'string' && typeof instanceId === 'string' ? { serviceId, instanceId } : undefined;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The field of that name, in whatever case: service-center's own documents spell `Instances`. */
function field(record: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(record, name)) return record[name];
  const found = Object.keys(record).find((key) => key.toLowerCase() === name.toLowerCase());
  return found === undefined ? undefined : record[found];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
