import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { ApiRequest } from '../../src/kubernetes/api-client.ts';
import type { ApiFailure } from '../../src/kubernetes/api-error.ts';
import { podStatusPath, podsPath } from '../../src/kubernetes/pod-resource.ts';
import { Reflector } from '../../src/kubernetes/reflector.ts';
import { release, type ReleaseOptions, type ReleaseOutcome } from '../../src/operator/release.ts';
import {
  decodeMarker,
  MARKER_NAME,
  MARKER_QUERY,
  markersPath,
  type ReleaseMarker,
} from '../../src/operator/release-marker.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import { FaultyClient } from '../kubernetes/support/faulty-client.ts';
import { connect, makeNamespace } from '../kubernetes/support/instances-on-server.ts';
import { RecordingObserver } from '../kubernetes/support/recording-observer.ts';
import { eventually } from '../support/instances-in-cluster.ts';

const GATE = 'heartbeat-operator.io/Healthy';
const OPERATOR_NAMESPACE = 'heartbeat-operator';
const INJECTION = '/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies/heartbeat-operator-gate';
const BINDING = '/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings/heartbeat-operator-gate';
const AT = '2026-11-25T10:00:00Z';

const RELEASED = {
  type: GATE,
  status: 'True',
  reason: 'Released',
  message: 'The operator was uninstalled; heartbeats decide no longer.',
};

const UNREACHABLE: ApiFailure = { kind: 'unreachable', message: 'connection lost' };

interface PodObject {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec: { readonly readinessGates?: readonly { readonly conditionType: string }[] };
  readonly status: { readonly conditions?: readonly object[] };
}

interface PodParts {
  readonly gates?: readonly string[];
  readonly nodeName?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly phase?: string;
  readonly conditions?: readonly object[];
}

const server = sharedControlPlane();

let client: FaultyClient;
let namespace: string;
let lines: string[];
let stop: AbortController;

beforeAll(async () => {
  for (const name of ['namespace.yaml', 'service-account.yaml', 'rbac.yaml', 'admission/pods-of-our-accounts.yaml']) {
    await server.kubectl('apply', '-f', deployed(name));
  }
  // Other test files leave Pods behind.
  const admin = await connect(server.connection.kubeconfig);
  const signal = AbortSignal.timeout(60_000);
  await release({ client: admin, clock: systemClock, log: () => undefined, namespace: 'default', signal });
  await server.request('DELETE', `${markersPath('default')}/${MARKER_NAME}`);
  await admin.close();
});
beforeEach(async () => {
  namespace = await makeNamespace(server);
  client = await FaultyClient.connect(
    await server.createServiceAccountKubeconfig(OPERATOR_NAMESPACE, 'heartbeat-operator-release'),
  );
  lines = [];
  stop = new AbortController();
  await server.request('DELETE', `${markersPath(OPERATOR_NAMESPACE)}/${MARKER_NAME}`);
});
afterEach(async () => {
  await client.close();
  await server.kubectl('delete', 'pods', '--all', '-n', namespace, '--grace-period=0', '--force', '--wait=false');
});

function deployed(name: string): string {
  return fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));
}

function run(options: Partial<ReleaseOptions> = {}): Promise<ReleaseOutcome> {
  return release({
    client,
    clock: systemClock,
    log: (line) => lines.push(line),
    namespace: OPERATOR_NAMESPACE,
    signal: stop.signal,
    pauseMs: 50,
    ...options,
  });
}

/** A Pod with our gate that its kubelet has not seen yet, unless `parts` say otherwise. */
async function makePod(name: string, parts: PodParts = {}, inNamespace = namespace): Promise<void> {
  const { gates = [GATE], nodeName, labels, phase, conditions } = parts;
  const created = await server.request('POST', podsPath(inNamespace), {
    metadata: { name, labels },
    spec: {
      containers: [{ name: 'main', image: 'none' }],
      readinessGates: gates.map((conditionType) => ({ conditionType })),
      nodeName,
    },
  });
  expect(created.status).toBe(201);
  if (phase !== undefined || conditions !== undefined) await setStatus(name, { phase, conditions }, inNamespace);
}

async function setStatus(name: string, status: object, inNamespace = namespace): Promise<void> {
  const reply = await server.request('PATCH', podStatusPath(inNamespace, name), { status });
  expect(reply.status).toBe(200);
}

async function readPod(name: string, inNamespace = namespace): Promise<PodObject> {
  return (await server.request<PodObject>('GET', `${podsPath(inNamespace)}/${name}`)).body;
}

async function conditionsOf(name: string, inNamespace?: string): Promise<readonly object[]> {
  return (await readPod(name, inNamespace)).status.conditions ?? [];
}

