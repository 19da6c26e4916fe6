import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { ApiClient } from '../../src/kubernetes/api-client.ts';
import type { ConnectionFacts } from '../../src/kubernetes/connection-facts.ts';
import { Credentials, loadCredentials } from '../../src/kubernetes/credentials.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import { connect } from '../kubernetes/support/instances-on-server.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const server = sharedControlPlane();
const { adminToken, apiServerPort, kubeconfig } = server.connection;

describe('calls to a real API server', () => {
  it('use as many connections as allowed and no more, since each speaks HTTP/1.1', async () => {
    const proxy = await TcpProxy.start({ targetPort: apiServerPort });
    const throughProxy = await server.kubeconfigFor({ token: adminToken, port: proxy.port });
    const client = await connect(throughProxy, { writeConnections: 4 });
    let connectionsMax = 0;
    const read = async () => {
      const result = await client.request({ method: 'GET', path: '/api/v1/namespaces/default' });
      connectionsMax = Math.max(connectionsMax, proxy.connectionCount);
      return result.kind;
    };
    const kinds = await Promise.all(Array.from({ length: 300 }, read));
    expect(new Set(kinds)).toEqual(new Set(['ok']));
    expect(connectionsMax).toBe(4);
    await client.close();
    await expect.poll(() => proxy.connectionCount).toBe(0);
    await proxy.close();
  });

  it('go through after the connections that they would reuse were reset', async () => {
    const proxy = await TcpProxy.start({ targetPort: apiServerPort });
    const throughProxy = await server.kubeconfigFor({ token: adminToken, port: proxy.port });
    const client = await connect(throughProxy);
    const read = () => client.request({ method: 'GET', path: '/api/v1/namespaces/default' });
    await Promise.all([read(), read(), read()]);
    proxy.cutAll();
    await expect.poll(() => proxy.connectionCount).toBe(0);
    expect(await Promise.all([read(), read(), read()])).toMatchObject([{ kind: 'ok' }, { kind: 'ok' }, { kind: 'ok' }]);
    await client.close();
    await proxy.close();
  });

  it('follow a CA bundle that was replaced', async () => {
    const good = await (
      await loadCredentials({ clock: systemClock, environment: { KUBECONFIG: kubeconfig } })
    ).current();
    let facts: ConnectionFacts = { ...good, tls: {} };
    let nowMs = 0;
    const clock = { ...systemClock, nowMs: () => nowMs };
    const credentials = new Credentials({ read: () => Promise.resolve(facts) }, clock);
    const client = new ApiClient({ credentials, clock: systemClock, version: 'test' });
    const read = () => client.request({ method: 'GET', path: '/version' });
    expect(await read()).toMatchObject({ kind: 'unreachable', message: expect.stringMatching(/CERT|certificate/i) });
    facts = good;
    nowMs = 60_000;
    expect(await read()).toMatchObject({ kind: 'ok' });
    await client.close();
  });

  it('end at their time limit when nobody answers, and do not take the connection with them', async () => {
    const proxy = await TcpProxy.start({ targetPort: apiServerPort });
    const throughProxy = await server.kubeconfigFor({ token: adminToken, port: proxy.port });
    const client = await connect(throughProxy, { writeConnections: 1 });
    const read = (timeoutMs: number) => client.request({ method: 'GET', path: '/version', timeoutMs });
    expect(await read(10_000)).toMatchObject({ kind: 'ok' });
    proxy.hang();
    expect(await read(100)).toMatchObject({ kind: 'unreachable', message: 'GET /version: no answer within 0.1 s' });
    proxy.resume();
    expect(await read(10_000)).toMatchObject({ kind: 'ok' });
    await client.close();
    await proxy.close();
  });

  it('are unauthorized with a token that the server does not know', async () => {
    const client = await connect(await server.kubeconfigFor({ token: 'unknown' }));
    expect(await client.request({ method: 'GET', path: '/api/v1/pods' })).toMatchObject({ kind: 'unauthorized' });
    await client.close();
  });
});
