import { type Dispatcher, Pool, ProxyAgent } from 'undici';
import type { ConnectionFacts } from './connection-facts.ts';

/**
 * Calls that must not wait for each other have connections of their own: watches hold theirs for minutes, anybody can
 * cause reviews of tokens, and a burst of writes must not delay the renewal of the Lease.
 */
export type Lane = 'watch' | 'write' | 'review' | 'lease';

export type Answer = Dispatcher.ResponseData;

export type SendOptions = Pick<Dispatcher.RequestOptions, 'method' | 'headers' | 'body' | 'signal' | 'bodyTimeout'>;

export const DEFAULT_WRITE_CONNECTIONS = 16;

/** One for each watched kind, and some for lists beside them. */
const WATCH_CONNECTIONS = 16;

/** As many as are under way at once: `token-cache.ts` asks for no more. */
const REVIEW_CONNECTIONS = 8;

/** A renewal, and a release that does not wait for one that hangs. */
const LEASE_CONNECTIONS = 2;

const CONNECT_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 15_000;

/** Below the 60 s after which common load balancers drop a quiet connection, so that we are the first to close it. */
const KEEP_ALIVE_TIMEOUT_MS = 45_000;

/** The first TCP probe of a quiet connection: it keeps paths through load balancers open, as in client-go. */
const TCP_KEEP_ALIVE_DELAY_MS = 30_000;

/** Far above the 3 MiB that the API server accepts for one object. Lists and watches use the other lane. */
const RESPONSE_BYTES_MAX = 16 * 1024 * 1024;

/** The connections to one server with one set of TLS material. */
export class ServerConnections {
  readonly host: string;
  readonly #origin: string;
  readonly #basePath: string;
  readonly #lanes: Readonly<Record<Lane, Dispatcher>>;

  constructor(facts: ConnectionFacts, writeConnections: number) {
    const url = new URL(facts.server);
    this.host = url.host;
    this.#origin = url.origin;
    this.#basePath = url.pathname.replace(/\/$/, '');
    this.#lanes = {
      watch: openLane(facts, url.origin, { connections: WATCH_CONNECTIONS }),
      write: openLane(facts, url.origin, { connections: writeConnections, maxResponseSize: RESPONSE_BYTES_MAX }),
      review: openLane(facts, url.origin, { connections: REVIEW_CONNECTIONS, maxResponseSize: RESPONSE_BYTES_MAX }),
      lease: openLane(facts, url.origin, { connections: LEASE_CONNECTIONS, maxResponseSize: RESPONSE_BYTES_MAX }),
    };
  }

  /** Resolves with the head of the answer. @throws what undici throws: the network, or the reason of `signal` */
  send(lane: Lane, target: string, options: SendOptions): Promise<Answer> {
    return this.#lanes[lane].request({ ...options, origin: this.#origin, path: this.#basePath + target });
  }

  /** Takes no more calls, and closes each connection when its call has ended. */
  async drain(): Promise<void> {
    await Promise.all(Object.values(this.#lanes).map((lane) => lane.close()));
  }

  /** Cuts every connection. */
  async cut(): Promise<void> {
    await Promise.all(Object.values(this.#lanes).map((lane) => lane.destroy()));
  }
}

function openLane(
  facts: ConnectionFacts,
  origin: string,
  bounds: { readonly connections: number; readonly maxResponseSize?: number },
): Dispatcher {
  const tls = { ...facts.tls, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_DELAY_MS };
  const options: Pool.Options = {
    ...bounds,
    // A Go server would choose HTTP/2, where one broken connection takes all calls with it;
    // measured, it is slower than a pool as well.
    allowH2: false,
    pipelining: 1,
    connectTimeout: CONNECT_TIMEOUT_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  };
  if (facts.proxyUrl === undefined) return new Pool(origin, { ...options, connect: tls });
  return new ProxyAgent({ ...options, uri: facts.proxyUrl, requestTls: tls });
}
