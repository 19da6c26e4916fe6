import { vi } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import type { ObservedInstance } from '../../../src/health/observed-instance.ts';
import type { ApiClient } from '../../../src/kubernetes/api-client.ts';
import { decodeInstance, instancesPath } from '../../../src/kubernetes/instance-resource.ts';
import { Reflector } from '../../../src/kubernetes/reflector.ts';
import type { ReflectorLimits } from '../../../src/kubernetes/reflector-options.ts';
import type { ApiServerAccess } from '../../control-plane/api-server-access.ts';
import { CacheListener } from './cache-listener.ts';
import { connect } from './instances-on-server.ts';
import { RecordingObserver } from './recording-observer.ts';

/** Short enough for a test that waits for several attempts, long enough for a busy machine to connect. */
const QUICK_LIMITS: Partial<ReflectorLimits> = { minMs: 20, maxMs: 200 };

const CONVERGED_WITHIN_MS = 60_000;

type Server = Pick<ApiServerAccess, 'request'>;

/** A reflector of the instances of one namespace, with a cache that it fills. */
export class ReflectedInstances {
  readonly cache = new CacheListener();
  readonly observer = new RecordingObserver();
  readonly reflector: Reflector<ObservedInstance>;
  readonly #client: ApiClient;
  readonly #server: Server;
  readonly #namespace: string;

  private constructor(server: Server, namespace: string, client: ApiClient, limits: Partial<ReflectorLimits>) {
    this.#server = server;
    this.#namespace = namespace;
    this.#client = client;
    this.reflector = new Reflector({
      client,
      path: instancesPath(namespace),
      decode: decodeInstance,
      listener: this.cache,
      clock: systemClock,
      observer: this.observer,
      limits: { ...QUICK_LIMITS, ...limits },
    });
    this.reflector.start();
  }

  /** @param server the direct way to the server, to compare with; the reflector takes that of `kubeconfig` */
  static async start(
    server: Server,
    namespace: string,
    kubeconfig: string,
    limits: Partial<ReflectorLimits> = {},
  ): Promise<ReflectedInstances> {
    return new ReflectedInstances(server, namespace, await connect(kubeconfig), limits);
  }

  /** Resolves when the cache is what the server has, object by object. */
  async untilCacheEqualsServer(): Promise<void> {
    const wanted = await this.#versionsOnServer();
    await this.#until(() => {
      const { versions } = this.cache;
      const names = new Set([...Object.keys(wanted), ...Object.keys(versions)]);
      const different = [...names].filter((name) => wanted[name] !== versions[name]);
      return different.length === 0 ? undefined : `the cache differs from the server in ${different.join(', ')}`;
    });
  }

  /** Resolves when the reflector went through this step. */
  async untilStep(step: string): Promise<void> {
    await this.#until(() => (this.observer.steps.includes(step) ? undefined : `no step "${step}"`));
  }

  async stop(): Promise<void> {
    await this.reflector.stop();
    await this.#client.close();
  }

  #until(problem: () => string | undefined): Promise<void> {
    const check = (): void => {
      const text = problem();
      if (text !== undefined) throw new Error(`${text}; steps so far: ${this.observer.steps.join(', ')}`);
    };
    return vi.waitFor(check, { interval: 20, timeout: CONVERGED_WITHIN_MS });
  }

  async #versionsOnServer(): Promise<Readonly<Record<string, string>>> {
    const { body } = await this.#server.request<{
      items: { metadata: { name: string; resourceVersion: string } }[];
    }>('GET', instancesPath(this.#namespace));
    return Object.fromEntries(body.items.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
  }
}
