import { writeSync } from 'node:fs';
import type { Logger } from 'pino';
import { systemClock } from '../clock.ts';
import { helpText, readConfig } from '../config/config.ts';
import type { Config } from '../config/settings.ts';
import { createLogger, flushLogs } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { Backend } from './backend.ts';
import { errorText, type Narrator } from './observers.ts';
import { OperatorError } from './operator-error.ts';
import type { ReleaseOutcome } from './release.ts';
import { Operator } from './operator.ts';

export interface ProcessParts {
  readonly version: string;
  /** Settings that hold unless the user says otherwise. */
  readonly defaults?: Partial<Config>;
  readonly backend: (parts: {
    readonly config: Config;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly version: string;
  }) => Promise<Backend>;
  /** The command `release`: opens every gate before the operator is uninstalled. */
  readonly release?: (parts: {
    readonly config: Config;
    readonly version: string;
    readonly log: (line: string) => void;
    readonly signal: AbortSignal;
  }) => Promise<ReleaseOutcome>;
  readonly narrator?: Narrator;
  /** Called when heartbeats are answered. */
  readonly onStarted?: (ports: { readonly heartbeatPort: number; readonly managementPort: number }) => void;
}

/** What an exit code tells the one who started the process. */
const EXIT = { ok: 0, failed: 1, badSettings: 2, secondSignal: 130 } as const;

/** The life of the process: settings, operator, signals, exit code. This file alone touches `process`. */
export async function runProcess(parts: ProcessParts): Promise<void> {
  const [first, ...rest] = process.argv.slice(2);
  if (first === '--help') return print(helpText());
  if (first === '--version') return print(`${parts.version}\n`);
  const isPrintOnly = first === '--print-config';
  const isRelease = first === 'release' && parts.release !== undefined;
  const result = readConfig(isPrintOnly || isRelease ? rest : process.argv.slice(2), process.env, parts.defaults);
  if (result.kind === 'mistakes') {
    for (const mistake of result.mistakes) complain(mistake);
    process.exit(EXIT.badSettings);
  }
  const { config } = result;
  if (isPrintOnly) return print(`${JSON.stringify(config, undefined, 2)}\n`);
  if (isRelease) process.exit(await runRelease(parts, config));

  const isPretty = config.logFormat === 'pretty' || (config.logFormat === 'auto' && process.stdout.isTTY);
  const logger = await createLogger({
    level: config.logLevel,
    format: isPretty ? 'pretty' : 'json',
    version: parts.version,
  });
  dieOf('uncaughtException', logger);
  dieOf('unhandledRejection', logger);

  try {
    await run(parts, config, logger);
    exit(logger, EXIT.ok);
  } catch (error) {
    if (error instanceof OperatorError) complain(error.message);
    else logger.fatal({ error: errorText(error) }, 'operator failed');
    exit(logger, EXIT.failed);
  }
}

/** @returns the exit code. */
async function runRelease({ release, version }: ProcessParts, config: Config): Promise<number> {
  const aborted = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => aborted.abort());
  // No timer of ours keeps the process alive.
  const keepAlive = setInterval(() => undefined, 60_000);
  try {
    const outcome = await release?.({ config, version, log: (line) => print(`${line}\n`), signal: aborted.signal });
    switch (outcome?.kind) {
      case 'released':
        return EXIT.ok;
      case 'refused':
      case 'late':
        complain(outcome.message);
        return EXIT.failed;
      case 'aborted':
      case undefined:
        complain('the release was ended before every gate was open: run it again');
        return EXIT.failed;
    }
  } catch (error) {
    complain(error instanceof OperatorError ? error.message : errorText(error));
    return EXIT.failed;
  } finally {
    clearInterval(keepAlive);
  }
}

/** Runs until a signal comes. @throws what made the operator give up. */
async function run(parts: ProcessParts, config: Config, logger: Logger): Promise<void> {
  const { version, narrator, onStarted } = parts;
  const metrics = new Metrics(version);
  const backend = await parts.backend({ config, logger, metrics, version });
  const operator = new Operator({
    config,
    clock: systemClock,
    logger,
    metrics,
    backend,
    version,
    ...(narrator && { narrator }),
  });
  const signalled = Promise.withResolvers<undefined>();
  let signals = 0;
  const onSignal = (signal: string): void => {
    signals += 1;
    logger.info({ signal }, 'signal received');
    if (signals > 1) exit(logger, EXIT.secondSignal);
    signalled.resolve(undefined);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  // No timer of ours keeps the process alive; while it is stopping, nothing else may.
  const keepAlive = setInterval(() => undefined, 60_000);
  try {
    const ports = await operator.start();
    onStarted?.(ports);
    const failure = await Promise.race([operator.failed, signalled.promise]);
    await operator.stop(AbortSignal.timeout(config.shutdownSeconds * 1000));
    if (failure !== undefined) throw failure;
  } finally {
    clearInterval(keepAlive);
  }
}

/** A mistake of ours that nobody caught: the state of the process is not known, so it ends, and says why. */
function dieOf(event: 'uncaughtException' | 'unhandledRejection', logger: Logger): void {
  process.on(event, (error: unknown) => {
    logger.fatal({ error: errorText(error) }, event);
    exit(logger, EXIT.failed);
  });
}

function exit(logger: Logger, code: number): never {
  flushLogs(logger);
  process.exit(code);
}

function print(text: string): void {
  process.stdout.write(text);
}

/** One line for people, at once, whatever happens to the process next. */
function complain(problem: string): void {
  writeSync(2, `heartbeat-operator: ${problem}\n`);
}
