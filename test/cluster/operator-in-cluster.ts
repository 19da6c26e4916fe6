import { fileURLToPath } from 'node:url';
import { fetch } from 'undici';
import type { ServerProcess } from '../control-plane/server-process.ts';
import type { Cluster } from './cluster.ts';
import { run } from './command.ts';
import { type HeartbeatInstance, type HeartbeatPolicy, INSTANCES_PATH, POLICIES_PATH } from './heartbeat-objects.ts';
import { type DeploymentOptions, type Pod, TOKEN_FILE } from './workload.ts';

const NAMESPACE = 'heartbeat-operator';
const HEARTBEAT_PORT = 30_100;
const MANAGEMENT_PORT = 8_081;
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const LISTENING_WITHIN_MS = 20_000;

/** An interval of one second and two that may be missed: silence is known after three seconds. */
export const TTL_MS = 3_000;

/** The label that asks for the readiness gate. */
const GATE_LABEL = 'heartbeat-operator.io/gate';

/**
 * The operator itself, as a process inside of the cluster's network namespace, with its own account and no more rights
 * than `deploy/` gives it, behind a Service of its name.
 */
export class OperatorInCluster {
  readonly #cluster: Cluster;
  readonly #kubeconfig: string;
  /** Where Pods send their heartbeats. */
  readonly serviceAddress: string;
  #process: ServerProcess | undefined;

  private constructor(cluster: Cluster, kubeconfig: string, serviceAddress: string) {
    this.#cluster = cluster;
    this.#kubeconfig = kubeconfig;
    this.serviceAddress = serviceAddress;
  }

  /** Applies `deploy/`, and the gates beside it, and starts the operator. */
  static async install(cluster: Cluster): Promise<OperatorInCluster> {
    await cluster.kubectl('apply', '-k', 'deploy');
    await cluster.kubectl('apply', '-k', 'deploy/gates');
    const kubeconfig = await cluster.controlPlane.createServiceAccountKubeconfig(NAMESPACE, 'heartbeat-operator');
    const { clusterIp } = await cluster.exposeHostProcess(NAMESPACE, 'heartbeat-operator', HEARTBEAT_PORT);
    const operator = new OperatorInCluster(cluster, kubeconfig, clusterIp);
    await operator.start();
    return operator;
  }

  get log(): string {
    return this.#process?.log ?? '';
  }

