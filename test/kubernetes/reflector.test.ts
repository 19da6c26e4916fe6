import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import type { ResourceListener } from '../../src/controller/ports.ts';
import type { ObservedInstance } from '../../src/health/observed-instance.ts';
import { decodeInstance } from '../../src/kubernetes/instance-resource.ts';
import { Reflector } from '../../src/kubernetes/reflector.ts';
import type { ReflectorLimits } from '../../src/kubernetes/reflector-options.ts';
import { CacheListener } from './support/cache-listener.ts';
import { RecordingObserver } from './support/recording-observer.ts';
import {
  added,
  type Answer,
  bookmark,
  deleted,
  endedAfter,
  endOfList,
  events,
  failure,
  modified,
  page,
  refusal,
  type ScriptedServer,
  startScriptedServer,
  text,
} from './support/scripted-server.ts';

const SILENCE_MS = 25;
const DEFAULT_SILENCE_MS = 135_000;

let server: ScriptedServer;
let reflector: Reflector<ObservedInstance>;
let observer: RecordingObserver;
let cache: CacheListener;
/** The pauses that the reflector asked for. Each of them is over at once. */
let pauses: number[];

afterEach(async () => {
  await reflector.stop();
  await server.stop();
});

/** Pauses are over at once; time limits are as they are. */
const impatientClock: Clock = {
  ...systemClock,
  schedule(delayMs, task) {
    if (delayMs === SILENCE_MS || delayMs === DEFAULT_SILENCE_MS) return systemClock.schedule(delayMs, task);
    pauses.push(delayMs);
    return systemClock.schedule(0, task);
  },
};
async function start(
  answers: readonly Answer[],
  options: { limits?: Partial<ReflectorLimits>; listener?: ResourceListener<ObservedInstance>; clock?: Clock } = {},
): Promise<void> {
  server = await startScriptedServer(answers);
  observer = new RecordingObserver();
  cache = new CacheListener();
  pauses = [];
  reflector = new Reflector({
    client: server.client,
    path: '/apis/heartbeat-operator.io/v1alpha1/heartbeatinstances',
    decode: decodeInstance,
    listener: options.listener ?? cache,
    clock: options.clock ?? impatientClock,
    observer,
    random: () => 0,
    limits: options.limits ?? {},
  });
  reflector.start();
}

const untilRequests = (count: number) => expect.poll(() => server.queries, { interval: 5 }).toHaveLength(count);
const untilHistory = (...history: readonly string[]) =>
  expect.poll(() => cache.history, { interval: 5 }).toEqual(history);

describe('the first request', () => {
  it('asks for the list as the beginning of a watch, which the server ends at a random time', async () => {
    await start([events(added('a', '1'), endOfList('5'))]);
    await reflector.whenSynced();
    expect(Object.fromEntries(server.queries[0] ?? [])).toEqual({
      watch: '1',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '290',
    });
    expect(reflector.synced).toBe(true);
    expect(reflector.resourceVersion).toBe('5');
    expect(reflector.lastHeardAtMs).toBeLessThanOrEqual(systemClock.nowMs());
    expect(observer.steps).toEqual(['list: listed']);
  });

  it('brings a list in which objects changed and went before it was complete', async () => {
    await start([
      events(added('a', '1'), added('b', '2'), added('c', '3'), modified('a', '4'), deleted('b', '5'), endOfList('5')),
    ]);
    await untilHistory('replaced a c');
    expect(cache.versions).toEqual({ a: '4', c: '3' });
  });

  it('brings the changes on the same connection', async () => {
    await start([events(endOfList('1'), added('a', '2'), modified('a', '3'), deleted('a', '4'), bookmark('9'))]);
    await untilHistory('replaced', 'changed a', 'changed a', 'removed a');
    await vi.waitFor(() => expect(reflector.resourceVersion).toBe('9'));
    expect(server.queries).toHaveLength(1);
  });

  it('tells nothing of a list that broke off, and begins again', async () => {
    await start([brokenAfter(added('a', '1')), events(added('b', '2'), endOfList('2'))]);
    await untilHistory('replaced b');
    expect(server.queries[1]?.get('sendInitialEvents')).toBe('true');
    expect(observer.steps).toEqual(['list: unreachable', 'list: listed']);
  });
});

