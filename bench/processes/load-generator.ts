import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { heartbeatRequest, identityAt } from '../support/fleet.ts';
import { percentile } from '../support/statistics.ts';
import { answerParent } from './child-process.ts';

/**
 * Heartbeats of a known fleet in a closed loop: every connection has one request under way, always.
 *
 * It is to cost less than any server: bare sockets, requests built beforehand, and of an answer only the status and
 * the last byte are looked at.
 */
export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly instances: number;
}

export interface LoadResult {
  readonly answered: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Walks the fleet in a scattered order; a prime, so that it meets every instance. */
const STRIDE = 7_919;
const LATENCIES_MAX = 2_000_000;

const DIGIT_2 = 0x32;
const STATUS_OFFSET = 'HTTP/1.1 '.length;
/** Of `Success`. */
const LAST_BYTE = 's'.charCodeAt(0);

let requests: readonly Buffer[] = [];
let connections: Connection[] = [];
let nextRequest = 0;
let untilMs = 0;
let answered = 0;
let refused = 0;
const latencies = new Float64Array(LATENCIES_MAX);
let idle = Promise.withResolvers<void>();
let busyConnections = 0;

class Connection {
  readonly socket: Socket;
  #sentAtMs = 0;
  #isHeadDue = true;

  constructor(port: number) {
    this.socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: Buffer.allocUnsafe(4_096), callback: (length, bytes) => this.#take(length, bytes as Buffer) },
    });
    this.socket.on('close', () => idle.reject(new Error('the server closed a connection')));
  }

  send(): void {
    const request = requests[nextRequest];
    if (request === undefined) throw new RangeError('a request for every index');
    nextRequest = (nextRequest + STRIDE) % requests.length;
    this.#isHeadDue = true;
    this.#sentAtMs = performance.now();
    this.socket.write(request);
  }

  #take(length: number, bytes: Buffer): boolean {
    if (this.#isHeadDue) {
      this.#isHeadDue = false;
      if (bytes[STATUS_OFFSET] !== DIGIT_2) refused += 1;
    }
    // The answer may come in pieces; no header ends like the body.
    if (bytes[length - 1] !== LAST_BYTE) return true;
    const nowMs = performance.now();
    if (answered < LATENCIES_MAX) latencies[answered] = nowMs - this.#sentAtMs;
    answered += 1;
    if (nowMs < untilMs) {
      this.send();
    } else {
      busyConnections -= 1;
      if (busyConnections === 0) idle.resolve();
    }
    return true;
  }
}

answerParent({
  async connect(options: LoadOptions) {
    requests = Array.from({ length: options.instances }, (_, index) =>
      heartbeatRequest(identityAt(index), options.port),
    );
    connections = Array.from({ length: options.connections }, () => new Connection(options.port));
    await Promise.all(connections.map(({ socket }) => once(socket, 'connect')));
  },

  async load(durationMs: number): Promise<LoadResult> {
    answered = 0;
    refused = 0;
    idle = Promise.withResolvers();
    busyConnections = connections.length;
    if (connections.some(({ socket }) => socket.destroyed)) throw new Error('the server has closed a connection');
    const startMs = performance.now();
    untilMs = startMs + durationMs;
    for (const connection of connections) connection.send();
    await idle.promise;
    const seconds = (performance.now() - startMs) / 1000;
    if (refused > 0) throw new Error(`${refused} of ${answered} heartbeats were refused`);
    const taken = latencies.subarray(0, Math.min(answered, LATENCIES_MAX));
    return { answered, seconds, p50Ms: percentile(taken, 50), p99Ms: percentile(taken, 99) };
  },
});
