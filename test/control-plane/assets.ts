import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/*
 * Where the servers of the control plane come from, and those of a node.
 *
 * KUBEBUILDER_ASSETS names a folder: that one is taken, and nothing else. Otherwise they are built once from the Go
 * module beside this file, into the user's cache, in a folder named after everything that decides what they are. The
 * build happens in a sibling folder which is renamed when it is whole, so a folder of the final name is always good.
 * A process that finds another one building waits for it. Should two build all the same (both began in the same
 * moment), the second rename fails and its folder is thrown away.
 */

/** What is built together, into one folder. */
interface AssetSet {
  /** Stands in messages. */
  readonly name: string;
  /** Go packages by the name of the binary. */
  readonly packages: Readonly<Record<string, string>>;
  /** Tells its folder in the cache from those of the other sets. */
  readonly folderSuffix: string;
  readonly buildTakes: string;
  /** What to do instead of installing Go, as the end of a sentence. */
  readonly insteadOfGo: string;
}

const CONTROL_PLANE: AssetSet = {
  name: 'control plane',
  packages: {
    etcd: 'go.etcd.io/etcd/server/v3',
    'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
    kubectl: 'k8s.io/kubernetes/cmd/kubectl',
    'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  },
  folderSuffix: '',
  buildTakes: '10 to 20 minutes on two cores',
  insteadOfGo: 'set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl, as setup-envtest makes it',
};

/** Apart from the control plane, so that tests which need no node do not wait for its build. */
const NODE: AssetSet = {
  name: 'node',
  packages: {
    kubelet: 'k8s.io/kubernetes/cmd/kubelet',
    'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
    'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
  },
  folderSuffix: '-node',
  buildTakes: '2 to 10 minutes on two cores',
  insteadOfGo: 'add kubelet, kube-proxy and kube-scheduler to the folder that KUBEBUILDER_ASSETS names',
};

const ALWAYS_NEEDED: readonly string[] = ['etcd', 'kube-apiserver', 'kubectl'];

/** The API server alone takes minutes with a cold build cache: without a line now and then it seems to hang. */
const PROGRESS_INTERVAL_MS = 30_000;
/** How often a builder shows that it lives, and how often one who waits for it looks. */
const SIGN_OF_LIFE_INTERVAL_MS = 2_000;
/** A build folder without a sign of life for so long is abandoned. Many intervals: the machine is busy compiling. */
const ABANDONED_AFTER_MS = 60_000;

export interface AssetsOptions extends NodeAssetsOptions {
  /** Whether kube-controller-manager must be there. A build makes it in any case. */
  readonly controllerManager?: boolean;
}

export interface NodeAssetsOptions {
  readonly environment?: NodeJS.ProcessEnv;
  readonly moduleFolder?: string;
  readonly runGo?: RunGo;
  /** Gets lines that tell a person what is going on. */
  readonly report?: (line: string) => void;
  readonly wait?: (delayMs: number) => Promise<void>;
}

/** Runs `go`; undefined when there is no such command. */
export type RunGo = (
  parameters: readonly string[],
  settings: { readonly folder: string; readonly environment: NodeJS.ProcessEnv },
) => Promise<{ readonly exitCode: number; readonly output: string } | undefined>;

/**
 * The folder that holds `etcd`, `kube-apiserver`, `kubectl`, and `kube-controller-manager` when it is asked for.
 *
 * @throws Error with one line that says what to install or to set, or with what the Go compiler said.
 */
export function findAssets({ controllerManager = false, ...options }: AssetsOptions = {}): Promise<string> {
  const needed = controllerManager ? [...ALWAYS_NEEDED, 'kube-controller-manager'] : ALWAYS_NEEDED;
  return find(CONTROL_PLANE, needed, options);
}

/**
 * The folder that holds `kubelet`, `kube-proxy` and `kube-scheduler`.
 *
 * @throws Error as `findAssets` does.
 */
export function findNodeAssets(options: NodeAssetsOptions = {}): Promise<string> {
  return find(NODE, Object.keys(NODE.packages), options);
}

async function find(assets: AssetSet, needed: readonly string[], options: NodeAssetsOptions): Promise<string> {
  const {
    environment = process.env,
    moduleFolder = import.meta.dirname,
    runGo = spawnGo,
    report = (line) => process.stderr.write(`${line}\n`),
    wait = (delayMs) => setTimeout(delayMs),
  } = options;

  const given = environment['KUBEBUILDER_ASSETS'];
  if (given !== undefined && given !== '') {
    return checkGiven(assets, given, needed);
  }

  const module = await readModule(moduleFolder);
  const folderName = `${module.kubernetesVersion}-${module.fingerprint}${assets.folderSuffix}`;
  const folder = join(cacheFolder(environment), folderName);
  if (await isBuilt(folder)) {
    return folder;
  }
  await checkGo(assets, module, runGo, environment);
  if (!(await builtByAnother(assets, folder, report, wait))) {
    await build({ assets, folder, module, runGo, environment, report });
  }
  return folder;
}

interface GoModule {
  readonly folder: string;
  /** As `1.26.0`. */
  readonly goVersion: string;
  /** As `v1.37.2`. */
  readonly kubernetesVersion: string;
  readonly buildFlags: readonly string[];
  /** Differs when the sources or the flags do. */
  readonly fingerprint: string;
}

async function checkGiven(assets: AssetSet, folder: string, needed: readonly string[]): Promise<string> {
  const missing: string[] = [];
  for (const binary of needed) {
    try {
      await access(join(folder, binary), constants.X_OK);
    } catch {
      missing.push(binary); // Absent or not executable: of no use either way.
    }
  }
  if (missing.length > 0) {
    throw new Error(
      `KUBEBUILDER_ASSETS is ${folder}, where ${missing.join(', ')} cannot be run; ` +
        `fill it${assets === CONTROL_PLANE ? ' (setup-envtest does)' : ''} or unset it to have the binaries built with Go.`,
    );
  }
  return folder;
}

async function readModule(folder: string): Promise<GoModule> {
  const goMod = await readFile(join(folder, 'go.mod'), 'utf8');
  const goSum = await readFile(join(folder, 'go.sum'), 'utf8');
  const goVersion = /^go (\S+)$/m.exec(goMod)?.[1];
  const [, kubernetesVersion, major, minor] =
    /^\s*(?:require )?k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\S+)/m.exec(goMod) ?? [];
  if (goVersion === undefined || kubernetesVersion === undefined) {
    throw new Error(`${join(folder, 'go.mod')} names no Go version or no version of k8s.io/kubernetes`);
  }
  // Without the version flags the servers would call themselves v0.0.0.
  const version = 'k8s.io/component-base/version';
  const linkerFlags =
    `-s -w -X ${version}.gitVersion=${kubernetesVersion} ` +
    `-X ${version}.gitMajor=${major} -X ${version}.gitMinor=${minor}`;
  const buildFlags = ['-mod=readonly', '-trimpath', '-ldflags', linkerFlags];
  const fingerprint = createHash('sha256').update(goMod).update(goSum).update(buildFlags.join(' ')).digest('hex');
  return { folder, goVersion, kubernetesVersion, buildFlags, fingerprint: fingerprint.slice(0, 12) };
}

