import type { IncomingHttpHeaders } from 'node:http';
import type { Socket } from 'node:net';
import { addressSender, type Sender, UNKNOWN_SENDER } from '../liveness/sender.ts';
import { TOKEN_AUDIENCE } from '../liveness/token-verdict.ts';
import { forwardedSender } from './forwarded-for.ts';
import { isTokenLike, type KnownToken, type TokenCache, type TokenStanding } from './token-cache.ts';
import type { TrustedProxies } from './trusted-proxies.ts';
import { V4Refusal } from './v4-refusal.ts';

/**
 * Who sends: the Pod that a token proves, or else the address.
 *
 * What a connection tells is found once and kept with it, its last good token included, so that a heartbeat costs a
 * look into one map. (A WeakMap: measured, a property of the socket is not faster.)
 */

/** What becomes of tokens: none is looked at; a good one proves a Pod; nothing is taken without one. */
export type SenderAuth = 'none' | 'optional' | 'required';

/** What is known of the sender of a request. */
export type SenderFinding = SettledFinding | ReviewingFinding;

export type SettledFinding =
  | { readonly kind: 'found'; readonly sender: Sender }
  /** A token is required, and nobody can say now whether this one is good. */
  | { readonly kind: 'unproved' }
  | { readonly kind: 'refused'; readonly refusal: V4Refusal };

/** The API server is being asked about the token, and what was known of it before does not do. */
export interface ReviewingFinding {
  readonly kind: 'reviewing';
  /** Whether the answer decides if the request is taken at all, and not only who is said to have sent it. */
  readonly isRequired: boolean;
  /** What is known when the API server has answered, or after a second without an answer. */
  readonly settled: () => Promise<SettledFinding>;
}

/** The headers that tell something of the sender. */
export interface SenderHeaders {
  /** The first `Authorization`. */
  readonly authorization: string | undefined;
  /** All `X-Forwarded-For`, joined by commas. */
  readonly forwardedFor: string | undefined;
}

/** From Node's table, which keeps the first of the one and joins all of the other. */
export function senderHeaders(headers: IncomingHttpHeaders): SenderHeaders {
  const forwardedFor = headers['x-forwarded-for'];
  return {
    authorization: headers.authorization,
    forwardedFor: Array.isArray(forwardedFor) ? forwardedFor.join(', ') : forwardedFor,
  };
}

export interface SendersParts {
  readonly auth: SenderAuth;
  readonly trustedProxies: TrustedProxies;
  readonly tokens: TokenCache;
  /** Runs `task` once after `delayMs`. @returns how to call it off */
  readonly schedule: (delayMs: number, task: () => void) => () => void;
}

/** A third of the time that a client should wait for its answer, and far longer than a review takes. */
const REVIEW_WAIT_MS = 1_000;

type SettledStanding = Exclude<TokenStanding, { readonly kind: 'reviewing' }>;

type Found = Extract<SettledFinding, { readonly kind: 'found' }>;

/** What is kept with a connection. */
interface Connection {
  readonly isProxy: boolean;
  /** What its address proves. */
  readonly byAddress: Found;
  /** The last `X-Forwarded-For` of a proxy, and what it came to. */
  forwardedFor: string | undefined;
  byForwarding: Found;
  /** The last good token, and the header that it came with. Of a bad one nothing is kept: anybody can send many. */
  authorization: string | undefined;
  token: string;
  known: KnownToken | undefined;
}

const NOBODY: Found = { kind: 'found', sender: UNKNOWN_SENDER };
const UNPROVED: SettledFinding = { kind: 'unproved' };
const UNREACHABLE: SettledStanding = { kind: 'unreachable' };
const NO_TOKEN: SettledStanding = { kind: 'refused', why: `use Bearer and a token for the audience ${TOKEN_AUDIENCE}` };

const CHALLENGE = { 'www-authenticate': 'Bearer' } as const;
const NO_AUTHORIZATION: SettledFinding = {
  kind: 'refused',
  refusal: new V4Refusal('noAuthorization', `a token for the audience ${TOKEN_AUDIENCE} is required`, CHALLENGE),
};

export class Senders {
  readonly #parts: SendersParts;
  readonly #connections = new WeakMap<Socket, Connection>();

