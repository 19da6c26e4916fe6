import { describe, expect, it } from 'vitest';
import { ReconnectDelay } from '../../src/kubernetes/reconnect-delay.ts';
import { type AttemptEnd, nextStep, type Pause, type ReflectorState } from '../../src/kubernetes/reflector-state.ts';

const streaming: ReflectorState = { kind: 'streaming' };
const paging: ReflectorState = { kind: 'paging' };
const following: ReflectorState = { kind: 'following', resourceVersion: '7' };
const message = 'what happened';

describe('a reflector', () => {
  it.each<[string, ReflectorState, AttemptEnd, ReflectorState, Pause]>([
    ['resumes at once when the server ends a watch', following, ended(300_000, false), following, 'none'],
    ['resumes at once when a quiet watch ends', following, ended(300_000, true), following, 'none'],
    ['resumes at once when a short watch brought something', following, ended(10, false), following, 'none'],
    ['waits when a watch ends at once and brought nothing', following, ended(999, true), following, 'backOff'],
    [
      'pages when the server ignores the wish for a streaming list',
      streaming,
      ended(300_000, false),
      paging,
      'backOff',
    ],
    ['pages at once when a streaming list is refused', streaming, { kind: 'invalid', message }, paging, 'none'],
    [
      'asks for a streaming list again when pages are refused too',
      paging,
      { kind: 'invalid', message },
      streaming,
      'backOff',
    ],
    ['follows from where the pages were read', paging, { kind: 'listed', resourceVersion: '7' }, following, 'none'],
    ['begins afresh when its resourceVersion is gone', following, { kind: 'gone', message }, streaming, 'backOff'],
    ['begins the pages afresh when they are gone half-way', paging, { kind: 'gone', message }, paging, 'backOff'],
    ['begins afresh when the server is behind', following, { kind: 'ahead', message }, streaming, 'backOff'],
    ['begins afresh when the resource was removed', following, { kind: 'absent', message }, streaming, 'backOff'],
    ['begins afresh when the server refuses to resume', following, { kind: 'invalid', message }, streaming, 'backOff'],
    ['resumes after the pause that the server asks for', following, throttled(4_000), following, 4_000],
    ['lists after the pause that the server asks for', streaming, throttled(4_000), streaming, 4_000],
    ['resumes after a broken connection', following, { kind: 'unreachable', message }, following, 'backOff'],
    ['resumes after what it could not read', following, { kind: 'unreadable', message }, following, 'backOff'],
    ['resumes when its rights are missing', following, { kind: 'forbidden', message }, following, 'backOff'],
    ['resumes when its token is refused', following, { kind: 'unauthorized', message }, following, 'backOff'],
    ['resumes when a connection fell silent', following, silent(false), following, 'backOff'],
    ['begins afresh when a watch never said anything', following, silent(true), streaming, 'backOff'],
    ['asks for the list again when that fell silent', streaming, silent(true), streaming, 'backOff'],
  ])('%s', (_name, state, end, nextState, pause) => {
    expect(nextStep(state, end)).toEqual({ state: nextState, pause });
  });
});

describe('the wait before the next attempt', () => {
  const limits = { minMs: 800, maxMs: 30_000, forgetAfterMs: 120_000 };

  it('doubles up to its maximum when attempts go on failing', () => {
    const shortest = new ReconnectDelay(limits, () => 0);
    const longest = new ReconnectDelay(limits, () => 1);
    const waits = Array.from({ length: 8 }, (_, index) => [
      shortest.afterFailure(index * 1_000),
      longest.afterFailure(index * 1_000),
    ]);
    expect(waits).toEqual([
      [800, 1_600],
      [1_600, 3_200],
      [3_200, 6_400],
      [6_400, 12_800],
      [12_800, 25_600],
      [15_000, 30_000],
      [15_000, 30_000],
      [15_000, 30_000],
    ]);
  });

  it('is short again when nothing failed for two minutes', () => {
    const delay = new ReconnectDelay(limits, () => 0);
    delay.afterFailure(0);
    expect(delay.afterFailure(120_000)).toBe(1_600);
    expect(delay.afterFailure(240_001)).toBe(800);
  });
});

function ended(livedMs: number, wasEmpty: boolean): AttemptEnd {
  return { kind: 'ended', livedMs, wasEmpty };
}

function silent(wasEmpty: boolean): AttemptEnd {
  return { kind: 'silent', wasEmpty, message };
}

function throttled(retryAfterMs: number): AttemptEnd {
  return { kind: 'throttled', retryAfterMs, message };
}
