import { createHash } from 'node:crypto';
import type { InstanceIdentity } from '../../src/liveness/instance-key.ts';

const INSTANCES_OF_A_SERVICE = 30;

/** The `index`th of a fleet as SDKs name theirs: hexadecimal ids, 30 instances a service. The same in every process. */
export function identityAt(index: number): InstanceIdentity {
  const service = Math.floor(index / INSTANCES_OF_A_SERVICE);
  return {
    domain: 'default',
    projectId: 'default',
    serviceId: createHash('sha1').update(`service ${service}`).digest('hex'),
    instanceId: createHash('md5').update(`instance ${index}`).digest('hex'),
  };
}

export function heartbeatPath({ projectId, serviceId, instanceId }: InstanceIdentity): string {
  return `/v4/${projectId}/registry/microservices/${serviceId}/instances/${instanceId}/heartbeat`;
}

/** A whole heartbeat as an SDK sends it. */
export function heartbeatRequest(identity: InstanceIdentity, port: number): Buffer {
  return Buffer.from(
    [
      `PUT ${heartbeatPath(identity)} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      'User-Agent: bench',
      `x-domain-name: ${identity.domain}`,
      'Content-Type: application/json',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );
}
