import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { HeartbeatAnswer } from '../liveness/heartbeat-answer.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { HeartbeatRouteParts } from './heartbeat-route.ts';
import { refusalOf, resultOf, takeHeartbeat, takeWithoutReview, UNKNOWN_INSTANCE } from './heartbeat-route.ts';
import { parseDomain, parseInstanceKey } from './identity-parser.ts';
import { type ReviewingFinding, type SenderFinding, senderHeaders, type SettledFinding } from './senders.ts';
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

interface BatchHeartbeat {
  readonly element: BatchElement;
  readonly key: InstanceKey | V4Refusal;
  /** What became of it before the token of the request was reviewed. */
  early: HeartbeatAnswer | undefined;
}

/**
 * `PUT …/heartbeats`: many heartbeats in one request.
 *
 * Always 200 when the body can be read; an element that failed carries `errMessage`. A pair that comes twice is
 * answered once. The answer is in the order of the request. All have the one sender of the request; if that may not
 * send, the body is not read.
 */
export function registerBatchRoute(app: FastifyInstance, parts: HeartbeatRouteParts, turn: () => Promise<void>): void {
  const { domainRule, senders, observer, nowMs } = parts;

  app.put<{ Params: { projectId: string } }>(
    BATCH_PATH,
    {
      bodyLimit: BATCH_BODY_BYTES_MAX,
      onRequest(request, reply, done) {
        const finding = findSender(request);
        if (finding.kind === 'refused') void sendRefusal(reply, finding.refusal);
        else done();
      },
    },
    async (request, reply) => {
      const atMs = request.receivedAtMs;
      const finding = await reviewedIfRequired(findSender(request));
      if (finding.kind === 'refused') return sendRefusal(reply, finding.refusal);
      const domain = parseDomain(request.headers['x-domain-name'], domainRule);
      if (domain instanceof V4Refusal) return sendRefusal(reply, domain);
      const items = parseBatch(request.body);
      if (items instanceof V4Refusal) return sendRefusal(reply, items);
      const heartbeats = new Map<string, BatchHeartbeat>();
      for (const [index, item] of items.entries()) {
        if (index % PER_TURN === PER_TURN - 1) await turn();
        const element = parseElement(item);
        // Nothing is heard of a batch that is not whole.
        if (element === undefined) return sendRefusal(reply, UNMARSHAL_ERROR);
        const key = parseInstanceKey(domain, { projectId: request.params.projectId, ...element });
        heartbeats.set(`${element.serviceId}\n${element.instanceId}`, { element, key, early: undefined });
      }
      const answers = await takeAll([...heartbeats.values()], finding, atMs);
      return reply.header('content-type', JSON_TYPE).send(`{"instances":[${answers.join(',')}]}`);
    },
  );

  function findSender(request: FastifyRequest): SenderFinding {
    return senders.find(request.raw.socket, senderHeaders(request.headers));
  }

  /** The answers, in the order of the heartbeats. */
  async function takeAll(
    heartbeats: readonly BatchHeartbeat[],
    finding: SenderFinding,
    atMs: number,
  ): Promise<readonly string[]> {
    const settled = finding.kind === 'reviewing' ? await settle(heartbeats, finding, atMs) : finding;
    const answers: string[] = [];
    for (const { element, key, early } of heartbeats) {
      if (answers.length % PER_TURN === PER_TURN - 1) await turn();
      const answer = key instanceof V4Refusal ? asUnknown(key) : (early ?? takeHeartbeat(parts, key, atMs, settled));
      answers.push(answerElement(element, answer, atMs));
    }
    return answers;
  }

  /** Takes the heartbeats that need not wait for the review, and waits for it only if there are others. */
  async function settle(
    heartbeats: readonly BatchHeartbeat[],
    finding: ReviewingFinding,
    atMs: number,
  ): Promise<SettledFinding> {
    let isWaiting = false;
    for (const [index, heartbeat] of heartbeats.entries()) {
      if (index % PER_TURN === PER_TURN - 1) await turn();
      if (heartbeat.key instanceof V4Refusal) continue;
      heartbeat.early = takeWithoutReview(parts, heartbeat.key, atMs, finding);
      isWaiting ||= heartbeat.early === undefined;
    }
    // Whatever it is, nobody is left for whom it counts.
    return isWaiting ? finding.settled() : { kind: 'unproved' };
  }

  function answerElement(element: BatchElement, answer: HeartbeatAnswer | V4Refusal, atMs: number): string {
    const refused = refusalOf(answer);
    observer.answered(resultOf(answer), 200, nowMs() - atMs);
    return JSON.stringify({
      ...(element.serviceId === '' ? {} : { serviceId: element.serviceId }),
      ...(element.instanceId === '' ? {} : { instanceId: element.instanceId }),
      ...(refused === undefined ? {} : { errMessage: `${refused.row.message}(${refused.detail})` }),
    });
  }
}

/** Where the review decides whether anything is heard, it comes before all else. */
async function reviewedIfRequired(finding: SenderFinding): Promise<SenderFinding> {
  return finding.kind === 'reviewing' && finding.isRequired ? finding.settled() : finding;
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
