import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the range from which Linux (32768 and up) and macOS (49152 and up) take the local port of an outgoing
 * connection. A port from that range may be taken while its server is down for a moment, and a client that keeps
 * dialling such a port on loopback may even be connected with itself.
 */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 32_000;
const ATTEMPTS = 100;

/** A port on loopback on which nobody listens now, and which no outgoing connection will take. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (HIGHEST_PORT - LOWEST_PORT));
    if (await canListenOn(port)) {
      return port;
    }
  }
  throw new Error(`No free port on loopback between ${LOWEST_PORT} and ${HIGHEST_PORT} in ${ATTEMPTS} attempts`);
}

async function canListenOn(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false; // Taken: the next attempt tries another one.
  }
  server.close();
  await once(server, 'close');
  return true;
}
