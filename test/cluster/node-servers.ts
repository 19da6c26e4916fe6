import { access, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ServerProcess } from '../control-plane/server-process.ts';
import { run } from './command.ts';
import type { Enclosure } from './enclosure.ts';
import { IMAGE } from './image.ts';

/*
 * What makes a machine a node: containerd, kubelet, kube-proxy; and the scheduler, which fills it.
 *
 * containerd starts in a mount namespace of its own, in which /run, /var/lib and /var/log are folders of the
 * cluster's; kubelet joins it there. So both keep to their default paths, as if they were alone on the machine,
 * and all their mounts end with the last process in there, whatever becomes of us.
 */

export const NODE_NAME = 'node-1';

const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';
const READY_WITHIN_MS = 60_000;

/**
 * Kernel parameters of the whole machine, with the values that kubelet would give them. Among its mounts a file takes
 * the place of each: kubelet finds what it wants and changes nothing.
 */
const KERNEL_PARAMETERS: Readonly<Record<string, string>> = {
  'proc/sys/vm/overcommit_memory': '1',
  'proc/sys/vm/panic_on_oom': '0',
  'proc/sys/kernel/panic': '10',
  'proc/sys/kernel/panic_on_oops': '1',
  'proc/sys/kernel/keys/root_maxkeys': '1000000',
  'proc/sys/kernel/keys/root_maxbytes': '25000000',
};

/** Folders and files of the cluster, below `root` of its own folder, which take the place of the machine's. */
const MOUNTED: readonly string[] = ['run', 'var/lib', 'var/log', ...Object.keys(KERNEL_PARAMETERS)];

export interface NodeServersOptions {
  readonly enclosure: Enclosure;
  /** The folder of kubelet, kube-proxy and kube-scheduler. */
  readonly assets: string;
  readonly kubeconfig: string;
}

export class NodeServers {
  readonly #options: NodeServersOptions;
  readonly #containerd: ServerProcess;
  readonly #kubeProxy: ServerProcess;
  readonly #scheduler: ServerProcess;
  #kubelet: ServerProcess;

  private constructor(options: NodeServersOptions, containerd: ServerProcess) {
    this.#options = options;
    this.#containerd = containerd;
    this.#kubelet = this.#startKubelet();
    this.#kubeProxy = this.#startKubeProxy();
    this.#scheduler = this.#startScheduler();
  }

  /** Resolves when they run; the node becomes Ready later. The archive holds the image of the Pods. */
  static async start(options: NodeServersOptions, imageArchive: string): Promise<NodeServers> {
    await writeConfiguration(options);
    const containerd = startContainerd(options);
    try {
      // Its socket, seen from outside: until it is there, the process may not be among its own mounts yet, and whoever
      // joined it would talk to the containerd of the machine.
      const socket = join(options.enclosure.folder, 'root', CONTAINERD_SOCKET);
      await containerd.waitUntil(() => succeeds(access(socket)), READY_WITHIN_MS);
      await containerd.waitUntil(() => succeeds(runCtr(containerd, ['version'])), READY_WITHIN_MS);
      await runCtr(containerd, ['images', 'import', imageArchive]);
      return new NodeServers(options, containerd);
    } catch (error) {
      await containerd.kill();
      throw error;
    }
  }

  get kubelet(): ServerProcess {
    return this.#kubelet;
  }

  /** containerd's own command, in the namespace of Kubernetes' containers. */
  ctr(...parameters: string[]): Promise<string> {
    return runCtr(this.#containerd, parameters);
  }

  /** Resolves when kube-proxy has told the kernel what to do with the address of a Service. */
  async untilServiceIsKnown(clusterIp: string): Promise<void> {
    const [command = '', ...enter] = this.#options.enclosure.enter;
    const list = [...enter, 'nft', 'list', 'map', 'ip', 'kube-proxy', 'service-ips'];
    await this.#kubeProxy.waitUntil(async () => {
      const rules = await run(command, ...list).catch(() => ''); // kube-proxy has not made its table yet.
      return rules.includes(` ${clusterIp} `);
    }, READY_WITHIN_MS);
  }

  /** For a message when a test fails: servers that should run and do not, and what kubelet says. */
  logTails(): string {
    const servers = [this.#containerd, this.#kubeProxy, this.#scheduler].filter((server) => !server.running);
    return [...servers, this.#kubelet].map((server) => server.logTail()).join('\n');
  }

  /** An orderly end, and a new start. Containers run on meanwhile. */
  async restartKubelet(): Promise<void> {
    await this.#kubelet.stop();
    this.#kubelet = this.#startKubelet();
  }

  /** By SIGKILL. Containers run on. */
  async kill(): Promise<void> {
    await Promise.all(
      [this.#kubelet, this.#kubeProxy, this.#scheduler, this.#containerd].map((server) => server.kill()),
    );
  }

  #startKubelet(): ServerProcess {
    const { enclosure, kubeconfig } = this.#options;
    return this.#start('kubelet', enterMounts(this.#containerd), [
      `--kubeconfig=${kubeconfig}`,
      `--config=${join(enclosure.folder, 'kubelet.json')}`,
      `--hostname-override=${NODE_NAME}`,
      `--node-ip=${enclosure.nodeAddress}`,
    ]);
  }

  #startKubeProxy(): ServerProcess {
    return this.#start('kube-proxy', this.#options.enclosure.enter, [
      `--config=${join(this.#options.enclosure.folder, 'kube-proxy.json')}`,
    ]);
  }

  #startScheduler(): ServerProcess {
    const { kubeconfig, enclosure } = this.#options;
    return this.#start('kube-scheduler', enclosure.enter, [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      '--leader-elect=false',
      '--secure-port=0', // Nobody asks it anything.
    ]);
  }

  #start(name: string, enter: readonly string[], flags: readonly string[]): ServerProcess {
    const { assets, enclosure } = this.#options;
    return startServer(enclosure, name, [...enter, join(assets, name), ...flags]);
  }
}

