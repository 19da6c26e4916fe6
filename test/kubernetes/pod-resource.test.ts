import { describe, expect, it } from 'vitest';
import { POD_CONDITION_TYPE } from '../../src/health/observed-pod.ts';
import { decodePod, encodePodCondition, podPath, podsPath, podStatusPath } from '../../src/kubernetes/pod-resource.ts';
import { condition, pod } from '../support/builders.ts';

interface Parts {
  readonly metadata?: object;
  readonly spec?: object;
  readonly status?: object | null;
}

/** A Pod as the API server has it that runs and was never written to by us, with these parts added. */
function stored({ metadata = {}, spec = {}, status = {} }: Parts = {}): object {
  return {
    kind: 'Pod',
    metadata: {
      uid: 'uid-of-web-1',
      name: 'web-1',
      namespace: 'team',
      resourceVersion: '7',
      generation: 2,
      creationTimestamp: '2026-11-25T10:00:00Z',
      annotations: { 'example.com/note': 'long' },
      managedFields: [{ manager: 'kubelet' }],
      ...metadata,
    },
    spec: { nodeName: 'node-1', containers: [{ name: 'app', image: 'app' }], ...spec },
    status: status && { phase: 'Running', ...status },
  };
}

function conditionOf(type: string, status = 'True'): object {
  return { type, status, lastProbeTime: null, lastTransitionTime: '2026-11-25T10:00:00Z' };
}

describe('A stored Pod', () => {
  it('is decoded to what decisions need and no more', () => {
    expect(decodePod(stored())).toEqual({
      uid: 'uid-of-web-1',
      namespace: 'team',
      name: 'web-1',
      resourceVersion: '7',
      generation: 2,
      labels: {},
      workload: 'Pod/web-1',
      createdSeconds: Date.UTC(2026, 10, 25, 10) / 1_000,
      isTerminating: false,
      isFinished: false,
      addresses: [],
      isOnHostNetwork: false,
      nodeName: 'node-1',
      hasGate: false,
      condition: undefined,
      isReady: false,
      isReadyButForGate: false,
      restarts: 0,
      lastTermination: undefined,
      waiting: undefined,
    });
  });

  it.each([
    ['nothing', undefined],
    ['a list', []],
    ['no spec', { metadata: { name: 'a' } }],
    ['no metadata', { spec: {} }],
    ['no name', stored({ metadata: { name: undefined } })],
    ['no namespace', stored({ metadata: { namespace: undefined } })],
    ['no resourceVersion', stored({ metadata: { resourceVersion: undefined } })],
    ['no uid', stored({ metadata: { uid: undefined } })],
  ])('cannot be decoded from %s', (_what, object) => {
    expect(() => decodePod(object)).toThrow(TypeError);
  });

  it('may be so new that it has no status and no node', () => {
    const decoded = decodePod(stored({ spec: { nodeName: undefined }, status: null }));
    expect(decoded).toMatchObject({ nodeName: '', addresses: [], isReady: false, isFinished: false });
  });

  it('may have null where a Go server has nothing', () => {
    const decoded = decodePod(
      stored({
        metadata: { labels: null, ownerReferences: null, deletionTimestamp: null, creationTimestamp: null },
        spec: { readinessGates: null, initContainers: null },
        status: { podIPs: null, conditions: null, containerStatuses: null, initContainerStatuses: null },
      }),
    );
    expect(decoded).toMatchObject({ labels: {}, workload: 'Pod/web-1', isTerminating: false, createdSeconds: 0 });
  });

  it('is terminating from the moment at which its deletion began', () => {
    expect(decodePod(stored({ metadata: { deletionTimestamp: '2026-11-25T11:00:00Z' } })).isTerminating).toBe(true);
  });

  it.each([
    ['Pending', false],
    ['Running', false],
    ['Unknown', false],
    ['Succeeded', true],
    ['Failed', true],
  ])('in phase %s is finished: %s', (phase, isFinished) => {
    expect(decodePod(stored({ status: { phase } })).isFinished).toBe(isFinished);
  });

  it('keeps its labels', () => {
    const labels = { app: 'web', 'pod-template-hash': '5d9c7' };
    expect(decodePod(stored({ metadata: { labels } })).labels).toEqual(labels);
  });
});

