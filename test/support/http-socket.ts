import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A reply as it stood on the wire. */
export interface WireReply {
  readonly statusLine: string;
  readonly status: number;
  /** Names as they were spelled, in their order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** The first value of a header, whatever the case of its name. */
  header(name: string): string | undefined;
}

/** One TCP connection: sends bytes as they are given, and reads HTTP/1.1 replies with a `Content-Length`. */
export class HttpSocket {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
    });
    // A reset shows as the end of what was received; tests look at that.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#isClosed = true;
    });
  }

  /** Connects, and hangs up when the test ends. */
  static async open(port: number): Promise<HttpSocket> {
    const socket = connect(port, '127.0.0.1');
    onTestFinished(() => {
      socket.destroy();
    });
    const opened = new HttpSocket(socket);
    await once(socket, 'connect');
    return opened;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Text is sent as UTF-8. */
  send(bytes: string | Uint8Array): this {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
    return this;
  }

  /** Says that nothing more will be sent. */
  end(): this {
    this.#socket.end();
    return this;
  }

  /** Goes away without a word, as a process that was killed. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** The next reply. @param method of the request it answers: a reply to HEAD has no body. */
  async reply(method = 'PUT'): Promise<WireReply> {
    for (;;) {
      const taken = takeReply(this.#received, method);
      if (taken !== undefined) {
        this.#received = Buffer.from(taken.rest);
        return taken.reply;
      }
      if (this.#isClosed) throw new Error(`closed before a whole reply: ${JSON.stringify(String(this.#received))}`);
      await this.#news();
    }
  }

  /** Resolves when the connection is gone, with what was received and not yet read as a reply. */
  async closed(): Promise<string> {
    while (!this.#isClosed) await this.#news();
    return String(this.#received);
  }

  async #news(): Promise<void> {
    const heard = Promise.withResolvers<void>();
    const onNews = (): void => heard.resolve();
    this.#socket.once('data', onNews).once('close', onNews);
    await heard.promise;
    this.#socket.off('data', onNews).off('close', onNews);
  }
}

function takeReply(received: Buffer, method: string): { reply: WireReply; rest: Buffer } | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [statusLine = '', ...lines] = received.toString('latin1', 0, headEnd).split('\r\n');
  const headers = lines.map((line): readonly [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const header = (name: string): string | undefined =>
    headers.find(([candidate]) => candidate.toLowerCase() === name.toLowerCase())?.[1];
  const status = Number(statusLine.split(' ')[1]);
  const bodyStart = headEnd + 4;
  const hasBody = method !== 'HEAD' && status >= 200 && status !== 204 && status !== 304;
  const bodyEnd = bodyStart + (hasBody ? Number(header('content-length') ?? 0) : 0);
  if (received.length < bodyEnd) return undefined;
  const body = received.toString('utf8', bodyStart, bodyEnd);
  return { reply: { statusLine, status, headers, body, header }, rest: received.subarray(bodyEnd) };
}
