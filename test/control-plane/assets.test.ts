import { mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AssetsOptions, findAssets, findNodeAssets, type NodeAssetsOptions, type RunGo } from './assets.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'assets-test-'));
  await mkdir(join(folder, 'module'));
  await writeFile(
    join(folder, 'module', 'go.mod'),
    'module test\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v1.37.2\n)\n',
  );
  await writeFile(join(folder, 'module', 'go.sum'), '');
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** With a cache and a module in the folder of the test, and nobody to talk to. */
function find(options: AssetsOptions): Promise<string> {
  return findAssets({ ...defaults(), ...options });
}

function findForNode(options: NodeAssetsOptions): Promise<string> {
  return findNodeAssets({ ...defaults(), ...options });
}

function defaults(): NodeAssetsOptions {
  return {
    environment: { XDG_CACHE_HOME: join(folder, 'cache') },
    moduleFolder: join(folder, 'module'),
    report: () => {},
  };
}

interface FakeGo {
  readonly run: RunGo;
  /** The names of the files it was told to build. */
  readonly built: string[];
}

function fakeGo({
  version = 'go1.26.8',
  failsAt,
}: {
  readonly version?: string;
  readonly failsAt?: string;
} = {}): FakeGo {
  const built: string[] = [];
  return {
    built,
    async run(parameters) {
      if (parameters[0] === 'env') {
        return { exitCode: 0, output: `${version}\n` };
      }
      const output = parameters[parameters.indexOf('-o') + 1] ?? '';
      if (basename(output) === failsAt) {
        return { exitCode: 1, output: 'undefined: x' };
      }
      built.push(basename(output));
      await writeFile(output, '', { mode: 0o755 });
      return { exitCode: 0, output: '' };
    },
  };
}

const noGo: RunGo = async () => undefined;

async function messageOf(failing: Promise<unknown>): Promise<string> {
  const error = await failing.then(
    () => undefined,
    (reason: Error) => reason,
  );
  return error?.message ?? 'it did not fail';
}

async function cacheEntries(): Promise<string[]> {
  return readdir(join(folder, 'cache', 'heartbeat-operator', 'control-plane'));
}

async function makeBuildFolder(finalFolder: string, { pid, ageMs }: { pid: number; ageMs: number }): Promise<string> {
  const building = `${finalFolder}.building-${pid}`;
  await mkdir(building, { recursive: true });
  await writeFile(join(building, 'etcd'), '');
  const then = new Date(Date.now() - ageMs);
  await utimes(building, then, then);
  return building;
}

/** Where a build would go, found by letting one happen and removing it. */
async function learnFinalFolder(): Promise<string> {
  const finalFolder = await find({ runGo: fakeGo().run });
  await rm(finalFolder, { recursive: true });
  return finalFolder;
}

async function givenFolder(binaries: readonly string[]): Promise<NodeJS.ProcessEnv> {
  const given = join(folder, 'given');
  await mkdir(given);
  for (const binary of binaries) {
    await writeFile(join(given, binary), '', { mode: 0o755 });
  }
  return { KUBEBUILDER_ASSETS: given };
}

describe('with KUBEBUILDER_ASSETS', () => {
  test('a folder with the three binaries is taken as it is, without Go', async () => {
    const environment = await givenFolder(['etcd', 'kube-apiserver', 'kubectl']);

    expect(await find({ environment, runGo: noGo })).toBe(join(folder, 'given'));
  });

  test('a folder that lacks binaries is refused in one line that names them', async () => {
    const environment = await givenFolder(['etcd']);

    const message = await messageOf(find({ environment, runGo: fakeGo().run }));

    expect(message).toBe(
      `KUBEBUILDER_ASSETS is ${join(folder, 'given')}, where kube-apiserver, kubectl cannot be run; ` +
        'fill it (setup-envtest does) or unset it to have the binaries built with Go.',
    );
  });

  test('the controller manager is missed only when it is asked for', async () => {
    const environment = await givenFolder(['etcd', 'kube-apiserver', 'kubectl']);

    const message = await messageOf(find({ environment, controllerManager: true, runGo: noGo }));

    expect(message).toContain('where kube-controller-manager cannot be run');
  });

  test('a file that may not be executed counts as missing', async () => {
    const environment = await givenFolder(['etcd', 'kube-apiserver']);
    await writeFile(join(folder, 'given', 'kubectl'), '', { mode: 0o644 });

    expect(await messageOf(find({ environment, runGo: noGo }))).toContain('where kubectl cannot be run');
  });
});

