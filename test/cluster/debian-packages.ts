import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { run } from './command.ts';

/** Files that a node needs, by the Debian package that brings them. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  containerd: ['containerd', 'ctr'],
  runc: ['runc'],
  'containernetworking-plugins': ['/usr/lib/cni/bridge', '/usr/lib/cni/host-local'],
  'busybox-static': ['/bin/busybox'],
  conntrack: ['conntrack'],
  iptables: ['iptables'],
  nftables: ['nft'],
  iproute2: ['ip'],
};

/**
 * Installs what is missing.
 *
 * @throws Error with one line that says what to do, when this is not root on a Debian.
 */
export async function ensureDebianPackages(): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      'A one-node cluster needs root (network namespaces, mounts, cgroups): run `npm run test:cluster` as root.',
    );
  }
  const missing = await missingPackages();
  if (missing.length === 0) {
    return;
  }
  const command = `apt-get install --yes --no-install-recommends ${missing.join(' ')}`;
  process.stderr.write(`Installing what the node needs: ${command}\n`);
  try {
    await run('apt-get', 'update', '--quiet');
    await run('env', 'DEBIAN_FRONTEND=noninteractive', ...command.split(' '));
  } catch (error) {
    throw new Error(`A one-node cluster needs Debian packages which could not be installed: ${command}`, {
      cause: error,
    });
  }
  const stillMissing = await missingPackages();
  if (stillMissing.length > 0) {
    throw new Error(`A one-node cluster needs programs of these Debian packages: ${stillMissing.join(' ')}`);
  }
}

async function missingPackages(): Promise<string[]> {
  const missing: string[] = [];
  for (const [name, files] of Object.entries(FILES)) {
    const found = await Promise.all(files.map(isExecutable));
    if (found.includes(false)) {
      missing.push(name);
    }
  }
  return missing;
}

/** `file` is a path, or a name to be looked for in the folders of programs. */
async function isExecutable(file: string): Promise<boolean> {
  const folders = file.startsWith('/') ? [''] : [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    try {
      await access(join(folder, file), constants.X_OK);
      return true;
    } catch {
      // Not in this one.
    }
  }
  return false;
}
