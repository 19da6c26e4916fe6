import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

/** No question to a child takes longer; one that does means that something hangs. */
const ANSWER_WITHIN_MS = 180_000;

export interface ChildOptions {
  readonly flags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** The one core that the child is to run on, where that can be chosen. */
  readonly core?: number;
}

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

/** What `npm start` gives Node. */
const FLAGS_OF_NPM_START = ['--max-semi-space-size=4'];

/** A process of its own for a part of a measurement: fresh, with fixed flags, asked by messages, gone when we are. */
export class Child {
  readonly #process: ChildProcess;
  readonly #script: string;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  constructor(script: URL, { flags = [], environment = {}, core }: ChildOptions = {}) {
    this.#script = fileURLToPath(script);
    const command = [process.execPath, ...FLAGS_OF_NPM_START, ...flags, this.#script];
    const [file = '', ...parameters] =
      core === undefined || !canPin() ? command : ['taskset', '-c', String(core), ...command];
    this.#process = spawn(file, parameters, {
      env: { ...process.env, NODE_OPTIONS: '', ...environment },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      serialization: 'advanced',
    });
    this.#process.on('message', (message) => {
      const answer = message as Answer;
      this.#waiting.get(answer.id)?.(answer);
    });
    this.#process.once('exit', (code, signal) => {
      for (const [id, settle] of this.#waiting)
        settle({ id, error: `ended early: exit code ${code}, signal ${signal}` });
    });
    this.#process.on('error', () => undefined); // An exit or a time-out tells it.
  }

  /** What the child's handler of that name returns. `Result` is what the caller knows it to be. */
  async ask<Result>(question: string, argument?: unknown): Promise<Result> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const timer = setTimeout(
      () => resolve({ id, error: `no answer within ${ANSWER_WITHIN_MS / 1000} s` }),
      ANSWER_WITHIN_MS,
    );
    this.#waiting.set(id, resolve);
    if (this.#process.connected) this.#process.send({ id, question, argument });
    else resolve({ id, error: 'has ended' });
    const answer = await promise;
    clearTimeout(timer);
    this.#waiting.delete(id);
    if (answer.error !== undefined) throw new Error(`asking ${this.#script} to ${question}: ${answer.error}`);
    return answer.result as Result;
  }

  /** Ends it at once. Resolves when it is gone. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null || this.#process.pid === undefined) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}

let isPinningKnown: boolean | undefined;

/** On a machine with one core, or without taskset, the parts share what there is. */
function canPin(): boolean {
  isPinningKnown ??= availableParallelism() >= 2 && spawnSync('taskset', ['-c', '1', 'true']).status === 0;
  return isPinningKnown;
}

export type Handlers = Readonly<Record<string, (argument: never) => unknown>>;

/** In the child: answers what the parent asks, and ends when the parent is gone. */
export function answerParent(handlers: Handlers): void {
  process.on('disconnect', () => process.exit());
  process.on('message', (message) => {
    const { id, question, argument } = message as { id: number; question: string; argument: never };
    const handler = handlers[question];
    const work = async (): Promise<unknown> => {
      if (handler === undefined) throw new Error(`nobody answers ${question}`);
      return handler(argument);
    };
    work().then(
      (result) => process.send?.({ id, result }),
      (error: unknown) => process.send?.({ id, error: error instanceof Error ? error.stack : String(error) }),
    );
  });
}
