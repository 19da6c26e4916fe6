import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/clock.ts';
import { ApiClient, type ApiClientOptions } from '../../../src/kubernetes/api-client.ts';
import { loadCredentials } from '../../../src/kubernetes/credentials.ts';
import { instancePath, instancesPath } from '../../../src/kubernetes/instance-resource.ts';
import type { InstanceIdentity } from '../../../src/liveness/instance-key.ts';
import type { ApiServerAccess } from '../../control-plane/api-server-access.ts';
import type { PersonsWish } from '../../support/instance-store-contract.ts';

const crdFile = fileURLToPath(
  new URL('../../../deploy/crds/heartbeat-operator.io_heartbeatinstances.yaml', import.meta.url),
);

type Server = Pick<ApiServerAccess, 'request' | 'kubectl'>;

/** Installs our custom resource; resolves when the server serves it. */
export async function installCustomResource(server: Server): Promise<void> {
  await server.kubectl('apply', '--server-side', '-f', crdFile);
  await server.kubectl('wait', '--for=condition=Established', '--timeout=60s', '-f', crdFile);
}

export async function makeNamespace(server: Server): Promise<string> {
  const name = `test-${randomBytes(4).toString('hex')}`;
  await expectDone(server.request('POST', '/api/v1/namespaces', { metadata: { name } }));
  return name;
}

export async function connect(
  kubeconfig: string,
  options: Partial<Omit<ApiClientOptions, 'credentials'>> = {},
): Promise<ApiClient> {
  const credentials = await loadCredentials({ clock: systemClock, environment: { KUBECONFIG: kubeconfig } });
  return new ApiClient({ credentials, clock: systemClock, version: 'test', ...options });
}

export function identityFor(instanceId: string): InstanceIdentity {
  return { domain: 'default', projectId: 'project', serviceId: 'service', instanceId };
}

/** As a person with kubectl. */
export async function createInstance(
  server: Server,
  namespace: string,
  name: string,
  identity: InstanceIdentity = identityFor(name),
  wish: PersonsWish = {},
): Promise<void> {
  const object = {
    apiVersion: 'heartbeat-operator.io/v1alpha1',
    kind: 'HeartbeatInstance',
    metadata: { name, namespace },
    spec: { ...identity, ...specOf(wish) },
  };
  await expectDone(server.request('POST', instancesPath(namespace), object));
}

/** As a person with kubectl. */
export async function editInstance(server: Server, namespace: string, name: string, wish: PersonsWish): Promise<void> {
  await expectDone(server.request('PATCH', instancePath(namespace, name), { spec: specOf(wish) }));
}

/** As a person with kubectl. */
export async function deleteInstance(server: Server, namespace: string, name: string): Promise<void> {
  await expectDone(server.request('DELETE', instancePath(namespace, name)));
}

function specOf(wish: PersonsWish): object {
  return {
    ...('heartbeat' in wish && { heartbeat: wish.heartbeat ?? null }),
    ...('outOfService' in wish && { override: wish.outOfService ? 'OutOfService' : null }),
    ...('paused' in wish && { paused: wish.paused }),
  };
}

async function expectDone(reply: Promise<{ readonly status: number; readonly body: unknown }>): Promise<void> {
  const { status, body } = await reply;
  if (status >= 300) throw new Error(`the server refused: ${status} ${JSON.stringify(body)}`);
}
