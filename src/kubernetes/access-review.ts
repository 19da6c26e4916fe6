import type { ApiClient } from './api-client.ts';
import { isRecord } from './api-error.ts';

/** One thing that the operator must be allowed to do. */
export interface Access {
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly verb: string;
  /** Absent: in all namespaces. */
  readonly namespace?: string;
  /** Absent: for whatever object. */
  readonly name?: string;
}

const OURS = { group: 'heartbeat-operator.io' };
/** The one object of another kind that is read: the marker of an uninstall. */
const MARKER = { group: '', resource: 'configmaps', name: 'heartbeat-operator-release' };

/**
 * All that the operator does with the API; the roles in `deploy/` grant exactly this.
 *
 * @param namespace in which it is at home, and where the marker of an uninstall would be.
 */
export function neededRights(namespace: string): readonly Access[] {
  const marker = (verb: string): Access => ({ ...MARKER, namespace, verb });
  return [...EVERYWHERE, ...MARKER_VERBS.map(marker)];
}

const MARKER_VERBS = ['get', 'list', 'watch'] as const;

const EVERYWHERE: readonly Access[] = [
  { ...OURS, resource: 'heartbeatinstances', verb: 'list' },
  { ...OURS, resource: 'heartbeatinstances', verb: 'watch' },
  { ...OURS, resource: 'heartbeatinstances', verb: 'create' },
  { ...OURS, resource: 'heartbeatinstances', verb: 'delete' },
  { ...OURS, resource: 'heartbeatinstances', verb: 'patch' },
  { ...OURS, resource: 'heartbeatinstances', subresource: 'status', verb: 'patch' },
  { ...OURS, resource: 'heartbeatpolicies', verb: 'list' },
  { ...OURS, resource: 'heartbeatpolicies', verb: 'watch' },
  { ...OURS, resource: 'heartbeatpolicies', subresource: 'status', verb: 'patch' },
  { group: '', resource: 'pods', verb: 'get' },
  { group: '', resource: 'pods', verb: 'list' },
  { group: '', resource: 'pods', verb: 'watch' },
  { group: '', resource: 'pods', subresource: 'status', verb: 'patch' },
  { group: '', resource: 'nodes', verb: 'list' },
  { group: '', resource: 'nodes', verb: 'watch' },
  { group: 'events.k8s.io', resource: 'events', verb: 'create' },
  { group: 'events.k8s.io', resource: 'events', verb: 'patch' },
  { group: 'authentication.k8s.io', resource: 'tokenreviews', verb: 'create' },
];

/**
 * What of the rights that the operator needs its account does not have, as `patch heartbeatinstances/status`.
 *
 * A review that cannot be made is no proof of anything and counts as allowed: the calls themselves will tell.
 */
export async function missingRights(client: ApiClient, namespace: string): Promise<readonly string[]> {
  const lacking = await Promise.all(
    neededRights(namespace).map(async (access) => {
      const result = await client.request({
        method: 'POST',
        path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        body: {
          apiVersion: 'authorization.k8s.io/v1',
          kind: 'SelfSubjectAccessReview',
          spec: { resourceAttributes: access },
        },
        action: 'asking for our own rights',
      });
      return result.kind === 'ok' && isDenied(result.body) ? [describe(access)] : [];
    }),
  );
  return lacking.flat();
}

function describe({ verb, resource, subresource, namespace, name }: Access): string {
  const object = subresource === undefined ? resource : `${resource}/${subresource}`;
  const named = name === undefined ? '' : ` ${name}`;
  return `${verb} ${object}${named}${namespace === undefined ? '' : ` in ${namespace}`}`;
}

function isDenied(review: unknown): boolean {
  return isRecord(review) && isRecord(review['status']) && review['status']['allowed'] === false;
}