function healthy(status: string, reason: string): object {
  return { type: GATE, status, reason, message: '', lastTransitionTime: AT };
}

/** Fails the calls of this kind so often, and lets the others through. */
function failing(count: number, failure: ApiFailure, isMeant: (request: ApiRequest) => boolean): void {
  let left = count;
  client.fault = (request) => {
    if (left === 0 || !isMeant(request)) return undefined;
    left -= 1;
    return failure;
  };
}

const isStatusWrite = ({ method, path }: ApiRequest) => method === 'PATCH' && path.endsWith('/status');
const isPodList = ({ method, path }: ApiRequest) => method === 'GET' && path === podsPath();
const isDelete = ({ method }: ApiRequest) => method === 'DELETE';
const isCreate = ({ method }: ApiRequest) => method === 'POST';

describe('I17: a release', () => {
  it('opens every gated Pod, in every namespace, however it was closed, with the rights of its own account', async () => {
    const other = await makeNamespace(server);
    await makePod('closed-by-us', { conditions: [healthy('False', 'HeartbeatExpired')] });
    await makePod('never-written');
    await makePod('unknown', { conditions: [healthy('Unknown', 'AwaitingFirstHeartbeat')] });
    await makePod('open', { conditions: [healthy('True', 'HeartbeatReceived')] });
    await makePod('elsewhere', { conditions: [healthy('False', 'ReportedDown')] }, other);
    await makePod('terminating', { nodeName: 'gone', conditions: [healthy('False', 'HeartbeatExpired')] });
    await server.request('DELETE', `${podsPath(namespace)}/terminating`);

    expect(await run()).toEqual({ kind: 'released', opened: 6 });
    for (const name of ['closed-by-us', 'never-written', 'unknown', 'open', 'terminating']) {
      expect(await conditionsOf(name)).toMatchObject([RELEASED]);
    }
    expect(await conditionsOf('elsewhere', other)).toMatchObject([RELEASED]);
    expect(lines.at(-1)).toBe('every Pod with the gate is released');
  });

  it('moves the transition time only of a Pod that was not open', async () => {
    await makePod('open', { conditions: [healthy('True', 'HeartbeatReceived')] });
    await makePod('closed', { conditions: [healthy('False', 'HeartbeatExpired')] });
    await run();
    expect(await conditionsOf('open')).toMatchObject([{ ...RELEASED, lastTransitionTime: AT }]);
    expect(await conditionsOf('closed')).not.toMatchObject([{ lastTransitionTime: AT }]);
  });

  it('leaves conditions of others as they are, and Pods that are finished, released or have other gates', async () => {
    const foreign = {
      type: 'example.com/Registered',
      status: 'False',
      reason: 'Waiting',
      lastProbeTime: null,
      lastTransitionTime: AT,
    };
    await makePod('shared', {
      gates: [GATE, foreign.type],
      conditions: [foreign, healthy('False', 'HeartbeatExpired')],
    });
    await makePod('without-gate', { gates: [], conditions: [healthy('False', 'HeartbeatExpired')] });
    await makePod('other-gate', { gates: [foreign.type], conditions: [foreign] });
    await makePod('succeeded', { phase: 'Succeeded', conditions: [healthy('False', 'HeartbeatExpired')] });
    await makePod('failed', { phase: 'Failed' });
    await makePod('released', { conditions: [healthy('True', 'Released')] });
    const untouched = ['without-gate', 'other-gate', 'succeeded', 'failed', 'released'];
    const versions = () => Promise.all(untouched.map(async (name) => (await readPod(name)).metadata.resourceVersion));
    const before = await versions();

    expect(await run()).toEqual({ kind: 'released', opened: 1 });
    expect(await conditionsOf('shared')).toHaveLength(2);
    expect(await conditionsOf('shared')).toEqual(expect.arrayContaining([foreign, expect.objectContaining(RELEASED)]));
    expect(await versions()).toEqual(before);
  });

  it('deletes the injection, so that a Pod that is created afterwards has no gate', async () => {
    const labels = { 'heartbeat-operator.io/gate': 'enabled' };
    await server.kubectl('apply', '-f', deployed('gates/readiness-gate.yaml'));
    let tries = 0;
    const gatesOfNewPod = async (): Promise<PodObject['spec']['readinessGates']> => {
      tries += 1;
      await makePod(`new-${tries}`, { gates: [], labels });
      return (await readPod(`new-${tries}`)).spec.readinessGates;
    };
    await eventually(async () => expect(await gatesOfNewPod()).toEqual([{ conditionType: GATE }]), 30_000);
    const injected = `new-${tries}`;

    // The pause of the program itself, in which an API server takes notice that its policy is gone.
    expect(await run({ pauseMs: 2_000 })).toMatchObject({ kind: 'released' });
    expect(await conditionsOf(injected)).toMatchObject([RELEASED]);
    expect((await server.request('GET', INJECTION)).status).toBe(404);
    expect((await server.request('GET', BINDING)).status).toBe(404);
    expect(await gatesOfNewPod()).toBeUndefined();
    expect(lines).toContain('deleted mutatingadmissionpolicybindings/heartbeat-operator-gate');
  });

  it('opens Pods that appear, and Pods that somebody closes again, while it runs', async () => {
    await makePod('first');
    let events: Promise<void> | undefined;
    const log = (line: string): void => {
      lines.push(line);
      if (!line.startsWith('opened')) return;
      events ??= makePod('late').then(() => setStatus('first', { conditions: [healthy('False', 'HeartbeatExpired')] }));
    };
    expect(await run({ log, pauseMs: 500 })).toEqual({ kind: 'released', opened: 3 });
    await events;
    expect(await conditionsOf('first')).toMatchObject([RELEASED]);
    expect(await conditionsOf('late')).toMatchObject([RELEASED]);
  });

  it('opens the Pods on every page', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `web-${i}`);
    await Promise.all(names.map((name) => makePod(name)));
    client.pageSize = 5;
    expect(await run()).toEqual({ kind: 'released', opened: 12 });
    for (const name of names) expect(await conditionsOf(name)).toMatchObject([RELEASED]);
  });

  it('does no harm when it is run again', async () => {
    await makePod('closed', { conditions: [healthy('False', 'HeartbeatExpired')] });
    await run();
    const before = await readPod('closed');
    lines = [];
    expect(await run()).toEqual({ kind: 'released', opened: 0 });
    expect(await readPod('closed')).toEqual(before);
    expect(lines).toEqual([
      'mutatingadmissionpolicybindings/heartbeat-operator-gate is not there',
      'mutatingadmissionpolicies/heartbeat-operator-gate is not there',
      'configmaps/heartbeat-operator-release in namespace heartbeat-operator is there already',
      'every Pod with the gate is released',
    ]);
  });

  it.each([
    ['never was', () => Promise.resolve('no-such-namespace')],
    [
      'is being deleted',
      async () => {
        const ending = await makeNamespace(server);
        await server.request('DELETE', `/api/v1/namespaces/${ending}`);
        return ending;
      },
    ],
  ])('goes on without the marker when the namespace of the operator %s', async (_how, name) => {
    await makePod('closed', { conditions: [healthy('False', 'HeartbeatExpired')] });
    const admin = await connect(server.connection.kubeconfig);
    const gone = await name();
    expect(await run({ client: admin, namespace: gone })).toEqual({ kind: 'released', opened: 1 });
    expect(lines).toContain(`the namespace ${gone} is gone, and needs no marker`);
    await admin.close();
  });
});

