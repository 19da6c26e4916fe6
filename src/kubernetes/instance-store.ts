import type { InstanceDraft, InstanceStore, WriteOutcome } from '../controller/ports.ts';
import type { InstanceStatus, ObservedInstance, PodOwner, StatusReport } from '../health/observed-instance.ts';
import type { ApiClient, ApiRequest } from './api-client.ts';
import type { ApiFailure } from './api-error.ts';
import { decodeInstance, encodeDraft, encodeOwners, encodeReport, encodeStatus } from './instance-resource.ts';
import { instancePath, instanceStatusPath, instancesPath } from './instance-resource.ts';
import { unreadableAnswer, writeFailure } from './write-outcome.ts';

/** HeartbeatInstances as custom resources in the Kubernetes API. */
export class KubernetesInstanceStore implements InstanceStore {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  create(draft: InstanceDraft): Promise<WriteOutcome> {
    const { namespace, name } = draft;
    return this.#write({
      action: `creating HeartbeatInstance ${namespace}/${name}`,
      method: 'POST',
      path: instancesPath(namespace),
      body: encodeDraft(draft),
    });
  }

  writeStatus(target: ObservedInstance, status: InstanceStatus): Promise<WriteOutcome> {
    const { namespace, name } = target;
    return this.#patch(target, {
      action: `writing the status of HeartbeatInstance ${namespace}/${name}`,
      path: instanceStatusPath(namespace, name),
      status: encodeStatus(status),
    });
  }

  own(target: ObservedInstance, owner: PodOwner): Promise<WriteOutcome> {
    const { namespace, name } = target;
    return this.#patch(target, {
      action: `making the Pod ${owner.name} the owner of HeartbeatInstance ${namespace}/${name}`,
      path: instancePath(namespace, name),
      metadata: { ownerReferences: encodeOwners(owner) },
    });
  }

  report(target: ObservedInstance, report: StatusReport): Promise<WriteOutcome> {
    const { namespace, name } = target;
    return this.#patch(target, {
      action: `storing the reported status of HeartbeatInstance ${namespace}/${name}`,
      path: instanceStatusPath(namespace, name),
      status: encodeReport(report),
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

  #patch(target: ObservedInstance, patch: InstancePatch): Promise<WriteOutcome> {
    const { action, path, metadata, status } = patch;
    // The resourceVersion in the patch makes the server refuse it if the object has changed since.
    const body = { metadata: { ...metadata, resourceVersion: target.resourceVersion }, ...(status && { status }) };
    return this.#write({ action, method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
  }

  async #write(request: ApiRequest & { readonly action: string }): Promise<WriteOutcome> {
    const result = await this.#client.request(request);
    if (result.kind !== 'ok') return outcomeOf(result);
    try {
      return { kind: 'written', instance: decodeInstance(result.body) };
    } catch (error) {
      return unreadableAnswer(request.action, error);
    }
  }
}

/** What a merge patch changes of an instance. */
interface InstancePatch {
  readonly action: string;
  readonly path: string;
  readonly metadata?: object;
  readonly status?: object;
}

function outcomeOf(failure: ApiFailure): WriteOutcome {
  const { kind } = failure;
  return kind === 'conflict' || kind === 'exists' || kind === 'absent' ? { kind } : writeFailure(failure);
}
