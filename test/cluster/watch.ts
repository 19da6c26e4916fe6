import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { ControlPlaneConnection } from '../control-plane/api-server-access.ts';

interface WatchedObject {
  readonly metadata: { readonly namespace: string; readonly name: string; readonly resourceVersion: string };
}

export interface Change<T> {
  /** When it was seen, by `performance.now()`. */
  readonly atMs: number;
  readonly object: T;
  readonly isDeleted: boolean;
}

interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

/**
 * Every change of the objects of one kind from the start on, with its moment.
 *
 * What holds of all changes holds of the whole time, where one who looks now and then may miss what lasts for a moment.
 */
export class Watch<T extends WatchedObject> {
  readonly #changes: Change<T>[] = [];
  readonly #stopped = new AbortController();
  readonly #agent: Agent;
  readonly #arrived = new Set<() => void>();
  #end: Promise<void> = Promise.resolve();
  #failure: Error | undefined;

  private constructor(agent: Agent) {
    this.#agent = agent;
  }

  /** @param path of the list, as `/api/v1/pods`. */
  static async start<T extends WatchedObject>(
    { server, adminToken, certificateAuthorityPem }: ControlPlaneConnection,
    path: string,
  ): Promise<Watch<T>> {
    // Lasts as long as the tests, quiet or not.
    const agent = new Agent({ connect: { ca: certificateAuthorityPem }, bodyTimeout: 0 });
    const watch = new Watch<T>(agent);
    // Without a resourceVersion it begins with what is there.
    const { statusCode, body } = await request(`${server}${path}?watch=true`, {
      dispatcher: agent,
      headers: { authorization: `Bearer ${adminToken}` },
      signal: watch.#stopped.signal,
    });
    if (statusCode !== 200) throw new Error(`watching ${path}: ${statusCode} ${await body.text()}`);
    watch.#end = watch.#read(path, body.setEncoding('utf8'));
    return watch;
  }

  /** @throws Error if the watch has ended: then the list is not whole. */
  get changes(): readonly Change<T>[] {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#changes;
  }

  /** Resolves with the next change, or after `patienceMs`. */
  async next(patienceMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#arrived.add(resolve);
    const patience = new AbortController();
    await Promise.race([promise, delay(patienceMs, undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    this.#arrived.delete(resolve);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#end;
    await this.#agent.destroy();
  }

  async #read(path: string, body: AsyncIterable<string>): Promise<void> {
    let rest = '';
    try {
      for await (const chunk of body) {
        const atMs = performance.now();
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.#take(JSON.parse(line) as WatchEvent<T>, atMs);
        for (const resolve of this.#arrived) resolve();
      }
      this.#failure = new Error(`the watch of ${path} has ended`);
    } catch (error) {
      if (!this.#stopped.signal.aborted) this.#failure = new Error(`the watch of ${path} broke`, { cause: error });
    }
  }

  #take({ type, object }: WatchEvent<T>, atMs: number): void {
    if (type === 'ERROR') throw new Error(JSON.stringify(object));
    if (type !== 'BOOKMARK') this.#changes.push({ atMs, object, isDeleted: type === 'DELETED' });
  }
}
