import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/settings.ts';
import type { PodStore, ResourceListener } from '../controller/ports.ts';
import { missingRights } from '../kubernetes/access-review.ts';
import { ApiClient, type ApiQuery } from '../kubernetes/api-client.ts';
import { CredentialsError } from '../kubernetes/connection-facts.ts';
import { type Credentials, loadCredentials } from '../kubernetes/credentials.ts';
import { EVENT_CALLS_MAX, KubernetesEventRecorder } from '../kubernetes/event-recorder.ts';
import { decodeInstance, instancesPath } from '../kubernetes/instance-resource.ts';
import { KubernetesInstanceStore } from '../kubernetes/instance-store.ts';
import { ListenerUnion } from '../kubernetes/listener-union.ts';
import { decodeNode, nodesPath } from '../kubernetes/node-resource.ts';
import { decodePod, podsPath } from '../kubernetes/pod-resource.ts';
import { KubernetesPodStore, podConditionGenerationSupported } from '../kubernetes/pod-store.ts';
import { decodePolicy, policiesPath } from '../kubernetes/policy-resource.ts';
import { KubernetesPolicyStore } from '../kubernetes/policy-store.ts';
import { reviewToken } from '../kubernetes/token-review.ts';
import { RepeatedWarning } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { Backend, BackendListeners } from './backend.ts';
import { OperatorError } from './operator-error.ts';
import { release, type ReleaseOptions, type ReleaseOutcome } from './release.ts';
import { decodeMarker, MARKER_QUERY, markersPath, type ReleaseMarker } from './release-marker.ts';
import { type HopelessKind, Watches } from './watches.ts';

/** What must be known of a cluster before a Pod is judged. */
const POD_RESOURCES = ['pods', 'nodes', 'heartbeatpolicies'] as const;

/** Where the operator is at home if it does not run in a cluster and its context names no namespace. */
const HOME = 'heartbeat-operator';

