import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const root = new URL('../../', import.meta.url);

/** One of the two programs in a process of its own, with its outputs as text. Killed when the test ends. */
export class Program {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;
  #news = Promise.withResolvers<void>();
  stdout = '';
  stderr = '';

  /** @param environment beside `PATH`, and nothing else of ours. */
  constructor(script: 'dev' | 'main', args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [fileURLToPath(new URL(`src/${script}.ts`, root)), ...args], {
      cwd: fileURLToPath(root),
      env: { PATH: process.env['PATH'], ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#closed = once(this.#child, 'close');
    this.#child.stdout?.on('data', (bytes: Buffer) => this.#hear('stdout', bytes));
    this.#child.stderr?.on('data', (bytes: Buffer) => this.#hear('stderr', bytes));
    this.#child.on('close', () => this.#news.resolve());
    onTestFinished(() => {
      this.#child.kill('SIGKILL');
    });
  }

  /** The exit code, when all output has been read. */
  async exitCode(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  /** Resolves when `pattern` has been printed on standard output. @throws if the process ends before. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.stdout);
      if (found !== null) return found;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`ended without printing ${pattern}:\n${this.stdout}${this.stderr}`);
      }
      await this.#news.promise;
    }
  }

  signal(name: 'SIGTERM' | 'SIGINT'): void {
    this.#child.kill(name);
  }

  #hear(stream: 'stdout' | 'stderr', bytes: Buffer): void {
    this[stream] += String(bytes);
    this.#news.resolve();
    this.#news = Promise.withResolvers();
  }
}
