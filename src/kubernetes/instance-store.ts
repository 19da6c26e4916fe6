import type { InstanceDraft, InstanceStore, WriteOutcome } from '../controller/ports.ts';
import type { InstanceStatus, ObservedInstance } from '../health/observed-instance.ts';
import type { ApiClient, ApiRequest } from './api-client.ts';
import type { ApiFailure } from './api-error.ts';
import { decodeInstance, encodeDraft, encodeStatus } from './instance-resource.ts';
import { instancePath, instanceStatusPath, instancesPath } from './instance-resource.ts';

/** HeartbeatInstances as custom resources in the Kubernetes API. */
export class KubernetesInstanceStore implements InstanceStore {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  create(draft: InstanceDraft): Promise<WriteOutcome> {
    const { namespace, name, identity } = draft;
    return this.#write({
      action: `creating HeartbeatInstance ${namespace}/${name}`,
      method: 'POST',
      path: instancesPath(namespace),
      body: encodeDraft(name, namespace, identity),
    });
  }

  writeStatus(target: ObservedInstance, status: InstanceStatus): Promise<WriteOutcome> {
    const { namespace, name, resourceVersion } = target;
    return this.#write({
      action: `writing the status of HeartbeatInstance ${namespace}/${name}`,
      method: 'PATCH',
      path: instanceStatusPath(namespace, name),
      contentType: 'application/merge-patch+json',
      // The resourceVersion in the patch makes the server refuse it if the object has changed since.
      body: { metadata: { resourceVersion }, status: encodeStatus(status) },
    });
  }

  async remove(target: ObservedInstance): Promise<WriteOutcome> {
    const { namespace, name, resourceVersion } = target;
    const result = await this.#client.request({
      action: `deleting HeartbeatInstance ${namespace}/${name}`,
      method: 'DELETE',
      path: instancePath(namespace, name),
      body: { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { resourceVersion } },
    });
    return result.kind === 'ok' ? { kind: 'removed' } : outcomeOf(result);
  }

  async #write(request: ApiRequest & { readonly action: string }): Promise<WriteOutcome> {
    const result = await this.#client.request(request);
    if (result.kind !== 'ok') return outcomeOf(result);
    try {
      return { kind: 'written', instance: decodeInstance(result.body) };
    } catch (error) {
      // A success that does not show the object is no proof of anything: something else than the API server answered.
      return { kind: 'unreachable', message: `${request.action}: ${String(error)}` };
    }
  }
}

function outcomeOf(failure: ApiFailure): WriteOutcome {
  const { message } = failure;
  switch (failure.kind) {
    case 'conflict':
    case 'exists':
    case 'absent':
      return { kind: failure.kind };
    case 'throttled':
      return { kind: 'throttled', retryAfterMs: failure.retryAfterMs, message };
    case 'unreachable':
    case 'ahead':
      return { kind: 'unreachable', message };
    case 'forbidden':
      return { kind: 'refused', reason: 'Forbidden', message };
    case 'invalid':
      return { kind: 'refused', reason: 'Invalid', message };
    case 'unauthorized':
    case 'gone':
      return { kind: 'refused', reason: 'Other', message };
  }
}