export interface KubernetesBackendParts {
  readonly config: Config;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** @throws OperatorError when there are no credentials. */
export async function kubernetesBackend(parts: KubernetesBackendParts): Promise<Backend> {
  const { config, clock, logger, metrics } = parts;
  const { client, namespace } = await connect(parts);
  const repeated = new RepeatedWarning(logger, () => clock.nowMs());
  const events = new KubernetesEventRecorder({
    client,
    clock,
    reportingInstance: hostname(),
    observer: {
      recorded: (reason) => metrics.events.inc({ reason }),
      dropped: (why) => metrics.eventsDropped.inc({ why }),
    },
  });
  let watches: Watches | undefined;

  return {
    store: new KubernetesInstanceStore(client),
    podStore: lateGenerationSupport(client),
    policyStore: new KubernetesPolicyStore(client),
    recordEvent: (event) => events.record(event),
    namespace: namespace ?? 'default',
    reviewToken: (token) => reviewToken(client, token),
    podCacheAgeMs: () => watches?.ageMs(POD_RESOURCES) ?? 0,
    start(listeners, fail) {
      const home = namespace ?? HOME;
      const giveUp = (kind: HopelessKind, resource: string): void => {
        explain(kind, resource, client, home).then(fail, fail);
      };
      watches = new Watches({ client, clock, logger, metrics, repeated, giveUp });
      startWatches(watches, listeners, config, clock, home);
      checkRights(watches, client, home, fail).catch(fail);
    },
    async stopWatching() {
      await watches?.stop();
    },
    async close() {
      await events.stop();
      await client.close();
    },
    reflectors: () => watches?.states() ?? [],
  };
}

/** A client for the cluster of the environment, and the namespace that the operator runs in, if that is known. */
async function connect({
  config,
  clock,
  metrics,
  version,
  environment,
}: Omit<KubernetesBackendParts, 'logger'>): Promise<{
  readonly client: ApiClient;
  readonly namespace: string | undefined;
}> {
  const credentials = await load(clock, environment);
  const { namespace } = await credentials.current();
  const client = new ApiClient({
    credentials,
    clock,
    version,
    // Two kinds of keys are worked on at once, and events have some connections that verdicts need not wait for.
    writeConnections: 2 * config.workers + EVENT_CALLS_MAX,
    observer: {
      called({ code, method, host, durationSeconds }) {
        metrics.apiRequests.inc({ code, method, host });
        metrics.apiDuration.observe({ verb: method, host }, durationSeconds);
      },
    },
  });
  return { client, namespace };
}

/**
 * The command `release`, against the cluster of the environment.
 *
 * @throws OperatorError when there are no credentials.
 */
export async function releaseCluster(
  parts: Omit<KubernetesBackendParts, 'logger' | 'metrics'> & Pick<ReleaseOptions, 'log' | 'signal'>,
): Promise<ReleaseOutcome> {
  const { clock, log, signal, version } = parts;
  const { client, namespace } = await connect({ ...parts, metrics: new Metrics(version) });
  try {
    return await release({ client, clock, log, signal, namespace: namespace ?? HOME });
  } finally {
    await client.close();
  }
}

function startWatches(
  watches: Watches,
  listeners: BackendListeners,
  config: Config,
  clock: Clock,
  namespace: string,
): void {
  watches.start({
    resource: 'heartbeatinstances',
    path: instancesPath(),
    decode: decodeInstance,
    listener: listeners.instances,
  });
  watches.start({
    resource: 'heartbeatpolicies',
    path: policiesPath(),
    decode: decodePolicy,
    listener: listeners.policies,
  });
  watches.start({ resource: 'nodes', path: nodesPath(), decode: decodeNode, listener: listeners.nodes });
  const podNamespaces = config.podNamespaces === '' ? [undefined] : config.podNamespaces.split(',');
  const union = new ListenerUnion({ listener: listeners.pods, partCount: podNamespaces.length, clock });
  const query: ApiQuery = config.podSelector === '' ? {} : { labelSelector: config.podSelector };
  for (const [index, listener] of union.parts.entries()) {
    watches.start({ resource: 'pods', path: podsPath(podNamespaces[index]), query, decode: decodePod, listener });
  }
  watches.start({
    resource: 'configmaps',
    path: markersPath(namespace),
    query: MARKER_QUERY,
    decode: decodeMarker,
    listener: markerListener(listeners.released),
  });
}

/** The one object that may be there says by being there that the operator is being uninstalled. */
function markerListener(released: (isReleased: boolean) => void): ResourceListener<ReleaseMarker> {
  return {
    replaced(items) {
      released(items.length > 0);
      return Promise.resolve();
    },
    changed: () => released(true),
    removed: () => released(false),
  };
}

/**
 * Pods, written to with or without `observedGeneration` in the condition: whether the server knows it is asked before
 * the first write, since the operator starts without waiting for the server.
 */
function lateGenerationSupport(client: ApiClient): PodStore {
  let store: Promise<KubernetesPodStore> | undefined;
  const known = (): Promise<KubernetesPodStore> => {
    store ??= podConditionGenerationSupported(client).then(
      (knowsGeneration) => new KubernetesPodStore(client, { knowsGeneration }),
    );
    return store;
  };
  return {
    read: async (target) => (await known()).read(target),
    writeCondition: async (target, condition) => (await known()).writeCondition(target, condition),
  };
}

async function load(clock: Clock, environment: KubernetesBackendParts['environment']): Promise<Credentials> {
  try {
    return await loadCredentials({ clock, environment });
  } catch (error) {
    if (error instanceof CredentialsError) throw new OperatorError(error.message, { cause: error });
    throw error;
  }
}

/** The lists have shown that the API server answers; whether we may also write is asked once, then. */
async function checkRights(
  watches: Watches,
  client: ApiClient,
  namespace: string,
  fail: (error: Error) => void,
): Promise<void> {
  try {
    await watches.whenSynced();
  } catch {
    // Stopped before it was synced: nothing to check.
    return;
  }
  const problem = lackOf(await missingRights(client, namespace));
  if (problem !== undefined) fail(new OperatorError(problem));
}

/** Why a watch cannot succeed, in one line that says what to do. */
async function explain(
  kind: HopelessKind,
  resource: string,
  client: ApiClient,
  namespace: string,
): Promise<OperatorError> {
  switch (kind) {
    case 'absent':
      return new OperatorError(`the resource ${resource} is not installed: run \`kubectl apply -k deploy\``);
    case 'forbidden':
      // Where one right is missing others may be as well: all are told at once.
      return new OperatorError(
        lackOf(await missingRights(client, namespace)) ?? `the account may not list ${resource}`,
      );
    case 'unauthorized':
      return new OperatorError(
        'the API server does not accept the credentials: renew the kubeconfig or the service account',
      );
  }
}

function lackOf(missing: readonly string[]): string | undefined {
  if (missing.length === 0) return undefined;
  return `the account lacks rights (${missing.join(', ')}): run \`kubectl apply -k deploy\``;
}
