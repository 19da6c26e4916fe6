import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerParent } from './child-process.ts';

/** The least that Node can do: answers everything alike. */
const server = createServer((_request, response) => {
  response.setHeader('content-type', 'text/plain; charset=UTF-8');
  response.setHeader('content-length', 7);
  response.end('Success');
});
// It waits its turn for longer than the five seconds after which Node ends an idle connection.
server.keepAliveTimeout = 120_000;

answerParent({
  async start() {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
  settle: () => undefined,
  cpuUsage: () => process.cpuUsage(),
});
