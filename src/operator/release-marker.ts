import type { ApiQuery } from '../kubernetes/api-client.ts';
import { isRecord } from '../kubernetes/api-error.ts';

/**
 * The ConfigMap that tells every replica: the operator is being uninstalled. While it is there no Pod is withdrawn,
 * and every Pod that declares our gate is to be True/Released.
 */
export const MARKER_NAME = 'heartbeat-operator-release';

/** The marker as the cache holds it. That it is there says everything. */
export interface ReleaseMarker {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly resourceVersion: string;
}

/** Leaves of all ConfigMaps the marker; also what makes a role that names only it suffice for a list and a watch. */
export const MARKER_QUERY: ApiQuery = { fieldSelector: `metadata.name=${MARKER_NAME}` };

/** The path of the ConfigMaps among which the marker is, in the namespace of the operator. */
export function markersPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`;
}

/** The object to create. What it says is for people who find it. */
export function encodeMarker(namespace: string): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: MARKER_NAME, namespace, labels: { 'app.kubernetes.io/name': 'heartbeat-operator' } },
    data: {
      meaning:
        'heartbeat-operator was uninstalled by its command "release": while this object is here, no Pod is withdrawn. ' +
        'Delete it before the operator is used again.',
    },
  };
}

/** @throws TypeError if it is not a stored object */
export function decodeMarker(object: unknown): ReleaseMarker {
  if (isRecord(object) && isRecord(object['metadata'])) {
    const { uid, name, namespace, resourceVersion } = object['metadata'];
    if (
      typeof uid === 'string' &&
      typeof name === 'string' &&
      typeof namespace === 'string' &&
      typeof resourceVersion === 'string'
    ) {
      return { uid, name, namespace, resourceVersion };
    }
  }
  throw new TypeError('not a stored ConfigMap: it has no uid, name, namespace or resourceVersion');
}
