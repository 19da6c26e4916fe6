import type { ApiReply } from '../control-plane/api-server-access.ts';

/** What can be asked for JSON as the administrator: a control plane of the test's own, or the shared one. */
interface Asked {
  request<Body>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<ApiReply<Body>>;
}

/** A part of the status that is not so is absent, or null since the patch that made the status. */
export interface InstanceObject {
  readonly metadata: {
    readonly uid: string;
    readonly name: string;
    readonly namespace: string;
    readonly resourceVersion: string;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string; readonly uid: string }[];
  };
  readonly spec: { readonly serviceId: string; readonly instanceId: string };
  readonly status?: {
    readonly healthy: string;
    readonly conditions: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
      readonly lastTransitionTime: string;
    }[];
    readonly lastHeartbeatTime?: string | null;
    readonly expiredAt?: string | null;
    readonly effective?: { readonly ttlSeconds: number; readonly source: string } | null;
    readonly reported?: { readonly value: string; readonly time: string };
    readonly podRef?: {
      readonly namespace: string;
      readonly name: string;
      readonly uid: string;
      readonly matchedBy: string;
    } | null;
  };
}

const GROUP = '/apis/heartbeat-operator.io/v1alpha1';

/** HeartbeatInstances as a person sees them with kubectl. */
export class InstancesInCluster {
  readonly #asked: Asked;
  readonly #namespace: string;

  constructor(asked: Asked, namespace: string) {
    this.#asked = asked;
    this.#namespace = namespace;
  }

  async list(): Promise<readonly InstanceObject[]> {
    const { body } = await this.#asked.request<{ items: InstanceObject[] }>('GET', this.#path());
    return body.items;
  }

  async byInstanceId(instanceId: string): Promise<InstanceObject | undefined> {
    const items = await this.list();
    return items.find((item) => item.spec.instanceId === instanceId);
  }

  async create(name: string, spec: object): Promise<void> {
    const reply = await this.#asked.request('POST', this.#path(), {
      apiVersion: 'heartbeat-operator.io/v1alpha1',
      kind: 'HeartbeatInstance',
      metadata: { name },
      spec,
    });
    if (reply.status !== 201) throw new Error(`creating ${name}: ${JSON.stringify(reply)}`);
  }

  async edit(name: string, spec: object): Promise<void> {
    const reply = await this.#asked.request('PATCH', this.#path(name), { spec });
    if (reply.status !== 200) throw new Error(`editing ${name}: ${JSON.stringify(reply)}`);
  }

  async delete(name: string): Promise<void> {
    await this.#asked.request('DELETE', this.#path(name));
  }

  /** Resolves with the object as soon as `Healthy` is so; rejects with what it is when that takes too long. */
  async untilHealthy(instanceId: string, status: string, reason: string, withinMs = 10_000): Promise<InstanceObject> {
    return eventually(async () => {
      const instance = await this.byInstanceId(instanceId);
      const healthy = conditionOf(instance, 'Healthy');
      if (instance === undefined || healthy?.status !== status || healthy.reason !== reason) {
        throw new Error(`${instanceId} should be ${status}/${reason}, is ${JSON.stringify(healthy)}`);
      }
      return instance;
    }, withinMs);
  }

  #path(name?: string): string {
    return `${GROUP}/namespaces/${this.#namespace}/heartbeatinstances${name === undefined ? '' : `/${name}`}`;
  }
}

export function conditionOf(
  instance: InstanceObject | undefined,
  type: string,
): { readonly status: string; readonly reason: string; readonly lastTransitionTime: string } | undefined {
  return instance?.status?.conditions.find((condition) => condition.type === type);
}

const ASK_AGAIN_MS = 50;

/** Asks again until `check` no longer throws, then resolves with its value; rejects with its last error. */
export async function eventually<Value>(check: () => Promise<Value>, withinMs: number): Promise<Value> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }
}
