import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { ResourceListener } from '../controller/ports.ts';
import type { ApiClient, ApiQuery } from '../kubernetes/api-client.ts';
import { Reflector } from '../kubernetes/reflector.ts';
import type { ReflectorObserver } from '../kubernetes/reflector-observer.ts';
import type { ReflectorState } from '../telemetry/gauges.ts';
import type { RepeatedWarning } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { errorText } from './observers.ts';

/** Failures that no time mends. */
const HOPELESS_KINDS = ['absent', 'forbidden', 'unauthorized'] as const;

export type HopelessKind = (typeof HOPELESS_KINDS)[number];

/** What is wrong with the cluster, not with the moment, when it is still so after some tries in a row. */
const TRIES_BEFORE_GIVING_UP = 3;

export interface Watch<T> {
  /** As metrics name it: `pods`. */
  readonly resource: string;
  /** Several paths are several parts of one kind, one for each namespace. */
  readonly path: string;
  readonly query?: ApiQuery;
  readonly decode: (object: unknown) => T;
  readonly listener: ResourceListener<T>;
}

export interface WatchesParts {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly repeated: RepeatedWarning;
  /** Called if a watch can never succeed as things are. */
  readonly giveUp: (kind: HopelessKind, resource: string) => void;
}

/** The reflectors of the process: one for each kind of object, or part of a kind. */
export class Watches {
  readonly #parts: WatchesParts;
  readonly #running: { readonly resource: string; readonly reflector: Reflector<never> }[] = [];

  constructor(parts: WatchesParts) {
    this.#parts = parts;
  }

  start<T>(watch: Watch<T>): Reflector<T> {
    const { client, clock } = this.#parts;
    const { resource, path, query = {}, decode, listener } = watch;
    let failuresInARow = 0;
    const giveUpOn = (kind: string): void => {
      failuresInARow += 1;
      if (!isHopeless(kind) || reflector.synced) failuresInARow = 0;
      else if (failuresInARow >= TRIES_BEFORE_GIVING_UP) this.#parts.giveUp(kind, resource);
    };
    const reflector: Reflector<T> = new Reflector({
      client,
      path,
      query,
      decode,
      listener,
      clock,
      observer: this.#observer(resource, giveUpOn),
    });
    this.#running.push({ resource, reflector: reflector as unknown as Reflector<never> });
    reflector.start();
    return reflector;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map(({ reflector }) => reflector.stop()));
  }

  /** Resolves when everything was listed once; rejects if it is stopped before. */
  async whenSynced(): Promise<void> {
    await Promise.all(this.#running.map(({ reflector }) => reflector.whenSynced()));
  }

  /** For how many milliseconds changes of any of these may have been missed. */
  ageMs(resources: readonly string[]): number {
    const nowMs = this.#parts.clock.nowMs();
    const ages = this.#running
      .filter(({ resource }) => resources.includes(resource))
      .map(({ reflector }) => (reflector.behindSinceMs === undefined ? 0 : nowMs - reflector.behindSinceMs));
    return Math.max(0, ...ages);
  }

  /** One state for each kind; of several parts the worst counts. */
  states(): readonly ReflectorState[] {
    const { clock } = this.#parts;
    const states = new Map<string, ReflectorState>();
    for (const { resource, reflector } of this.#running) {
      const before = states.get(resource);
      const { lastHeardAtMs } = reflector;
      const lastHeardSeconds =
        lastHeardAtMs === undefined ? undefined : (clock.wallMs() - (clock.nowMs() - lastHeardAtMs)) / 1000;
      states.set(resource, {
        resource,
        isSynced: reflector.synced && (before?.isSynced ?? true),
        lastHeardSeconds: before === undefined ? lastHeardSeconds : earlier(before.lastHeardSeconds, lastHeardSeconds),
        ageSeconds: this.ageMs([resource]) / 1000,
      });
    }
    return [...states.values()];
  }

  #observer(resource: string, giveUpOn: (kind: string) => void): ReflectorObserver {
    const { metrics, logger, repeated } = this.#parts;
    const labels = { resource };
    return {
      listed: (result) => metrics.lists.inc({ ...labels, result }),
      watched: (result) => metrics.watches.inc({ ...labels, result }),
      restarted(reason) {
        metrics.reflectorRestarts.inc({ ...labels, reason });
        logger.info({ ...labels, reason }, 'listing afresh');
      },
      heard: () => undefined,
      undecodable(error) {
        metrics.undecodable.inc(labels);
        repeated.warn(
          `undecodable ${resource}`,
          { ...labels, error: errorText(error) },
          'object left out: it cannot be read',
        );
      },
      listenerFailed: (error) => logger.error({ ...labels, error: errorText(error) }, 'taking in a change threw'),
      failed(kind, message) {
        repeated.warn(`watch ${resource} ${kind}`, { ...labels, error: message }, 'watch failed, it is tried again');
        giveUpOn(kind);
      },
    };
  }
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : Math.min(a, b);
}

function isHopeless(kind: string): kind is HopelessKind {
  return HOPELESS_KINDS.some((hopeless) => hopeless === kind);
}
