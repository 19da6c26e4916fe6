/** The four parts that together name one running copy of a microservice. */
export interface InstanceIdentity {
  readonly domain: string;
  readonly projectId: string;
  readonly serviceId: string;
  readonly instanceId: string;
}

/**
 * The four parts as one string: the key of every map and queue.
 *
 * The parts are joined by line feeds, which no part may contain, so two identities never share a key.
 */
export type InstanceKey = string & { readonly __brand: 'InstanceKey' };

const SEPARATOR = '\n';

export function instanceKey(domain: string, projectId: string, serviceId: string, instanceId: string): InstanceKey {
  return (domain + SEPARATOR + projectId + SEPARATOR + serviceId + SEPARATOR + instanceId) as InstanceKey;
}

export function keyOf(identity: InstanceIdentity): InstanceKey {
  return instanceKey(identity.domain, identity.projectId, identity.serviceId, identity.instanceId);
}

/** @throws TypeError if `key` was not made by {@link instanceKey}. */
export function identityOf(key: InstanceKey): InstanceIdentity {
  const [domain, projectId, serviceId, instanceId, ...rest] = key.split(SEPARATOR);
  if (domain === undefined || projectId === undefined || serviceId === undefined || instanceId === undefined) {
    throw new TypeError(`not an instance key: ${JSON.stringify(key)}`);
  }
  if (rest.length > 0) throw new TypeError(`an instance key has four parts: ${JSON.stringify(key)}`);
  return { domain, projectId, serviceId, instanceId };
}
