import { createServer } from 'node:net';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { OperatorError } from '../../src/operator/operator-error.ts';
import { buildTestOperator, type StartedOperator, startTestOperator } from '../support/http-operator.ts';

interface View {
  readonly instanceId: string;
  readonly belief: { readonly state: string; readonly ttlSeconds: number; readonly paused: boolean } | null;
  readonly object: { readonly namespace: string; readonly name: string; readonly healthy: string | null } | null;
}

async function views({ get }: StartedOperator): Promise<readonly View[]> {
  return (JSON.parse((await get('/instances')).text) as { items: View[] }).items;
}

function healthyOf({ store }: StartedOperator, instanceId: string): string | undefined {
  return store.list().find(({ key }) => key.endsWith(`\n${instanceId}`))?.status?.healthySummary;
}

describe('an operator that has started', () => {
  test('answers the first heartbeat there is with 200', async () => {
    const { beat } = await startTestOperator();

    expect(await beat('cart-1')).toEqual({ status: 200, text: 'Success' });
  });

  test('makes an object for an instance that appears, and says in it that the instance is healthy', async () => {
    const operator = await startTestOperator();

    await operator.beat('cart-1');

    await expect.poll(() => healthyOf(operator, 'cart-1')).toBe('True');
    expect(operator.store.list()).toEqual([
      expect.objectContaining({ namespace: 'default', managed: true, key: 'acme\ndefault\nshop\ncart-1' }),
    ]);
  });

  test('shows at /instances what it believes of an instance beside what its object says', async () => {
    const operator = await startTestOperator();
    await operator.beat('cart-1');
    await expect.poll(() => healthyOf(operator, 'cart-1')).toBe('True');

    const [view] = await views(operator);

    expect(view).toEqual({
      domain: 'acme',
      projectId: 'default',
      serviceId: 'shop',
      instanceId: 'cart-1',
      belief: {
        state: 'fresh',
        paused: false,
        ttlSeconds: 120,
        lastHeartbeat: expect.stringMatching(/^\d{4}-.*Z$/),
        silentSeconds: expect.any(Number),
        deadline: expect.stringMatching(/^\d{4}-.*Z$/),
        sender: '127.0.0.1',
      },
      pod: null,
      object: {
        namespace: 'default',
        name: operator.store.list()[0]?.name,
        healthy: 'True',
        reason: 'HeartbeatReceived',
        podSynced: 'NotBound',
        reported: null,
        resourceVersion: operator.store.list()[0]?.resourceVersion,
      },
    });
    const one = await operator.get(`/instances/default/${view?.object?.name}`);
    expect(JSON.parse(one.text)).toMatchObject({
      instanceId: 'cart-1',
      belief: { state: 'fresh' },
      timeline: [{ kind: 'transition', from: null, to: 'True', reason: 'HeartbeatReceived', times: 1 }],
    });
  });

  test('is live and ready, and says that both checks passed', async () => {
    const { get } = await startTestOperator();

    expect(await get('/livez')).toEqual({ status: 200, text: 'ok' });
    expect(await get('/readyz?verbose')).toEqual({
      status: 200,
      text: '[+]listening ok\n[+]not-draining ok\nreadyz check passed\n',
    });
  });

  test('serves its metrics in the text that Prometheus reads', async () => {
    const { get, beat, managementPort } = await startTestOperator();
    await beat('cart-1');

    const { headers } = await fetch(`http://127.0.0.1:${managementPort}/metrics`);

    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect((await get('/metrics')).text).toContain(
      'heartbeat_operator_heartbeats_total{result="appeared",code="200"} 1',
    );
  });

  test('writes nothing for a second heartbeat, since nothing changed', async () => {
    const operator = await startTestOperator();
    await operator.beat('cart-1');
    await expect.poll(() => healthyOf(operator, 'cart-1')).toBe('True');
    const versionBefore = operator.store.list()[0]?.resourceVersion;

    for (let beat = 0; beat < 50; beat += 1) await operator.beat('cart-1');
    await operator.beat('cart-2');
    await expect.poll(() => healthyOf(operator, 'cart-2')).toBe('True');

    expect(operator.store.list()[0]?.resourceVersion).toBe(versionBefore);
  });

  test('marks an instance that falls silent within a second of its deadline, not before, and the next heartbeat recovers it', async () => {
    const operator = await startTestOperator({ config: { defaultIntervalSeconds: 1, defaultTimes: 1 } });
    await operator.beat('cart-1');
    const lastHeardMs = performance.now();
    await expect.poll(() => healthyOf(operator, 'cart-1')).toBe('True');

    await expect.poll(() => healthyOf(operator, 'cart-1'), { timeout: 5_000, interval: 10 }).toBe('False');
    const silentMs = performance.now() - lastHeardMs;

    expect(silentMs).toBeGreaterThan(1_950);
    expect(silentMs).toBeLessThan(3_000);
    expect(operator.store.list()[0]?.status?.healthy?.reason).toBe('HeartbeatExpired');

    expect((await operator.beat('cart-1')).status).toBe(200);
    await expect.poll(() => healthyOf(operator, 'cart-1')).toBe('True');
  });

  test('refuses an unknown instance with 400017 when it is told to', async () => {
    const { beat, store } = await startTestOperator({ config: { unknownInstances: 'reject' } });
    await expect.poll(async () => (await beat('cart-1')).status).toBe(400);

    expect(JSON.parse((await beat('cart-1')).text)).toMatchObject({ errorCode: '400017' });
    expect(store.list()).toEqual([]);
  });

  test('refuses new instances over the total with 503, and never one it knows', async () => {
    const { beat, get } = await startTestOperator({ config: { instancesMax: 2 } });
    await beat('cart-1');
    await beat('cart-2');
    await expect.poll(async () => (await beat('cart-3')).status).toBe(503);

    expect([(await beat('cart-1')).status, (await beat('cart-2')).status]).toEqual([200, 200]);
    expect((await get('/metrics')).text).toMatch(/new_instances_refused_total\{reason="total"\} [1-9]/);
  });
});

