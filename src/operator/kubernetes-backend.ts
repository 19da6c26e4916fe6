import type { Logger } from 'pino';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/settings.ts';
import type { ResourceListener } from '../controller/ports.ts';
import type { ObservedInstance } from '../health/observed-instance.ts';
import { missingRights } from '../kubernetes/access-review.ts';
import { ApiClient } from '../kubernetes/api-client.ts';
import type { ApiFailureKind } from '../kubernetes/api-error.ts';
import { CredentialsError } from '../kubernetes/connection-facts.ts';
import { type Credentials, loadCredentials } from '../kubernetes/credentials.ts';
import { decodeInstance, instancesPath } from '../kubernetes/instance-resource.ts';
import { KubernetesInstanceStore } from '../kubernetes/instance-store.ts';
import { Reflector } from '../kubernetes/reflector.ts';
import type { ReflectorObserver } from '../kubernetes/reflector-observer.ts';
import type { ReflectorState } from '../telemetry/gauges.ts';
import { RepeatedWarning } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Backend } from './backend.ts';
import { errorText } from './observers.ts';
import { OperatorError } from './operator-error.ts';

const RESOURCE = 'heartbeatinstances';

/** What is wrong with the cluster, not with the moment, when it is still so after some tries in a row. */
const TRIES_BEFORE_GIVING_UP = 3;

const WHAT_TO_DO: Partial<Record<ApiFailureKind, string>> = {
  absent: 'the HeartbeatInstance resource is not installed: run `kubectl apply -k deploy`',
  forbidden: 'the account may not list HeartbeatInstances: run `kubectl apply -k deploy`, which grants its rights',
  unauthorized: 'the API server does not accept the credentials: renew the kubeconfig or the service account',
};

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
  const { config, clock, logger, metrics, version, environment } = parts;
  const credentials = await load(clock, environment);
  const facts = await credentials.current();
  const repeated = new RepeatedWarning(logger, () => clock.nowMs());
  const client = new ApiClient({
    credentials,
    clock,
    version,
    writeConnections: config.workers,
    observer: {
      called({ code, method, host, durationSeconds }) {
        metrics.apiRequests.inc({ code, method, host });
        metrics.apiDuration.observe({ verb: method, host }, durationSeconds);
      },
    },
  });
  let reflector: Reflector<ObservedInstance> | undefined;

  return {
    store: new KubernetesInstanceStore(client),
    namespace: facts.namespace ?? 'default',
    start(listener: ResourceListener<ObservedInstance>, fail) {
      let failuresInARow = 0;
      const giveUpOn = (kind: string): void => {
        failuresInARow += 1;
        const problem = WHAT_TO_DO[kind as ApiFailureKind];
        if (problem === undefined || reflector?.synced === true) failuresInARow = 0;
        else if (failuresInARow >= TRIES_BEFORE_GIVING_UP) fail(new OperatorError(problem));
      };
      reflector = new Reflector({
        client,
        path: instancesPath(),
        decode: decodeInstance,
        listener,
        clock,
        observer: reflectorObserver(metrics, logger, repeated, giveUpOn),
      });
      reflector.start();
      checkRights(reflector, client, fail).catch(fail);
    },
    async stopWatching() {
      await reflector?.stop();
    },
    close: () => client.close(),
    reflectors: () => (reflector === undefined ? [] : [stateOf(reflector, clock)]),
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

/** The list has shown that the API server answers; whether we may also write is asked once, then. */
async function checkRights(
  reflector: Reflector<ObservedInstance>,
  client: ApiClient,
  fail: (error: Error) => void,
): Promise<void> {
  try {
    await reflector.whenSynced();
  } catch {
    // Stopped before it was synced: nothing to check.
    return;
  }
  const missing = await missingRights(client);
  if (missing.length === 0) return;
  fail(new OperatorError(`the account lacks rights (${missing.join(', ')}): run \`kubectl apply -k deploy\``));
}

function reflectorObserver(
  metrics: Metrics,
  logger: Logger,
  repeated: RepeatedWarning,
  giveUpOn: (kind: string) => void,
): ReflectorObserver {
  const labels = { resource: RESOURCE };
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
      repeated.warn('undecodable', { ...labels, error: errorText(error) }, 'object left out: it cannot be read');
    },
    listenerFailed: (error) => logger.error({ ...labels, error: errorText(error) }, 'taking in a change threw'),
    failed(kind, message) {
      repeated.warn(`watch ${kind}`, { ...labels, error: message }, 'watch failed, it is tried again');
      giveUpOn(kind);
    },
  };
}

function stateOf(reflector: Reflector<ObservedInstance>, clock: Clock): ReflectorState {
  const { lastHeardAtMs, synced } = reflector;
  const lastHeardSeconds =
    lastHeardAtMs === undefined ? undefined : (clock.wallMs() - (clock.nowMs() - lastHeardAtMs)) / 1000;
  return { resource: RESOURCE, isSynced: synced, lastHeardSeconds };
}
