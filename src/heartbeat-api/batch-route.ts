import type { FastifyInstance } from 'fastify';
import type { InstanceKey } from '../liveness/instance-key.ts';
import { refusal, type HeartbeatRouteParts } from './heartbeat-route.ts';
import { parseDomain, parseInstanceKey } from './identity-parser.ts';
import { JSON_TYPE, V4Error } from './v4-error.ts';

export const BATCH_PATH = '/v4/:projectId/registry/heartbeats' as const;

export const BATCH_BODY_BYTES_MAX = 2 * 1024 * 1024;

/** Heartbeats taken in one turn of the event loop; others are answered in between. */
const PER_TURN = 500;

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
      const answers: object[] = [];
      for (const [index, element] of parseBatch(request.body).entries()) {
        if (index % PER_TURN === PER_TURN - 1) await turn();
        answers.push(answerElement(domain, request.params.projectId, element, atMs));
      }
      return reply.header('content-type', JSON_TYPE).send(JSON.stringify({ instances: answers }));
    },
  );

  function answerElement(domain: string, projectId: string, element: BatchElement, atMs: number): object {
    const named = {
      ...(element.serviceId === '' ? {} : { serviceId: element.serviceId }),
      ...(element.instanceId === '' ? {} : { instanceId: element.instanceId }),
    };
    try {
      const answer = accept(elementKey(domain, projectId, element), atMs);
      if (answer.kind !== 'accepted') throw refusal(answer);
      observer.answered(answer.change, 200, nowMs() - atMs);
      return named;
    } catch (error) {
      if (!(error instanceof V4Error)) throw error;
      observer.answered(error.resultName, 200, nowMs() - atMs);
      return { ...named, errMessage: `${error.row.message}(${error.detail})` };
    }
  }
}

/** service-center does not look at the ids of a batch: one that is not legal is one that does not exist. */
function elementKey(domain: string, projectId: string, element: BatchElement): InstanceKey {
  try {
    return parseInstanceKey(domain, { projectId, ...element });
  } catch (error) {
    if (error instanceof V4Error && error.detail.startsWith('project_id')) throw error;
    throw refusal({ kind: 'unknownInstance' });
  }
}

/** @throws V4Error 400001 with service-center's two details: `Unmarshal error` and `Request format invalid.` */
export function parseBatch(body: unknown): readonly BatchElement[] {
  const document = parseJson(body);
  if (!isRecord(document)) throw unmarshalError();
  const list = field(document, 'instances');
  if (list === undefined || list === null) throw new V4Error('invalidParameters', 'Request format invalid.');
  if (!Array.isArray(list)) throw unmarshalError();
  if (list.length === 0) throw new V4Error('invalidParameters', 'Request format invalid.');
  const elements = new Map<string, BatchElement>();
  for (const item of list as unknown[]) {
    if (!isRecord(item)) throw unmarshalError();
    const element = { serviceId: text(item, 'serviceId'), instanceId: text(item, 'instanceId') };
    elements.set(`${element.serviceId}\n${element.instanceId}`, element);
  }
  return [...elements.values()];
}

function parseJson(body: unknown): unknown {
  if (!Buffer.isBuffer(body)) throw unmarshalError();
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    throw unmarshalError();
  }
}

function text(record: Readonly<Record<string, unknown>>, name: string): string {
  const value = field(record, name) ?? '';
  if (typeof value !== 'string') throw unmarshalError();
  return value;
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

function unmarshalError(): V4Error {
  return new V4Error('invalidParameters', 'Unmarshal error');
}
