import { describe, expect, test } from 'vitest';
import { heartbeatPath, wireRequest } from '../support/http-heartbeat.ts';
import { startTestOperator } from '../support/http-operator.ts';
import { HttpSocket } from '../support/http-socket.ts';

/** An orderly stop: no sender is left without an answer, nothing that was heard is lost. */

const soon = (): AbortSignal => AbortSignal.timeout(5_000);

describe('stopping', () => {
  test('ends both listeners, and resolves', async () => {
    const { operator, heartbeatPort, managementPort } = await startTestOperator();

    await operator.stop(soon());

    for (const port of [heartbeatPort, managementPort]) {
      await expect(HttpSocket.open(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    }
  });

  test('serves on for the time that it is told to, unready, also those who connect only then', async () => {
    const { operator, heartbeatPort, get } = await startTestOperator({ config: { drainSeconds: 1 } });
    const open = await HttpSocket.open(heartbeatPort);
    await open.send(wireRequest()).reply();

    const stopped = operator.stop(soon());
    const replies = [
      await open.send(wireRequest()).reply(),
      await (await HttpSocket.open(heartbeatPort)).send(wireRequest()).reply(),
    ];
    const readiness = (await get('/readyz')).status;
    await stopped;

    expect(replies.map((reply) => [reply.status, reply.body, reply.header('connection')])).toEqual([
      [200, 'Success', 'close'],
      [200, 'Success', 'close'],
    ]);
    expect(readiness).toBe(503);
  });

  test('does not serve on longer than its deadline', async () => {
    const { operator, heartbeatPort } = await startTestOperator({ config: { drainSeconds: 60 } });

    await operator.stop(AbortSignal.timeout(50));

    await expect(HttpSocket.open(heartbeatPort)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('closes connections that are idle, so that it does not wait for the end of keep-alive', async () => {
    const { operator, heartbeatPort } = await startTestOperator();
    const idle = await HttpSocket.open(heartbeatPort);
    await idle.send(wireRequest()).reply();

    await operator.stop(soon());

    expect(await idle.closed()).toBe('');
  });

  test('closes connections on which nothing was ever sent', async () => {
    const { operator, heartbeatPort } = await startTestOperator();
    const unused = await HttpSocket.open(heartbeatPort);
    const startMs = performance.now();

    await operator.stop(AbortSignal.timeout(8_000));

    expect(await unused.closed()).toBe('');
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  test('waits for a heartbeat that is on its way, answers it 200 and asks its sender to connect anew', async () => {
    const { operator, heartbeatPort, store, get } = await startTestOperator();
    const socket = await HttpSocket.open(heartbeatPort);
    socket.send(wireRequest({ path: heartbeatPath({ instanceId: 'late' }), moreHeaders: ['Content-Length: 2'] }));
    // The server has read the head when it has answered somebody who came later.
    await (await HttpSocket.open(heartbeatPort)).send(wireRequest()).reply();

    const stopped = operator.stop(soon());
    expect(await get('/readyz')).toEqual({
      status: 503,
      text: '[+]listening ok\n[-]not-draining failed: the process is stopping\nreadyz check failed\n',
    });
    expect(await get('/livez')).toEqual({ status: 200, text: 'ok' });
    const reply = await socket.send('{}').reply();
    await stopped;

    expect([reply.status, reply.body, reply.header('connection')]).toEqual([200, 'Success', 'close']);
    expect(store.list().map(({ key }) => key.split('\n')[3])).toContain('late');
  });

  test('writes what was heard before it resolves: the queue is drained', async () => {
    const { operator, heartbeatPort, store } = await startTestOperator();
    const socket = await HttpSocket.open(heartbeatPort);
    const ids = Array.from({ length: 300 }, (_, index) => `i-${index}`);
    socket.send(ids.map((instanceId) => wireRequest({ path: heartbeatPath({ instanceId }) })).join(''));
    for (const id of ids) expect([id, (await socket.reply()).status]).toEqual([id, 200]);

    await operator.stop(soon());

    expect(store.list()).toHaveLength(300);
  });

  test('does not wait for a sender longer than its deadline', async () => {
    const { operator, heartbeatPort } = await startTestOperator();
    const slow = await HttpSocket.open(heartbeatPort);
    slow.send(wireRequest({ moreHeaders: ['Content-Length: 2'] }));
    await (await HttpSocket.open(heartbeatPort)).send(wireRequest()).reply();

    await operator.stop(AbortSignal.timeout(50));

    expect(await slow.closed()).toBe('');
  });

  test('does not wait for a store that never answers longer than its deadline', async () => {
    const { operator, beat } = await startTestOperator({
      asSeen: (store) => ({
        create: () => new Promise(() => undefined),
        writeStatus: (target, status) => store.writeStatus(target, status),
        own: (target, owner) => store.own(target, owner),
        report: (target, report) => store.report(target, report),
        remove: (target) => store.remove(target),
      }),
    });
    await beat('cart-1');

    await expect(operator.stop(AbortSignal.timeout(50))).resolves.toBeUndefined();
  });

  test('twice at once is one stop', async () => {
    const { operator } = await startTestOperator();

    await expect(Promise.all([operator.stop(soon()), operator.stop(soon())])).resolves.toBeDefined();
  });

  test('marks nobody, however long it takes: from then on some sender may no longer reach us', async () => {
    const { operator, heartbeatPort, beat, store } = await startTestOperator({
      config: { defaultIntervalSeconds: 1, defaultTimes: 0 },
    });
    await beat('cart-1');
    await expect.poll(() => store.list()[0]?.status?.healthySummary).toBe('True');
    const slow = await HttpSocket.open(heartbeatPort);
    slow.send(wireRequest({ moreHeaders: ['Content-Length: 2'] }));
    await (await HttpSocket.open(heartbeatPort)).send(wireRequest()).reply();

    // The slow sender holds the stop for longer than the time to live of the other one.
    await operator.stop(AbortSignal.timeout(1_500));

    expect(store.list().map(({ status }) => status?.healthySummary)).not.toContain('False');
  });

  test.each([1, 2, 3])('loses no request of a sender that goes on over its open connection (try %i)', async () => {
    const { operator, heartbeatPort } = await startTestOperator({ config: { drainSeconds: 1 } });
    const connections = await Promise.all(Array.from({ length: 16 }, () => HttpSocket.open(heartbeatPort)));
    const underWay = Promise.withResolvers<void>();
    let answeredCount = 0;
    const lost: unknown[] = [];

    /** Sends one heartbeat after the other until it is asked to connect anew. */
    const sendOn = async (socket: HttpSocket, instanceId: string): Promise<void> => {
      for (;;) {
        const reply = await socket.send(wireRequest({ path: heartbeatPath({ instanceId }) })).reply();
        if (reply.status !== 200) lost.push(reply.status);
        answeredCount += 1;
        if (answeredCount > 500) underWay.resolve();
        if (reply.header('connection') === 'close') return;
      }
    };
    const senders = connections.map((socket, index) =>
      sendOn(socket, `i-${index}`).catch((error: unknown) => lost.push(error)),
    );
    await underWay.promise;
    await operator.stop(soon());
    await Promise.all(senders);

    expect(lost).toEqual([]);
  });
});
