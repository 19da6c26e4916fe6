import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ApiReply, ApiServerAccess } from '../control-plane/api-server-access.ts';
import { findNodeAssets } from '../control-plane/assets.ts';
import { ControlPlane } from '../control-plane/control-plane.ts';
import { ServerProcess } from '../control-plane/server-process.ts';
import { ensureDebianPackages } from './debian-packages.ts';
import { Enclosure } from './enclosure.ts';
import { buildImage } from './image.ts';
import { NODE_NAME, NodeServers } from './node-servers.ts';
import {
  type Condition,
  conditionStatus,
  type DeploymentOptions,
  deployment,
  type Endpoint,
  type EndpointSlice,
  endpointsOf,
  type Pod,
  service,
  serviceForAddress,
} from './workload.ts';

const POLL_INTERVAL_MS = 25;
const NODE_READY_WITHIN_MS = 60_000;
/** Unless told otherwise: a Pod takes a second or two, more on a machine that is busy. */
const WAIT_MS = 60_000;

export interface ClusterOptions {
  /** Added after ours, as in `ControlPlaneOptions`. */
  readonly apiServerFlags?: readonly string[];
}

export interface SpawnOptions {
  /** Stands in messages and names the log file. */
  readonly name: string;
  readonly command: string;
  readonly parameters?: readonly string[];
  /** All of it; that of the test process unless told otherwise. */
  readonly environment?: NodeJS.ProcessEnv;
}

export interface ExposedProcess {
  readonly clusterIp: string;
  readonly nodeAddress: string;
  readonly port: number;
}

/**
 * A Kubernetes of one node, with real Pods, in a network namespace of its own.
 *
 * etcd, the API server and everything else run inside of the namespace. One pair of interfaces leads into it, so
 * that the test process reaches the node's address, and through it the API server and every process that was spawned,
 * but neither Pods nor Services. Inside, Pods reach each other, Services, and the node's address, and nothing outside.
 *
 * A process under test is spawned inside of the namespace, though with the files of the machine. A Pod that talks to
 * it is seen with the Pod's own address, by the node's address as well as through a Service: nothing is masqueraded.
 *
 * There is no DNS: Pods find names in their /etc/hosts (`hosts` of a Deployment) or use addresses.
 */
export class Cluster {
  readonly controlPlane: ControlPlane;
  readonly #enclosure: Enclosure;
  readonly #node: NodeServers;
  readonly #spawned: ServerProcess[] = [];
  #filesWritten = 0;

  private constructor(enclosure: Enclosure, controlPlane: ControlPlane, node: NodeServers) {
    this.#enclosure = enclosure;
    this.controlPlane = controlPlane;
    this.#node = node;
  }

  /**
   * Resolves when the node is Ready. Clears away what earlier runs left behind, builds what has to be built.
   *
   * @throws Error with one line that says what is missing, when this machine cannot have a node.
   */
  static async start({ apiServerFlags = [] }: ClusterOptions = {}): Promise<Cluster> {
    await ensureDebianPackages();
    const assets = await findNodeAssets();
    const enclosure = await Enclosure.create();
    const { nodeAddress, enter, folder } = enclosure;
    let controlPlane: ControlPlane | undefined;
    let node: NodeServers | undefined;
    try {
      const imageArchive = await makeImage(folder);
      controlPlane = await ControlPlane.start({
        controllerManager: true,
        network: { address: nodeAddress, enter },
        parentFolder: folder,
        // The name of a node is in no DNS.
        apiServerFlags: ['--kubelet-preferred-address-types=InternalIP', ...apiServerFlags],
      });
      node = await NodeServers.start({ enclosure, assets, kubeconfig: controlPlane.kubeconfig }, imageArchive);
      const cluster = new Cluster(enclosure, controlPlane, node);
      await cluster.#untilNodeIsReady();
      await node.untilServiceIsKnown(await cluster.clusterIp('kubernetes'));
      return cluster;
    } catch (error) {
      await node?.kill();
      await controlPlane?.stop();
      await enclosure.remove();
      throw error;
    }
  }

