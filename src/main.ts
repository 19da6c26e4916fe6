import packageJson from '../package.json' with { type: 'json' };
import { systemClock } from './clock.ts';
import { kubernetesBackend, releaseCluster } from './operator/kubernetes-backend.ts';
import { runProcess } from './operator/process.ts';

await runProcess({
  version: packageJson.version,
  backend: ({ config, logger, metrics, version }) =>
    kubernetesBackend({ config, clock: systemClock, logger, metrics, version, environment: process.env }),
  release: ({ config, version, log, signal }) =>
    releaseCluster({ config, clock: systemClock, version, environment: process.env, log, signal }),
});
