import type { FastifyInstance } from 'fastify';
import { OperatorError } from './operator-error.ts';

/** Connections that wait to be accepted: after a restart a whole fleet connects at once. */
const BACKLOG = 4_096;

const SWEEP_MS = 100;

export interface ListenOptions {
  readonly address: string;
  readonly port: number;
  /** The flag to name when the port is taken. */
  readonly portFlag: string;
}

/**
 * Listens, and returns the port.
 *
 * @throws OperatorError when the port is taken or may not be used.
 */
export async function listen(app: FastifyInstance, options: ListenOptions): Promise<number> {
  try {
    await listenOnFamily(app, options);
  } catch (error) {
    throw new OperatorError(listenProblem(error, options), { cause: error });
  }
  const address = app.server.address();
  return typeof address === 'object' && address !== null ? address.port : options.port;
}

async function listenOnFamily(app: FastifyInstance, { address, port }: ListenOptions): Promise<void> {
  try {
    await app.listen({ host: address, port, backlog: BACKLOG });
  } catch (error) {
    if (address !== '::' || !isCode(error, 'EAFNOSUPPORT', 'EADDRNOTAVAIL')) throw error;
    // A kernel without IPv6: every address is every IPv4 address.
    await app.listen({ host: '0.0.0.0', port, backlog: BACKLOG });
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

/**
 * Stops listening and resolves when no connection is left, by force when `deadline` ends.
 *
 * A connection that becomes idle after the close began is not ended by Node, so idle ones are swept until all are gone.
 */
export async function closeListener(app: FastifyInstance, deadline: AbortSignal): Promise<void> {
  const sweep = setInterval(() => {
    if (deadline.aborted) app.server.closeAllConnections();
    else app.server.closeIdleConnections();
  }, SWEEP_MS);
  try {
    await app.close();
  } finally {
    clearInterval(sweep);
  }
}