  /** Ends all processes at once, those in Pods included, and removes every trace of the cluster. */
  async stop(): Promise<void> {
    // Who could start another one goes first. The rest needs no order: whatever Pods held goes with their processes.
    await this.#node.kill();
    await Promise.all(this.#spawned.map((spawned) => spawned.kill()));
    await this.controlPlane.stop();
    await this.#enclosure.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** On which processes that are spawned should listen; reachable from Pods and from the test process. */
  get nodeAddress(): string {
    return this.#enclosure.nodeAddress;
  }

  /** The administrator's, good inside and outside of the network namespace. */
  get kubeconfig(): string {
    return this.controlPlane.kubeconfig;
  }

  /** The pids of all processes of the cluster, those in containers included. */
  processes(): Promise<readonly number[]> {
    return this.#enclosure.processes();
  }

  /** Lines that tell what of the cluster is on the machine, apart from its processes. Also after `stop`. */
  traces(): Promise<readonly string[]> {
    return this.#enclosure.traces();
  }

  request<Body = unknown>(...call: Parameters<ApiServerAccess['request']>): Promise<ApiReply<Body>> {
    return this.controlPlane.request<Body>(...call);
  }

  kubectl(...parameters: string[]): Promise<string> {
    return this.controlPlane.kubectl(...parameters);
  }

  /** Server-side apply, by kubectl, as its own field manager. */
  async apply(...objects: readonly object[]): Promise<void> {
    this.#filesWritten += 1;
    const file = join(this.#enclosure.folder, `apply-${this.#filesWritten}.json`);
    await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    await this.kubectl('apply', '--server-side', '--force-conflicts', `--filename=${file}`);
  }

  /** Resolves as soon as the API server has it; see `podsOf`. */
  async createDeployment(options: DeploymentOptions): Promise<void> {
    await this.apply(deployment(options));
  }

  /** A Service on port 80 for the Pods of the Deployment of the same name. */
  async createService(options: Parameters<typeof service>[0]): Promise<void> {
    await this.apply(service(options));
  }

  /** The Pods of a Deployment, as soon as it has that many whose containers run. Those that are being deleted do not count. */
  async podsOf(name: string, { namespace = 'default', count = 1 } = {}): Promise<readonly [Pod, ...Pod[]]> {
    const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=app%3D${name}`;
    return this.waitFor(`${count} running Pods of ${namespace}/${name}`, async () => {
      const { body } = await this.request<{ items: readonly Pod[] }>('GET', path);
      const [first, ...others] = body.items.filter(
        (pod) => pod.metadata.deletionTimestamp === undefined && conditionStatus(pod, 'ContainersReady') === 'True',
      );
      return first !== undefined && others.length === count - 1 ? [first, ...others] : undefined;
    });
  }

  /** As it is now; undefined when it is gone. */
  async pod(name: string, namespace = 'default'): Promise<Pod | undefined> {
    const { status, body } = await this.request<Pod>('GET', `/api/v1/namespaces/${namespace}/pods/${name}`);
    return status === 404 ? undefined : body;
  }

  /** Resolves with the Pod when its condition has that status. */
  waitForCondition(
    { metadata: { namespace, name } }: Pod,
    type: string,
    status: Condition['status'],
    timeoutMs = WAIT_MS,
  ): Promise<Pod> {
    return this.waitFor(
      `condition ${type} of Pod ${namespace}/${name} to be ${status}`,
      async () => {
        const pod = await this.pod(name, namespace);
        return pod !== undefined && conditionStatus(pod, type) === status ? pod : undefined;
      },
      timeoutMs,
    );
  }

  /** Of all EndpointSlices of the Service. */
  async endpoints(serviceName: string, namespace = 'default'): Promise<readonly Endpoint[]> {
    const selector = `labelSelector=kubernetes.io%2Fservice-name%3D${serviceName}`;
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?${selector}`;
    return endpointsOf((await this.request<{ items: readonly EndpointSlice[] }>('GET', path)).body.items);
  }

  /** Asks every 25 ms until there is an answer. Throws when the time is over. */
  async waitFor<T>(what: string, ask: () => Promise<T | undefined>, timeoutMs = WAIT_MS): Promise<T> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const answer = await ask();
      if (answer !== undefined) {
        return answer;
      }
      if (performance.now() > deadlineMs) {
        throw new Error(`waited ${timeoutMs / 1000} s for ${what}\n${await this.#situation()}`);
      }
      await delay(POLL_INTERVAL_MS);
    }
  }

  /** Runs a command in the Pod's container and returns what it prints. Throws with its stderr when it fails. */
  podExec({ metadata: { namespace, name } }: Pod, command: readonly string[]): Promise<string> {
    return this.kubectl('exec', `--namespace=${namespace}`, name, '--container=main', '--', ...command);
  }

  podLog({ metadata: { namespace, name } }: Pod): Promise<string> {
    return this.kubectl('logs', `--namespace=${namespace}`, name, '--container=main');
  }

  /** SIGKILL to the process of the Pod's container, as if it had crashed; kubelet starts it again. */
  async killContainer({ metadata: { namespace, name } }: Pod): Promise<void> {
    const pod = await this.pod(name, namespace);
    const container = pod?.status.containerStatuses?.find((status) => status.name === 'main')?.containerID;
    if (container === undefined) {
      throw new Error(`Pod ${namespace}/${name} has no container to be killed`);
    }
    await this.#node.ctr('tasks', 'kill', '--signal=SIGKILL', container.replace('containerd://', ''));
  }

  /** Stops kubelet and starts it again; Pods run on meanwhile. Resolves when it listens. */
  async restartKubelet(): Promise<void> {
    await this.#node.restartKubelet();
    await this.#untilKubeletListens();
  }

  /**
   * Runs a command of the machine inside of the network namespace; to be reached, it listens on `nodeAddress`, or on
   * all addresses. `stop` of the cluster ends it, if nobody did before.
   */
  spawn({ name, command, parameters = [], environment = process.env }: SpawnOptions): ServerProcess {
    const [enter = '', ...enterParameters] = this.#enclosure.enter;
    const spawned = new ServerProcess({
      name,
      command: enter,
      flags: [...enterParameters, command, ...parameters],
      environment,
      logFile: join(this.#enclosure.folder, `spawned-${name}.log`),
    });
    this.#spawned.push(spawned);
    return spawned;
  }

  /** A Service, in a namespace that exists, through which Pods reach a port of the node. Resolves when its rules are there. */
  async exposeHostProcess(namespace: string, name: string, port: number): Promise<ExposedProcess> {
    await this.apply(...serviceForAddress({ namespace, name, address: this.nodeAddress, port }));
    const clusterIp = await this.clusterIp(name, namespace);
    await this.#node.untilServiceIsKnown(clusterIp);
    return { clusterIp, nodeAddress: this.nodeAddress, port };
  }

  async clusterIp(serviceName: string, namespace = 'default'): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/services/${serviceName}`;
    return (await this.request<{ spec: { clusterIP: string } }>('GET', path)).body.spec.clusterIP;
  }

  async #untilNodeIsReady(): Promise<void> {
    await this.#node.kubelet.waitUntil(async () => {
      const { status, body } = await this.request<Parameters<typeof conditionStatus>[0]>(
        'GET',
        `/api/v1/nodes/${NODE_NAME}`,
      );
      return status === 200 && conditionStatus(body, 'Ready') === 'True';
    }, NODE_READY_WITHIN_MS);
  }

  async #untilKubeletListens(): Promise<void> {
    await this.#node.kubelet.waitUntil(async () => {
      const { status } = await this.request('GET', `/api/v1/nodes/${NODE_NAME}/proxy/healthz`);
      return status === 200;
    }, NODE_READY_WITHIN_MS);
  }

  /** For a message when a test fails. */
  async #situation(): Promise<string> {
    const pods = await this.kubectl('get', 'pods', '--all-namespaces', '--output=wide').catch(messageOf);
    const events = await this.kubectl('events', '--all-namespaces', '--types=Warning').catch(messageOf);
    return [pods, events, this.#node.logTails()].join('\n');
  }
}

async function makeImage(folder: string): Promise<string> {
  const imageFolder = join(folder, 'image');
  await mkdir(imageFolder);
  return buildImage(imageFolder);
}

function messageOf(error: Error): string {
  return error.message;
}
