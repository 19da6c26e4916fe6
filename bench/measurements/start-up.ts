import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../test/support/free-port.ts';
import { figure, type Measurement } from '../measurement.ts';
import { heartbeatRequest, identityAt } from '../support/fleet.ts';
import { median } from '../support/statistics.ts';

const POLL_MS = 10;
const GIVE_UP_MS = 60_000;
const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

/** From `npm run dev` to the first heartbeat that is answered. */
export const startUp: Measurement = {
  name: 'start-up',
  title: 'npm run dev until the first heartbeat is answered',
  async run({ isQuick, report }) {
    const times: number[] = [];
    for (let round = 0; round < (isQuick ? 3 : 5); round += 1) {
      const timeMs = await measureStart();
      times.push(timeMs);
      report(`${timeMs.toFixed(0)} ms`);
    }
    return [
      figure('npm run dev to the first answer, median', median(times), 'ms'),
      figure('npm run dev to the first answer, longest', Math.max(...times), 'ms'),
    ];
  },
};

async function measureStart(): Promise<number> {
  const port = await freePort();
  const managementPort = await freePort();
  const startMs = performance.now();
  const npm = spawn('npm', ['run', 'dev'], {
    cwd: PROJECT,
    env: { ...process.env, HBO_HEARTBEAT_PORT: String(port), HBO_MANAGEMENT_PORT: String(managementPort) },
    stdio: 'ignore',
    // A group of its own, so that npm, its shell and the operator end together.
    detached: true,
  });
  const exited = once(npm, 'exit');
  try {
    const request = heartbeatRequest(identityAt(0), port);
    while (!(await isAnswered(request, port))) {
      if (npm.exitCode !== null) throw new Error(`npm run dev ended: exit code ${npm.exitCode}`);
      if (performance.now() - startMs > GIVE_UP_MS) throw new Error(`no answer within ${GIVE_UP_MS / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return performance.now() - startMs;
  } finally {
    if (npm.pid !== undefined && npm.exitCode === null) process.kill(-npm.pid, 'SIGKILL');
    await exited;
  }
}

/** One attempt: connect, send, and see whether it is a 200. */
function isAnswered(request: Buffer, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1', () => socket.write(request));
  socket.once('data', (bytes) => {
    resolve(bytes.toString('latin1').startsWith('HTTP/1.1 200 '));
    socket.destroy();
  });
  socket.on('error', () => resolve(false)); // Nobody listens yet.
  return promise;
}