describe('a server that does not list by watch', () => {
  it('is asked for pages at once, and then for a watch from their resourceVersion', async () => {
    await start([refusal(422, 'Invalid'), page(['a', 'b'], '7', 'more'), page(['c'], '7'), events(modified('c', '8'))]);
    await untilHistory('replaced a b c', 'changed c');
    expect(
      server.queries.map((query) => [query.get('limit'), query.get('continue'), query.get('resourceVersion')]),
    ).toEqual([
      [null, null, null],
      ['500', null, null],
      ['500', 'more', null],
      [null, null, '7'],
    ]);
    expect(observer.steps).toEqual(['list: invalid', 'list: listed']);
    expect(pauses).toEqual([]);
  });

  it('is asked for the pages from the beginning when they expire half-way', async () => {
    await start([page(['a'], '7', 'more'), refusal(410, 'Expired'), page(['b'], '9'), events()], {
      limits: { streaming: false },
    });
    await untilRequests(4);
    expect(cache.history).toEqual(['replaced b']);
    expect(observer.steps).toEqual(['list: gone', 'list: listed']);
  });

  it('may have an empty list, which Go writes as null', async () => {
    const list = text('{"metadata":{"resourceVersion":"3"},"items":null}');
    await start([list, events()], { limits: { streaming: false } });
    await untilHistory('replaced');
    expect(reflector.resourceVersion).toBe('3');
  });

  it('is asked for pages also when it takes the wish for a plain watch, and never ends the list', async () => {
    await start([endedAfter(added('a', '1')), page(['a'], '2'), events()]);
    await untilHistory('replaced a');
    expect(observer.steps).toEqual(['list: ended', 'list: listed']);
  });

  it('is asked again when what it answers is no list', async () => {
    await start([text('<html>'), page(['a'], '2'), events()], { limits: { streaming: false } });
    await untilHistory('replaced a');
    expect(observer.steps).toEqual(['list: unreadable', 'list: listed']);
  });
});

