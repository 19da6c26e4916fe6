import { describe, expect, test } from 'vitest';
import { errorBody, heartbeatPath, wireRequest } from '../support/http-heartbeat.ts';
import { heartbeatServer, listeningHeartbeatServer, sendHeartbeat } from '../support/http-heartbeat-server.ts';

/** Time and room that one sender may take. The time-outs are Node's own, which looks once a second: real time passes. */

const TIMEOUT = errorBody('408001', 'The request took too long', 'send the whole request at once');

describe('a sender that takes too long', () => {
  test('with its head is answered 408 and cut off', async () => {
    const server = await listeningHeartbeatServer({ headersTimeoutMs: 100, requestTimeoutMs: 60_000 });
    const socket = await server.connect();

    socket.send(`PUT ${heartbeatPath()} HTTP/1.1\r\nHost: loc`);
    const reply = await socket.reply();

    expect([reply.status, reply.body]).toEqual([408, TIMEOUT]);
    expect(reply.header('content-type')).toBe('application/json; charset=UTF-8');
    expect(reply.header('connection')).toBe('close');
    await socket.closed();
    expect(server.heard).toEqual([]);
  });

  test('with its body is answered 408 and cut off, and is no mistake of ours', async () => {
    const server = await listeningHeartbeatServer({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const socket = await server.connect();

    socket.send(wireRequest({ moreHeaders: ['Content-Length: 10'], body: 'half' }));
    const reply = await socket.reply();

    expect([reply.status, reply.body]).toEqual([408, TIMEOUT]);
    await socket.closed();
    expect(server.heard).toEqual([]);
    expect(server.mistakes).toEqual([]);
  });

  test('between two requests is not cut off: that is what keep-alive is for', async () => {
    const server = await listeningHeartbeatServer({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const idle = await server.connect();
    await idle.send(wireRequest()).reply();

    // Node has looked for slow senders, and cut this one off, when the idle one sends its next heartbeat.
    const slow = await server.connect();
    slow.send('PUT ');
    await slow.closed();

    expect((await idle.send(wireRequest()).reply()).status).toBe(200);
  });
});

describe('more connections than may be', () => {
  test('are closed at once, counted, and served again when there is room', async () => {
    const server = await listeningHeartbeatServer({ connectionsMax: 2 });
    const [first, second] = [await server.connect(), await server.connect()];
    await first.send(wireRequest()).reply();
    await second.send(wireRequest()).reply();

    const third = await server.connect();
    await third.closed();
    expect(server.dropped.count).toBe(1);

    first.end();
    await first.closed();
    expect((await (await server.connect()).send(wireRequest()).reply()).status).toBe(200);
    expect(server.dropped.count).toBe(1);
  });

  test('leave those that are open alone', async () => {
    const server = await listeningHeartbeatServer({ connectionsMax: 1 });
    const known = await server.connect();
    await known.send(wireRequest()).reply();

    for (let attempt = 1; attempt <= 20; attempt += 1) await (await server.connect()).closed();

    expect((await known.send(wireRequest()).reply()).status).toBe(200);
    expect(server.dropped.count).toBe(20);
  });
});

test('the time that a heartbeat took is told to the observer', async () => {
  let nowMs = 1_000;
  const durations: number[] = [];
  const server = heartbeatServer({
    nowMs: () => nowMs,
    observer: { answered: (_result, _status, durationMs) => durations.push(durationMs) },
    accept() {
      nowMs += 3;
      return { kind: 'accepted', change: 'renewed' };
    },
  });

  await sendHeartbeat(server);
  await sendHeartbeat(server, { instanceId: '@' });

  expect(durations).toEqual([3, 0]);
});
