import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fetch } from 'undici';
import { freePort } from '../support/free-port.ts';
import { type ApiReply, ApiServerAccess, type ControlPlaneConnection, kubeconfigText } from './api-server-access.ts';
import { findAssets } from './assets.ts';
import { ServerProcess } from './server-process.ts';

const READY_WITHIN_MS = 90_000;
/** A call that asks whether a server is up; one that hangs must not hold up the next. */
const PROBE_TIMEOUT_MS = 2_000;

export interface ControlPlaneOptions {
  /**
   * Starts kube-controller-manager as well: garbage collection by owner, EndpointSlices, namespace deletion, default
   * service accounts. Without it, the admission of Pods does not ask for a service account, since nothing makes one.
   */
  readonly controllerManager?: boolean;
  /** Added after ours, such as `--watch-cache=false`; of a flag that takes one value, the last one holds. */
  readonly apiServerFlags?: readonly string[];
  /** Where the servers run; on loopback, beside the tests, unless told otherwise. */
  readonly network?: ControlPlaneNetwork;
  /** Where its folder is made; among the temporary files unless told otherwise. */
  readonly parentFolder?: string;
}

/** A network other than that of the test process, which must be able to reach `address` all the same. */
export interface ControlPlaneNetwork {
  /** On which the servers listen. Also what Pods find as the address of the API server, so not loopback. */
  readonly address: string;
  /** The command that becomes (by exec, so that the pid stays) the command which follows it, inside of the network. */
  readonly enter: readonly string[];
}

const LOOPBACK: ControlPlaneNetwork = { address: '127.0.0.1', enter: [] };

/** What was chosen once and holds through every restart. */
interface Settings {
  readonly assets: string;
  readonly folder: string;
  readonly etcdPort: number;
  readonly etcdPeerPort: number;
  readonly apiServerPort: number;
  readonly adminToken: string;
  readonly controllerManager: boolean;
  readonly apiServerFlags: readonly string[];
  readonly network: ControlPlaneNetwork;
}

/**
 * A real etcd and a real kube-apiserver, on loopback or in a network of their own, and in a temporary folder of their own.
 *
 * The API server signs its own certificate for its address at its first start and finds it again at the next ones, so
 * kubeconfigs stay good through restarts. Ports, data and tokens stay the same as well.
 */
export class ControlPlane {
  readonly #settings: Settings;
  #etcd: ServerProcess;
  #apiServer: ServerProcess;
  #controllerManager: ServerProcess | undefined;
  readonly #access: ApiServerAccess;

  private constructor(settings: Settings, etcd: ServerProcess, apiServer: ServerProcess, access: ApiServerAccess) {
    this.#settings = settings;
    this.#etcd = etcd;
    this.#apiServer = apiServer;
    this.#access = access;
  }