describe('I17: a release in trouble', () => {
  it.each([
    ['a deletion', isDelete],
    ['the marker', isCreate],
    ['a list', isPodList],
    ['a write', isStatusWrite],
  ])('tries again when %s does not get through at first', async (_what, isMeant) => {
    await makePod('closed', { conditions: [healthy('False', 'HeartbeatExpired')] });
    failing(2, UNREACHABLE, isMeant);
    expect(await run()).toEqual({ kind: 'released', opened: 1 });
    expect(await conditionsOf('closed')).toMatchObject([RELEASED]);
    expect(lines.filter((line) => line.includes('connection lost')).length).toBeGreaterThan(0);
  });

  it.each([
    ['a deletion', isDelete],
    ['a list', isPodList],
    ['a write', isStatusWrite],
  ])('waits as long as the server asks when it throttles %s', async (_what, isMeant) => {
    await makePod('closed');
    failing(1, { kind: 'throttled', retryAfterMs: 400, message: 'slow down' }, isMeant);
    const startedAtMs = performance.now();
    expect(await run()).toEqual({ kind: 'released', opened: 1 });
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(400);
  });

  it('opens all others when one Pod cannot be opened, and names that one when its time is over', async () => {
    await makePod('stubborn');
    await makePod('web-0');
    await makePod('web-1');
    failing(Infinity, { kind: 'invalid', message: 'no such field' }, ({ path }) =>
      path.includes('/pods/stubborn/status'),
    );
    expect(await run({ withinMs: 1_000 })).toEqual({
      kind: 'late',
      message:
        'the release did not come to its end within 1 s; ' +
        `Pods that may still be closed: ${namespace}/stubborn; the last trouble was: no such field. Run it again.`,
    });
    expect(await conditionsOf('web-0')).toMatchObject([RELEASED]);
    expect(await conditionsOf('web-1')).toMatchObject([RELEASED]);
  });

  it('names ten Pods at most', async () => {
    await Promise.all(Array.from({ length: 12 }, (_, i) => makePod(`web-${i}`)));
    failing(Infinity, UNREACHABLE, isStatusWrite);
    const outcome = await run({ withinMs: 1_000 });
    expect(outcome).toMatchObject({ kind: 'late', message: expect.stringContaining(' and 2 more;') });
    expect('message' in outcome && outcome.message.match(/web-\d+/g)).toHaveLength(10);
  });

  it('names the Pod that somebody closes again and again', async () => {
    await makePod('fought-for');
    let writes: Promise<void> = Promise.resolve();
    const log = (line: string): void => {
      if (!line.startsWith('opened')) return;
      writes = writes.then(() => setStatus('fought-for', { conditions: [healthy('False', 'HeartbeatExpired')] }));
    };
    const outcome = await run({ log, withinMs: 1_000, pauseMs: 100 });
    await writes;
    expect(outcome).toMatchObject({ kind: 'late', message: expect.stringContaining(`${namespace}/fought-for`) });
  });

  it('says what the trouble is when nobody ever answers', async () => {
    const lost = await connect(await server.kubeconfigFor({ token: 'any', port: 1 }));
    expect(await run({ client: lost, withinMs: 300 })).toEqual({
      kind: 'late',
      message: expect.stringMatching(
        /^the release did not come to its end within 0\.3 s; the last trouble was: deleting .*ECONNREFUSED/,
      ),
    });
    await lost.close();
  });

  it('ends when nobody wants it any more', async () => {
    await makePod('stubborn');
    failing(Infinity, UNREACHABLE, isStatusWrite);
    const outcome = await run({
      log(line) {
        if (line.startsWith('opened')) stop.abort();
      },
    });
    expect(outcome).toEqual({ kind: 'aborted' });
  });

  it('fails at once when its account has no rights, and says what to grant', async () => {
    const nobody = await connect(await server.createServiceAccountKubeconfig(namespace, 'nobody'));
    expect(await run({ client: nobody })).toEqual({
      kind: 'refused',
      message: expect.stringMatching(
        /^deleting mutatingadmissionpolicybindings\/heartbeat-operator-gate: 403 Forbidden: .* cannot delete resource .*: grant the account the right to delete mutatingadmissionpolicybindings, as the roles heartbeat-operator-release in deploy\/rbac\.yaml do$/,
      ),
    });
    await nobody.close();
  });

  it.each([
    ['delete mutatingadmissionpolicybindings', isDelete],
    ['create configmaps in namespace heartbeat-operator', isCreate],
    ['list pods in all namespaces', isPodList],
    ['patch pods/status', isStatusWrite],
  ])('fails at once when it may not %s', async (right, isMeant) => {
    await makePod('closed');
    failing(Infinity, { kind: 'forbidden', message: 'no' }, isMeant);
    expect(await run()).toEqual({
      kind: 'refused',
      message: `no: grant the account the right to ${right}, as the roles heartbeat-operator-release in deploy/rbac.yaml do`,
    });
  });

  it('fails at once when the server does not know its account', async () => {
    const stranger = await connect(await server.kubeconfigFor({ token: 'unknown' }));
    expect(await run({ client: stranger })).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/401.*: renew the kubeconfig or the service account$/),
    });
    await stranger.close();
  });
});

