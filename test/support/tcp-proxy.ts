import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-port.ts';

/**
 * A network between clients and a server on loopback that can be broken in the ways in which networks break.
 *
 * It forwards bytes and knows nothing of what they mean, so TLS passes through it; the certificate of a server on
 * 127.0.0.1 stays good behind it. A client whose server refuses the connection is reset.
 */
export class TcpProxy {
  /** Stays the same when the proxy refuses and accepts again. */
  readonly port: number;
  readonly #targetPort: number;
  readonly #links = new Set<Link>();
  #server: Server | undefined;
  #hanging = false;
  #cut: Cut | undefined;

  private constructor(port: number, targetPort: number) {
    this.port = port;
    this.#targetPort = targetPort;
  }

  static async start({ targetPort }: { readonly targetPort: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(await freePort(), targetPort);
    await proxy.accept();
    return proxy;
  }

  /** Connections of clients that are open now, silent ones included. */
  get connectionCount(): number {
    return this.#links.size;
  }

  /** Resets all connections on both sides at once. New ones are accepted as before. */
  cutAll(): void {
    for (const link of this.#links) {
      link.reset();
    }
  }

  /**
   * The network loses every packet: nothing is forwarded any more, nobody is told, and connections made from now on
   * are accepted and stay silent. (Unlike there, our kernel takes in what is sent until its buffers are full.)
   */
  hang(): void {
    this.#hanging = true;
    for (const link of this.#links) {
      link.silence();
    }
  }

  /**
   * New connections work again. Those which were open or made during the hang stay silent for good by default, as
   * behind a firewall or a NAT that has forgotten them: neither side is told, and the client has to find out by
   * itself. With `go-on` the packets were only late: what was sent meanwhile arrives.
   */
  resume(heldConnections: 'stay-silent' | 'go-on' = 'stay-silent'): void {
    this.#hanging = false;
    if (heldConnections === 'go-on') {
      for (const link of this.#links) {
        link.goOn();
      }
    }
  }

  /** Stops listening: new connections are refused. Open ones go on. */
  async refuse(): Promise<void> {
    // The port is closed in this turn of the loop; the callback would come only with the end of the last connection.
    this.#server?.close();
    this.#server = undefined;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }

  /** Listens again after `refuse`, on the same port. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) {
      return;
    }
    // Half-open is allowed, so that the end of one direction is passed on as just that.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#take(client));
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
  }

  /**
   * The next connection on which the server sends something gets `byteCount` bytes more and then a FIN, in the middle
   * of whatever it was; the server's side is reset. Once: the connections after it are whole. Behind TLS the bytes are
   * those of the records: what a cut record held is lost, so the plain text ends a little earlier.
   */
  cutAfterBytes(byteCount: number): void {
    this.#cut = { bytesLeft: byteCount, link: undefined };
  }

  /** Resets all connections and stops listening. */
  async close(): Promise<void> {
    await this.refuse();
    this.cutAll();
  }

  #take(client: Socket): void {
    const target = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const link = new Link(client, target, (bytes) => this.#sendToClient(link, bytes));
    this.#links.add(link);
    link.onClose(() => this.#links.delete(link));
    if (this.#hanging) {
      link.silence();
    }
  }

  #sendToClient(link: Link, bytes: Buffer): boolean {
    const cut = this.#cut;
    if (cut === undefined || (cut.link !== undefined && cut.link !== link)) {
      return link.client.write(bytes);
    }
    if (bytes.length < cut.bytesLeft) {
      this.#cut = { bytesLeft: cut.bytesLeft - bytes.length, link };
      return link.client.write(bytes);
    }
    this.#cut = undefined;
    link.endAfter(bytes.subarray(0, cut.bytesLeft));
    return false;
  }
}

/** A cut to come. `link` is the connection it fell upon, once there is one. */
interface Cut {
  readonly bytesLeft: number;
  readonly link: Link | undefined;
}

/** One client and its connection to the target. While it is silent, nothing that happens to one reaches the other. */
class Link {
  readonly client: Socket;
  readonly #target: Socket;
  #silent = false;
  /** What happened to either side while the link was silent. */
  readonly #untold: (() => void)[] = [];

  /** `sendToClient` returns whether the client takes more at once, as `write` does. */
  constructor(client: Socket, target: Socket, sendToClient: (bytes: Buffer) => boolean) {
    this.client = client;
    this.#target = target;
    this.#forward(client, target, (bytes) => target.write(bytes));
    this.#forward(target, client, sendToClient);
  }

  /** Whether both sides are gone. */
  get closed(): boolean {
    return this.client.closed && this.#target.closed;
  }

  onClose(listener: () => void): void {
    for (const socket of [this.client, this.#target]) {
      socket.once('close', () => {
        if (this.closed) {
          listener();
        }
      });
    }
  }

  reset(): void {
    this.client.resetAndDestroy();
    this.#target.resetAndDestroy();
  }

  silence(): void {
    this.#silent = true;
    this.client.pause();
    this.#target.pause();
  }

  goOn(): void {
    this.#silent = false;
    this.client.resume();
    this.#target.resume();
    for (const tell of this.#untold.splice(0)) {
      tell();
    }
  }

  endAfter(bytes: Buffer): void {
    this.#target.resetAndDestroy();
    this.client.end(bytes, () => this.client.destroy());
  }

  #forward(from: Socket, to: Socket, send: (bytes: Buffer) => boolean): void {
    from.on('data', (bytes) => {
      if (!send(bytes)) {
        from.pause();
      }
    });
    to.on('drain', () => {
      if (!this.#silent) {
        from.resume();
      }
    });
    // A paused socket still reports its end and its failure.
    from.on('end', () => this.#tell(() => to.end()));
    from.on('error', () => this.#tell(() => to.resetAndDestroy()));
  }

  #tell(tell: () => void): void {
    if (this.#silent) {
      this.#untold.push(tell);
    } else {
      tell();
    }
  }
}