function controller(kind: string, name: string, isController = true): object {
  return { kind, name, controller: isController };
}

describe('The workload of a Pod', () => {
  it.each([
    ['of its ReplicaSet without the hash', [controller('ReplicaSet', 'web-5d9c7')], '5d9c7', 'Deployment/web'],
    ['with dashes of its own', [controller('ReplicaSet', 'web-a-5d9c7')], '5d9c7', 'Deployment/web-a'],
    ['of a ReplicaSet that stands alone', [controller('ReplicaSet', 'web-5d9c7')], undefined, 'ReplicaSet/web-5d9c7'],
    ['of a ReplicaSet with another hash', [controller('ReplicaSet', 'web-5d9c7')], 'c7', 'ReplicaSet/web-5d9c7'],
    ['of a ReplicaSet whose hash is empty', [controller('ReplicaSet', 'web-')], '', 'ReplicaSet/web-'],
    ['of a ReplicaSet that has no other name', [controller('ReplicaSet', '-5d9c7')], '5d9c7', 'ReplicaSet/-5d9c7'],
    ['of a StatefulSet', [controller('StatefulSet', 'db-5d9c7')], '5d9c7', 'StatefulSet/db-5d9c7'],
    ['of a Job', [controller('Job', 'import')], undefined, 'Job/import'],
    ['of the owner that controls it', [controller('Thing', 'a', false), controller('Job', 'b')], undefined, 'Job/b'],
    ['its own, if no owner controls it', [], undefined, 'Pod/web-1'],
    ['its own, if its owner does not control it', [controller('Thing', 'a', false)], undefined, 'Pod/web-1'],
  ])('is %s', (_what, ownerReferences, hash, workload) => {
    const labels = hash === undefined ? {} : { 'pod-template-hash': hash };
    expect(decodePod(stored({ metadata: { ownerReferences, labels } })).workload).toBe(workload);
  });
});

describe('The addresses of a Pod', () => {
  it.each([
    ['both families', { podIPs: [{ ip: '10.1.0.7' }, { ip: 'fd00::7' }] }, ['10.1.0.7', 'fd00::7']],
    ['the older field alone', { podIP: '10.1.0.7' }, ['10.1.0.7']],
    ['the list rather than the older field', { podIP: '10.9.9.9', podIPs: [{ ip: '10.1.0.7' }] }, ['10.1.0.7']],
    ['no address yet', { podIP: '' }, []],
    ['an address in capitals', { podIPs: [{ ip: 'FD00::A' }] }, ['fd00::a']],
    ['an address with all its zeros', { podIPs: [{ ip: 'fd00:0:0:0:0:0:0:7' }] }, ['fd00::7']],
    ['IPv4 that is mapped into IPv6', { podIPs: [{ ip: '::ffff:10.1.0.7' }] }, ['10.1.0.7']],
    ['what is no address', { podIPs: [{ ip: 'web-1' }, {}, { ip: '10.1.0.7' }] }, ['10.1.0.7']],
  ])('are those of the connections that it opens: %s', (_what, status, addresses) => {
    expect(decodePod(stored({ status })).addresses).toEqual(addresses);
  });

  it('may be those of its node', () => {
    expect(decodePod(stored({ spec: { hostNetwork: true } })).isOnHostNetwork).toBe(true);
  });
});