describe('I17: the marker of a release', () => {
  it('reaches a replica that watches for it, which sees no other ConfigMap, and leaves it when it is deleted', async () => {
    const replica = await connect(
      await server.createServiceAccountKubeconfig(OPERATOR_NAMESPACE, 'heartbeat-operator'),
    );
    await server.request('POST', markersPath(OPERATOR_NAMESPACE), { metadata: { name: 'another' } });
    const markers = new Map<string, ReleaseMarker>();
    const reflector = new Reflector({
      client: replica,
      path: markersPath(OPERATOR_NAMESPACE),
      query: MARKER_QUERY,
      decode: decodeMarker,
      listener: {
        replaced(items) {
          for (const item of items) markers.set(item.name, item);
          return Promise.resolve();
        },
        changed: (item) => void markers.set(item.name, item),
        removed: (item) => void markers.delete(item.name),
      },
      clock: systemClock,
      observer: new RecordingObserver(),
    });
    reflector.start();
    await reflector.whenSynced();
    expect([...markers.values()]).toEqual([]);
    await run();
    await expect
      .poll(() => [...markers.values()])
      .toMatchObject([{ name: MARKER_NAME, namespace: OPERATOR_NAMESPACE }]);
    await server.request('DELETE', `${markersPath(OPERATOR_NAMESPACE)}/${MARKER_NAME}`);
    await expect.poll(() => markers.size).toBe(0);
    await reflector.stop();
    await replica.close();
  });
});
