import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/settings.ts';
import { Loop } from '../controller/loop.ts';
import { buildHeartbeatServer } from '../heartbeat-api/server.ts';
import { buildManagementServer } from '../management-api/server.ts';
import { registerGauges } from '../telemetry/gauges.ts';
import { RepeatedWarning } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Backend } from './backend.ts';
import { instanceViews } from './instance-views.ts';
import { Listener } from './listener.ts';
import { errorText, loopObserver, type Narrator, withNarrator } from './observers.ts';

export interface OperatorParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly backend: Backend;
  readonly version: string;
  readonly narrator?: Narrator;
}

/**
 * The composition root: builds all parts, joins them, and owns the order of start and stop.
 *
 * Start: listen and answer, hear what is stored, then judge and write. Stop: the same reversed.
 */
export class Operator {
  readonly #parts: OperatorParts;
  readonly #loop: Loop;
  readonly #heartbeatListener: Listener;
  readonly #managementListener: Listener;
  readonly #failure = Promise.withResolvers<Error>();
  #isListening = false;
  #isDraining = false;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
    const { config, clock, logger, metrics, backend } = parts;
    this.#loop = new Loop({
      clock,
      store: backend.store,
      observer: this.#observer(),
      queueObserver: metrics.queueObserver,
      settings: {
        namespace: config.namespace === '' ? backend.namespace : config.namespace,
        defaultTiming: { intervalSeconds: config.defaultIntervalSeconds, times: config.defaultTimes },
        unknownInstances: config.unknownInstances,
        newIdentities: {
          perSecond: config.newInstancesPerSecond,
          burst: config.newInstancesBurst,
          total: config.instancesMax,
        },
        statusWritesPerSecond: config.statusWritesPerSecond,
        retentionMs: config.retentionSeconds * 1000,
        workers: config.workers,
      },
      onSynced: () => logger.info({ instances: this.#loop.cache.size }, 'stored instances are known'),
      crash: (error) => this.#fail(error),
    });
    this.#heartbeatListener = new Listener(this.#buildHeartbeatServer());
    this.#managementListener = new Listener(this.#buildManagementServer());
    this.#registerGauges();
  }

  /** Resolves with the reason when the operator can no longer do its work; never if all goes well. */
  get failed(): Promise<Error> {
    return this.#failure.promise;
  }

  /**
   * Answers heartbeats from when this resolves. What is stored is heard afterwards, however long that takes.
   *
   * @throws OperatorError when a port cannot be used.
   */
  async start(): Promise<{ readonly heartbeatPort: number; readonly managementPort: number }> {
    const { config, backend, logger } = this.#parts;
    const managementPort = await this.#managementListener.listen({
      address: config.managementAddress,
      port: config.managementPort,
      portFlag: '--management-port',
    });
    const heartbeatPort = await this.#heartbeatListener.listen({
      address: config.heartbeatAddress,
      port: config.heartbeatPort,
      portFlag: '--heartbeat-port',
    });
    this.#loop.startHearing();
    this.#isListening = true;
    logger.info({ heartbeatPort, managementPort }, 'listening');
    backend.start(this.#loop.cache, (error) => this.#fail(error));
    return { heartbeatPort, managementPort };
  }

  /**
   * Resolves when the last reply is sent and the last write is answered, or `deadline` has ended.
   *
   * The judge stops first: from then on some sender may no longer reach us.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    const { backend, logger } = this.#parts;
    logger.info('stopping');
    this.#isDraining = true;
    this.#loop.stopJudging();
    await this.#serveOn(deadline);
    await this.#heartbeatListener.close(deadline);
    this.#isListening = false;
    await orDeadline(this.#loop.drain(), deadline);
    await orDeadline(backend.stopWatching(), deadline);
    await this.#managementListener.close(deadline);
    await orDeadline(backend.close(), deadline);
    logger.info('stopped');
  }

  /** Serves on for a while: senders learn only slowly that we go, and each reply asks them to connect anew. */
  async #serveOn(deadline: AbortSignal): Promise<void> {
    const { config, clock } = this.#parts;
    const served = Promise.withResolvers<void>();
    const cancel = clock.schedule(config.drainSeconds * 1000, served.resolve);
    await orDeadline(served.promise, deadline);
    cancel();
  }

  #observer(): ReturnType<typeof loopObserver> {
    const { metrics, logger, clock, narrator } = this.#parts;
    const observer = loopObserver(metrics, logger, new RepeatedWarning(logger, () => clock.nowMs()));
    return narrator === undefined ? observer : withNarrator(observer, narrator);
  }

  #fail(error: unknown): void {
    this.#failure.resolve(error instanceof Error ? error : new Error(String(error)));
  }

  #buildHeartbeatServer(): FastifyInstance {
    const { config, clock, logger, metrics, version } = this.#parts;
    return buildHeartbeatServer({
      accept: (key, receivedAtMs) => this.#loop.accept(key, receivedAtMs),
      domainRule: { isRequired: config.requireDomainHeader },
      successBody: config.successBody,
      observer: { answered: (result, code, durationMs) => metrics.heartbeatAnswered(result, code, durationMs) },
      isDraining: () => this.#isDraining,
      nowMs: () => clock.nowMs(),
      turn: () => clock.turn(),
      version,
      keepAliveMs: config.keepAliveSeconds * 1000,
      headersTimeoutMs: config.headersTimeoutSeconds * 1000,
      requestTimeoutMs: config.requestTimeoutSeconds * 1000,
      connectionsMax: config.connectionsMax,
      onError: (error) => logger.error({ error: errorText(error) }, 'request failed by a mistake of ours'),
      onConnectionDropped: () => {
        metrics.connectionsDropped.inc();
        this.#loop.selfDoubt.shed();
      },
    });
  }

  #buildManagementServer(): FastifyInstance {
    const { clock, metrics } = this.#parts;
    return buildManagementServer({
      // That this is answered at all shows that the event loop turns.
      liveness: [{ name: 'event-loop', problem: () => undefined }],
      readiness: [
        { name: 'listening', problem: () => (this.#isListening ? undefined : 'heartbeats are not received') },
        { name: 'not-draining', problem: () => (this.#isDraining ? 'the process is stopping' : undefined) },
      ],
      metrics: metrics.registry,
      instances: instanceViews(this.#loop.engine, this.#loop.cache, clock),
    });
  }

  #registerGauges(): void {
    const { config, metrics, backend } = this.#parts;
    registerGauges(metrics.registry, {
      instances: () => this.#loop.engine.counts,
      selfDoubtMs: () => this.#loop.selfDoubt.totalMs,
      queueDepth: () => ({ total: this.#loop.queue.depth, background: this.#loop.queue.backgroundDepth }),
      workInProgress: () => this.#loop.queue.workInProgress(),
      activeWorkers: () => this.#loop.controller.activeWorkers,
      maxWorkers: () => config.workers,
      reflectors: () => backend.reflectors(),
    });
  }
}

async function orDeadline(work: Promise<void>, deadline: AbortSignal): Promise<void> {
  if (deadline.aborted) return;
  const ended = Promise.withResolvers<void>();
  deadline.addEventListener('abort', () => ended.resolve(), { once: true });
  await Promise.race([work, ended.promise]);
}
