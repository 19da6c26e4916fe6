import type { Clock } from '../clock.ts';
import type { Loop } from '../controller/loop.ts';
import type { Timeline, TimelineEntry } from '../controller/timeline.ts';
import type { ObservedInstance } from '../health/observed-instance.ts';
import { identityOf, type InstanceKey } from '../liveness/instance-key.ts';
import type { Belief } from '../liveness/liveness-engine.ts';
import { UNKNOWN_SENDER } from '../liveness/sender.ts';
import type { InstanceViews } from '../management-api/server.ts';

export interface InstanceViewParts {
  readonly loop: Loop;
  readonly timeline: Timeline;
  readonly clock: Clock;
}

/** What is believed of each instance, beside what its object says, for `/instances`; of one alone also why. */
export function instanceViews({ loop, timeline, clock }: InstanceViewParts): InstanceViews {
  const { engine, cache, bindings } = loop;
  const view = (key: InstanceKey): object => ({
    ...identityOf(key),
    belief: viewBelief(engine.look(key), clock),
    pod: bindings.refOf(key) ?? null,
    object: viewObject(cache.get(key)?.winner),
  });
  return {
    list: (offset, limit) => engine.keys().drop(offset).take(limit).map(view).toArray(),
    get(namespace, name) {
      const object = cache.byName(namespace, name);
      if (object === undefined) return undefined;
      return { ...view(object.key), timeline: timeline.of(object.key).map(viewEntry) };
    },
  };
}

function viewObject(object: ObservedInstance | undefined): object | null {
  if (object === undefined) return null;
  const { namespace, name, status, resourceVersion } = object;
  return {
    namespace,
    name,
    healthy: status?.healthySummary ?? null,
    reason: status?.healthy?.reason ?? null,
    podSynced: status?.podSynced?.reason ?? null,
    reported: object.reported?.value ?? null,
    resourceVersion,
  };
}

/** Moments are told as people read them; what is not known is null. */
function viewEntry(entry: TimelineEntry): object {
  return Object.fromEntries(
    Object.entries(entry).map(([name, value]: [string, unknown]) =>
      name.endsWith('allMs')
        ? [name.replace(/WallMs$|^wallMs$/, (end) => (end === 'wallMs' ? 'time' : 'Time')), isoTime(value)]
        : [name, value ?? null],
    ),
  );
}

function isoTime(wallMs: unknown): string | null {
  return typeof wallMs === 'number' ? new Date(wallMs).toISOString() : null;
}

function viewBelief(belief: Belief | undefined, clock: Clock): object | null {
  if (belief === undefined) return null;
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
    sender: belief.sender === UNKNOWN_SENDER ? null : belief.sender,
  };
}
