import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/clock.ts';
import type { EventObject, ObjectEvent } from '../../src/controller/ports.ts';
import type { ApiClient } from '../../src/kubernetes/api-client.ts';
import { type EventDrop, KubernetesEventRecorder } from '../../src/kubernetes/event-recorder.ts';
import { eventsPath } from '../../src/kubernetes/event-resource.ts';
import { podsPath } from '../../src/kubernetes/pod-resource.ts';
import { sharedControlPlane } from '../control-plane/shared-control-plane.ts';
import { connect, makeNamespace } from '../kubernetes/support/instances-on-server.ts';

interface StoredEvent {
  readonly metadata: { readonly name: string };
  readonly reason: string;
  readonly note: string;
  readonly eventTime: string;
  readonly reportingController: string;
  readonly reportingInstance: string;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

const server = sharedControlPlane();

let client: ApiClient;
let namespace: string;
let pod: EventObject;
let dropped: EventDrop[];
let recorder: KubernetesEventRecorder;

beforeAll(async () => {
  for (const name of ['namespace.yaml', 'service-account.yaml', 'rbac.yaml']) {
    const file = fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url));
    await server.kubectl('apply', '-f', file);
  }
});
beforeEach(async () => {
  namespace = await makeNamespace(server);
  client = await connect(await server.createServiceAccountKubeconfig('heartbeat-operator', 'heartbeat-operator'));
  dropped = [];
  recorder = makeRecorder('replica-0');
  const { body } = await server.request<{ metadata: { uid: string } }>('POST', podsPath(namespace), {
    metadata: { name: 'web-0' },
    spec: { containers: [{ name: 'main', image: 'none' }] },
  });
  pod = { kind: 'Pod', namespace, name: 'web-0', uid: body.metadata.uid };
});
afterEach(async () => {
  await recorder.stop();
  await client.close();
});

function makeRecorder(reportingInstance: string): KubernetesEventRecorder {
  const observer = { recorded: () => undefined, dropped: (why: EventDrop) => void dropped.push(why) };
  return new KubernetesEventRecorder({ client, clock: systemClock, reportingInstance, observer });
}

function withdrawn(parts: Partial<ObjectEvent> = {}): ObjectEvent {
  return {
    regarding: pod,
    type: 'Warning',
    reason: 'HeartbeatExpired',
    action: 'Withdraw',
    note: 'No heartbeat for 120 s.',
    ...parts,
  };
}

async function stored(): Promise<readonly StoredEvent[]> {
  const { body } = await server.request<{ items: readonly StoredEvent[] }>('GET', eventsPath(namespace));
  return body.items;
}

describe('events in a real API server', () => {
  it('are found by the uid of their object, and shown by kubectl get events and kubectl describe', async () => {
    recorder.record(withdrawn());
    await expect.poll(stored).toHaveLength(1);

    const selector = `regarding.uid=${pod.uid}`;
    const found = await server.request<{ items: readonly StoredEvent[] }>(
      'GET',
      `${eventsPath(namespace)}?fieldSelector=${encodeURIComponent(selector)}`,
    );
    // kubectl asks core/v1, where the same event has other field names.
    const byInvolvedObject = await server.kubectl(
      'get',
      'events',
      '-n',
      namespace,
      `--field-selector=involvedObject.uid=${pod.uid},reason=HeartbeatExpired`,
      '--no-headers',
    );
    expect(found.body.items).toMatchObject([
      {
        note: 'No heartbeat for 120 s.',
        reportingController: 'heartbeat-operator.io/heartbeat-operator',
        reportingInstance: 'replica-0',
        eventTime: expect.stringMatching(/\.\d{6}Z$/),
      },
    ]);
    expect(byInvolvedObject).toMatch(/Warning +HeartbeatExpired +pod\/web-0 +No heartbeat for 120 s\./);
    expect(await server.kubectl('describe', 'pod', 'web-0', '-n', namespace)).toMatch(
      /Warning +HeartbeatExpired +\S+ +heartbeat-operator\.io\/heartbeat-operator +No heartbeat for 120 s\./,
    );
    expect(await server.kubectl('events', '-n', namespace, '--for=pod/web-0')).toContain('HeartbeatExpired');
  });

  it('become a series with a count when they are repeated, which kubectl shows', async () => {
    recorder.record(withdrawn());
    await expect.poll(stored).toHaveLength(1);
    recorder.record(withdrawn({ note: 'No heartbeat for 150 s.' }));
    await expect.poll(stored).toMatchObject([{ note: 'No heartbeat for 120 s.', series: { count: 2 } }]);
    expect(await server.kubectl('describe', 'pod', 'web-0', '-n', namespace)).toMatch(
      /HeartbeatExpired +\S+ \(x2 over/,
    );
    expect(dropped).toEqual([]);
  });

  it('show their last count when the operator stops', async () => {
    recorder.record(withdrawn());
    await expect.poll(stored).toHaveLength(1);
    recorder.record(withdrawn());
    await expect.poll(stored).toMatchObject([{ series: { count: 2 } }]);
    for (let i = 0; i < 3; i += 1) recorder.record(withdrawn());
    await recorder.stop();
    expect(await stored()).toMatchObject([{ series: { count: 5 } }]);
  });

  it('that are gone are written again, with their count', async () => {
    recorder.record(withdrawn());
    await expect.poll(stored).toHaveLength(1);
    await server.kubectl('delete', 'events', '--all', '-n', namespace);
    recorder.record(withdrawn());
    await expect.poll(stored).toMatchObject([{ series: { count: 2 } }]);
  });

  it('of the longest words that we allow are accepted, and those about each kind of object', async () => {
    const long = { ...pod, name: `${'a'.repeat(252)}b` };
    const instance: EventObject = { kind: 'HeartbeatInstance', namespace, name: 'i-1', uid: 'u-1' };
    const policy: EventObject = { kind: 'HeartbeatPolicy', namespace, name: 'p-1', uid: 'u-2' };
    await recorder.stop();
    recorder = makeRecorder('h'.repeat(300));
    recorder.record(withdrawn({ regarding: long, note: 'é'.repeat(2_000) }));
    recorder.record(withdrawn({ regarding: instance, related: pod, type: 'Normal' }));
    recorder.record(withdrawn({ regarding: policy, note: '' }));
    await expect.poll(stored).toHaveLength(3);
    expect(dropped).toEqual([]);
  });

  it('are dropped and counted when their namespace is gone, and the next ones are written', async () => {
    recorder.record(withdrawn({ regarding: { ...pod, namespace: 'no-such-namespace', uid: 'another' } }));
    recorder.record(withdrawn());
    await expect.poll(stored).toHaveLength(1);
    await expect.poll(() => dropped).toEqual(['failed']);
  });
});
