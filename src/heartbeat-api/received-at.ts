import type { FastifyInstance } from 'fastify';

declare module 'fastify' {
  interface FastifyRequest {
    /** The monotonic moment at which the head of the request was read, in milliseconds. */
    receivedAtMs: number;
  }
}

/**
 * Stamps every request when its head has been read, before its body, any queue or any work of ours:
 * that is the moment at which the sender was heard.
 */
export function stampRequests(app: FastifyInstance, nowMs: () => number): void {
  app.decorateRequest('receivedAtMs', 0);
  app.addHook('onRequest', (request, _reply, done) => {
    request.receivedAtMs = nowMs();
    // The content type of a heartbeat means nothing: clients send JSON's without a body, or one that no parser knows,
    // and fastify would refuse both before the route is reached.
    delete request.raw.headers['content-type'];
    done();
  });
}
