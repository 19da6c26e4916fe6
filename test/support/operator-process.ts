import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface OperatorProcessOptions {
  readonly kubeconfig: string;
  readonly settings?: Readonly<Record<string, string>>;
}

/** The operator as users run it, in a process of its own that a test may stop, suspend and kill. */
export class OperatorProcess {
  readonly heartbeatPort: number;
  readonly managementPort: number;
  readonly #options: OperatorProcessOptions;
  #child: ChildProcess | undefined;
  /** Lines of both outputs, since the first start. */
  readonly output: string[] = [];

  private constructor(options: OperatorProcessOptions, heartbeatPort: number, managementPort: number) {
    this.#options = options;
    this.heartbeatPort = heartbeatPort;
    this.managementPort = managementPort;
  }

  /** Starts an operator on free ports of loopback; resolves when it listens. */
  static async start(options: OperatorProcessOptions): Promise<OperatorProcess> {
    const operator = new OperatorProcess(options, await freePort(), await freePort());
    await operator.startAgain();
    return operator;
  }

  /** Runs the operator until it ends by itself. */
  static async runToEnd(
    options: OperatorProcessOptions,
  ): Promise<{ readonly code: number | null; readonly output: readonly string[] }> {
    const operator = new OperatorProcess(options, await freePort(), await freePort());
    const child = operator.#spawn();
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, output: operator.output };
  }

  /** After `kill` or `stop`: on the same ports. */
  async startAgain(): Promise<void> {
    const child = this.#spawn();
    const listening = Promise.withResolvers<void>();
    const onLine = (line: string): void => {
      if (line.includes('"msg":"listening"')) listening.resolve();
    };
    this.#onLine.add(onLine);
    child.once('exit', () => listening.reject(new Error(`the operator ended:\n${this.output.slice(-20).join('\n')}`)));
    await listening.promise;
    this.#onLine.delete(onLine);
  }

  /** SIGKILL. Resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGTERM. Resolves with the exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  suspend(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  readonly #onLine = new Set<(line: string) => void>();

  #spawn(): ChildProcess {
    const { kubeconfig, settings = {} } = this.#options;
    const flags = Object.entries({
      'heartbeat-address': '127.0.0.1',
      'management-address': '127.0.0.1',
      'heartbeat-port': String(this.heartbeatPort),
      'management-port': String(this.managementPort),
      'drain-seconds': '0',
      ...settings,
    }).map(([name, value]) => `--${name}=${value}`);
    const child = spawn(process.execPath, [MAIN, ...flags], {
      env: { ...process.env, KUBECONFIG: kubeconfig },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    // A test that fails must not leave an operator behind.
    const end = (): void => void child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.removeListener('exit', end));
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.output.push(line);
        for (const listener of this.#onLine) listener(line);
      });
    }
    return child;
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exited = once(child, 'exit');
    child.kill(signal);
    if (signal === 'SIGKILL') child.kill('SIGCONT');
    const [code] = (await exited) as [number | null];
    return code;
  }
}
