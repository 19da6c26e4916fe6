import { Pool } from 'undici';
import { decodeInstance, encodeStatus, instanceStatusPath } from '../../src/kubernetes/instance-resource.ts';
import { answerParent } from './child-process.ts';

/** The least that a client can do to write the same statuses. */
export interface BareClientOptions {
  readonly server: string;
  readonly certificateAuthorityPem: string;
  readonly token: string;
  readonly instancesPath: string;
  readonly connections: number;
}

answerParent({
  /** Marks every stored instance as silent. Returns how long after the start each write was answered. */
  async writeAll(options: BareClientOptions): Promise<readonly number[]> {
    const { server, certificateAuthorityPem, token, instancesPath, connections } = options;
    const pool = new Pool(server, { connections, allowH2: false, connect: { ca: certificateAuthorityPem } });
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/merge-patch+json' };
    const listed = await pool.request({ method: 'GET', path: instancesPath, headers });
    const { items } = (await listed.body.json()) as { items: readonly unknown[] };
    const patches = items.map(silentPatch);
    const startMs = performance.now();
    const write = async ({ path, body }: Patch): Promise<number> => {
      const answer = await pool.request({ method: 'PATCH', path, headers, body });
      await answer.body.text();
      if (answer.statusCode !== 200) throw new Error(`PATCH ${path}: ${answer.statusCode}`);
      return performance.now() - startMs;
    };
    const times = await Promise.all(patches.map(write));
    await pool.close();
    return times;
  },
});

interface Patch {
  readonly path: string;
  readonly body: string;
}

/** What the operator would write. */
function silentPatch(object: unknown): Patch {
  const { namespace, name, resourceVersion, generation } = decodeInstance(object);
  const wallMs = Date.now();
  const time = new Date(wallMs).toISOString();
  const silent = {
    status: 'False',
    reason: 'HeartbeatExpired',
    message: `No heartbeat within the time to live of 10 s (10 s × 1), last one at ${time}. The deadline passed at ${time}.`,
    lastTransitionSeconds: Math.floor(wallMs / 1000),
    observedGeneration: generation,
  } as const;
  const status = encodeStatus({
    fresh: silent,
    healthy: silent,
    podSynced: { ...silent, reason: 'NotBound', message: 'The instance is not bound to a Pod.' },
    identityConflict: undefined,
    podRef: undefined,
    healthySummary: 'False',
    lastHeartbeatWallMs: wallMs,
    expiredWallMs: wallMs,
    effective: { intervalSeconds: 10, times: 0, ttlSeconds: 10, source: 'Default' },
    observedGeneration: generation,
  });
  return {
    path: instanceStatusPath(namespace, name),
    body: JSON.stringify({ metadata: { resourceVersion }, status }),
  };
}
