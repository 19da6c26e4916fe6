import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';

const run = promisify(execFile);
const KUBECTL_OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;
/** Longer than any test; an account's token does not end in the middle of one. */
const TOKEN_LIFETIME_SECONDS = 24 * 60 * 60;

/** What a test process needs to know to use a control plane which another process may have started. */
export interface ControlPlaneConnection {
  /** `https://<address>:<apiServerPort>`; on loopback unless the servers have a network of their own. */
  readonly server: string;
  readonly apiServerPort: number;
  readonly certificateAuthorityPem: string;
  /** Of a user in `system:masters`. */
  readonly adminToken: string;
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Path of the binary. */
  readonly kubectl: string;
  /** Further kubeconfig files are written here; gone with the control plane. */
  readonly folder: string;
  /** `http://<address>:<port>`; speaks gRPC and JSON without TLS. */
  readonly etcdEndpoint: string;
}

export interface ApiReply<Body> {
  readonly status: number;
  readonly body: Body;
}

/** How tests talk to an API server without our own client: as the administrator, and with kubeconfigs for others. */
export class ApiServerAccess {
  readonly connection: ControlPlaneConnection;
  #agent: Agent;
  #kubeconfigsWritten = 0;

  constructor(connection: ControlPlaneConnection) {
    this.connection = connection;
    this.#agent = this.#newAgent();
  }

  /**
   * One JSON call with the administrator's token. Any HTTP status is a reply; only a failed connection throws.
   * `Body` is what the caller expects to find in the reply: nothing checks it. Text stays text; of a watch, which
   * needs a `timeoutSeconds` to end, it is the list of events.
   */
  async request<Body = unknown>(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
    signal?: AbortSignal,
  ): Promise<ApiReply<Body>> {
    const reply = await request(`${this.connection.server}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: { authorization: `Bearer ${this.connection.adminToken}`, 'content-type': contentType },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    });
    const text = await reply.body.text();
    return { status: reply.statusCode, body: parseBody(text, String(reply.headers['content-type']), path) as Body };
  }

  /** Runs kubectl as the administrator and returns what it prints. Throws with its stderr when it fails. */
  async kubectl(...parameters: string[]): Promise<string> {
    const { stdout } = await run(this.connection.kubectl, parameters, {
      env: {
        ...process.env,
        KUBECONFIG: this.connection.kubeconfig,
        KUBECACHEDIR: join(this.connection.folder, 'kubectl'),
      },
      maxBuffer: KUBECTL_OUTPUT_LIMIT_BYTES,
    });
    return stdout;
  }

  /**
   * Writes a kubeconfig and returns its path. `port` leads through a proxy on loopback, which works for a server on
   * loopback only: the certificate of any other does not name 127.0.0.1.
   */
  async kubeconfigFor({ token, port }: { readonly token: string; readonly port?: number }): Promise<string> {
    this.#kubeconfigsWritten += 1;
    const path = join(this.connection.folder, `kubeconfig-${process.pid}-${this.#kubeconfigsWritten}.json`);
    const server = port === undefined ? this.connection.server : `https://127.0.0.1:${port}`;
    const text = kubeconfigText({ server, token, certificateAuthorityPem: this.connection.certificateAuthorityPem });
    await writeFile(path, text, { mode: 0o600 });
    return path;
  }

  /**
   * A kubeconfig with a token of the service account, which is created when it is absent. The namespace must exist.
   * The account has the rights which the test binds to `system:serviceaccount:<namespace>:<name>`: none at first.
   */
  async createServiceAccountKubeconfig(
    namespace: string,
    name: string,
    { port }: { readonly port?: number } = {},
  ): Promise<string> {
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    const created = await this.request('POST', accounts, { metadata: { name } });
    if (created.status !== 201 && created.status !== 409) {
      throw new Error(`creating service account ${namespace}/${name}: ${JSON.stringify(created)}`);
    }
    const issued = await this.request<{ status: { token: string } }>('POST', `${accounts}/${name}/token`, {
      spec: { expirationSeconds: TOKEN_LIFETIME_SECONDS },
    });
    if (issued.status !== 201) {
      throw new Error(`requesting a token for service account ${namespace}/${name}: ${JSON.stringify(issued)}`);
    }
    const { token } = issued.body.status;
    return this.kubeconfigFor(port === undefined ? { token } : { token, port });
  }

  /** Drops pooled connections: after the server was away, the next call must not meet a dead one. */
  async dropConnections(): Promise<void> {
    const former = this.#agent;
    this.#agent = this.#newAgent();
    await former.destroy();
  }

  #newAgent(): Agent {
    return new Agent({ connect: { ca: this.connection.certificateAuthorityPem } });
  }
}

function parseBody(text: string, contentType: string, path: string): unknown {
  if (!contentType.startsWith('application/json')) {
    return text;
  }
  if (!/[?&]watch=(?:1|true)\b/.test(path)) {
    return JSON.parse(text);
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): unknown => JSON.parse(line));
}

/** JSON, which every reader of a kubeconfig takes, since it is YAML. */
export function kubeconfigText({
  server,
  token,
  certificateAuthorityPem,
}: {
  readonly server: string;
  readonly token: string;
  readonly certificateAuthorityPem: string;
}): string {
  const name = 'test';
  return JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': name,
      contexts: [{ name, context: { cluster: name, user: name } }],
      clusters: [
        {
          name,
          cluster: {
            server,
            'certificate-authority-data': Buffer.from(certificateAuthorityPem).toString('base64'),
          },
        },
      ],
      users: [{ name, user: { token } }],
    },
    undefined,
    2,
  );
}
