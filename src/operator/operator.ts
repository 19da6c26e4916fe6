import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/settings.ts';
import { Controller } from '../controller/controller.ts';
import { InstanceCache } from '../controller/instance-cache.ts';
import { Intake } from '../controller/intake.ts';
import { NewIdentityLimit } from '../controller/new-identity-limit.ts';
import { Reconciler } from '../controller/reconciler.ts';
import { Refresher } from '../controller/refresher.ts';
import { Sweeper } from '../controller/sweeper.ts';
import { WorkQueue } from '../controller/work-queue.ts';
import { buildHeartbeatServer } from '../heartbeat-api/server.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import { LivenessEngine } from '../liveness/liveness-engine.ts';
import { SelfDoubt } from '../liveness/self-doubt.ts';
import { buildManagementServer } from '../management-api/server.ts';
import { registerGauges } from '../telemetry/gauges.ts';
import { RepeatedWarning } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Backend } from './backend.ts';
import { instanceViews } from './instance-views.ts';
import { closeListener, listen } from './listener.ts';
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
  readonly #selfDoubt = new SelfDoubt();
  readonly #engine = new LivenessEngine(this.#selfDoubt);
  readonly #queue: WorkQueue<InstanceKey>;
  readonly #cache: InstanceCache;
  readonly #intake: Intake;
  readonly #controller: Controller;
  readonly #sweeper: Sweeper;
  readonly #refresher: Refresher;
  readonly #heartbeatServer: FastifyInstance;
  readonly #managementServer: FastifyInstance;
  readonly #failure = Promise.withResolvers<Error>();
  #isListening = false;
  #isDraining = false;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
    const { config, clock, metrics, backend } = parts;
    const observer = this.#observer();
    const enqueue = (key: InstanceKey): void => this.#queue.add(key);
    const engine = this.#engine;
    const defaultTiming = { intervalSeconds: config.defaultIntervalSeconds, times: config.defaultTimes };

    this.#queue = new WorkQueue(clock, metrics.queueObserver);
    this.#cache = new InstanceCache(clock, {
      changed: enqueue,
      vanished(key) {
        engine.disown(key);
        enqueue(key);
      },
      synced: () => this.#begin(),
    });
    this.#intake = new Intake({
      engine,
      cache: this.#cache,
      limit: new NewIdentityLimit(
        {
          perSecond: config.newInstancesPerSecond,
          burst: config.newInstancesBurst,
          total: config.instancesMax,
        },
        clock.nowMs(),
      ),
      enqueue,
      observer,
      unknownInstances: config.unknownInstances,
      defaultTiming,
      provisionalMax: config.instancesMax,
    });
    const reconciler = new Reconciler({
      clock,
      engine,
      cache: this.#cache,
      store: backend.store,
      observer,
      namespace: config.namespace === '' ? backend.namespace : config.namespace,
      defaultTiming,
      statusWritesPerSecond: config.statusWritesPerSecond,
      retentionMs: config.retentionSeconds * 1000,
    });
    this.#controller = new Controller({
      clock,
      queue: this.#queue,
      reconcile: (key) => reconciler.reconcile(key),
      observer,
      workers: config.workers,
    });
    const crash = (error: unknown): void => this.#fail(error);
    this.#sweeper = new Sweeper({ clock, engine, selfDoubt: this.#selfDoubt, observer, enqueue, crash });
    this.#refresher = new Refresher(clock, this.#cache, config.statusWritesPerSecond, enqueue);
    this.#heartbeatServer = this.#buildHeartbeatServer();
    this.#managementServer = this.#buildManagementServer();
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
    const { config, clock, backend, logger } = this.#parts;
    this.#selfDoubt.stopListening(clock.nowMs());
    const managementPort = await listen(this.#managementServer, {
      address: config.managementAddress,
      port: config.managementPort,
      portFlag: '--management-port',
    });
    const heartbeatPort = await listen(this.#heartbeatServer, {
      address: config.heartbeatAddress,
      port: config.heartbeatPort,
      portFlag: '--heartbeat-port',
    });
    this.#selfDoubt.startListening(clock.nowMs());
    this.#isListening = true;
    this.#sweeper.start();
    logger.info({ heartbeatPort, managementPort }, 'listening');
    backend.start(this.#cache, (error) => this.#fail(error));
    return { heartbeatPort, managementPort };
  }

  /** Everything stored is known: settle what was taken on trust, and begin to write. */
  #begin(): void {
    const { clock, logger } = this.#parts;
    logger.info({ instances: this.#cache.size }, 'stored instances are known');
    this.#intake.settleProvisional(clock.nowMs());
    this.#controller.start();
    this.#refresher.start();
  }

  /**
   * Resolves when the last reply is sent and the last write is answered, or `deadline` has ended.
   *
   * The judge stops first: from then on some sender may no longer reach us.
   */
  async stop(deadline: AbortSignal): Promise<void> {
    const { clock, backend, logger } = this.#parts;
    logger.info('stopping');
    this.#isDraining = true;
    this.#selfDoubt.stopListening(clock.nowMs());
    this.#sweeper.stop();
    this.#refresher.stop();
    await closeListener(this.#heartbeatServer, deadline);
    this.#isListening = false;
    await orDeadline(this.#controller.stop(), deadline);
    await orDeadline(backend.stopWatching(), deadline);
    await closeListener(this.#managementServer, deadline);
    await orDeadline(backend.close(), deadline);
    logger.info('stopped');
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
      accept: (key, receivedAtMs) => this.#intake.accept(key, receivedAtMs),
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
        this.#selfDoubt.shed();
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
      instances: instanceViews(this.#engine, this.#cache, clock),
    });
  }

  #registerGauges(): void {
    const { config, metrics, backend } = this.#parts;
    registerGauges(metrics.registry, {
      instances: () => this.#engine.counts,
      selfDoubtMs: () => this.#selfDoubt.totalMs,
      queueDepth: () => this.#queue.depth,
      workInProgress: () => this.#queue.workInProgress(),
      activeWorkers: () => this.#controller.activeWorkers,
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
