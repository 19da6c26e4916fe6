import { pino, type DestinationStream, type Logger } from 'pino';

export interface LoggerOptions {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly format: 'json' | 'pretty';
  readonly version: string;
}

/**
 * The logger of the process. Messages are constant; what varies stands under fixed keys
 * (`instance`, `reason`, `error`, …).
 */
export async function createLogger(options: LoggerOptions): Promise<Logger> {
  const destination = options.format === 'pretty' ? await prettyDestination() : jsonDestination();
  return pino(
    {
      level: options.level,
      base: { version: options.version },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

/** Writes what is still in memory; to be called last. */
export function flushLogs(logger: Logger): void {
  const stream = (logger as unknown as Record<symbol, { flushSync?: () => void } | undefined>)[pino.symbols.streamSym];
  stream?.flushSync?.();
}

/** Not synchronous: a reader of our output that has stalled must not stall heartbeats. */
function jsonDestination(): DestinationStream {
  return pino.destination({ dest: 1, sync: false });
}

/** Loaded only for people: a container never needs it. */
async function prettyDestination(): Promise<DestinationStream> {
  const { PinoPretty } = await import('pino-pretty');
  return PinoPretty({ colorize: true, ignore: 'pid,hostname,version', translateTime: 'HH:MM:ss.l', sync: true });
}

/** A repeated warning is written at most this often for each kind. */
const REPEAT_MS = 60_000;

/** Writes a warning the first time at once, and while it repeats once a minute with how often it was left out. */
export class RepeatedWarning {
  readonly #logger: Logger;
  readonly #nowMs: () => number;
  readonly #kinds = new Map<string, { writtenAtMs: number; suppressedCount: number }>();

  constructor(logger: Logger, nowMs: () => number) {
    this.#logger = logger;
    this.#nowMs = nowMs;
  }

  /** @param kind from a small fixed set: what is limited together. */
  warn(kind: string, fields: object, message: string): void {
    const nowMs = this.#nowMs();
    const before = this.#kinds.get(kind);
    if (before !== undefined && nowMs - before.writtenAtMs < REPEAT_MS) {
      before.suppressedCount += 1;
      return;
    }
    const suppressed =
      before === undefined || before.suppressedCount === 0 ? {} : { suppressed: before.suppressedCount };
    this.#kinds.set(kind, { writtenAtMs: nowMs, suppressedCount: 0 });
    this.#logger.warn({ ...fields, ...suppressed }, message);
  }
}
