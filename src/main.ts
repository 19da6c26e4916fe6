import packageJson from '../package.json' with { type: 'json' };
import { systemClock } from './clock.ts';
import { kubernetesBackend } from './operator/kubernetes-backend.ts';
import { runProcess } from './operator/process.ts';

await runProcess({
  version: packageJson.version,
  backend: ({ config, logger, metrics, version }) =>
    kubernetesBackend({ config, clock: systemClock, logger, metrics, version, environment: process.env }),
});
