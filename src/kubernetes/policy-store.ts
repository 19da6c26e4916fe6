import type { PolicyOutcome, PolicyStore } from '../controller/ports.ts';
import type { ObservedPolicy, PolicyStatus } from '../health/observed-policy.ts';
import type { ApiClient } from './api-client.ts';
import type { ApiFailure } from './api-error.ts';
import { decodePolicy, encodePolicyStatus, policyStatusPath } from './policy-resource.ts';
import { unreadableAnswer, writeFailure } from './write-outcome.ts';

/** HeartbeatPolicies as custom resources in the Kubernetes API. */
export class KubernetesPolicyStore implements PolicyStore {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  async writeStatus(target: ObservedPolicy, status: PolicyStatus): Promise<PolicyOutcome> {
    const { namespace, name, resourceVersion } = target;
    const action = `writing the status of HeartbeatPolicy ${namespace}/${name}`;
    const result = await this.#client.request({
      action,
      method: 'PATCH',
      path: policyStatusPath(namespace, name),
      contentType: 'application/merge-patch+json',
      // The resourceVersion in the patch makes the server refuse it if the object has changed since.
      body: { metadata: { resourceVersion }, status: encodePolicyStatus(status) },
    });
    return result.kind === 'ok' ? written(action, result.body) : failed(result);
  }
}

function written(action: string, body: unknown): PolicyOutcome {
  try {
    return { kind: 'written', policy: decodePolicy(body) };
  } catch (error) {
    return unreadableAnswer(action, error);
  }
}

function failed(failure: ApiFailure): PolicyOutcome {
  switch (failure.kind) {
    case 'conflict':
    case 'absent':
      return { kind: failure.kind };
    // Not an answer to a patch.
    case 'exists':
      return { kind: 'refused', reason: 'Other', message: failure.message };
    case 'ahead':
    case 'forbidden':
    case 'gone':
    case 'invalid':
    case 'throttled':
    case 'unauthorized':
    case 'unreachable':
      return writeFailure(failure);
  }
}