  static async start(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const settings = await prepare(options);
    const started: ServerProcess[] = [];
    try {
      const etcd = startEtcdProcess(settings);
      started.push(etcd);
      await untilEtcdIsReady(etcd, settings);
      const apiServer = startApiServerProcess(settings);
      started.push(apiServer);
      const connection = await connect(apiServer, settings);
      const controlPlane = new ControlPlane(settings, etcd, apiServer, new ApiServerAccess(connection));
      await controlPlane.#untilReady();
      if (settings.controllerManager) {
        const controllerManager = startControllerManagerProcess(settings, connection);
        started.push(controllerManager);
        controlPlane.#controllerManager = controllerManager;
        await controlPlane.#untilFound('/api/v1/namespaces/default/serviceaccounts/default', controllerManager);
      }
      return controlPlane;
    } catch (error) {
      await Promise.all(started.map((server) => server.kill()));
      await rm(settings.folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Ends all servers at once and deletes their data. */
  async stop(): Promise<void> {
    await this.#access.dropConnections();
    // There is nothing to hand over: SIGKILL saves the seconds of an orderly end.
    await Promise.all([this.#controllerManager?.kill(), this.#apiServer.kill(), this.#etcd.kill()]);
    await rm(this.#settings.folder, { recursive: true, force: true });
  }

  get connection(): ControlPlaneConnection {
    return this.#access.connection;
  }

  get kubeconfig(): string {
    return this.connection.kubeconfig;
  }

  get apiServerPort(): number {
    return this.connection.apiServerPort;
  }

  /** For a message when a test fails. */
  get apiServerLogTail(): string {
    return this.#apiServer.logTail();
  }

  request<Body = unknown>(...call: Parameters<ApiServerAccess['request']>): Promise<ApiReply<Body>> {
    return this.#access.request<Body>(...call);
  }

  kubectl(...parameters: string[]): Promise<string> {
    return this.#access.kubectl(...parameters);
  }

  kubeconfigFor(...parameters: Parameters<ApiServerAccess['kubeconfigFor']>): Promise<string> {
    return this.#access.kubeconfigFor(...parameters);
  }

  createServiceAccountKubeconfig(
    ...parameters: Parameters<ApiServerAccess['createServiceAccountKubeconfig']>
  ): Promise<string> {
    return this.#access.createServiceAccountKubeconfig(...parameters);
  }

  /** An orderly end: requests in flight are answered, watches end as if their time were over. Resolves when the process is gone. */
  async stopApiServer(): Promise<void> {
    await this.#apiServer.stop();
    await this.#access.dropConnections();
  }

  /** SIGKILL: connections break without a word. Resolves when the process is gone. */
  async killApiServer(): Promise<void> {
    await this.#apiServer.kill();
    await this.#access.dropConnections();
  }

  /** After `stopApiServer` or `killApiServer`; on the same port. Resolves when it is ready. */
  async startApiServer(): Promise<void> {
    if (this.#apiServer.running) {
      throw new Error('startApiServer: it runs already');
    }
    this.#apiServer = startApiServerProcess(this.#settings);
    await this.#untilReady();
  }

  /** SIGSTOP: the kernel goes on accepting connections for it, and nobody answers. */
  suspendApiServer(): void {
    this.#apiServer.signal('SIGSTOP');
  }

  resumeApiServer(): void {
    this.#apiServer.signal('SIGCONT');
  }

  /** At once, by SIGKILL: an orderly end waits seconds for the API server's watches, and saves nothing more. */
  async stopEtcd(): Promise<void> {
    await this.#etcd.kill();
  }

  /** After `stopEtcd`; same port, same data. Resolves when both etcd and the API server are ready. */
  async startEtcd(): Promise<void> {
    if (this.#etcd.running) {
      throw new Error('startEtcd: it runs already');
    }
    this.#etcd = startEtcdProcess(this.#settings);
    await untilEtcdIsReady(this.#etcd, this.#settings);
    if (this.#apiServer.running) {
      await this.#untilReady();
    }
  }

  /**
   * Makes etcd forget every state before now, so that each resourceVersion known so far is too old for it.
   *
   * The API server answers from its watch cache as long as it can and does not notice: with `--watch-cache=false` this
   * alone leads to 410, otherwise only after a restart. See `expireResourceVersions`.
   */
  async compactEtcd(): Promise<void> {
    // Two writes of our own come first: a client may know the newest revision N, from which a watch begins at N + 1,
    // and a compaction to R leaves R itself readable.
    await this.#writeToEtcd();
    const revision = await this.#writeToEtcd();
    await this.#callEtcd('compaction', { revision, physical: true });
  }

  /**
   * Every resourceVersion known so far leads to 410 from now on: a watch gets a 200 with an ERROR event of code 410
   * (reason Expired), a list with `resourceVersionMatch=Exact` or a `continue` token a 410 reply. Restarts the API
   * server, which breaks all connections: for watches that would be enough, since a new watch cache knows nothing from
   * before its start; lists of old states are answered from etcd and need the compaction.
   */
  async expireResourceVersions(): Promise<void> {
    await this.compactEtcd();
    await this.killApiServer();
    await this.startApiServer();
  }

  /** Returns the revision of the write. The API server does not look at the key. */
  async #writeToEtcd(): Promise<string> {
    const key = Buffer.from('/test/compaction').toString('base64');
    const { header } = await this.#callEtcd<{ header: { revision: string } }>('put', { key });
    return header.revision;
  }

  /** The JSON gateway of etcd's key-value service. */
  async #callEtcd<Reply>(method: 'put' | 'compaction', parameters: object): Promise<Reply> {
    const reply = await fetch(`${this.connection.etcdEndpoint}/v3/kv/${method}`, {
      method: 'POST',
      body: JSON.stringify(parameters),
    });
    if (!reply.ok) {
      throw new Error(`etcd refused ${method}: ${reply.status} ${await reply.text()}`);
    }
    return (await reply.json()) as Reply;
  }

  async #untilReady(): Promise<void> {
    await this.#apiServer.waitUntil(async () => (await this.#status('/readyz')) === 200, READY_WITHIN_MS);
    // Ready comes before the first namespaces do.
    await this.#untilFound('/api/v1/namespaces/default', this.#apiServer);
  }

  async #untilFound(path: string, maker: ServerProcess): Promise<void> {
    await maker.waitUntil(async () => (await this.#status(path)) === 200, READY_WITHIN_MS);
  }

  async #status(path: string): Promise<number | 'unreachable'> {
    try {
      const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
      return (await this.#access.request('GET', path, undefined, undefined, signal)).status;
    } catch {
      return 'unreachable'; // Not up yet; the caller asks again and reports the log when it gives up.
    }
  }
}

async function prepare({
  controllerManager = false,
  apiServerFlags = [],
  network = LOOPBACK,
  parentFolder = tmpdir(),
}: ControlPlaneOptions): Promise<Settings> {
  const assets = await findAssets({ controllerManager });
  const folder = await mkdtemp(join(parentFolder, 'heartbeat-operator-control-plane-'));
  const adminToken = randomBytes(24).toString('hex');
  // One after the other: two searches at once might both find the same port.
  const etcdPort = await freePort();
  const etcdPeerPort = await freePort();
  const apiServerPort = await freePort();
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  await writeFile(join(folder, 'service-account.pub'), publicKey);
  await writeFile(join(folder, 'service-account.key'), privateKey, { mode: 0o600 });
  await writeFile(join(folder, 'tokens.csv'), `${adminToken},admin,admin,system:masters\n`, { mode: 0o600 });
  const ports = { etcdPort, etcdPeerPort, apiServerPort };
  return { assets, folder, ...ports, adminToken, controllerManager, apiServerFlags, network };
}

/** One of the binaries, inside of the network. */
function startServer(
  { assets, folder, network }: Settings,
  { name, flags }: { readonly name: string; readonly flags: readonly string[] },
): ServerProcess {
  const [command = name, ...parameters] = [...network.enter, join(assets, name), ...flags];
  return new ServerProcess({ name, command, flags: parameters, logFile: join(folder, `${name}.log`) });
}

function startEtcdProcess(settings: Settings): ServerProcess {
  const { folder, etcdPort, etcdPeerPort, network } = settings;
  const clientUrl = `http://${network.address}:${etcdPort}`;
  const peerUrl = `http://${network.address}:${etcdPeerPort}`;
  return startServer(settings, {
    name: 'etcd',
    flags: [
      '--name=test',
      `--data-dir=${join(folder, 'etcd')}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=test=${peerUrl}`,
      '--unsafe-no-fsync', // The data need not outlive a power cut.
    ],
  });
}

async function untilEtcdIsReady(etcd: ServerProcess, { etcdPort, network }: Settings): Promise<void> {
  await etcd.waitUntil(async () => {
    try {
      const reply = await fetch(`http://${network.address}:${etcdPort}/readyz`, {
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
      });
      return reply.status === 200;
    } catch {
      return false; // Not up yet.
    }
  }, READY_WITHIN_MS);
}

function startApiServerProcess(settings: Settings): ServerProcess {
  const { folder, etcdPort, apiServerPort, controllerManager, apiServerFlags, network } = settings;
  return startServer(settings, {
    name: 'kube-apiserver',
    flags: [
      `--etcd-servers=http://${network.address}:${etcdPort}`,
      `--bind-address=${network.address}`,
      `--secure-port=${apiServerPort}`,
      `--advertise-address=${network.address}`,
      // The others, which tell Pods where the API server is, refuse a loopback address.
      ...(network === LOOPBACK ? ['--endpoint-reconciler-type=none'] : []),
      `--cert-dir=${join(folder, 'certificates')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${join(folder, 'service-account.pub')}`,
      `--service-account-signing-key-file=${join(folder, 'service-account.key')}`,
      `--token-auth-file=${join(folder, 'tokens.csv')}`,
      '--authorization-mode=Node,RBAC',
      '--service-cluster-ip-range=10.96.0.0/16',
      '--allow-privileged',
      // Else an orderly end does not end watches and takes a minute.
      '--shutdown-watch-termination-grace-period=1s',
      ...(controllerManager ? [] : ['--disable-admission-plugins=ServiceAccount']),
      ...apiServerFlags,
    ],
  });
}

/** Waits for the certificate, which the API server writes before it listens, and makes the administrator's kubeconfig. */
async function connect(apiServer: ServerProcess, settings: Settings): Promise<ControlPlaneConnection> {
  const { assets, folder, apiServerPort, etcdPort, adminToken, network } = settings;
  let certificateAuthorityPem = '';
  await apiServer.waitUntil(async () => {
    certificateAuthorityPem = await readCertificates(join(folder, 'certificates', 'apiserver.crt'));
    return certificateAuthorityPem !== '';
  }, READY_WITHIN_MS);
  const server = `https://${network.address}:${apiServerPort}`;
  const kubeconfig = join(folder, 'kubeconfig.json');
  await writeFile(kubeconfig, kubeconfigText({ server, token: adminToken, certificateAuthorityPem }), { mode: 0o600 });
  return {
    server,
    apiServerPort,
    certificateAuthorityPem,
    adminToken,
    kubeconfig,
    kubectl: join(assets, 'kubectl'),
    folder,
    etcdEndpoint: `http://${network.address}:${etcdPort}`,
  };
}

/** The file holds the serving certificate and after it the authority that signed it. Empty until both are there. */
async function readCertificates(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return ''; // Not written yet.
  }
  return text.split('-----END CERTIFICATE-----').length > 2 ? text : '';
}

function startControllerManagerProcess(settings: Settings, { kubeconfig }: ControlPlaneConnection): ServerProcess {
  return startServer(settings, {
    name: 'kube-controller-manager',
    flags: [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      `--service-account-private-key-file=${join(settings.folder, 'service-account.key')}`,
      '--use-service-account-credentials',
      '--leader-elect=false',
      '--secure-port=0', // Nobody asks it anything.
      // Its own throttle would hold up the start and every collection.
      '--kube-api-qps=1000',
      '--kube-api-burst=1000',
    ],
  });
}
