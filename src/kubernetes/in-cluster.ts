import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CredentialSource, CredentialsError, type Environment } from './connection-facts.ts';

/** Whether the process runs in a Pod that has a service account. */
export async function isInCluster(environment: Environment, folder: string): Promise<boolean> {
  if ((environment['KUBERNETES_SERVICE_HOST'] ?? '') === '') return false;
  try {
    await access(join(folder, 'token'));
    return true;
  } catch {
    return false;
  }
}

/**
 * The service account of the Pod we run in.
 *
 * Three small files; read here rather than through client-node, whose import costs a second of start
 * and sixty megabytes of memory, which every replica in a cluster would pay.
 */
export function inClusterSource(environment: Environment, folder: string): CredentialSource {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    async read() {
      const [token, ca, namespace] = await Promise.all([
        readServiceAccountFile(folder, 'token'),
        readServiceAccountFile(folder, 'ca.crt'),
        readServiceAccountFile(folder, 'namespace').catch(() => undefined),
      ]);
      return {
        server,
        proxyUrl: undefined,
        tls: { ca },
        headers: { authorization: `Bearer ${token}` },
        namespace,
      };
    },
  };
}

async function readServiceAccountFile(folder: string, name: string): Promise<string> {
  const file = join(folder, name);
  let text: string;
  try {
    text = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new CredentialsError(`cannot read ${file}: mount the service account's token into the Pod`, { cause: error });
  }
  if (text === '') throw new CredentialsError(`${file} is empty: mount the service account's token into the Pod`);
  return text;
}
