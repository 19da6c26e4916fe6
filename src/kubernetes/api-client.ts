import type { Clock } from '../clock.ts';
import { type ApiFailure, classifyAnswer, classifyThrown } from './api-error.ts';
import { CallTimeout } from './call-timeout.ts';
import type { ConnectionFacts } from './connection-facts.ts';
import type { Credentials } from './credentials.ts';
import { type Answer, DEFAULT_WRITE_CONNECTIONS, type Lane, ServerConnections } from './server-connections.ts';

export type ApiMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export type ApiQuery = Readonly<Record<string, string>>;

export interface ApiRequest {
  readonly method: ApiMethod;
  /** The path below the server's URL, already escaped. */
  readonly path: string;
  readonly query?: ApiQuery;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Of the body; a patch names its kind here. */
  readonly contentType?: string;
  /** What is being done, as in "creating default/a": the start of the message of a failure. */
  readonly action?: string;
  /** Which connections carry the call; `write` unless told. */
  readonly lane?: Lane;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export type ApiResult = { readonly kind: 'ok'; readonly status: number; readonly body: unknown } | ApiFailure;

/** An open watch. Its bytes come until the server ends it; the iteration throws when the connection breaks. */
export type WatchResult = { readonly kind: 'ok'; readonly bytes: AsyncIterable<Uint8Array> } | ApiFailure;

export interface ApiCall {
  readonly method: ApiMethod;
  /** The HTTP status, or `<error>` if there was no answer: the words of client-go's metric. */
  readonly code: string;
  readonly host: string;
  /** Until the head of the answer. */
  readonly durationSeconds: number;
}

export interface ApiCallObserver {
  called(call: ApiCall): void;
}

export interface ApiClientOptions {
  readonly credentials: Credentials;
  readonly clock: Clock;
  /** Of the operator, for the User-Agent. */
  readonly version: string;
  readonly observer?: ApiCallObserver;
  /** How many writes may be under way at the same time; more wait for a connection. */
  readonly writeConnections?: number;
  /** How long a call may take, from the request to the last byte of the answer. A watch has no such limit. */
  readonly timeoutMs?: number;
}

/** The API server carries out a write within milliseconds or is in trouble; a longer wait only keeps a worker busy. */
const CALL_TIMEOUT_MS = 15_000;

/** Calls to the API server, JSON in and out, over a few connections that stay open. */
export class ApiClient {
  readonly #options: ApiClientOptions;
  #facts: ConnectionFacts | undefined;
  #connections: ServerConnections | undefined;
  /** Connections on former TLS material whose last calls, mostly watches, have not ended. */
  readonly #draining = new Set<ServerConnections>();
  #closed = false;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /** One call. What the server says or the network does is a value. */
  async request(request: ApiRequest): Promise<ApiResult> {
    const action = request.action ?? `${request.method} ${request.path}`;
    const { clock, timeoutMs = CALL_TIMEOUT_MS } = this.#options;
    const timeout = new CallTimeout(clock, request.timeoutMs ?? timeoutMs, request.signal);
    try {
      const answer = await this.#send(request, timeout.signal);
      const body = parseBody(await answer.body.text());
      if (answer.statusCode < 300) return { kind: 'ok', status: answer.statusCode, body };
      return classifyAnswer(action, answer.statusCode, body, answer.headers['retry-after']);
    } catch (error) {
      return classifyThrown(action, error);
    } finally {
      timeout.clear();
    }
  }

  /** Opens a watch. `signal` ends it, also while its bytes are read. */
  async watch(path: string, query: ApiQuery, signal: AbortSignal): Promise<WatchResult> {
    const action = `watching ${path}`;
    try {
      const answer = await this.#send({ method: 'GET', path, query, lane: 'watch' }, signal);
      if (answer.statusCode === 200) return { kind: 'ok', bytes: answer.body };
      const body = parseBody(await answer.body.text());
      return classifyAnswer(action, answer.statusCode, body, answer.headers['retry-after']);
    } catch (error) {
      return classifyThrown(action, error);
    }
  }

  /** Cuts every connection. Calls under way and later ones come to `unreachable`. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = this.#connections === undefined ? [] : [this.#connections];
    await Promise.all([...all, ...this.#draining].map((connections) => connections.cut()));
  }

  async #send(request: ApiRequest, signal: AbortSignal): Promise<Answer> {
    const { credentials } = this.#options;
    const facts = await credentials.current();
    const answer = await this.#sendAs(facts, request, signal);
    if (answer.statusCode !== 401) return answer;
    // The token may have been replaced since it was read. What is refused for its token was not carried out,
    // so that it may be sent once more.
    const renewed = await credentials.renew();
    if (JSON.stringify(renewed) === JSON.stringify(facts)) return answer;
    await answer.body.dump();
    return this.#sendAs(renewed, request, signal);
  }

  async #sendAs(facts: ConnectionFacts, request: ApiRequest, signal: AbortSignal): Promise<Answer> {
    const { clock, version, observer } = this.#options;
    const { method, body, lane = 'write' } = request;
    const connections = this.#connectionsFor(facts);
    const headers: Record<string, string> = {
      ...facts.headers,
      accept: 'application/json',
      'user-agent': `heartbeat-operator/${version}`,
    };
    if (body !== undefined) headers['content-type'] = request.contentType ?? 'application/json';

    const startedAtMs = clock.nowMs();
    let code = '<error>';
    try {
      signal.throwIfAborted();
      const answer = await connections.send(lane, request.path + queryString(request.query), {
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        signal,
        // A watch may be quiet for as long as its reader allows.
        ...(lane === 'watch' && { bodyTimeout: 0 }),
      });
      code = String(answer.statusCode);
      return answer;
    } finally {
      const durationSeconds = (clock.nowMs() - startedAtMs) / 1_000;
      observer?.called({ method, code, host: connections.host, durationSeconds });
    }
  }

  #connectionsFor(facts: ConnectionFacts): ServerConnections {
    if (this.#closed) throw new Error('the client is closed');
    if (this.#connections !== undefined && this.#facts !== undefined) {
      if (facts === this.#facts || needsSameConnections(facts, this.#facts)) {
        this.#facts = facts;
        return this.#connections;
      }
      this.#drain(this.#connections);
    }
    this.#facts = facts;
    this.#connections = new ServerConnections(facts, this.#options.writeConnections ?? DEFAULT_WRITE_CONNECTIONS);
    return this.#connections;
  }

  #drain(connections: ServerConnections): void {
    this.#draining.add(connections);
    const forget = (): boolean => this.#draining.delete(connections);
    connections.drain().then(forget, forget);
  }
}

function needsSameConnections(a: ConnectionFacts, b: ConnectionFacts): boolean {
  return (
    a.server === b.server &&
    a.proxyUrl === b.proxyUrl &&
    a.tls.ca === b.tls.ca &&
    a.tls.cert === b.tls.cert &&
    a.tls.key === b.tls.key &&
    a.tls.servername === b.tls.servername &&
    a.tls.rejectUnauthorized === b.tls.rejectUnauthorized
  );
}

function queryString(query: ApiQuery | undefined): string {
  return query === undefined ? '' : `?${new URLSearchParams(query).toString()}`;
}

/** The JSON value of a body; a text that is not JSON as it is, which happens when a proxy answers. */
function parseBody(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
