/** What it takes to speak to an API server. */
export interface ConnectionFacts {
  /** Base URL; may have a path, as behind Rancher. */
  readonly server: string;
  readonly proxyUrl: string | undefined;
  readonly tls: TlsMaterial;
  /** Headers that say who we are. */
  readonly headers: Readonly<Record<string, string>>;
  /** The namespace that we run in, or that the kubeconfig's context names. */
  readonly namespace: string | undefined;
}

/** PEM texts and flags. A connection pool is built on one value and rebuilt when it changes. */
export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

export interface CredentialSource {
  /** @param renew true if the server refused what was read last: caches must not answer. */
  read(renew: boolean): Promise<ConnectionFacts>;
}

/** Credentials that cannot be used. The message is one line that says what to do. */
export class CredentialsError extends Error {
  override readonly name = 'CredentialsError';
}

/** The environment variables of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;
