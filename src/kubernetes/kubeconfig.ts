import { access, readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { delimiter, join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import {
  type ConnectionFacts,
  type CredentialSource,
  CredentialsError,
  type Environment,
  type TlsMaterial,
} from './connection-facts.ts';

/** The kubeconfig in the home folder, if there is one. */
export async function homeKubeconfigFile(environment: Environment): Promise<string | undefined> {
  const home = environment['HOME'] ?? environment['USERPROFILE'] ?? '';
  if (home === '') return undefined;
  const file = join(home, '.kube', 'config');
  try {
    await access(file);
    return file;
  } catch {
    return undefined;
  }
}

/**
 * The current context of one or more kubeconfig files, which are merged as kubectl does.
 *
 * One KubeConfig is kept while the files stay as they are, since it holds the tokens that credential plugins
 * returned; a changed file or a refused token starts afresh.
 */
export function kubeconfigSource(files: readonly string[]): CredentialSource {
  let held: { readonly texts: string; readonly config: KubeConfig } | undefined;
  return {
    async read(renew) {
      const texts = JSON.stringify(await readAll(files));
      if (held === undefined || renew || held.texts !== texts) held = { texts, config: await load(files) };
      return connectionFacts(held.config, files);
    },
  };
}

async function readAll(files: readonly string[]): Promise<readonly string[]> {
  return Promise.all(
    files.map((file) =>
      readFile(file, 'utf8').catch((error: unknown) => {
        throw new CredentialsError(
          `cannot read the kubeconfig ${file} (${reasonOf(error)}): correct $KUBECONFIG or create the file`,
          { cause: error },
        );
      }),
    ),
  );
}

async function load(files: readonly string[]): Promise<KubeConfig> {
  // Imported only here: it takes a second, and neither a Pod nor the embedded mode needs it.
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  for (const file of files) {
    try {
      const part = new KubeConfig();
      part.loadFromFile(file);
      // The first file that names a context decides, as in kubectl.
      config.mergeConfig(part, (config.currentContext ?? '') !== '');
    } catch (error) {
      throw new CredentialsError(`cannot use the kubeconfig ${file}: ${reasonOf(error)}`, { cause: error });
    }
  }
  return config;
}

async function connectionFacts(config: KubeConfig, files: readonly string[]): Promise<ConnectionFacts> {
  const named = `the kubeconfig ${files.join(delimiter)}`;
  const contextName = config.getCurrentContext() ?? '';
  if (contextName === '') {
    throw new CredentialsError(`${named} has no current context: choose one with kubectl config use-context`);
  }
  const context = config.getContextObject(contextName);
  const cluster = config.getCurrentCluster();
  if (context === null || cluster === null || config.getCurrentUser() === null) {
    const missing = context === null ? 'context' : cluster === null ? 'cluster' : 'user';
    throw new CredentialsError(`${named} does not define the ${missing} of its current context "${contextName}"`);
  }
  if (!URL.canParse(cluster.server)) {
    throw new CredentialsError(`${named} names the server "${cluster.server}", which is not a URL`);
  }

  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (error) {
    throw new CredentialsError(`cannot use the credentials of ${named}: ${reasonOf(error)}`, { cause: error });
  }
  return {
    server: cluster.server,
    proxyUrl: cluster.proxyUrl,
    tls: tlsMaterial(options),
    headers: identityHeaders(options),
    namespace: context.namespace,
  };
}

function tlsMaterial(options: RequestOptions): TlsMaterial {
  const { ca, cert, key, servername, rejectUnauthorized } = options;
  return {
    ...pem('ca', ca),
    ...pem('cert', cert),
    ...pem('key', key),
    ...(servername !== undefined && { servername }),
    ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
  };
}

/** client-node gives PEM as a Buffer, a credential plugin's certificate as a string. */
function pem<Name extends string>(name: Name, value: unknown): { readonly [name in Name]?: string } {
  if (typeof value !== 'string' && !Buffer.isBuffer(value)) return {};
  return { [name]: value.toString() } as { readonly [name in Name]: string };
}

function identityHeaders(options: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) headers[name.toLowerCase()] = String(value).trim();
  if (typeof options.auth === 'string')
    headers['authorization'] ??= `Basic ${Buffer.from(options.auth).toString('base64')}`;
  return headers;
}

/** The first line of an error's message: YAML parsers and credential plugins print many. */
function reasonOf(error: unknown): string {
  const [line] = (error instanceof Error ? error.message : String(error)).trim().split('\n');
  return line === undefined || line === '' ? 'unknown reason' : line;
}
