import packageJson from '../package.json' with { type: 'json' };
import { systemClock } from './clock.ts';
import { SimulatedWorkload } from './dev/simulated-workload.ts';
import { narrator, tell } from './dev/narrator.ts';
import { memoryBackend } from './operator/memory-backend.ts';
import { runProcess } from './operator/process.ts';

/** The whole operator on an in-memory store, with three workloads to watch. Loopback only. */

const INTERVAL_SECONDS = 1;
const QUIET_AFTER_MS = 8_000;
const QUIET_FOR_MS = 8_000;

await runProcess({
  version: packageJson.version,
  defaults: {
    heartbeatAddress: '127.0.0.1',
    managementAddress: '127.0.0.1',
    defaultIntervalSeconds: INTERVAL_SECONDS,
    defaultTimes: 2,
    logLevel: 'warn',
    drainSeconds: 0,
  },
  backend: () => Promise.resolve(memoryBackend(() => systemClock.wallMs())),
  narrator,
  onStarted: ({ heartbeatPort, managementPort }) => {
    introduce(heartbeatPort, managementPort);
    const workload = (instanceId: string): SimulatedWorkload => {
      const simulated = new SimulatedWorkload({
        serviceId: 'shop',
        instanceId,
        port: heartbeatPort,
        intervalMs: INTERVAL_SECONDS * 1000,
      });
      simulated.start();
      return simulated;
    };
    workload('cart');
    workload('catalog');
    comeAndGo(workload('payment'));
  },
});

function comeAndGo(workload: SimulatedWorkload): void {
  setTimeout(() => {
    workload.isSilent = true;
    tell('payment stops sending heartbeats');
    setTimeout(() => {
      workload.isSilent = false;
      tell('payment sends heartbeats again');
      comeAndGo(workload);
    }, QUIET_FOR_MS);
  }, QUIET_AFTER_MS);
}

function introduce(heartbeatPort: number, managementPort: number): void {
  const heartbeats = `http://127.0.0.1:${heartbeatPort}`;
  const management = `http://127.0.0.1:${managementPort}`;
  tell(`heartbeat-operator ${packageJson.version} runs in memory, without a cluster; Ctrl-C ends it

  heartbeats  ${heartbeats}
  instances   ${management}/instances
  metrics     ${management}/metrics

  Send a heartbeat of your own:

    curl -X PUT -H 'x-domain-name: default' \\
      ${heartbeats}/v4/default/registry/microservices/shop/instances/me/heartbeat

  An instance that is silent for ${INTERVAL_SECONDS * 3} s becomes unhealthy. Three workloads send heartbeats now; watch payment.
`);
}