describe('while what is stored is not yet known', () => {
  test('heartbeats are answered 200 and nothing is written; once it is known, their objects are made', async () => {
    const known = Promise.withResolvers<void>();
    const operator = await startTestOperator({ known: known.promise });

    expect((await operator.beat('cart-1')).status).toBe(200);
    expect(await operator.get('/readyz')).toEqual({ status: 200, text: 'ok' });
    expect(operator.store.list()).toEqual([]);
    known.resolve();

    await expect.poll(() => healthyOf(operator, 'cart-1')).toBe('True');
  });

  test('nobody is unknown, also when unknown instances are refused', async () => {
    const known = Promise.withResolvers<void>();
    const { beat } = await startTestOperator({ known: known.promise, config: { unknownInstances: 'reject' } });

    expect((await beat('cart-1')).status).toBe(200);
    known.resolve();
    await expect.poll(async () => (await beat('cart-1')).status).toBe(400);
  });

  test('an operator can be stopped', async () => {
    const { operator } = await startTestOperator({ known: Promise.withResolvers<void>().promise });

    await expect(operator.stop(AbortSignal.timeout(5_000))).resolves.toBeUndefined();
  });

  test('a source that can never tell makes the operator give up with the reason', async () => {
    const { operator } = await startTestOperator({ known: Promise.reject(new OperatorError('the CRD is missing')) });

    expect(await operator.failed).toEqual(new OperatorError('the CRD is missing'));
  });
});

describe('a store that fails', () => {
  test('costs no heartbeat, and the object is made when it works again', async () => {
    let isDown = true;
    const operator = await startTestOperator({
      asSeen: (store) => ({
        create: (draft) => (isDown ? Promise.resolve({ kind: 'unreachable', message: 'down' }) : store.create(draft)),
        writeStatus: (target, status) => store.writeStatus(target, status),
        own: (target, owner) => store.own(target, owner),
        report: (target, report) => store.report(target, report),
        remove: (target) => store.remove(target),
      }),
    });

    for (let beat = 0; beat < 20; beat += 1) expect((await operator.beat('cart-1')).status).toBe(200);
    isDown = false;

    await expect.poll(() => healthyOf(operator, 'cart-1'), { timeout: 5_000 }).toBe('True');
  });

  test('by throwing, which is a mistake of ours, is logged with its key and tried again', async () => {
    let isFirst = true;
    const operator = await startTestOperator({
      asSeen: (store) => ({
        create(draft) {
          if (!isFirst) return store.create(draft);
          isFirst = false;
          throw new Error('mistake');
        },
        writeStatus: (target, status) => store.writeStatus(target, status),
        own: (target, owner) => store.own(target, owner),
        report: (target, report) => store.report(target, report),
        remove: (target) => store.remove(target),
      }),
    });

    await operator.beat('cart-1');

    await expect.poll(() => healthyOf(operator, 'cart-1'), { timeout: 5_000 }).toBe('True');
    expect(operator.log).toContainEqual(
      expect.objectContaining({
        msg: 'reconciling threw',
        instanceId: 'cart-1',
        error: expect.stringContaining('mistake'),
      }),
    );
  });
});

describe('a port that is in use', () => {
  test.each([
    ['heartbeatPort', '--heartbeat-port'],
    ['managementPort', '--management-port'],
  ] as const)('for %s is an OperatorError that names the port, the address and %s', async (setting, flag) => {
    const port = await occupied();
    const { operator } = buildTestOperator({ config: { [setting]: port } });

    await expect(operator.start()).rejects.toThrow(
      new OperatorError(`port ${port} on 127.0.0.1 is in use: stop what uses it, or set ${flag} to another port`),
    );
  });

  test('leaves an operator that can be stopped, which frees the other port', async () => {
    const port = await occupied();
    const { operator, log } = buildTestOperator({ config: { heartbeatPort: port } });
    await expect(operator.start()).rejects.toBeInstanceOf(OperatorError);

    await operator.stop(AbortSignal.timeout(5_000));

    expect(log.map(({ msg }) => msg)).not.toContain('listening');
  });
});

/** A port of the loopback that is taken until the test ends. */
async function occupied(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

test('an address that is not of this machine is an OperatorError that names it', async () => {
  const { operator } = buildTestOperator({ config: { heartbeatAddress: '192.0.2.1' } });

  await expect(operator.start()).rejects.toThrow(/cannot listen on 192\.0\.2\.1 port 0: .*EADDRNOTAVAIL/);
});