function cacheFolder(environment: NodeJS.ProcessEnv): string {
  const cache = environment['XDG_CACHE_HOME'] || join(environment['HOME'] || homedir(), '.cache');
  return join(cache, 'heartbeat-operator', 'control-plane');
}

async function isBuilt(folder: string): Promise<boolean> {
  return (await stat(folder).catch(() => undefined)) !== undefined; // Only a whole build gets this name.
}

async function checkGo(
  assets: AssetSet,
  module: GoModule,
  runGo: RunGo,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const go = await runGo(['env', 'GOVERSION'], { folder: module.folder, environment });
  const found = go?.output.trim() ?? '';
  if (go?.exitCode === 0 && isAtLeast(found, module.goVersion)) {
    return;
  }
  const reason = go === undefined ? 'there is no go' : `go says "${found.split('\n').at(-1)}"`;
  throw new Error(
    `No ${assets.name} for the tests (${reason}): install Go ${module.goVersion} or newer to have it built, ` +
      `or ${assets.insteadOfGo}.`,
  );
}

/** `found` as `go1.26.8` or `go1.27rc1`, `wanted` as `1.26.0`. */
function isAtLeast(found: string, wanted: string): boolean {
  const version = /^go(\d+(?:\.\d+)*)/.exec(found)?.[1];
  if (version === undefined) {
    return false;
  }
  return version.localeCompare(wanted, 'en', { numeric: true }) >= 0;
}