describe('The gate of a Pod', () => {
  const OUR_GATE = { conditionType: POD_CONDITION_TYPE };
  const OTHER_GATE = { conditionType: 'example.com/Registered' };
  const READY = conditionOf('ContainersReady');

  it.each([
    ['no gate', undefined, false],
    ['our gate', [OUR_GATE], true],
    ['our gate among others', [OTHER_GATE, OUR_GATE], true],
    ['the gates of others', [OTHER_GATE], false],
  ])('is ours: %s', (_what, readinessGates, hasGate) => {
    expect(decodePod(stored({ spec: { readinessGates } })).hasGate).toBe(hasGate);
  });

  it.each([
    ['its containers are ready', [OUR_GATE], [READY], true],
    ['its containers are ready and it has no gate', undefined, [READY], true],
    ['our condition is False', [OUR_GATE], [READY, conditionOf(POD_CONDITION_TYPE, 'False')], true],
    ['all other gates are open', [OUR_GATE, OTHER_GATE], [READY, conditionOf(OTHER_GATE.conditionType)], true],
    ['another gate has no condition', [OUR_GATE, OTHER_GATE], [READY], false],
    ['another gate is closed', [OTHER_GATE], [READY, conditionOf(OTHER_GATE.conditionType, 'False')], false],
    ['its containers are not ready', [OUR_GATE], [conditionOf('ContainersReady', 'False')], false],
    ['nothing is known of its containers', [OUR_GATE], [], false],
    ['only the Pod is said to be ready', [OUR_GATE], [conditionOf('Ready')], false],
  ])('is all that it waits for, or not: %s', (_what, readinessGates, conditions, isReadyButForGate) => {
    const decoded = decodePod(stored({ spec: { readinessGates }, status: { conditions } }));
    expect(decoded.isReadyButForGate).toBe(isReadyButForGate);
  });

  it.each([
    ['True', true],
    ['False', false],
    ['Unknown', false],
  ])('may be open: Ready is %s', (status, isReady) => {
    expect(decodePod(stored({ status: { conditions: [conditionOf('Ready', status)] } })).isReady).toBe(isReady);
  });
});

describe('Our condition on a Pod', () => {
  it('is found among those of others', () => {
    const ours = {
      ...conditionOf(POD_CONDITION_TYPE, 'False'),
      reason: 'HeartbeatExpired',
      message: 'No heartbeat.',
      observedGeneration: 2,
    };
    expect(decodePod(stored({ status: { conditions: [conditionOf('Ready'), ours] } })).condition).toEqual({
      status: 'False',
      reason: 'HeartbeatExpired',
      message: 'No heartbeat.',
      lastTransitionSeconds: Date.UTC(2026, 10, 25, 10) / 1_000,
      observedGeneration: 2,
    });
  });

  it('may say no more than its status, if somebody else wrote it', () => {
    const bare = { type: POD_CONDITION_TYPE, status: 'True', lastTransitionTime: null };
    expect(decodePod(stored({ status: { conditions: [bare] } })).condition).toEqual({
      status: 'True',
      reason: '',
      message: '',
      lastTransitionSeconds: 0,
      observedGeneration: 0,
    });
  });

  it('is written for this one Pod, and is all that is written', () => {
    const target = pod('web-1', { namespace: 'team', uid: 'u1', labels: { app: 'web' } });
    const lastTransitionSeconds = Date.UTC(2026, 10, 25, 10) / 1_000;
    const shown = condition({
      status: 'False',
      reason: 'HeartbeatExpired',
      message: 'No heartbeat.',
      lastTransitionSeconds,
    });
    const written = {
      type: 'heartbeat-operator.io/Healthy',
      status: 'False',
      reason: 'HeartbeatExpired',
      message: 'No heartbeat.',
      lastTransitionTime: '2026-11-25T10:00:00Z',
    };
    const metadata = { namespace: 'team', name: 'web-1', uid: 'u1' };
    expect(encodePodCondition(target, shown, false)).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata,
      status: { conditions: [written] },
    });
    expect(encodePodCondition(target, { ...shown, observedGeneration: 3 }, true)).toMatchObject({
      status: { conditions: [{ ...written, observedGeneration: 3 }] },
    });
  });

  it('goes to a path in which every part is escaped', () => {
    expect(podsPath()).toBe('/api/v1/pods');
    expect(podsPath('a/b')).toBe('/api/v1/namespaces/a%2Fb/pods');
    expect(podPath('team', 'a?b')).toBe('/api/v1/namespaces/team/pods/a%3Fb');
    expect(podStatusPath('team', 'a')).toBe('/api/v1/namespaces/team/pods/a/status');
  });
});

