import { delimiter } from 'node:path';
import type { Clock } from '../clock.ts';
import { type ConnectionFacts, type CredentialSource, CredentialsError, type Environment } from './connection-facts.ts';
import { inClusterSource, isInCluster } from './in-cluster.ts';
import { homeKubeconfigFile, kubeconfigSource } from './kubeconfig.ts';

/** client-go reads token files again at the same pace; a kubelet replaces them long before they run out. */
const REREAD_AFTER_MS = 60_000;

/**
 * A credential plugin may have to ask a cloud for a token, and one that waits for a person to type waits for ever.
 * Below the time limit of a call, which waits for this.
 */
const READ_TIMEOUT_MS = 10_000;

/** Every call may hear 401 at the same time, and a credential plugin is a process each time it runs. */
const RENEW_PAUSE_MS = 5_000;

/** Connection facts that follow what is on disk: rotated tokens, certificates and CA bundles. */
export class Credentials {
  readonly #source: CredentialSource;
  readonly #clock: Clock;
  #facts: ConnectionFacts | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #renewedAtMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<ConnectionFacts> | undefined;

  constructor(source: CredentialSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** The facts, at most a minute old. @throws CredentialsError if there never were any that could be read. */
  async current(): Promise<ConnectionFacts> {
    if (this.#facts !== undefined && this.#clock.nowMs() - this.#readAtMs < REREAD_AFTER_MS) return this.#facts;
    try {
      return await this.#read(false);
    } catch (error) {
      // A file may be missing for the moment in which it is replaced, and what worked a minute ago most likely still does.
      if (this.#facts !== undefined) return this.#facts;
      throw error;
    }
  }

  /** Reads everything again, after the server answered 401. @throws CredentialsError if that fails. */
  async renew(): Promise<ConnectionFacts> {
    const nowMs = this.#clock.nowMs();
    if (this.#facts !== undefined && nowMs - this.#renewedAtMs < RENEW_PAUSE_MS) {
      return this.#reading ?? this.#facts;
    }
    this.#renewedAtMs = nowMs;
    return this.#read(true);
  }

  #read(renew: boolean): Promise<ConnectionFacts> {
    if (this.#reading !== undefined && !renew) return this.#reading;
    this.#readAtMs = this.#clock.nowMs();
    const reading = this.#readInTime(renew).finally(() => {
      if (this.#reading === reading) this.#reading = undefined;
    });
    this.#reading = reading;
    return reading;
  }

  async #readInTime(renew: boolean): Promise<ConnectionFacts> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#clock.schedule(READ_TIMEOUT_MS, () => {
      late.reject(new CredentialsError(`reading the credentials took more than ${READ_TIMEOUT_MS / 1_000} s`));
    });
    try {
      this.#facts = await Promise.race([this.#source.read(renew), late.promise]);
      return this.#facts;
    } finally {
      cancel();
    }
  }
}

export interface CredentialsOptions {
  readonly clock: Clock;
  readonly environment: Environment;
  /** Where a Pod finds its token, CA bundle and namespace. */
  readonly serviceAccountFolder?: string;
}

/**
 * Finds the credentials in the order of kubectl and controller-runtime: the files of $KUBECONFIG, the service account
 * of the Pod, ~/.kube/config.
 *
 * @throws CredentialsError if there are none or they cannot be used
 */
export async function loadCredentials(options: CredentialsOptions): Promise<Credentials> {
  const credentials = new Credentials(await findSource(options), options.clock);
  await credentials.current();
  return credentials;
}

async function findSource(options: CredentialsOptions): Promise<CredentialSource> {
  const { environment } = options;
  const files = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '');
  if (files.length > 0) return kubeconfigSource(files);
  const folder = options.serviceAccountFolder ?? '/var/run/secrets/kubernetes.io/serviceaccount';
  if (await isInCluster(environment, folder)) return inClusterSource(environment, folder);
  const homeFile = await homeKubeconfigFile(environment);
  if (homeFile !== undefined) return kubeconfigSource([homeFile]);
  throw new CredentialsError(
    'no Kubernetes cluster is configured: set KUBECONFIG to a kubeconfig file, create ~/.kube/config, or run in a Pod with a service account',
  );
}