/** Waits while another process builds. Whether its build is there in the end. */
async function builtByAnother(
  assets: AssetSet,
  folder: string,
  report: (line: string) => void,
  wait: (delayMs: number) => Promise<void>,
): Promise<boolean> {
  let reportedFor: string | undefined;
  for (;;) {
    const builder = await findBuilder(folder);
    if (await isBuilt(folder)) {
      return true;
    }
    if (builder === undefined) {
      return false;
    }
    if (builder !== reportedFor) {
      report(`Waiting for another process which builds the ${assets.name}: ${builder}`);
      reportedFor = builder;
    }
    await wait(SIGN_OF_LIFE_INTERVAL_MS);
  }
}

/** The folder of a living build, if there is one. Clears abandoned ones away. */
async function findBuilder(folder: string): Promise<string | undefined> {
  const parent = dirname(folder);
  const siblings = await readdir(parent).catch(() => []); // No cache yet.
  for (const sibling of siblings) {
    const pid = buildingPid(folder, sibling);
    if (pid === undefined || pid === process.pid) {
      continue;
    }
    const path = join(parent, sibling);
    const seenMs = (await stat(path).catch(() => undefined))?.mtimeMs ?? 0;
    if (Date.now() - seenMs > ABANDONED_AFTER_MS) {
      await rm(path, { recursive: true, force: true });
    } else if (isAlive(pid)) {
      return path;
    }
  }
  return undefined;
}

function buildingFolder(folder: string): string {
  return `${folder}.building-${process.pid}`;
}

function buildingPid(folder: string, sibling: string): number | undefined {
  const prefix = `${basename(folder)}.building-`;
  return sibling.startsWith(prefix) ? Number(sibling.slice(prefix.length)) : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'; // It lives, and belongs to somebody else.
  }
}

interface Build {
  readonly assets: AssetSet;
  readonly folder: string;
  readonly module: GoModule;
  readonly runGo: RunGo;
  readonly environment: NodeJS.ProcessEnv;
  readonly report: (line: string) => void;
}

async function build({ assets, folder, module, runGo, environment, report }: Build): Promise<void> {
  const building = buildingFolder(folder);
  await rm(building, { recursive: true, force: true });
  await mkdir(building, { recursive: true });
  const startMs = performance.now();
  let current = '';
  report(
    `Building the ${assets.name} ${module.kubernetesVersion} with Go, once, into ${folder} (${assets.buildTakes})`,
  );
  const progress = setInterval(() => report(`  ${current} … ${secondsSince(startMs)} s`), PROGRESS_INTERVAL_MS);
  const signOfLife = setInterval(() => {
    const now = new Date();
    utimes(building, now, now).catch(() => {}); // Swept away by somebody: the compiler will say so.
  }, SIGN_OF_LIFE_INTERVAL_MS);
  try {
    for (const [binary, goPackage] of Object.entries(assets.packages)) {
      current = binary;
      const binaryStartMs = performance.now();
      const compiled = await runGo(['build', ...module.buildFlags, '-o', join(building, binary), goPackage], {
        folder: module.folder,
        environment: { ...environment, CGO_ENABLED: '0', GOWORK: 'off' },
      });
      if (compiled?.exitCode !== 0) {
        throw new Error(`building ${binary} failed:\n${compiled?.output ?? 'go is gone'}`);
      }
      report(`  ${binary} built in ${secondsSince(binaryStartMs)} s`);
    }
    await rename(building, folder);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    // The name is taken when another process built at the same time: its build is as good as ours.
    if (!(await isBuilt(folder))) {
      throw error;
    }
  } finally {
    clearInterval(progress);
    clearInterval(signOfLife);
  }
}

function secondsSince(startMs: number): number {
  return Math.round((performance.now() - startMs) / 1000);
}

const spawnGo: RunGo = (parameters, { folder, environment }) =>
  new Promise((resolve, reject) => {
    const go = spawn('go', parameters, { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const output: string[] = [];
    go.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
    go.stderr.setEncoding('utf8').on('data', (text: string) => output.push(text));
    go.once('error', (error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? resolve(undefined) : reject(error)));
    go.once('close', (exitCode) => resolve({ exitCode: exitCode ?? 1, output: output.join('') }));
  });

if (import.meta.main) {
  try {
    process.stdout.write(`${await findAssets({ controllerManager: true })}\n`);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
