import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ResourceListener } from '../../src/controller/ports.ts';
import { ApiClient, type ApiResult, type WatchResult } from '../../src/kubernetes/api-client.ts';
import type { ApiFailure } from '../../src/kubernetes/api-error.ts';
import { Credentials } from '../../src/kubernetes/credentials.ts';
import { Watches } from '../../src/operator/watches.ts';
import { RepeatedWarning } from '../../src/telemetry/logger.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { MINUTE, SECOND } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

/** Longer than the longest pause between two attempts. */
const PAUSE = 6 * SECOND;

/** A server whose watches bring what a test says, in virtual time. */
class ScriptedClient extends ApiClient {
  readonly #failures = new Map<string, ApiFailure[]>();
  readonly #open = new Map<string, PassThrough>();

  /** The next attempts at this path come to this, one after the other. */
  fail(path: string, ...failures: readonly ApiFailure[]): void {
    this.#failures.set(path, [...failures]);
  }

  override watch(path: string, _query: unknown, signal: AbortSignal): Promise<WatchResult> {
    const failure = this.#failures.get(path)?.shift();
    if (failure !== undefined) return Promise.resolve(failure);
    const bytes = new PassThrough();
    signal.addEventListener('abort', () => bytes.destroy(new Error('cut')), { once: true });
    this.#open.set(path, bytes);
    return Promise.resolve({ kind: 'ok', bytes });
  }

  override request(): Promise<ApiResult> {
    return Promise.resolve(UNREACHABLE);
  }

  /** The open watch brings the end of its list, which holds these objects. */
  async list(path: string, ...names: readonly string[]): Promise<void> {
    const metadata = { resourceVersion: '1', annotations: { 'k8s.io/initial-events-end': 'true' } };
    for (const name of names) this.#bring(path, { type: 'ADDED', object: objectOf(name) });
    this.#bring(path, { type: 'BOOKMARK', object: { metadata } });
    await settle();
  }

  async change(path: string, name: string): Promise<void> {
    this.#bring(path, { type: 'MODIFIED', object: objectOf(name) });
    await settle();
  }

  /** The server ends the watch with this error. */
  async expire(path: string): Promise<void> {
    this.#bring(path, { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } });
    await settle();
  }

  /** The connection breaks. */
  async cut(path: string): Promise<void> {
    this.#open.get(path)?.destroy(new Error('reset'));
    await settle();
  }

  #bring(path: string, event: object): void {
    const bytes = this.#open.get(path);
    if (bytes === undefined) throw new Error(`nobody watches ${path}`);
    bytes.write(`${JSON.stringify(event)}\n`);
  }
}

function objectOf(name: string): object {
  return { metadata: { name, namespace: 'default', uid: `uid-of-${name}`, resourceVersion: '1' } };
}

const FORBIDDEN: ApiFailure = { kind: 'forbidden', message: 'watching: 403 Forbidden' };
const UNAUTHORIZED: ApiFailure = { kind: 'unauthorized', message: 'watching: 401 Unauthorized' };
const ABSENT: ApiFailure = { kind: 'absent', message: 'watching: 404 NotFound' };
const UNREACHABLE: ApiFailure = { kind: 'unreachable', message: 'watching: refused' };

let clock: FakeClock;
let client: ScriptedClient;
let metrics: Metrics;
let log: Record<string, unknown>[];
let givenUp: string[];
let told: string[];
let watches: Watches;

beforeEach(() => {
  clock = new FakeClock();
  client = new ScriptedClient({
    credentials: new Credentials({ read: () => Promise.reject(new Error('none')) }, clock),
    clock,
    version: 'test',
  });
  metrics = new Metrics('1.2.3');
  log = [];
  givenUp = [];
  told = [];
  const logger = pino(
    { base: null, timestamp: false, formatters: { level: (level) => ({ level }) } },
    { write: (line) => log.push(JSON.parse(line) as Record<string, unknown>) },
  );
  watches = new Watches({
    client,
    clock,
    logger,
    metrics,
    repeated: new RepeatedWarning(logger, clock.nowMs),
    giveUp: (kind, resource) => givenUp.push(`${resource}: ${kind}`),
  });
});

const listener: ResourceListener<string> = {
  replaced(items) {
    told.push(`replaced ${items.join(' ')}`);
    return Promise.resolve();
  },
  changed: (name) => told.push(`changed ${name}`),
  removed: (name) => told.push(`removed ${name}`),
};

