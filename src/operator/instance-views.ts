import type { Clock } from '../clock.ts';
import type { InstanceCache } from '../controller/instance-cache.ts';
import type { ObservedInstance } from '../health/observed-instance.ts';
import { identityOf, type InstanceKey } from '../liveness/instance-key.ts';
import type { Belief, LivenessEngine } from '../liveness/liveness-engine.ts';
import type { InstanceViews } from '../management-api/server.ts';

/** What the engine believes of each instance, beside what its object says, for `/instances`. */
export function instanceViews(engine: LivenessEngine, cache: InstanceCache, clock: Clock): InstanceViews {
  const view = (key: InstanceKey): object => viewInstance(key, engine.look(key), cache.get(key)?.winner, clock);
  return {
    list: (offset, limit) => engine.keys().drop(offset).take(limit).map(view).toArray(),
    get(namespace, name) {
      const object = cache.byName(namespace, name);
      return object === undefined ? undefined : view(object.key);
    },
  };
}

function viewInstance(
  key: InstanceKey,
  belief: Belief | undefined,
  object: ObservedInstance | undefined,
  clock: Clock,
): object {
  return {
    ...identityOf(key),
    belief: belief === undefined ? null : viewBelief(belief, clock),
    object:
      object === undefined
        ? null
        : {
            namespace: object.namespace,
            name: object.name,
            healthy: object.status?.healthySummary ?? null,
            reason: object.status?.healthy?.reason ?? null,
            resourceVersion: object.resourceVersion,
          },
  };
}

function viewBelief(belief: Belief, clock: Clock): object {
  const nowMs = clock.nowMs();
  const moment = (momentMs: number | undefined): string | null =>
    momentMs === undefined ? null : new Date(clock.wallMs() - (nowMs - momentMs)).toISOString();
  return {
    state: belief.kind,
    paused: belief.isPaused,
    ttlSeconds: belief.ttlMs / 1000,
    lastHeartbeat: moment(belief.lastHeardMs),
    silentSeconds: belief.lastHeardMs === undefined ? null : (nowMs - belief.lastHeardMs) / 1000,
    deadline: moment(belief.deadlineMs),
  };
}