function startServer(enclosure: Enclosure, name: string, commandLine: readonly string[]): ServerProcess {
  const [command = name, ...flags] = commandLine;
  return new ServerProcess({ name, command, flags, logFile: join(enclosure.folder, `${name}.log`) });
}

function startContainerd({ enclosure }: NodeServersOptions): ServerProcess {
  const { folder, enter } = enclosure;
  const [command, flag] = ['containerd', `--config=${join(folder, 'containerd.toml')}`];
  const mounts = MOUNTED.map((path) => `mount --bind "$0/${path}" "/${path}"`);
  const mountThenBecome = [...mounts, 'exec "$@"'].join('; ');
  return startServer(enclosure, 'containerd', [
    ...enter,
    'unshare',
    '--mount',
    '--propagation=private',
    '--',
    'sh',
    '-ec',
    mountThenBecome,
    join(folder, 'root'),
    command,
    flag,
  ]);
}

/** The command that becomes the command which follows it, on the network and among the mounts of containerd. */
function enterMounts({ pid }: ServerProcess): readonly string[] {
  return ['nsenter', `--target=${pid}`, '--net', '--mount', '--'];
}

function runCtr(containerd: ServerProcess, parameters: readonly string[]): Promise<string> {
  const [command = '', ...enter] = enterMounts(containerd);
  return run(command, ...enter, 'ctr', `--address=${CONTAINERD_SOCKET}`, '--namespace=k8s.io', ...parameters);
}

async function succeeds(attempt: Promise<unknown>): Promise<boolean> {
  return attempt.then(
    () => true,
    () => false,
  );
}

async function writeConfiguration({ enclosure, kubeconfig }: NodeServersOptions): Promise<void> {
  const { folder } = enclosure;
  for (const directory of ['root/run', 'root/var/lib', 'root/var/log', 'cni']) {
    await mkdir(join(folder, directory), { recursive: true });
  }
  for (const [path, value] of Object.entries(KERNEL_PARAMETERS)) {
    await mkdir(dirname(join(folder, 'root', path)), { recursive: true });
    await writeFile(join(folder, 'root', path), `${value}\n`);
  }
  await writeFile(join(folder, 'containerd.toml'), containerdConfiguration(join(folder, 'cni')));
  await writeFile(join(folder, 'kubelet.json'), JSON.stringify(kubeletConfiguration(enclosure), undefined, 2));
  await writeFile(join(folder, 'kube-proxy.json'), JSON.stringify(kubeProxyConfiguration(kubeconfig), undefined, 2));
  await writeFile(join(folder, 'cni', '10-bridge.conflist'), JSON.stringify(podNetwork(enclosure), undefined, 2));
}

/** `restrict_oom_score_adj` and `disable_apparmor`: else runc fails where root lacks CAP_SYS_RESOURCE. */
function containerdConfiguration(cniFolder: string): string {
  return `version = 2
oom_score = 0
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${cniFolder}"
`;
}

function kubeletConfiguration({ nodeAddress, name }: Enclosure): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    address: nodeAddress,
    // For exec and logs the API server comes without a certificate; there is nobody else on this network but Pods of ours.
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    enforceNodeAllocatable: [],
    cgroupRoot: `/${name}`, // Every container is below it, and is found there in the end.
    oomScoreAdj: 0,
    failSwapOn: false,
    // The disk of the machine is not the subject.
    evictionHard: { 'imagefs.available': '0%', 'nodefs.available': '0%', 'nodefs.inodesFree': '0%' },
    imageGCHighThresholdPercent: 100,
    resolvConf: '', // There is no DNS.
    kubeAPIQPS: 1000,
    kubeAPIBurst: 1000,
    eventRecordQPS: 0,
  };
}

function kubeProxyConfiguration(kubeconfig: string): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig },
    hostnameOverride: NODE_NAME,
    mode: 'nftables',
    nftables: { minSyncPeriod: '10ms' }, // Tests wait for it.
    conntrack: { maxPerCore: 0 }, // Any other would be set for the whole machine.
    oomScoreAdj: 0,
  };
}

/** Without masquerading: whoever Pods talk to, the node included, sees the address of the Pod. */
function podNetwork({ podAddresses }: Enclosure): object {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'pods0',
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: { type: 'host-local', ranges: [[{ subnet: podAddresses }]], routes: [{ dst: '0.0.0.0/0' }] },
      },
    ],
  };
}
