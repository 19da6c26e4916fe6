import { once } from 'node:events';
import { access, mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from './command.ts';

/*
 * What keeps a cluster apart from the machine, and lets all of it be found again.
 *
 * A cluster has a number. From the number follow the names of its network namespace, its cgroup, its folder and its
 * only link to the outside, so that whoever takes the number next can clear away what a killed run left behind. Who
 * has a number holds an abstract socket of that name: the kernel gives it to one process at a time and takes it back
 * when the process is gone, however it ended.
 *
 * Every process of the cluster is in the network namespace or, inside of a container, in the cgroup: what is in
 * neither does not belong to it. Mounts are made in the mount namespace of containerd (see node-servers.ts), and end
 * with the last process in there.
 */

/** More than anybody runs at once on one machine. */
const NUMBERS = 16;
const NAME = 'heartbeat-operator-cluster';
const CGROUP_ROOT = '/sys/fs/cgroup';
const POLL_INTERVAL_MS = 20;
/** A killed process may have much memory to give back, on a machine that is busy. */
const GONE_WITHIN_MS = 30_000;

export class Enclosure {
  readonly #number: number;
  readonly #claim: Server;

  private constructor(number: number, claim: Server) {
    this.#number = number;
    this.#claim = claim;
  }

  /** Takes a free number, and clears away what earlier owners of this and other numbers left behind. */
  static async create(): Promise<Enclosure> {
    let own: Enclosure | undefined;
    for (let number = 0; number < NUMBERS; number += 1) {
      const claim = await claimNumber(number);
      if (claim === undefined) {
        continue; // Another run is alive.
      }
      const enclosure = new Enclosure(number, claim);
      await enclosure.#clear();
      if (own === undefined) {
        own = enclosure;
      } else {
        claim.close();
      }
    }
    if (own === undefined) {
      throw new Error(`All ${NUMBERS} numbers for clusters are taken by living processes`);
    }
    try {
      await own.#build();
      return own;
    } catch (error) {
      await own.remove();
      throw error;
    }
  }

  /** Of the network namespace, and of the cgroup below the root of each hierarchy. */
  get name(): string {
    return `${NAME}-${this.#number}`;
  }

  /** Where everything that the cluster writes is. */
  get folder(): string {
    return join(tmpdir(), this.name);
  }

  get networkNamespace(): string {
    return `/run/netns/${this.name}`;
  }

  /** Of the node, where the API server and the processes under test listen. The test process reaches it as well. */
  get nodeAddress(): string {
    return `10.231.${this.#number}.2`;
  }

  /** Exist inside of the network namespace only. */
  get podAddresses(): string {
    return `10.232.${this.#number}.0/24`;
  }

  /**
   * The command that becomes the command which follows it, inside of the network namespace.
   *
   * Not `ip netns exec`: that one also mounts a /sys of its own, which hides the cgroups.
   */
  get enter(): readonly string[] {
    return ['nsenter', `--net=${this.networkNamespace}`, '--'];
  }

  /** The pids of all processes of the cluster, those in containers included. */
  async processes(): Promise<readonly number[]> {
    const inNamespace = (await exists(this.networkNamespace)) ? await run('ip', 'netns', 'pids', this.name) : '';
    const inCgroups: string[] = [];
    for (const cgroup of await this.#cgroups()) {
      inCgroups.push(await readFile(join(cgroup, 'cgroup.procs'), 'utf8').catch(() => '')); // It has just gone.
    }
    const pids = [inNamespace, ...inCgroups].join('\n').split('\n').filter(Boolean).map(Number);
    return [...new Set(pids)];
  }

  /** Lines that tell what of the cluster is there, apart from its processes. */
  async traces(): Promise<readonly string[]> {
    const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
      .split('\n')
      .filter((line) => line.includes(this.name));
    const places = [
      this.folder,
      this.networkNamespace,
      `/sys/class/net/${this.#outerLink}`,
      ...(await this.#cgroups()),
    ];
    const present: string[] = [];
    for (const place of places) {
      if (await exists(place)) {
        present.push(place);
      }
    }
    return [...mounts, ...present];
  }

  /** Ends every process, removes every trace and gives the number back. */
  async remove(): Promise<void> {
    await this.#clear();
    this.#claim.close();
    await once(this.#claim, 'close');
  }

  get #outerLink(): string {
    return `heartbeat${this.#number}`; // An interface name has 15 characters at most.
  }

  async #build(): Promise<void> {
    await mkdir(this.folder);
    await this.#addCgroup();
    await run('ip', 'netns', 'add', this.name);
    const inside = ['-netns', this.name];
    await run('ip', ...inside, 'link', 'set', 'lo', 'up');
    // The one way in: a pair of addresses of which the machine has the first. There is no route further, either way,
    // so that neither Pods get out nor anybody but this machine gets in.
    await run('ip', 'link', 'add', this.#outerLink, 'type', 'veth', 'peer', 'name', 'node0', 'netns', this.name);
    await run('ip', 'address', 'add', `10.231.${this.#number}.1/30`, 'dev', this.#outerLink);
    await run('ip', 'link', 'set', this.#outerLink, 'up');
    await run('ip', ...inside, 'address', 'add', `${this.nodeAddress}/30`, 'dev', 'node0');
    await run('ip', ...inside, 'link', 'set', 'node0', 'up');
    await this.#setKernelParameters({
      'net/ipv4/ip_forward': '1',
      // Else the answer of a Pod to a Pod, after a Service, crosses the bridge without its address being changed back.
      'net/bridge/bridge-nf-call-iptables': '1',
    });
  }

  /** kubelet wants its root to be there, and with processors and memory to hand on. */
  async #addCgroup(): Promise<void> {
    for (const hierarchy of await cgroupHierarchies()) {
      const cgroup = join(hierarchy, this.name);
      await mkdir(cgroup);
      if (basename(hierarchy) === 'cpuset') {
        for (const file of ['cpuset.cpus', 'cpuset.mems']) {
          await writeFile(join(cgroup, file), await readFile(join(hierarchy, file)));
        }
      }
    }
  }

  /** Those below /proc/sys/net, which a network namespace has for itself. */
  async #setKernelParameters(values: Readonly<Record<string, string>>): Promise<void> {
    const [command = '', ...parameters] = this.enter;
    for (const [path, value] of Object.entries(values)) {
      await run(command, ...parameters, 'sh', '-c', 'echo "$1" > "/proc/sys/$2"', 'sh', value, path);
    }
  }

  /** Does nothing where there is nothing. */
  async #clear(): Promise<void> {
    await this.#killAll();
    if (await exists(this.networkNamespace)) {
      await run('ip', 'netns', 'delete', this.name);
    }
    if (await exists(`/sys/class/net/${this.#outerLink}`)) {
      // The kernel removes it some time after the namespace of its peer; a next cluster must not meet it.
      await run('ip', 'link', 'delete', this.#outerLink).catch(() => ''); // It has just gone.
    }
    for (const cgroup of await this.#cgroups()) {
      await this.#removeCgroup(cgroup);
    }
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }

  async #killAll(): Promise<void> {
    const deadlineMs = performance.now() + GONE_WITHIN_MS;
    // Again and again: a process may start another one while we read the list.
    for (let pids = await this.processes(); pids.length > 0; pids = await this.processes()) {
      for (const pid of pids) {
        killByPid(pid);
      }
      if (performance.now() > deadlineMs) {
        throw new Error(`Processes of ${this.name} outlive SIGKILL: ${pids.join(', ')}`);
      }
      await delay(POLL_INTERVAL_MS);
    }
  }

  /** The deepest first, as they have to be removed. */
  async #cgroups(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const hierarchy of await cgroupHierarchies()) {
      const top = join(hierarchy, this.name);
      if (await exists(top)) {
        const below = await readdir(top, { recursive: true, withFileTypes: true }).catch(() => []); // It has just gone.
        const folders = below.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
        found.push(top, ...folders);
      }
    }
    return found.sort((a, b) => b.length - a.length);
  }

  async #removeCgroup(cgroup: string): Promise<void> {
    const deadlineMs = performance.now() + GONE_WITHIN_MS;
    while (await exists(cgroup)) {
      try {
        await rmdir(cgroup);
      } catch (error) {
        // Busy until the kernel is done with the processes which were in there.
        if (performance.now() > deadlineMs) {
          throw new Error(`removing the cgroup ${cgroup} of ${this.name}`, { cause: error });
        }
        await delay(POLL_INTERVAL_MS);
      }
    }
  }
}

/** The socket whose name is the claim, or undefined when a living process has it. */
async function claimNumber(number: number): Promise<Server | undefined> {
  const server = createServer();
  try {
    server.listen(`\0${NAME}-${number}`);
    await once(server, 'listening');
    return server.unref();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      return undefined;
    }
    throw error;
  }
}

/** SIGKILL. A process that has gone in the meantime is no error. */
function killByPid(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') {
      throw error;
    }
  }
}

/** One in version 2; in version 1, one for each controller. */
async function cgroupHierarchies(): Promise<readonly string[]> {
  const candidates = [CGROUP_ROOT, ...(await readdir(CGROUP_ROOT)).map((entry) => join(CGROUP_ROOT, entry))];
  const areHierarchies = await Promise.all(candidates.map((folder) => exists(join(folder, 'cgroup.procs'))));
  const hierarchies = candidates.filter((_, index) => areHierarchies[index]);
  return hierarchies.includes(CGROUP_ROOT) ? [CGROUP_ROOT] : hierarchies;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
