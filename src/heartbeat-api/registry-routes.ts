import { hostname } from 'node:os';
import type { FastifyInstance } from 'fastify';
import { JSON_TYPE } from './v4-refusal.ts';

export const HEALTH_PATH = '/v4/:projectId/registry/health' as const;
export const READINESS_PATH = '/v4/:projectId/registry/health/readiness' as const;
export const VERSION_PATH = '/v4/:projectId/registry/version' as const;

/**
 * What SDKs ask before they send heartbeats. All three answer from memory, whatever the API server does:
 * an SDK that hears anything but 2xx takes this address out of use, and then no heartbeat comes.
 */
export function registerRegistryRoutes(app: FastifyInstance, version: string): void {
  const host = hostname();
  const self = {
    instanceId: host,
    serviceId: 'heartbeat-operator',
    hostName: host,
    endpoints: [],
    status: 'UP',
    version,
  };
  const health = JSON.stringify({ instances: [self] });
  const versions = JSON.stringify({ version, buildTag: version, apiVersion: '4.0.0' });

  app.get(HEALTH_PATH, (_request, reply) => reply.header('content-type', JSON_TYPE).send(health));
  app.get(VERSION_PATH, (_request, reply) => reply.header('content-type', JSON_TYPE).send(versions));
  // The Go client never closes a body of this answer, so it gets none, and says so.
  app.get(READINESS_PATH, (_request, reply) => reply.header('content-length', 0).send());
}
