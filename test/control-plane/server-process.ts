import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_INTERVAL_MS = 25;
/** After SIGTERM. The API server may wait a minute for requests in flight; a test does not. */
const GRACEFUL_STOP_MS = 10_000;
const LOG_TAIL_LINES = 25;

export interface ServerProcessOptions {
  /** Stands in error messages. */
  readonly name: string;
  readonly command: string;
  readonly flags: readonly string[];
  /** That of this process unless told otherwise. */
  readonly environment?: NodeJS.ProcessEnv;
  /** Takes stdout and stderr; appended to, so that it holds all runs of a server which is restarted. */
  readonly logFile: string;
}

/**
 * One server that ends with us, however we end.
 *
 * It runs in a session of its own, so that Ctrl-C reaches the test runner alone and the teardown finds the servers
 * as they were. Beside it runs a guard, a shell that reads from a pipe of ours: when this process is gone, even by
 * SIGKILL, the pipe ends and the guard kills the server by its pid.
 */
export class ServerProcess {
  readonly #name: string;
  readonly #logFile: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #spawnError: Error | undefined;

  constructor({ name, command, flags, environment = process.env, logFile }: ServerProcessOptions) {
    this.#name = name;
    this.#logFile = logFile;
    const log = openSync(logFile, 'a');
    this.#child = spawn(command, flags, { stdio: ['ignore', log, log], detached: true, env: environment });
    closeSync(log);
    const releaseGuard = this.#child.pid === undefined ? () => {} : guard(this.#child.pid);
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => {
        releaseGuard();
        resolve();
      });
      this.#child.once('error', (error) => {
        this.#spawnError = error;
        resolve();
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#spawnError === undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it wrote since its log file began. */
  get log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  /** Polls until `isReady` holds. Throws with the end of the log when the server exits first or the time is over. */
  async waitUntil(isReady: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!(await isReady())) {
      if (!this.running) {
        throw new Error(`${this.#name} ended before it was ready: ${this.#howItEnded()}\n${this.logTail()}`);
      }
      if (performance.now() > deadlineMs) {
        throw new Error(`${this.#name} was not ready within ${timeoutMs / 1000} s\n${this.logTail()}`);
      }
      await delay(POLL_INTERVAL_MS);
    }
  }

  /** SIGTERM, and SIGKILL when that takes too long. Resolves when the process is gone. */
  async stop(): Promise<void> {
    this.signal('SIGCONT'); // A suspended process would not hear the SIGTERM.
    this.signal('SIGTERM');
    const patience = new AbortController();
    await Promise.race([
      this.#exited,
      delay(GRACEFUL_STOP_MS, undefined, { signal: patience.signal }).catch(() => {}), // Aborted: it ended in time.
    ]);
    patience.abort();
    await this.kill();
  }

  /** SIGKILL. Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#exited;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) {
      this.#child.kill(signal);
    }
  }

  logTail(): string {
    const lines = this.log.trimEnd().split('\n');
    return `The end of its log (${this.#logFile}):\n${lines.slice(-LOG_TAIL_LINES).join('\n')}`;
  }

  #howItEnded(): string {
    return this.#spawnError?.message ?? `exit code ${this.#child.exitCode}, signal ${this.#child.signalCode}`;
  }
}

/** Returns what lets the guard go without killing. `read` fails at the end of the pipe and succeeds on a line. */
function guard(pid: number): () => void {
  const shell = spawn('sh', ['-c', 'read -r line || kill -KILL "$1"', 'guard', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.unref();
  shell.stdin.on('error', () => {}); // The guard is gone already; there is nothing left to tell it.
  return () => shell.stdin.end('\n');
}
