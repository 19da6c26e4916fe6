import type { ControlPlaneConnection } from '../control-plane/api-server-access.ts';
import { type Change, Watch } from './watch.ts';
import { conditionStatus, type EndpointSlice, endpointsOf, type Pod, READINESS_GATE } from './workload.ts';

/** `Ready` and `Healthy` are conditions of the Pod, the latter ours; `serving` is whether its endpoint is ready. */
export const ASPECTS = ['Healthy', 'Ready', 'serving'] as const;

export type Aspect = (typeof ASPECTS)[number];

/** `absent`: there is no such condition or endpoint, or the Pod is gone. */
export type Value = 'True' | 'False' | 'Unknown' | 'absent';

export interface Turn {
  /** When it was seen, by `performance.now()`. */
  readonly atMs: number;
  readonly value: Value;
}

/** Longer than anything that is waited for takes, were it only for a machine that is busy. */
const PATIENCE_MS = 60_000;

/** What became of the Pods of the cluster, and of their endpoints, at every moment since the start. */
export class PodHistory {
  readonly #pods: Watch<Pod>;
  readonly #slices: Watch<EndpointSlice>;

  private constructor(pods: Watch<Pod>, slices: Watch<EndpointSlice>) {
    this.#pods = pods;
    this.#slices = slices;
  }

  static async start(connection: ControlPlaneConnection): Promise<PodHistory> {
    return new PodHistory(
      await Watch.start(connection, '/api/v1/pods'),
      await Watch.start(connection, '/apis/discovery.k8s.io/v1/endpointslices'),
    );
  }

  /** Each time that the aspect of the Pod took on another value. */
  turns(pod: Pod, aspect: Aspect): readonly Turn[] {
    const turns: Turn[] = [];
    for (const turn of this.#values(pod, aspect)) {
      if (turns.at(-1)?.value !== turn.value) turns.push(turn);
    }
    return turns;
  }

  /** The values one after the other, beginning with the one that held at `sinceMs`. */
  values(pod: Pod, aspect: Aspect, sinceMs: number): readonly Value[] {
    const turns = this.turns(pod, aspect);
    const first = turns.findLast(({ atMs }) => atMs <= sinceMs)?.value ?? 'absent';
    return [first, ...turns.filter(({ atMs }) => atMs > sinceMs).map(({ value }) => value)];
  }

  /** Resolves with the first moment from `sinceMs` on at which the aspect has the value. */
  async when(pod: Pod, aspect: Aspect, value: Value, sinceMs = 0): Promise<number> {
    const deadlineMs = performance.now() + PATIENCE_MS;
    const watch = aspect === 'serving' ? this.#slices : this.#pods;
    for (;;) {
      const turns = this.turns(pod, aspect);
      if (turns.findLast(({ atMs }) => atMs <= sinceMs)?.value === value) return sinceMs;
      const turn = turns.find((candidate) => candidate.atMs > sinceMs && candidate.value === value);
      if (turn !== undefined) return turn.atMs;
      const patienceMs = deadlineMs - performance.now();
      if (patienceMs <= 0) {
        const were = this.values(pod, aspect, sinceMs).join(', ');
        throw new Error(
          `waited ${PATIENCE_MS / 1000} s for ${aspect}=${value} of ${pod.metadata.name}, which was ${were}`,
        );
      }
      await watch.next(patienceMs);
    }
  }

  /** Resolves when all aspects are True, each of which is seen for itself and may be seen last. */
  async whenInService(pod: Pod, sinceMs = 0): Promise<void> {
    for (const aspect of ASPECTS) await this.when(pod, aspect, 'True', sinceMs);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#pods.stop(), this.#slices.stop()]);
  }

  #values(pod: Pod, aspect: Aspect): readonly Turn[] {
    if (aspect === 'serving') return this.#slices.changes.flatMap((change) => endpointValue(change, pod));
    const type = aspect === 'Ready' ? 'Ready' : READINESS_GATE;
    return this.#pods.changes
      .filter(({ object }) => object.metadata.uid === pod.metadata.uid)
      .map(({ atMs, object, isDeleted }) => ({
        atMs,
        value: isDeleted ? 'absent' : (conditionStatus(object, type) ?? 'absent'),
      }));
  }
}

/** What one slice says of the Pod: nothing if it belongs to a Service of other Pods. */
function endpointValue({ atMs, object, isDeleted }: Change<EndpointSlice>, pod: Pod): readonly Turn[] {
  const { namespace, name, labels = {} } = pod.metadata;
  const service = object.metadata.labels['kubernetes.io/service-name'];
  if (object.metadata.namespace !== namespace || service !== labels['app']) return [];
  const endpoint = isDeleted ? undefined : endpointsOf([object]).find((candidate) => candidate.pod === name);
  return [{ atMs, value: endpoint === undefined ? 'absent' : endpoint.ready ? 'True' : 'False' }];
}