  /** Resolves when it knows what is stored. */
  async start(...settings: readonly string[]): Promise<void> {
    const known = this.#startsInLog();
    this.#process = this.#cluster.spawn({
      name: 'operator',
      command: process.execPath,
      parameters: [
        MAIN,
        `--heartbeat-port=${HEARTBEAT_PORT}`,
        `--management-port=${MANAGEMENT_PORT}`,
        '--default-interval-seconds=1',
        '--default-times=2',
        '--drain-seconds=0',
        '--log-format=json',
        // Everything is on one node here, so that a fault of some would be one of the node, and of all.
        '--storm-node-percent=100',
        '--storm-all-percent=100',
        ...settings,
      ],
      environment: { PATH: process.env['PATH'], KUBECONFIG: this.#kubeconfig },
    });
    await this.#process.waitUntil(async () => this.#startsInLog() > known, LISTENING_WITHIN_MS);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** An orderly end. */
  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  /** The command `release`, with its own account. Returns what it prints. */
  async release(): Promise<string> {
    const kubeconfig = await this.#cluster.controlPlane.createServiceAccountKubeconfig(
      NAMESPACE,
      'heartbeat-operator-release',
    );
    return run('env', `KUBECONFIG=${kubeconfig}`, process.execPath, MAIN, 'release');
  }

  /** The sum of a metric over its labels; 0 if it is not there. */
  async metric(name: string): Promise<number> {
    const page = await (await fetch(`http://${this.#cluster.nodeAddress}:${MANAGEMENT_PORT}/metrics`)).text();
    return page
      .split('\n')
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  /** Undefined when it has no object. */
  async instance(instanceId: string): Promise<HeartbeatInstance | undefined> {
    return (await this.#instances()).find(({ spec }) => spec.instanceId === instanceId);
  }

  /** Those that are bound to the Pod. */
  async instancesIn({ metadata: { uid } }: Pod): Promise<readonly HeartbeatInstance[]> {
    return (await this.#instances()).filter(({ status }) => status?.podRef?.uid === uid);
  }

  /** The object of the instance, as soon as it is as wanted. */
  whenInstance(
    instanceId: string,
    what: string,
    isWanted: (instance: HeartbeatInstance) => boolean,
  ): Promise<HeartbeatInstance> {
    return this.#cluster.waitFor(`the instance ${instanceId} to ${what}`, async () => {
      const instance = await this.instance(instanceId);
      return instance !== undefined && isWanted(instance) ? instance : undefined;
    });
  }

  async policy(name: string): Promise<HeartbeatPolicy> {
    return (await this.#cluster.request<HeartbeatPolicy>('GET', `${POLICIES_PATH}/${name}`)).body;
  }

  /**
   * A workload that asks for the gate, serves a page with the name of its Pod on port 8080, and sends a heartbeat every
   * second, unless its file /tmp/silent is there.
   */
  beating({
    instanceId = '$POD_NAME',
    labels = { [GATE_LABEL]: 'enabled' },
    ...options
  }: BeatingOptions): DeploymentOptions {
    const beat = this.command('beat', instanceId, options.token === true);
    return this.workload({
      ...options,
      labels,
      script: `while true; do [ -e /tmp/silent ] || ${beat} >/dev/null 2>&1; sleep 1; done`,
    });
  }

  /** A workload that asks for the gate, serves the name of its Pod, and does what the script says. */
  workload({
    script,
    labels = { [GATE_LABEL]: 'enabled' },
    ...options
  }: DeploymentOptions & { readonly script: string }): DeploymentOptions {
    return {
      ...options,
      labels,
      command: ['sh', '-c', `echo "$POD_NAME" >/www/index.html; httpd -p 8080 -h /www; ${script}`],
    };
  }

  /** One heartbeat from the Pod, its own unless told otherwise. Resolves with the status line of the answer. */
  beat(pod: Pod, { instanceId = pod.metadata.name, token = false } = {}): Promise<string> {
    return this.#exec(pod, this.command('beat', instanceId, token));
  }

  /** One report from the Pod: what it says of an instance. Resolves with the status line of the answer. */
  report(pod: Pod, instanceId: string, value: string): Promise<string> {
    return this.#exec(pod, this.command('report', `${instanceId} ${value}`));
  }

  /** For a shell in a Pod: `what` is an instance, and for a report what is said of it. */
  command(verb: 'beat' | 'report', what: string, token = false): string {
    return [verb, this.serviceAddress, HEARTBEAT_PORT, 'shop', what, ...(token ? [TOKEN_FILE] : [])].join(' ');
  }

  silence(pod: Pod): Promise<string> {
    return this.#cluster.podExec(pod, ['touch', '/tmp/silent']);
  }

  endSilence(pod: Pod): Promise<string> {
    return this.#cluster.podExec(pod, ['rm', '/tmp/silent']);
  }

  /** Also when the answer is a refusal, of which the command makes an error. */
  async #exec(pod: Pod, command: string): Promise<string> {
    return (await this.#cluster.podExec(pod, ['sh', '-c', `${command} || true`])).trimEnd();
  }

  async #instances(): Promise<readonly HeartbeatInstance[]> {
    return (await this.#cluster.request<{ items: readonly HeartbeatInstance[] }>('GET', INSTANCES_PATH)).body.items;
  }

  #startsInLog(): number {
    return this.log.split('stored instances are known').length;
  }
}

export interface BeatingOptions extends DeploymentOptions {
  /** For the shell in the Pod, where it may be an expression; the name of the Pod unless told otherwise. */
  readonly instanceId?: string;
}
