import { spawnSync } from 'node:child_process';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { RepeatedWarning } from '../../src/telemetry/logger.ts';

type Line = Record<string, unknown>;

/** What a process prints that runs `statements` with a logger. */
function linesOf(options: { level: string; format: string }, statements: string): string[] {
  const source = `
    const { createLogger } = await import(${JSON.stringify(new URL('../../src/telemetry/logger.ts', import.meta.url))});
    const logger = await createLogger({ ...${JSON.stringify(options)}, version: '1.2.3' });
    ${statements}
  `;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', source], { encoding: 'utf8' });
  return stdout.split('\n').filter((line) => line !== '');
}

describe('a line of the log', () => {
  test('is one JSON object with the level, the time, the version, the message, and what was said under its own keys', () => {
    const [line = '', ...rest] = linesOf(
      { level: 'info', format: 'json' },
      `logger.info({ instance: 'default/a', reason: 'HeartbeatExpired' }, 'instance health changed');`,
    );

    expect(rest).toEqual([]);
    expect(Object.keys(JSON.parse(line) as Line)).toEqual(['level', 'time', 'version', 'instance', 'reason', 'msg']);
    expect(JSON.parse(line)).toMatchObject({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      version: '1.2.3',
      msg: 'instance health changed',
    });
  });

  test('stays one line when what was said has several', () => {
    const lines = linesOf({ level: 'info', format: 'json' }, `logger.error({ error: 'a\\nb' }, 'c\\nd');`);

    expect(lines.map((line) => JSON.parse(line) as Line)).toEqual([
      expect.objectContaining({ level: 'error', error: 'a\nb', msg: 'c\nd' }),
    ]);
  });

  test('below the level that is asked for is not written', () => {
    const lines = linesOf(
      { level: 'warn', format: 'json' },
      `logger.debug('debug'); logger.info('info'); logger.warn('warn'); logger.error('error');`,
    );

    expect(lines.map((line) => (JSON.parse(line) as Line)['msg'])).toEqual(['warn', 'error']);
  });

  test('that was written just before the process ends is not lost', () => {
    const lines = linesOf(
      { level: 'info', format: 'json' },
      `for (let n = 1; n <= 200; n += 1) logger.info({ n }, 'line'); logger.flush(); process.exit(0);`,
    );

    expect(lines.map((line) => (JSON.parse(line) as Line)['n'])).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
  });

  test('for people holds the words and the values, and no JSON', () => {
    const lines = linesOf({ level: 'info', format: 'pretty' }, `logger.info({ port: 8080 }, 'listening');`).join('\n');

    expect(lines).toContain('listening');
    expect(lines).toContain('8080');
    expect(lines).not.toContain('"msg"');
  });
});

describe('a repeated warning', () => {
  test('is written at once the first time, as a warning with its fields', () => {
    const { warnings, lines } = repeated();

    warnings.warn('held', { holdMs: 100 }, 'API server does not take writes');

    expect(lines).toEqual([{ level: 40, holdMs: 100, msg: 'API server does not take writes' }]);
  });

  test('is left out for a minute, to the millisecond, and then says how often', () => {
    const { warnings, lines, clock } = repeated();
    warnings.warn('held', { holdMs: 1 }, 'held');

    clock.nowMs += 59_999;
    warnings.warn('held', { holdMs: 2 }, 'held');
    warnings.warn('held', { holdMs: 3 }, 'held');
    expect(lines).toHaveLength(1);
    clock.nowMs += 1;
    warnings.warn('held', { holdMs: 4 }, 'held');

    expect(lines[1]).toEqual({ level: 40, holdMs: 4, suppressed: 2, msg: 'held' });
  });

  test('counts what was left out afresh each minute, and says nothing of it when there was nothing', () => {
    const { warnings, lines, clock } = repeated();
    for (const [waitMs, times] of [
      [0, 3],
      [60_000, 1],
      [60_000, 1],
    ] as const) {
      clock.nowMs += waitMs;
      for (let time = 0; time < times; time += 1) warnings.warn('held', {}, 'held');
    }

    expect(lines.map((line) => line['suppressed'])).toEqual([undefined, 2, undefined]);
  });

  test('of one kind does not hide one of another', () => {
    const { warnings, lines } = repeated();

    warnings.warn('refused rate', {}, 'rate');
    warnings.warn('refused total', {}, 'total');
    warnings.warn('refused rate', {}, 'rate');

    expect(lines.map((line) => line['msg'])).toEqual(['rate', 'total']);
  });

  test('is written once in a minute however fast it comes', () => {
    const { warnings, lines, clock } = repeated();

    for (let tick = 0; tick < 10_000; tick += 1) {
      warnings.warn('stalled', {}, 'stalled');
      clock.nowMs += 18;
    }

    expect(lines).toHaveLength(3);
  });
});

/** A warning over a log that is kept, and a clock that stands still until it is moved. */
function repeated(): { warnings: RepeatedWarning; lines: Line[]; clock: { nowMs: number } } {
  const lines: Line[] = [];
  const clock = { nowMs: 5_000 };
  const logger = pino({ base: null, timestamp: false }, { write: (line) => lines.push(JSON.parse(line) as Line) });
  return { warnings: new RepeatedWarning(logger, () => clock.nowMs), lines, clock };
}
