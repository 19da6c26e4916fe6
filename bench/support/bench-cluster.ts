import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { ControlPlane } from '../../test/control-plane/control-plane.ts';

export const INSTANCES_PATH = `/apis/heartbeat-operator.io/v1alpha1/namespaces/default/heartbeatinstances`;

const CRDS = fileURLToPath(new URL('../../deploy/crds', import.meta.url));
const POLL_MS = 300;
const READY_ATTEMPTS = 100;

/** Gives `work` a real API server that knows our resources, and ends it afterwards. */
export async function withCluster<Result>(work: (controlPlane: ControlPlane) => Promise<Result>): Promise<Result> {
  const controlPlane = await ControlPlane.start();
  try {
    await controlPlane.kubectl('apply', '-f', CRDS);
    await controlPlane.kubectl('wait', '--for=condition=Established', '--timeout=30s', 'crd', '--all');
    await untilWatchable(controlPlane);
    return await work(controlPlane);
  } finally {
    await controlPlane.stop();
  }
}

/** For a moment after a resource is established, its storage answers 429. */
async function untilWatchable(controlPlane: ControlPlane): Promise<void> {
  for (let attempt = 0; attempt < READY_ATTEMPTS; attempt += 1) {
    const { status } = await controlPlane.request('GET', `${INSTANCES_PATH}?watch=1&timeoutSeconds=1`);
    if (status === 200) return;
    await delay(POLL_MS);
  }
  throw new Error('HeartbeatInstances cannot be watched');
}

export interface StoredCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly lastTransitionTime: string;
}

export interface StoredInstance {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly healthy?: string; readonly conditions?: readonly StoredCondition[] };
}

export async function storedInstances(controlPlane: ControlPlane): Promise<readonly StoredInstance[]> {
  const { body } = await controlPlane.request<{ items: readonly StoredInstance[] }>('GET', INSTANCES_PATH);
  return body.items;
}

/** Resolves when so many instances are healthy in the API; `meanwhile` is done before each look. */
export async function untilHealthy(
  controlPlane: ControlPlane,
  { instances, withinMs, meanwhile }: { instances: number; withinMs: number; meanwhile: () => Promise<void> },
): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    await meanwhile();
    const stored = await storedInstances(controlPlane);
    const healthy = stored.filter(({ status }) => status?.healthy === 'True').length;
    if (healthy === instances) return;
    if (performance.now() > deadlineMs) {
      throw new Error(`${healthy} of ${instances} instances were healthy after ${withinMs / 1000} s`);
    }
    await delay(POLL_MS);
  }
}

/** How many requests of the whole run changed a HeartbeatInstance, as the API server counted them. */
export async function countedWrites(controlPlane: ControlPlane): Promise<number> {
  const { body } = await controlPlane.request<string>('GET', '/metrics');
  let sum = 0;
  for (const line of body.split('\n')) {
    if (!line.startsWith('apiserver_request_total{') || !line.includes('resource="heartbeatinstances"')) continue;
    if (/verb="(?:POST|PUT|PATCH|APPLY|DELETE|DELETECOLLECTION)"/.test(line)) sum += Number(line.split(' ').at(-1));
  }
  return sum;
}