/** Only an object of the name `broken` cannot be read. */
function decode(object: unknown): string {
  const { name } = (object as { readonly metadata: { readonly name: string } }).metadata;
  if (name === 'broken') throw new TypeError('metadata.name: is broken');
  return name;
}

async function start(
  resource: string,
  path = `/${resource}`,
  parts: Partial<ResourceListener<string>> = {},
): Promise<void> {
  watches.start({ resource, path, decode, listener: { ...listener, ...parts } });
  await settle();
}

/** Whether whoever waits for all watches waits no longer. */
function isSynced(): Promise<boolean> {
  return Promise.race([watches.whenSynced().then(() => true), settle().then(() => false)]);
}

async function seriesOf(name: string): Promise<number | undefined> {
  const line = (await metrics.registry.metrics()).split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

describe('A watch', () => {
  it('tells its listener the list and then every change, in the form that the kind has here', async () => {
    await start('pods');
    await client.list('/pods', 'a', 'b');
    await client.change('/pods', 'c');
    expect(told).toEqual(['replaced a b', 'changed c']);
  });

  it('leaves out an object that cannot be read, counts it, and says why once a minute', async () => {
    await start('pods');
    await client.list('/pods', 'a', 'broken');
    await client.change('/pods', 'broken');
    expect(told).toEqual(['replaced a']);
    expect(await seriesOf('heartbeat_operator_undecodable_objects_total{resource="pods"}')).toBe(2);
    expect(log).toMatchObject([
      { level: 'warn', resource: 'pods', error: expect.stringContaining('metadata.name: is broken') },
    ]);
  });

  it('goes on when its listener throws, which is a mistake of ours and logged as one', async () => {
    await start('pods', '/pods', {
      changed() {
        throw new Error('mistake');
      },
    });
    await client.list('/pods');
    await client.change('/pods', 'a');
    expect(log).toMatchObject([{ level: 'error', resource: 'pods', error: expect.stringContaining('mistake') }]);
    expect(watches.states()).toMatchObject([{ ageSeconds: 0 }]);
  });

  it('that broke is opened again by itself, counted, and warned of once a minute', async () => {
    await start('pods');
    await client.list('/pods');
    for (let times = 0; times < 3; times += 1) {
      await client.cut('/pods');
      await clock.advance(PAUSE);
    }
    await client.change('/pods', 'a');
    expect(told).toEqual(['replaced ', 'changed a']);
    expect(await seriesOf('heartbeat_operator_watch_total{resource="pods",result="unreachable"}')).toBe(3);
    expect(log).toMatchObject([{ level: 'warn', resource: 'pods', error: expect.stringContaining('reset') }]);
  });

  it('whose place is too old begins afresh with the list, which is counted and one line', async () => {
    await start('pods');
    await client.list('/pods', 'a');
    await client.expire('/pods');
    await clock.advance(PAUSE);
    await client.list('/pods', 'b');
    expect(told).toEqual(['replaced a', 'replaced b']);
    expect(await seriesOf('heartbeat_operator_reflector_restarts_total{resource="pods",reason="gone"}')).toBe(1);
    expect(await seriesOf('heartbeat_operator_list_total{resource="pods",result="listed"}')).toBe(2);
    expect(log).toContainEqual({ level: 'info', resource: 'pods', reason: 'gone', msg: 'listing afresh' });
  });

  it('tells nothing more once it is stopped', async () => {
    await start('pods');
    await client.list('/pods', 'a');
    await watches.stop();
    await clock.advance(MINUTE);
    expect(told).toEqual(['replaced a']);
  });
});

describe('All watches', () => {
  it('are synced when each of them has its list', async () => {
    await start('pods');
    await start('nodes');
    await client.list('/pods');
    expect(await isSynced()).toBe(false);
    await client.list('/nodes');
    expect(await isSynced()).toBe(true);
  });

  it('are never synced when they are stopped before, and whoever waits is told', async () => {
    await start('pods');
    const synced = watches.whenSynced();
    await watches.stop();
    await expect(synced).rejects.toThrow('stopped before the first list of /pods');
  });
});

describe('A cluster in which a watch can never succeed', () => {
  it.each([FORBIDDEN, UNAUTHORIZED, ABSENT])('is given up at the third $kind in a row, not before', async (failure) => {
    client.fail('/pods', failure, failure);
    client.fail('/nodes', failure, failure, failure);
    for (const resource of ['pods', 'nodes']) await start(resource);
    await clock.advance(3 * PAUSE);
    expect(givenUp).toEqual([`nodes: ${failure.kind}`]);
  });

  it('is not given up while it cannot be reached, however long', async () => {
    client.fail('/pods', ...Array.from({ length: 1_000 }, () => UNREACHABLE));
    await start('pods');
    await clock.advance(10 * MINUTE);
    expect(givenUp).toEqual([]);
  });

  it('is not given up when something else came between: then it may be the moment', async () => {
    client.fail('/pods', FORBIDDEN, FORBIDDEN, UNREACHABLE, FORBIDDEN, FORBIDDEN);
    await start('pods');
    await clock.advance(5 * PAUSE);
    await client.list('/pods', 'a');
    expect([givenUp, told]).toEqual([[], ['replaced a']]);
  });

  it('is not given up once everything was listed: what is known goes on to be judged by', async () => {
    await start('pods');
    await client.list('/pods', 'a');
    client.fail('/pods', ...Array.from({ length: 10 }, () => FORBIDDEN));
    await client.cut('/pods');
    await clock.advance(MINUTE);
    expect([givenUp, told]).toEqual([[], ['replaced a']]);
  });
});

describe('What is known', () => {
  it('ages from the start until the list is there, and is as old as nothing while the watch is open', async () => {
    await start('pods');
    await clock.advance(3 * SECOND);
    expect(watches.ageMs(['pods'])).toBe(3 * SECOND);
    await client.list('/pods');
    await clock.advance(MINUTE);
    expect(watches.ageMs(['pods'])).toBe(0);
  });

  it('ages again from when the watch broke until one is open that goes on from there', async () => {
    await start('pods');
    await client.list('/pods');
    client.fail('/pods', UNREACHABLE, UNREACHABLE, UNREACHABLE, UNREACHABLE, UNREACHABLE);
    await client.cut('/pods');
    await clock.advance(4 * SECOND);
    expect(watches.ageMs(['pods'])).toBe(4 * SECOND);
    await clock.advance(5 * PAUSE);
    expect(watches.ageMs(['pods'])).toBe(0);
  });

  it('is as old as the oldest of those that are asked for, and of those alone', async () => {
    await start('pods');
    await clock.advance(2 * SECOND);
    await start('nodes');
    await clock.advance(SECOND);
    await client.list('/pods');
    expect([['pods'], ['nodes'], ['pods', 'nodes'], ['leases']].map((resources) => watches.ageMs(resources))).toEqual([
      0,
      SECOND,
      SECOND,
      0,
    ]);
  });
});

describe('The state of a kind', () => {
  it('is not synced and was never heard of at first, and tells by the calendar when it was last', async () => {
    await start('pods');
    await clock.advance(2 * SECOND);
    expect(watches.states()).toEqual([
      { resource: 'pods', isSynced: false, lastHeardSeconds: undefined, ageSeconds: 2 },
    ]);
    await client.list('/pods');
    const heardSeconds = clock.wallMs() / 1_000;
    await clock.advance(MINUTE);
    expect(watches.states()).toEqual([
      { resource: 'pods', isSynced: true, lastHeardSeconds: heardSeconds, ageSeconds: 0 },
    ]);
  });

  it.each([
    ['/shop/pods', '/team/pods'],
    ['/team/pods', '/shop/pods'],
  ])(
    'of several parts is that of the worst, and is told once, when the list of %s is there first',
    async (first, last) => {
      for (const namespace of ['shop', 'team']) await start('pods', `/${namespace}/pods`);
      await client.list(first);
      await clock.advance(5 * SECOND);
      expect(watches.states()).toEqual([
        { resource: 'pods', isSynced: false, lastHeardSeconds: undefined, ageSeconds: 5 },
      ]);
      const firstHeardSeconds = (clock.wallMs() - 5 * SECOND) / 1_000;
      await client.list(last);
      expect(watches.states()).toEqual([
        { resource: 'pods', isSynced: true, lastHeardSeconds: firstHeardSeconds, ageSeconds: 0 },
      ]);
    },
  );

  it('is told of each kind', async () => {
    await start('pods');
    await start('nodes');
    expect(watches.states().map(({ resource }) => resource)).toEqual(['pods', 'nodes']);
  });
});