describe('after a watch', () => {
  it('that the server ended, the next one resumes at once, without the list', async () => {
    await start([endedAfter(endOfList('1'), added('a', '2')), events(added('b', '3'))]);
    await untilHistory('replaced', 'changed a', 'changed b');
    expect(server.queries[1]?.get('resourceVersion')).toBe('2');
    expect(server.queries[1]?.has('sendInitialEvents')).toBe(false);
    expect(server.queries[1]?.get('allowWatchBookmarks')).toBe('true');
    expect(pauses).toEqual([]);
  });

  it('that was empty and ended at once, the next one waits ever longer', async () => {
    await start([endedAfter(endOfList('1')), endedAfter(), endedAfter(), endedAfter(), events()]);
    await untilRequests(5);
    expect(pauses).toEqual([800, 1_600, 2_500]);
  });

  it('that ended with 410, the list begins afresh and the listener hears replaced again', async () => {
    await start([
      events(added('a', '1'), endOfList('1'), failure(410, 'Expired')),
      events(added('b', '9'), endOfList('9')),
    ]);
    await untilHistory('replaced a', 'replaced b');
    expect(server.queries[1]?.get('sendInitialEvents')).toBe('true');
    expect(server.queries[1]?.has('resourceVersion')).toBe(false);
    expect(observer.steps).toEqual(['list: listed', 'watch: gone', 'restart: gone', 'list: listed']);
  });

  it('that could not resume for 410, the list begins afresh as well', async () => {
    await start([endedAfter(endOfList('1'), bookmark('2')), refusal(410, 'Expired'), events(endOfList('9'))]);
    await untilHistory('replaced', 'replaced');
    expect(observer.steps).toEqual(['list: listed', 'watch: ended', 'watch: gone', 'restart: gone', 'list: listed']);
  });

  it('that ended with 429, the next one resumes after the pause that was asked for', async () => {
    await start([
      events(endOfList('1'), added('a', '2'), failure(429, 'TooManyRequests', { retryAfterSeconds: 7 })),
      refusal(429, 'TooManyRequests', { 'retry-after': '3' }),
      events(added('b', '3')),
    ]);
    await untilHistory('replaced', 'changed a', 'changed b');
    expect(pauses).toEqual([7_000, 3_000]);
    expect(server.queries.map((query) => query.get('resourceVersion'))).toEqual([null, '2', '2']);
  });

  it.each<[string, Answer]>([
    ['ended with an error of the server', events(endOfList('1'), failure(500, 'InternalError'))],
    ['was cut within a line', text(`${JSON.stringify(endOfList('1'))}\n{"type":"ADD`)],
    ['brought what is no event', text(`${JSON.stringify(endOfList('1'))}\nBad Gateway\n`)],
    ['was reset', brokenAfter(endOfList('1'))],
  ])('that %s, the next one resumes after a pause', async (_name, answer) => {
    await start([answer, events(added('a', '2'))]);
    await untilHistory('replaced', 'changed a');
    expect(server.queries[1]?.get('resourceVersion')).toBe('1');
    expect(pauses).toEqual([800]);
    expect(observer.messages).toHaveLength(1);
    expect(observer.messages[0]).toMatch(/^watching \/apis\//);
  });

  it('with a line of more than 4 MiB, the connection is given up', async () => {
    const line = 'x'.repeat(5 * 1024 * 1024);
    await start([text(`${JSON.stringify(endOfList('1'))}\n${line}\n`), events()]);
    await untilRequests(2);
    expect(observer.steps).toEqual(['list: listed', 'watch: unreadable']);
  });

  it('that fell silent, the next one resumes', async () => {
    await start([events(endOfList('1'), added('a', '2')), events(added('b', '3'))], {
      limits: { silenceMs: SILENCE_MS },
    });
    await untilHistory('replaced', 'changed a', 'changed b');
    expect(observer.steps.slice(0, 2)).toEqual(['list: listed', 'watch: silent']);
    expect(server.queries[1]?.get('resourceVersion')).toBe('2');
  });

  it('that never said anything, the list begins afresh: the server may have gone back in time', async () => {
    await start([endedAfter(endOfList('99')), events(), events(added('a', '3'), endOfList('3'))], {
      limits: { silenceMs: SILENCE_MS },
    });
    await untilHistory('replaced', 'replaced a');
    expect(observer.steps.slice(0, 4)).toEqual(['list: listed', 'watch: ended', 'watch: silent', 'restart: silent']);
  });
});

describe('one object', () => {
  it('that cannot be decoded is reported and skipped, in the list and after it', async () => {
    const nonsense = { type: 'ADDED', object: { metadata: { name: 'x', resourceVersion: '2' } } };
    await start([events(nonsense, added('a', '1'), endOfList('2'), nonsense, added('b', '3'))]);
    await untilHistory('replaced a', 'changed b');
    expect(observer.undecodableErrors).toHaveLength(2);
    expect(reflector.resourceVersion).toBe('3');
  });

  it('on which the listener throws is reported, and the next ones are told', async () => {
    const heard: string[] = [];
    const listener = {
      replaced: () => Promise.reject(new Error('replaced')),
      changed(item: ObservedInstance) {
        heard.push(item.name);
        if (item.name === 'a') throw new Error('changed a');
      },
      removed() {
        throw new Error('removed');
      },
    };
    await start([events(endOfList('1'), added('a', '2'), deleted('a', '3'), added('b', '4'))], { listener });
    await vi.waitFor(() => expect(heard).toEqual(['a', 'b']));
    expect(observer.listenerErrors).toEqual([new Error('replaced'), new Error('changed a'), new Error('removed')]);
    expect(server.queries).toHaveLength(1);
  });
});

describe('a long list', () => {
  it.each<[string, readonly Answer[], Partial<ReflectorLimits>]>([
    ['in a stream', [events(...numbered(1_000), endOfList('5000'))], {}],
    ['in pages', [page(names(500), '5000', 'more'), page(names(500), '5000'), events()], { streaming: false }],
  ])('%s lets the event loop turn at least once in a hundred objects', async (_name, answers, limits) => {
    let turns = 0;
    const turn = vi.spyOn(impatientClock, 'turn').mockImplementation(() => {
      turns += 1;
      return systemClock.turn();
    });
    await start(answers, { limits });
    await reflector.whenSynced();
    expect(turns).toBeGreaterThanOrEqual(10);
    turn.mockRestore();
  });
});

describe('stop', () => {
  it('ends a pause, and the wait for the first list', async () => {
    await start([refusal(403, 'Forbidden')], { clock: systemClock });
    await vi.waitFor(() => expect(observer.steps).toEqual(['list: forbidden']));
    await reflector.stop();
    await expect(reflector.whenSynced()).rejects.toThrow('stopped before the first list');
    expect(reflector.synced).toBe(false);
    expect(server.queries).toHaveLength(1);
  });

  it('ends an open watch, after which the listener hears nothing', async () => {
    await start([events(endOfList('1'), added('a', '2'))]);
    await untilHistory('replaced', 'changed a');
    await reflector.stop();
    expect(observer.messages).toEqual([]);
    expect(server.queries).toHaveLength(1);
  });

  it('lets no further object through that is in memory already', async () => {
    let stopping: Promise<void> | undefined;
    const heard: string[] = [];
    const listener = {
      replaced: () => Promise.resolve(),
      changed(item: ObservedInstance) {
        heard.push(item.name);
        stopping ??= reflector.stop();
      },
      removed: () => undefined,
    };
    await start([events(endOfList('1'), added('a', '2'), added('b', '3'))], { listener });
    await vi.waitFor(() => expect(stopping).toBeDefined());
    await stopping;
    expect(heard).toEqual(['a']);
  });
});

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `instance-${index}`);
}

function numbered(count: number): object[] {
  return names(count).map((name, index) => added(name, String(index + 1)));
}

function brokenAfter(...list: readonly object[]): Answer {
  return (response) => {
    events(...list)(response);
    setTimeout(() => response.socket?.resetAndDestroy(), 20);
  };
}
