import type { PodOutcome, PodStore } from '../controller/ports.ts';
import type { Condition } from '../health/condition.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import type { ApiClient, ApiResult } from './api-client.ts';
import { isRecord } from './api-error.ts';
import { decodePod, encodePodCondition, podPath, podStatusPath } from './pod-resource.ts';
import { unreadableAnswer, writeFailure } from './write-outcome.ts';

/** Who owns our condition in the Pods' `managedFields`. */
const FIELD_MANAGER = 'heartbeat-operator';

/** The first minor version of Kubernetes 1 whose Pods have `observedGeneration` in their conditions (KEP-5067). */
const CONDITION_GENERATION_SINCE_MINOR = 33;

/**
 * Pods in the Kubernetes API.
 *
 * Our condition is written by server-side apply: the server merges it into the list by its type, so that conditions of
 * others that are written at the same time stay, and no resourceVersion is needed. What keeps the write from a later Pod
 * of the same name is the uid.
 */
export class KubernetesPodStore implements PodStore {
  readonly #client: ApiClient;
  readonly #knowsGeneration: boolean;

  /** @param options.knowsGeneration what {@link podConditionGenerationSupported} found */
  constructor(client: ApiClient, options: { readonly knowsGeneration: boolean }) {
    this.#client = client;
    this.#knowsGeneration = options.knowsGeneration;
  }

  async read(target: ObservedPod): Promise<PodOutcome> {
    const { namespace, name } = target;
    const action = `reading Pod ${namespace}/${name}`;
    const result = await this.#client.request({ action, method: 'GET', path: podPath(namespace, name) });
    return outcomeOf(target, action, result);
  }

  async writeCondition(target: ObservedPod, condition: Condition): Promise<PodOutcome> {
    const { namespace, name } = target;
    const action = `writing the condition of Pod ${namespace}/${name}`;
    const result = await this.#client.request({
      action,
      method: 'PATCH',
      path: podStatusPath(namespace, name),
      // Forced, because the condition is ours whoever wrote it last.
      query: { fieldManager: FIELD_MANAGER, force: 'true' },
      contentType: 'application/apply-patch+yaml',
      body: encodePodCondition(target, condition, this.#knowsGeneration),
    });
    const outcome = outcomeOf(target, action, result);
    if (result.kind !== 'conflict' && result.kind !== 'invalid') return outcome;
    // This may be about the uid, which the server calls invalid (as of 1.37), or about something else. The Pod tells.
    const found = await this.read(target);
    return found.kind === 'absent' ? found : outcome;
  }
}

/**
 * Whether the server's Pods have `observedGeneration` in their conditions.
 *
 * A server that does not know the field refuses every write that has it. So what cannot be found out is a no.
 */
export async function podConditionGenerationSupported(client: ApiClient): Promise<boolean> {
  const result = await client.request({ action: 'asking for the version', method: 'GET', path: '/version' });
  if (result.kind !== 'ok' || !isRecord(result.body)) return false;
  const { major, minor } = result.body;
  // Some providers put a plus sign behind the number.
  const number = typeof minor === 'string' ? Number.parseInt(minor, 10) : Number.NaN;
  return major === '1' && number >= CONDITION_GENERATION_SINCE_MINOR;
}

function outcomeOf(target: ObservedPod, action: string, result: ApiResult): PodOutcome {
  switch (result.kind) {
    case 'ok':
      try {
        const pod = decodePod(result.body);
        return pod.uid === target.uid ? { kind: 'pod', pod } : { kind: 'absent' };
      } catch (error) {
        return unreadableAnswer(action, error);
      }
    case 'absent':
      return { kind: 'absent' };
    // Other writers were faster until the server gave up. That concerns this Pod alone; it will be tried again.
    case 'conflict':
    case 'exists':
      return { kind: 'refused', reason: 'Other', message: result.message };
    case 'throttled':
    case 'unreachable':
    case 'ahead':
    case 'forbidden':
    case 'invalid':
    case 'unauthorized':
    case 'gone':
      return writeFailure(result);
  }
}
