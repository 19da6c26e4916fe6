import type { Storm } from '../brakes/storm.ts';
import type { Loop } from '../controller/loop.ts';
import type { ControllerState, MetricSources } from '../telemetry/gauges.ts';
import type { Backend } from './backend.ts';

/** Where the gauges look when they are scraped. */
export function gaugeSources(loop: Loop, backend: Backend, workers: number): MetricSources {
  const { engine, selfDoubt, pods, podCache } = loop;
  return {
    instances: () => engine.counts,
    selfDoubtMs: () => selfDoubt.totalMs,
    controllers: () => [controllerState('heartbeatinstance', loop, workers), controllerState('pod', pods, workers)],
    reflectors: () => backend.reflectors(),
    podsHeld: () => pods.withdrawals.heldCounts,
    storms: () => stormCounts(pods.withdrawals.storms),
    objects: () => ({
      pods: podCache.pods.size,
      nodes: podCache.nodes.size,
      heartbeatpolicies: podCache.policies.size,
    }),
  };
}

function controllerState(
  controller: ControllerState['controller'],
  { queue, controller: { activeWorkers } }: Pick<Loop | Loop['pods'], 'queue' | 'controller'>,
  maxWorkers: number,
): ControllerState {
  return {
    controller,
    queueDepth: { total: queue.depth, background: queue.backgroundDepth },
    workInProgress: queue.workInProgress(),
    activeWorkers,
    maxWorkers,
  };
}

function stormCounts(storms: readonly Storm[]): Record<Storm['scope'], number> {
  const counts = { workload: 0, node: 0, all: 0 };
  for (const { scope } of storms) counts[scope] += 1;
  return counts;
}
