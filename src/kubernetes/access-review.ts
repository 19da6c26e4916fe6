import type { ApiClient } from './api-client.ts';
import { isRecord } from './api-error.ts';
import { GROUP, PLURAL } from './instance-resource.ts';

/** One thing that the operator must be allowed to do. */
interface Access {
  readonly verb: string;
  readonly subresource?: string;
}

/** All it does to HeartbeatInstances; the roles in `deploy/` grant exactly this. */
const NEEDED: readonly Access[] = [
  { verb: 'list' },
  { verb: 'watch' },
  { verb: 'create' },
  { verb: 'delete' },
  { verb: 'patch', subresource: 'status' },
];

/**
 * What of the rights that the operator needs its account does not have, as `patch heartbeatinstances/status`.
 *
 * A review that cannot be made is no proof of anything and counts as allowed: the calls themselves will tell.
 */
export async function missingRights(client: ApiClient): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const { verb, subresource } of NEEDED) {
    const result = await client.request({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: { group: GROUP, resource: PLURAL, verb, ...(subresource && { subresource }) } },
      },
      action: 'asking for our own rights',
    });
    if (result.kind === 'ok' && isDenied(result.body)) {
      missing.push(`${verb} ${PLURAL}${subresource === undefined ? '' : `/${subresource}`}`);
    }
  }
  return missing;
}

function isDenied(review: unknown): boolean {
  return isRecord(review) && isRecord(review['status']) && review['status']['allowed'] === false;
}
