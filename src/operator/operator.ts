import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/settings.ts';
import { Loop } from '../controller/loop.ts';
import type { PodLoopParts } from '../controller/pod-loop.ts';
import type { LoopObserver, PolicyObserver } from '../controller/ports.ts';
import { Timeline } from '../controller/timeline.ts';
import { DEFAULT_WITHDRAWALS } from '../brakes/withdrawals.ts';
import { buildHeartbeatServer } from '../heartbeat-api/server.ts';
import { buildManagementServer } from '../management-api/server.ts';
import { registerGauges } from '../telemetry/gauges.ts';
import { RepeatedWarning } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Backend } from './backend.ts';
import { buildSenders } from './build-senders.ts';
import { gaugeSources } from './gauge-sources.ts';
import { instanceViews } from './instance-views.ts';
import { Listener } from './listener.ts';
import { tellAll } from './compose.ts';
import { eventObserver } from './event-observers.ts';
import { errorText, loopObserver, type Narrator } from './observers.ts';
import { ownAddresses } from './own-addresses.ts';
import { podObserver, policyObserver } from './pod-observers.ts';
import { MARKER_NAME } from './release-marker.ts';
import { whyObserver } from './why.ts';

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
  readonly #timeline = new Timeline();
  readonly #loop: Loop;
  readonly #heartbeatListener: Listener;
  readonly #managementListener: Listener;
  readonly #failure = Promise.withResolvers<Error>();
  #isListening = false;
  #isDraining = false;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
    const { config, clock, logger, metrics, backend } = parts;
    const observers = this.#observers();
    this.#loop = new Loop({
      clock,
      store: backend.store,
      observer: observers.loop,
      queueObserver: metrics.queueObserver('heartbeatinstance'),
      ownAddresses: ownAddresses(),
      pods: {
        store: backend.podStore,
        policyStore: backend.policyStore,
        observer: observers.pods,
        policyObserver: observers.policies,
        queueObserver: metrics.queueObserver('pod'),
        brakes: {
          ...DEFAULT_WITHDRAWALS,
          nodeThreshold: { ...DEFAULT_WITHDRAWALS.nodeThreshold, percent: config.stormNodePercent },
          allThreshold: { ...DEFAULT_WITHDRAWALS.allThreshold, percent: config.stormAllPercent },
          perSecond: config.withdrawalsPerSecond,
          random: Math.random,
        },
        isCacheStale: () => backend.podCacheAgeMs() > config.podCacheStaleSeconds * 1000,
      },
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
    registerGauges(metrics.registry, gaugeSources(this.#loop, backend, config.workers));
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
    backend.start(
      {
        instances: this.#loop.cache,
        pods: this.#loop.podCache.pods,
        nodes: this.#loop.podCache.nodes,
        policies: this.#loop.podCache.policies,
        released: (isReleased) => this.#setReleased(isReleased),
      },
      (error) => this.#fail(error),
    );
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

  /** Each happening goes to metrics and logs, to Kubernetes Events, and to the timeline of the instance. */
  #observers(): {
    readonly loop: LoopObserver;
    readonly pods: PodLoopParts['observer'];
    readonly policies: PolicyObserver;
  } {
    const { metrics, logger, clock, backend, narrator = {} } = this.#parts;
    const repeated = new RepeatedWarning(logger, () => clock.nowMs());
    const events = eventObserver(
      backend.recordEvent,
      () => this.#loop.podCache.policies.values(),
      (key) => this.#loop.cache.get(key)?.winner,
    );
    const why = whyObserver(
      this.#timeline,
      () => clock.wallMs(),
      (podUid) => this.#loop.bindings.instancesOf(podUid),
    );
    return {
      loop: tellAll<LoopObserver>(loopObserver(metrics, logger, repeated), events, why, narrator),
      pods: tellAll<PodLoopParts['observer']>(podObserver(metrics, logger, repeated), events, why),
      policies: tellAll<PolicyObserver>(policyObserver(metrics, repeated), events),
    };
  }

  /** While the marker of an uninstall is there, no Pod is withdrawn, and people should know. */
  #setReleased(isReleased: boolean): void {
    const { logger } = this.#parts;
    if (isReleased) logger.warn({ marker: MARKER_NAME }, 'released: no pod is withdrawn until the marker is deleted');
    this.#loop.pods.setReleased(isReleased);
  }

  #fail(error: unknown): void {
    this.#failure.resolve(error instanceof Error ? error : new Error(String(error)));
  }

  #buildHeartbeatServer(): FastifyInstance {
    const { config, clock, logger, metrics, version } = this.#parts;
    return buildHeartbeatServer({
      accept: (key, receivedAtMs, sender) => this.#loop.accept(key, receivedAtMs, sender),
      acceptKnown: (key, receivedAtMs) => this.#loop.acceptKnown(key, receivedAtMs),
      report: (key, value, receivedAtMs, sender) => this.#loop.report(key, value, receivedAtMs, sender),
      senders: buildSenders(this.#parts),
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
      instances: instanceViews({ loop: this.#loop, timeline: this.#timeline, clock }),
    });
  }
}

async function orDeadline(work: Promise<void>, deadline: AbortSignal): Promise<void> {
  if (deadline.aborted) return;
  const ended = Promise.withResolvers<void>();
  deadline.addEventListener('abort', () => ended.resolve(), { once: true });
  await Promise.race([work, ended.promise]);
}
