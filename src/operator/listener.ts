import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { OperatorError } from './operator-error.ts';

/** Connections that wait to be accepted: after a restart a whole fleet connects at once. */
const BACKLOG = 4_096;

const SWEEP_MS = 100;

/** A request that is under way when the listener closes has this long; the queue must still be drained afterwards. */
const CLOSE_MS = 3_000;

export interface ListenOptions {
  readonly address: string;
  readonly port: number;
  /** The flag to name when the port is taken. */
  readonly portFlag: string;
}

/** An application's listening socket and its connections. */
export class Listener {
  readonly #app: FastifyInstance;
  readonly #sockets = new Set<Socket>();

  constructor(app: FastifyInstance) {
    this.#app = app;
    app.server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /**
   * Listens, and returns the port.
   *
   * @throws OperatorError when the port is taken or may not be used.
   */
  async listen(options: ListenOptions): Promise<number> {
    try {
      await this.#listenOnFamily(options);
    } catch (error) {
      throw new OperatorError(listenProblem(error, options), { cause: error });
    }
    const address = this.#app.server.address();
    return typeof address === 'object' && address !== null ? address.port : options.port;
  }

  /**
   * Stops listening and resolves when no connection is left; after three seconds, or when `deadline` ends, by force.
   *
   * A connection that becomes idle after the close began is not ended by Node, nor is one on which nothing was ever
   * sent, so both are swept until all are gone.
   */
  async close(deadline: AbortSignal): Promise<void> {
    const force = AbortSignal.any([deadline, AbortSignal.timeout(CLOSE_MS)]);
    const sweep = setInterval(() => this.#sweep(force), SWEEP_MS);
    try {
      await this.#app.close();
    } finally {
      clearInterval(sweep);
    }
  }

  #sweep(force: AbortSignal): void {
    if (force.aborted) this.#app.server.closeAllConnections();
    else this.#app.server.closeIdleConnections();
    for (const socket of this.#sockets) if (force.aborted || socket.bytesRead === 0) socket.destroy();
  }

  async #listenOnFamily({ address, port }: ListenOptions): Promise<void> {
    try {
      await this.#app.listen({ host: address, port, backlog: BACKLOG });
    } catch (error) {
      if (address !== '::' || !isCode(error, 'EAFNOSUPPORT', 'EADDRNOTAVAIL')) throw error;
      // A kernel without IPv6: every address is every IPv4 address.
      await this.#app.listen({ host: '0.0.0.0', port, backlog: BACKLOG });
    }
  }
}

function listenProblem(error: unknown, { address, port, portFlag }: ListenOptions): string {
  if (isCode(error, 'EADDRINUSE')) {
    return `port ${port} on ${address} is in use: stop what uses it, or set ${portFlag} to another port`;
  }
  if (isCode(error, 'EACCES')) return `port ${port} may not be used by this account: set ${portFlag} to 1024 or higher`;
  return `cannot listen on ${address} port ${port}: ${error instanceof Error ? error.message : String(error)}`;
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
