import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';

/** A named fact about the process; `undefined` is well, a text says what is wrong. */
export interface HealthCheck {
  readonly name: string;
  problem(): string | undefined;
}

/** What the operator believes of its instances, in plain JSON. */
export interface InstanceViews {
  list(offset: number, limit: number): readonly object[];
  get(namespace: string, name: string): object | undefined;
}

export interface ManagementServerParts {
  readonly liveness: readonly HealthCheck[];
  readonly readiness: readonly HealthCheck[];
  readonly metrics: { readonly contentType: string; metrics(): Promise<string> };
  readonly instances: InstanceViews;
}

/** A page of instances is built in one turn of the event loop: some two milliseconds of work. */
const PAGE_DEFAULT = 250;
const PAGE_MAX = 500;

/** The application behind the management port. It does not listen yet. */
export function buildManagementServer(parts: ManagementServerParts): FastifyInstance {
  const app = Fastify({
    logger: false,
    http: { headersTimeout: 5_000, requestTimeout: 10_000 },
    requestTimeout: 10_000,
  });

  app.get('/livez', (request, reply) => sendChecks(request, reply, 'livez', parts.liveness));
  app.get('/readyz', (request, reply) => sendChecks(request, reply, 'readyz', parts.readiness));

  app.get('/metrics', async (_request, reply) =>
    reply.header('content-type', parts.metrics.contentType).send(await parts.metrics.metrics()),
  );

  app.get<{ Querystring: { limit?: string; continue?: string } }>('/instances', (request, reply) => {
    const limit = count(request.query.limit ?? String(PAGE_DEFAULT));
    const offset = count(request.query.continue ?? '0');
    if (limit === undefined || limit < 1 || limit > PAGE_MAX || offset === undefined) {
      return reply.code(400).send({ error: `limit must be 1 to ${PAGE_MAX}, continue what an earlier page gave` });
    }
    const items = parts.instances.list(offset, limit);
    return reply.send({ items, ...(items.length < limit ? {} : { continue: String(offset + limit) }) });
  });

  app.get<{ Params: { namespace: string; name: string } }>('/instances/:namespace/:name', (request, reply) => {
    const { namespace, name } = request.params;
    const view = parts.instances.get(namespace, name);
    return view === undefined ? reply.code(404).send({ error: 'no such instance' }) : reply.send(view);
  });

  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ error: 'served here: /livez /readyz /metrics /instances /instances/{namespace}/{name}' }),
  );
  return app;
}

function count(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Answers as kube-apiserver does: `ok`, or with `?verbose` or a failure a line for each check. */
function sendChecks(
  request: FastifyRequest,
  reply: FastifyReply,
  endpoint: string,
  checks: readonly HealthCheck[],
): FastifyReply {
  const results = checks.map((check) => ({ name: check.name, problem: check.problem() }));
  const isWell = results.every((result) => result.problem === undefined);
  const isVerbose = Object.hasOwn(request.query as object, 'verbose');
  const lines = results.map(({ name, problem }) =>
    problem === undefined ? `[+]${name} ok` : `[-]${name} failed: ${problem}`,
  );
  const text =
    isWell && !isVerbose ? 'ok' : [...lines, `${endpoint} check ${isWell ? 'passed' : 'failed'}`, ''].join('\n');
  return reply
    .code(isWell ? 200 : 503)
    .header('content-type', 'text/plain; charset=utf-8')
    .header('cache-control', 'no-cache, private')
    .send(text);
}
