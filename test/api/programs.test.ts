import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { SETTINGS } from '../../src/config/settings.ts';
import { heartbeatPath, wireRequest } from '../support/http-heartbeat.ts';
import { HttpSocket } from '../support/http-socket.ts';
import { Program } from '../support/http-process.ts';

/** The process as a person starts it: what it prints, and how it ends. Starting Node takes most of the time. */

const PORTS = ['--heartbeat-port=0', '--management-port=0'];
const LOOPBACK = ['--heartbeat-address=127.0.0.1', '--management-address=127.0.0.1', '--drain-seconds=0', ...PORTS];

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'heartbeat-operator-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A port of the loopback that is taken until the test ends. */
async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A port of the loopback on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A kubeconfig for a server at this port. */
function kubeconfig(port: number): string {
  const path = join(emptyFolder(), 'config');
  const cluster = { name: 'c', cluster: { server: `https://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } };
  const context = { name: 'x', context: { cluster: 'c', user: 'u', namespace: 'shop' } };
  const user = { name: 'u', user: { token: 'none' } };
  writeFileSync(
    path,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [cluster],
      contexts: [context],
      users: [user],
      'current-context': 'x',
    }),
  );
  return path;
}

describe('both programs', () => {
  test.each(['main', 'dev'] as const)('print their version and nothing else for --version: %s', async (script) => {
    const program = new Program(script, ['--version']);

    expect(await program.exitCode()).toBe(0);
    expect([program.stdout, program.stderr]).toEqual([`${packageJson.version}\n`, '']);
  });

  test('print every setting for --help', async () => {
    const program = new Program('dev', ['--help']);

    expect(await program.exitCode()).toBe(0);
    expect(program.stderr).toBe('');
    expect(program.stdout.match(/^ {2}--/gm)).toHaveLength(Object.keys(SETTINGS).length);
  });

  test('print the settings in force as JSON for --print-config', async () => {
    const program = new Program('dev', ['--print-config', '--workers', '3'], { HBO_LOG_LEVEL: 'error' });

    expect(await program.exitCode()).toBe(0);
    expect(program.stderr).toBe('');
    const printed = JSON.parse(program.stdout) as Record<string, unknown>;
    expect(Object.keys(printed)).toEqual(Object.keys(SETTINGS));
    expect(printed).toMatchObject({ workers: 3, logLevel: 'error', heartbeatPort: 30_100 });
  });

  test.each(['main', 'dev'] as const)(
    'tell every bad setting on a line of its own, and end with 2: %s',
    async (script) => {
      const program = new Program(script, ['--workers=0', '--nonsense=1', '--heartbeat-port', 'http'], {
        HBO_LOG_LEVEL: 'loud',
        HBO_NONSENSE: '1',
      });

      expect(await program.exitCode()).toBe(2);
      expect(program.stdout).toBe('');
      expect(program.stderr.trimEnd().split('\n').sort()).toEqual([
        'heartbeat-operator: --heartbeat-port is "http"; allowed: 0 to 65535',
        'heartbeat-operator: --nonsense is no setting; --help lists them',
        'heartbeat-operator: --workers is "0"; allowed: 1 to 128',
        'heartbeat-operator: HBO_LOG_LEVEL is "loud"; allowed: debug, info, warn, error',
        'heartbeat-operator: HBO_NONSENSE is no setting; docs/settings.md lists them',
      ]);
    },
  );

  test('tell bad settings also when they are only to print them', async () => {
    const program = new Program('dev', ['--print-config', '--workers=0']);

    expect(await program.exitCode()).toBe(2);
    expect([program.stdout, program.stderr]).toEqual(['', 'heartbeat-operator: --workers is "0"; allowed: 1 to 128\n']);
  });
});

describe('the program main', () => {
  test('without a kubeconfig and outside of a cluster says so in one line, and ends with 1', async () => {
    const program = new Program('main', LOOPBACK, { HOME: emptyFolder() });

    expect(await program.exitCode()).toBe(1);
    expect(program.stderr).toMatch(/^heartbeat-operator: [^\n]*kubeconfig[^\n]*\n$/i);
    expect(program.stdout).toBe('');
  });

  test('with a KUBECONFIG that does not exist says so in one line that names it, and ends with 1', async () => {
    const path = join(emptyFolder(), 'nowhere');
    const program = new Program('main', LOOPBACK, { HOME: emptyFolder(), KUBECONFIG: path });

    expect(await program.exitCode()).toBe(1);
    expect(program.stderr).toMatch(/^heartbeat-operator: [^\n]+\n$/);
    expect(program.stderr).toContain(path);
  });

  test('with a kubeconfig that cannot be read says so in one line that names it, and ends with 1', async () => {
    const path = join(emptyFolder(), 'config');
    writeFileSync(path, '{ not: [yaml');
    const program = new Program('main', LOOPBACK, { HOME: emptyFolder(), KUBECONFIG: path });

    expect(await program.exitCode()).toBe(1);
    expect(program.stderr).toMatch(/^heartbeat-operator: [^\n]+\n$/);
    expect(program.stderr).toContain(path);
  });

  test('answers heartbeats while the API server cannot be reached, and ends with 0 at a signal', async () => {
    const program = new Program('main', LOOPBACK, { HOME: emptyFolder(), KUBECONFIG: kubeconfig(await deadPort()) });
    const [, port] = await program.printed(/"heartbeatPort":(\d+)/);

    const socket = await HttpSocket.open(Number(port));
    expect((await socket.send(wireRequest()).reply()).status).toBe(200);
    expect((await socket.send(wireRequest()).reply()).status).toBe(200);
    program.signal('SIGTERM');

    expect(await program.exitCode()).toBe(0);
    expect(program.stderr).toBe('');
  });

  test('says in one line which port is in use, and ends with 1', async () => {
    const port = await takenPort();
    const program = new Program('main', [...LOOPBACK, `--heartbeat-port=${port}`], {
      HOME: emptyFolder(),
      KUBECONFIG: kubeconfig(await deadPort()),
    });

    expect(await program.exitCode()).toBe(1);
    expect(program.stderr).toBe(
      `heartbeat-operator: port ${port} on 127.0.0.1 is in use: stop what uses it, or set --heartbeat-port to another port\n`,
    );
  });

  test('logs one JSON object a line, from the first to the last', async () => {
    const program = new Program('main', LOOPBACK, { HOME: emptyFolder(), KUBECONFIG: kubeconfig(await deadPort()) });
    await program.printed(/"msg":"listening"/);
    program.signal('SIGINT');
    await program.exitCode();

    const messages = program.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(messages[0]).toBe('listening');
    expect(messages).toContain('signal received');
    expect(messages.at(-1)).toBe('stopped');
  });
});

describe('the program dev', () => {
  test('says in words where it listens and what its workloads do, and answers a heartbeat', async () => {
    const program = new Program('dev', PORTS);
    const [, port] = await program.printed(/heartbeats {2}http:\/\/127\.0\.0\.1:(\d+)/);

    const path = heartbeatPath({ instanceId: 'me' });
    expect((await (await HttpSocket.open(Number(port))).send(wireRequest({ path })).reply()).body).toBe('Success');

    await program.printed(/cart is new: its HeartbeatInstance is created/);
    await program.printed(/cart: Healthy is True \(HeartbeatReceived\)/);
    await program.printed(/me: Healthy is True/);
    expect(program.stderr).toBe('');
    expect(program.stdout).not.toContain('{"level"');
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('ends with 0 at %s', async (signal) => {
    const program = new Program('dev', PORTS);
    await program.printed(/cart is new/);

    program.signal(signal);

    expect(await program.exitCode()).toBe(0);
    expect(program.stderr).toBe('');
  });

  test('says in one line which port is in use, and ends with 1', async () => {
    const port = await takenPort();
    const program = new Program('dev', ['--heartbeat-port=0', `--management-port=${port}`]);

    expect(await program.exitCode()).toBe(1);
    expect(program.stderr).toBe(
      `heartbeat-operator: port ${port} on 127.0.0.1 is in use: stop what uses it, or set --management-port to another port\n`,
    );
  });

  test('answers a heartbeat that is on its way when the signal comes, and ends with 0', async () => {
    const program = new Program('dev', [...PORTS, '--log-level=info', '--log-format=json']);
    const [, port] = await program.printed(/"heartbeatPort":(\d+)/);
    const socket = await HttpSocket.open(Number(port));
    socket.send(wireRequest({ moreHeaders: ['Content-Length: 2'] }));
    await (await HttpSocket.open(Number(port))).send(wireRequest()).reply();

    program.signal('SIGTERM');
    await program.printed(/"msg":"stopping"/);
    const reply = await socket.send('{}').reply();

    expect([reply.status, reply.body, reply.header('connection')]).toEqual([200, 'Success', 'close']);
    expect(await program.exitCode()).toBe(0);
  });

  test('ends at once with 130 at a second signal, whatever it waits for', async () => {
    const program = new Program('dev', [...PORTS, '--log-level=info', '--log-format=json']);
    const [, port] = await program.printed(/"heartbeatPort":(\d+)/);
    const socket = await HttpSocket.open(Number(port));
    socket.send(wireRequest({ moreHeaders: ['Content-Length: 2'] }));
    await (await HttpSocket.open(Number(port))).send(wireRequest()).reply();

    program.signal('SIGTERM');
    await program.printed(/"msg":"stopping"/);
    program.signal('SIGINT');

    expect(await program.exitCode()).toBe(130);
  });

  test('ends with 0 at its deadline when a sender never finishes its request', async () => {
    const program = new Program('dev', [...PORTS, '--log-level=info', '--log-format=json', '--shutdown-seconds=1']);
    const [, port] = await program.printed(/"heartbeatPort":(\d+)/);
    const socket = await HttpSocket.open(Number(port));
    socket.send(wireRequest({ moreHeaders: ['Content-Length: 2'] }));
    await (await HttpSocket.open(Number(port))).send(wireRequest()).reply();

    program.signal('SIGTERM');

    expect(await program.exitCode()).toBe(0);
  });
});