describe('without KUBEBUILDER_ASSETS', () => {
  test('all four binaries are built into a cache folder named after the Kubernetes version', async () => {
    const go = fakeGo();

    const built = await find({ runGo: go.run });

    expect(go.built).toEqual(['etcd', 'kube-apiserver', 'kubectl', 'kube-controller-manager']);
    expect((await readdir(built)).sort()).toEqual([...go.built].sort());
    expect(basename(built)).toMatch(/^v1\.37\.2-[0-9a-f]{12}$/);
    expect(await cacheEntries()).toEqual([basename(built)]);
  });

  test('what was built once is found again without Go', async () => {
    const built = await find({ runGo: fakeGo().run });

    expect(await find({ runGo: noGo })).toBe(built);
  });

  test('another set of module versions gets another folder', async () => {
    const built = await find({ runGo: fakeGo().run });
    await writeFile(join(folder, 'module', 'go.sum'), 'changed\n');

    expect(await find({ runGo: fakeGo().run })).not.toBe(built);
  });

  test('without Go, one line says what to install', async () => {
    expect(await messageOf(find({ runGo: noGo }))).toBe(
      'No control plane for the tests (there is no go): install Go 1.26.0 or newer to have it built, ' +
        'or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl, as setup-envtest makes it.',
    );
  });

  test.for(['go1.25.9', 'go1.9', 'devel'])('a Go that calls itself %s is too old', async (version) => {
    const message = await messageOf(find({ runGo: fakeGo({ version }).run }));

    expect(message).toContain(`(go says "${version}"): install Go 1.26.0 or newer`);
  });

  test.for(['go1.26.0', 'go1.27rc1', 'go1.100', 'go2.0.1'])(
    'a Go that calls itself %s is new enough',
    async (version) => {
      const go = fakeGo({ version });

      await find({ runGo: go.run });

      expect(go.built).toHaveLength(4);
    },
  );

  test('a build that fails reports what the compiler said and leaves nothing behind', async () => {
    const message = await messageOf(find({ runGo: fakeGo({ failsAt: 'kubectl' }).run }));

    expect(message).toBe('building kubectl failed:\nundefined: x');
    expect(await cacheEntries()).toEqual([]);
  });
});

describe('next to other builds', () => {
  test('a half-finished build folder is not taken for a build, and is swept away when it is abandoned', async () => {
    const finalFolder = await learnFinalFolder();
    await makeBuildFolder(finalFolder, { pid: process.ppid, ageMs: 10 * 60_000 });
    const go = fakeGo();

    await find({ runGo: go.run });

    expect(go.built).toHaveLength(4);
    expect(await cacheEntries()).toEqual([basename(finalFolder)]);
  });

  test('a living build of another process is waited for and used', async () => {
    const finalFolder = await learnFinalFolder();
    const building = await makeBuildFolder(finalFolder, { pid: process.ppid, ageMs: 0 });
    const go = fakeGo();

    const found = await find({ runGo: go.run, wait: () => rename(building, finalFolder) });

    expect(found).toBe(finalFolder);
    expect(go.built).toEqual([]);
  });

  test('when the process that was waited for gives up, the build happens here', async () => {
    const finalFolder = await learnFinalFolder();
    const building = await makeBuildFolder(finalFolder, { pid: process.ppid, ageMs: 0 });
    const go = fakeGo();

    await find({ runGo: go.run, wait: () => rm(building, { recursive: true }) });

    expect(go.built).toHaveLength(4);
  });

  test('of two builds at once, the second to end throws its own away', async () => {
    const finalFolder = await learnFinalFolder();
    const go = fakeGo();
    const runGo: RunGo = async (parameters, settings) => {
      if (parameters.at(-1)?.endsWith('/kubectl') === true) {
        await mkdir(finalFolder);
        await writeFile(join(finalFolder, 'etcd'), 'of the other build');
      }
      return go.run(parameters, settings);
    };

    expect(await find({ runGo })).toBe(finalFolder);
    expect(await readFile(join(finalFolder, 'etcd'), 'utf8')).toBe('of the other build');
    expect(await readdir(dirname(finalFolder))).toEqual([basename(finalFolder)]);
  });
});

describe('for a node', () => {
  test('its three binaries are built into a folder beside that of the control plane', async () => {
    const controlPlane = await find({ runGo: fakeGo().run });
    const go = fakeGo();

    const built = await findForNode({ runGo: go.run });

    expect(go.built).toEqual(['kubelet', 'kube-proxy', 'kube-scheduler']);
    expect(built).toBe(`${controlPlane}-node`);
  });

  test('a given folder that lacks them is refused in one line that names them', async () => {
    const environment = await givenFolder(['etcd', 'kube-apiserver', 'kubectl', 'kubelet']);

    const message = await messageOf(findForNode({ environment, runGo: fakeGo().run }));

    expect(message).toContain('where kube-proxy, kube-scheduler cannot be run');
  });

  test('without Go, one line says what to install', async () => {
    expect(await messageOf(findForNode({ runGo: noGo }))).toBe(
      'No node for the tests (there is no go): install Go 1.26.0 or newer to have it built, ' +
        'or add kubelet, kube-proxy and kube-scheduler to the folder that KUBEBUILDER_ASSETS names.',
    );
  });
});