  constructor(parts: SendersParts) {
    this.#parts = parts;
  }

  /** What is known now of the sender of a request on this connection. */
  find(socket: Socket, headers: SenderHeaders): SenderFinding {
    const connection = this.#connections.get(socket) ?? this.#meet(socket);
    const { auth, tokens } = this.#parts;
    const { authorization } = headers;
    if (auth === 'none') return this.#withoutToken(connection, headers);
    if (authorization === undefined) {
      return auth === 'required' ? NO_AUTHORIZATION : this.#withoutToken(connection, headers);
    }
    if (connection.known !== undefined && connection.authorization === authorization) {
      const { known, token } = connection;
      return this.#finding(connection, headers, known, token);
    }
    const token = bearerToken(authorization);
    if (token === undefined) return this.#settle(connection, headers, NO_TOKEN);
    const known = tokens.find(token);
    if (known === undefined) return this.#settle(connection, headers, UNREACHABLE);
    const finding = this.#finding(connection, headers, known, token);
    if (finding === known.standing) {
      connection.authorization = authorization;
      connection.token = token;
      connection.known = known;
    }
    return finding;
  }

  #meet(socket: Socket): Connection {
    // Undefined when it is gone already.
    const { remoteAddress } = socket;
    const sender = remoteAddress === undefined ? UNKNOWN_SENDER : addressSender(remoteAddress);
    const isProxy = this.#parts.trustedProxies.has(sender);
    const connection: Connection = {
      isProxy,
      // That a proxy passed it on proves nothing about who sent it.
      byAddress: isProxy ? NOBODY : { kind: 'found', sender },
      forwardedFor: undefined,
      byForwarding: NOBODY,
      authorization: undefined,
      token: '',
      known: undefined,
    };
    this.#connections.set(socket, connection);
    return connection;
  }

  #withoutToken(connection: Connection, { forwardedFor }: SenderHeaders): Found {
    if (!connection.isProxy) return connection.byAddress;
    if (connection.forwardedFor !== forwardedFor) {
      connection.forwardedFor = forwardedFor;
      connection.byForwarding = { kind: 'found', sender: forwardedSender(forwardedFor, this.#parts.trustedProxies) };
    }
    return connection.byForwarding;
  }

  #finding(connection: Connection, headers: SenderHeaders, known: KnownToken, token: string): SenderFinding {
    const isRequired = this.#parts.auth === 'required';
    const standing = this.#parts.tokens.standing(known, token);
    if (standing.kind !== 'reviewing') return this.#settle(connection, headers, standing);
    // A client of service-center may send a token of that with every heartbeat. Each time that it is asked about again,
    // its address must not be forgotten; where that would be a refusal, it gets the new answer.
    if (!isRequired && known.standing.kind === 'refused') return this.#settle(connection, headers, known.standing);
    return {
      kind: 'reviewing',
      isRequired,
      settled: async () => {
        await this.#wait(known.review);
        const after = this.#parts.tokens.standing(known, token);
        return this.#settle(connection, headers, after.kind === 'reviewing' ? UNREACHABLE : after);
      },
    };
  }

  /** What a token comes to. If none is required, one that proves nothing is as good as none. */
  #settle(connection: Connection, headers: SenderHeaders, standing: SettledStanding): SettledFinding {
    if (standing.kind === 'found') return standing;
    if (this.#parts.auth !== 'required') return this.#withoutToken(connection, headers);
    if (standing.kind === 'unreachable') return UNPROVED;
    return { kind: 'refused', refusal: new V4Refusal('unauthorized', `Authorization: ${standing.why}`, CHALLENGE) };
  }

  async #wait(review: Promise<void> | undefined): Promise<void> {
    if (review === undefined) return;
    const waited = Promise.withResolvers<void>();
    const cancel = this.#parts.schedule(REVIEW_WAIT_MS, waited.resolve);
    await Promise.race([review, waited.promise]);
    cancel();
  }
}

/** The token of an `Authorization` of the kind `Bearer`, or undefined if it is none that could be a Pod's. */
function bearerToken(authorization: string): string | undefined {
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  return token !== undefined && isTokenLike(token) ? token : undefined;
}