function ended(finishedAt: string | null, reason = 'Error', exitCode = 1): object {
  return { terminated: { reason, exitCode, finishedAt } };
}

function waits(reason: string): object {
  return { waiting: { reason } };
}

function at(minute: number): string {
  return `2026-11-25T10:0${minute}:00Z`;
}

function secondsAt(minute: number): number {
  return Date.parse(at(minute)) / 1_000;
}

describe('What the containers of a Pod tell', () => {
  it('is how often they were restarted, all together', () => {
    const containerStatuses = [{ name: 'app', restartCount: 2 }, { name: 'proxy', restartCount: 3 }, { name: 'new' }];
    expect(decodePod(stored({ status: { containerStatuses } })).restarts).toBe(5);
  });

  it('is how one of them last ended, whether it has started again or not', () => {
    const containerStatuses = [
      { name: 'app', lastState: ended(at(2), 'OOMKilled', 137), state: { running: {} } },
      { name: 'proxy', lastState: ended(at(1)), state: ended(at(3), 'Completed', 0) },
      { name: 'other', lastState: ended(at(2)) },
    ];
    expect(decodePod(stored({ status: { containerStatuses } })).lastTermination).toEqual({
      container: 'proxy',
      reason: 'Completed',
      exitCode: 0,
      finishedSeconds: secondsAt(3),
    });
  });

  it('is an end without a time or a reason, if the runtime knew none', () => {
    const containerStatuses = [{ name: 'app', lastState: { terminated: { finishedAt: null } } }];
    expect(decodePod(stored({ status: { containerStatuses } })).lastTermination).toEqual({
      container: 'app',
      reason: '',
      exitCode: 0,
      finishedSeconds: 0,
    });
  });

  it('is that of sidecars too, and not of the containers that prepare the Pod', () => {
    const decoded = decodePod(
      stored({
        spec: { initContainers: [{ name: 'prepare' }, { name: 'mesh', restartPolicy: 'Always' }] },
        status: {
          containerStatuses: [{ name: 'app', restartCount: 1 }],
          initContainerStatuses: [
            { name: 'prepare', restartCount: 4, state: ended(at(5), 'Completed', 0) },
            { name: 'mesh', restartCount: 2, lastState: ended(at(1)), state: waits('CrashLoopBackOff') },
          ],
        },
      }),
    );
    expect(decoded).toMatchObject({
      restarts: 3,
      lastTermination: { container: 'mesh', finishedSeconds: secondsAt(1) },
      waiting: { container: 'mesh', reason: 'CrashLoopBackOff' },
    });
  });

  it.each([
    ['CrashLoopBackOff', { container: 'app', reason: 'CrashLoopBackOff' }],
    ['ImagePullBackOff', { container: 'app', reason: 'ImagePullBackOff' }],
    ['ContainerCreating', undefined],
    ['PodInitializing', undefined],
    ['', undefined],
  ])('is that one waits for another reason than its first start: %s', (reason, waiting) => {
    const containerStatuses = [{ name: 'app', state: waits(reason) }];
    expect(decodePod(stored({ status: { containerStatuses } })).waiting).toEqual(waiting);
  });

  it('is the first of several that wait', () => {
    const containerStatuses = [
      { name: 'new', state: waits('ContainerCreating') },
      { name: 'app', state: waits('CrashLoopBackOff') },
      { name: 'proxy', state: waits('ErrImagePull') },
    ];
    expect(decodePod(stored({ status: { containerStatuses } })).waiting?.container).toBe('app');
  });
});
