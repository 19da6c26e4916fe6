import { createHash } from 'node:crypto';
import { chmod, copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';

/*
 * The image that all Pods run, made without a registry and without a container engine: an archive as `docker save`
 * writes it, which is a tar of a list, a description and one layer, and the layer is a tar of a static busybox.
 */

export const IMAGE = 'localhost/heartbeat-operator-test-workload:1';

const SCRIPTS = join(import.meta.dirname, 'image');
const BUSYBOX = '/bin/busybox';
const ARCHITECTURES: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

/** Writes the archive below the folder and returns its path. */
export async function buildImage(folder: string): Promise<string> {
  const root = join(folder, 'root');
  for (const directory of ['bin', 'etc', 'tmp', 'www']) {
    await mkdir(join(root, directory), { recursive: true });
  }
  await copyFile(BUSYBOX, join(root, 'bin', 'busybox'));
  for (const applet of (await run(BUSYBOX, '--list')).split('\n').filter((name) => name !== '' && name !== 'busybox')) {
    await symlink('busybox', join(root, 'bin', applet));
  }
  for (const script of await readdir(SCRIPTS)) {
    await copyFile(join(SCRIPTS, script), join(root, 'bin', script));
    await chmod(join(root, 'bin', script), 0o755);
  }
  await writeFile(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  await writeFile(join(root, 'www', 'index.html'), 'Success\n');

  const layer = join(folder, 'layer.tar');
  await run('tar', '--owner=0', '--group=0', '--numeric-owner', '-cf', layer, '-C', root, '.');
  const description = {
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: 'linux',
    // Also what keeps the network of a Pod, where it must not take a port.
    config: { Env: ['PATH=/bin'], Cmd: ['/bin/pause'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(await readFile(layer))}`] },
  };
  await writeFile(join(folder, 'config.json'), JSON.stringify(description));
  const list = [{ Config: 'config.json', RepoTags: [IMAGE], Layers: ['layer.tar'] }];
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(list));

  const archive = join(folder, 'image.tar');
  await run('tar', '-cf', archive, '-C', folder, 'manifest.json', 'config.json', 'layer.tar');
  return archive;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
