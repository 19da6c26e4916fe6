import { describe, expect, it } from 'vitest';
import type { InstanceDraft } from '../../src/controller/ports.ts';
import {
  decodeInstance,
  encodeDraft,
  encodeOwners,
  encodeReport,
  encodeStatus,
  instancePath,
  instancesPath,
  instanceStatusPath,
} from '../../src/kubernetes/instance-resource.ts';
import { StringTable } from '../../src/kubernetes/string-table.ts';
import { instanceKey } from '../../src/liveness/instance-key.ts';

const identity = { domain: 'd', projectId: 'p', serviceId: 's', instanceId: 'i' };
const metadata = {
  uid: 'uid-of-a',
  name: 'a',
  namespace: 'team',
  resourceVersion: '7',
  generation: 2,
  creationTimestamp: '2026-11-25T10:00:00Z',
  managedFields: [{ manager: 'kubectl' }],
};

function owner(kind: string): object {
  return { apiVersion: 'v1', kind, name: kind.toLowerCase(), uid: `uid-of-the-${kind}` };
}

describe('a stored HeartbeatInstance', () => {
  it('is decoded to what decisions need and no more', () => {
    expect(decodeInstance({ metadata, spec: identity })).toEqual({
      key: instanceKey('d', 'p', 's', 'i'),
      uid: 'uid-of-a',
      namespace: 'team',
      name: 'a',
      resourceVersion: '7',
      generation: 2,
      createdSeconds: Date.UTC(2026, 10, 25, 10) / 1_000,
      managed: false,
      heartbeat: undefined,
      outOfService: false,
      paused: false,
      ownerUid: undefined,
      reported: undefined,
      status: undefined,
    });
  });

  it('is ours by its label', () => {
    const labels = { 'app.kubernetes.io/managed-by': 'heartbeat-operator' };
    expect(decodeInstance({ metadata: { ...metadata, labels }, spec: identity }).managed).toBe(true);
    const others = { 'app.kubernetes.io/managed-by': 'Helm' };
    expect(decodeInstance({ metadata: { ...metadata, labels: others }, spec: identity }).managed).toBe(false);
  });

  it('carries what a person decided', () => {
    const spec = { ...identity, heartbeat: { intervalSeconds: 5, times: 2 }, override: 'OutOfService', paused: true };
    expect(decodeInstance({ metadata, spec })).toMatchObject({
      heartbeat: { intervalSeconds: 5, times: 2 },
      outOfService: true,
      paused: true,
    });
  });

  it('has an empty status when another writer left conditions that are not ours', () => {
    const status = {
      conditions: [
        { type: 'Other', status: 'True', reason: 'X', message: '', lastTransitionTime: '2026-11-25T10:00:00Z' },
      ],
    };
    const decoded = decodeInstance({ metadata, spec: identity, status });
    expect(decoded.status).toMatchObject({ fresh: undefined, healthy: undefined, podSynced: undefined });
  });

  it.each([
    ['no owner', undefined, undefined],
    ['a Pod', [{ apiVersion: 'v1', kind: 'Pod', name: 'cart-1', uid: 'u1' }], 'u1'],
    ['a Pod behind another owner', [owner('Secret'), owner('Pod')], 'uid-of-the-Pod'],
    ['no Pod', [owner('ReplicaSet')], undefined],
    ['a Pod of another group', [{ ...owner('Pod'), apiVersion: 'example.com/v1' }], undefined],
    ['what is no list', owner('Pod'), undefined],
  ])('is owned by %s', (_what, ownerReferences, uid) => {
    expect(decodeInstance({ metadata: { ...metadata, ownerReferences }, spec: identity }).ownerUid).toBe(uid);
  });

  it('carries the report of the application, which is no status by itself', () => {
    const reported = { value: 'DOWN', time: '2026-11-25T10:00:00.250Z' };
    expect(decodeInstance({ metadata, spec: identity, status: { reported } })).toMatchObject({
      reported: { value: 'DOWN', wallMs: Date.UTC(2026, 10, 25, 10, 0, 0, 250), podUid: undefined },
      status: undefined,
    });
  });

  it.each([
    ['a report', { reported: { value: 'SLEEPING', time: '2026-11-25T10:00:00Z' } }],
    ['evidence for its Pod', { podRef: { namespace: 'team', name: 'cart-1', uid: 'u1', matchedBy: 'Endpoint' } }],
  ])('takes %s of a later version for none', (_what, status) => {
    const decoded = decodeInstance({ metadata, spec: identity, status: { healthy: 'True', ...status } });
    expect(decoded.reported).toBeUndefined();
    expect(decoded.status).toMatchObject({ healthySummary: 'True', podRef: undefined });
  });

  it('takes the nulls that a first patch leaves for parts that are absent', () => {
    const parts = [
      'healthy',
      'lastHeartbeatTime',
      'expiredAt',
      'effective',
      'podRef',
      'observedGeneration',
      'reported',
    ];
    const status = Object.fromEntries(parts.map((part) => [part, null]));
    const decoded = decodeInstance({ metadata, spec: identity, status: { conditions: [], ...status } });
    expect(decoded.reported).toBeUndefined();
    expect(Object.values(decoded.status ?? {})).toEqual(Array.from({ length: 10 }, () => undefined));
  });

  it.each(['Spec', 'Policy', 'Default'])('says that its timing comes from %s', (source) => {
    const effective = { intervalSeconds: 30, times: 3, ttlSeconds: 120, source };
    expect(decodeInstance({ metadata, spec: identity, status: { effective } }).status?.effective).toEqual(effective);
  });

  it.each([
    ['nothing', undefined],
    ['a list', []],
    ['no spec', { metadata }],
    ['no metadata', { spec: identity }],
    ['no uid', { metadata: { ...metadata, uid: undefined }, spec: identity }],
    ['no name', { metadata: { ...metadata, name: undefined }, spec: identity }],
    ['no part of the identity', { metadata, spec: { ...identity, instanceId: undefined } }],
  ])('cannot be decoded from %s', (_name, object) => {
    expect(() => decodeInstance(object)).toThrow(TypeError);
  });

  it('shares the texts that many objects have in common', () => {
    const table = new StringTable(2);
    const first = table.intern(['team', 'a'].join('-'));
    expect(table.intern(['team', 'a'].join('-'))).toBe(first);
  });
});

describe('what is written', () => {
  const draft: InstanceDraft = { name: 'a', namespace: 'team', identity, owner: undefined };

  it('is a draft with our label and without a status', () => {
    expect(encodeDraft(draft)).toEqual({
      apiVersion: 'heartbeat-operator.io/v1alpha1',
      kind: 'HeartbeatInstance',
      metadata: { name: 'a', namespace: 'team', labels: { 'app.kubernetes.io/managed-by': 'heartbeat-operator' } },
      spec: identity,
    });
  });

  it('is a draft that names the Pod that owns it', () => {
    expect(encodeDraft({ ...draft, owner: { name: 'cart-1', uid: 'u1' } })).toMatchObject({
      metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'cart-1', uid: 'u1' }] },
    });
  });

  it('is an owner that neither controls the object nor waits for its end', () => {
    expect(encodeOwners({ name: 'cart-1', uid: 'u1' })).toEqual([
      { apiVersion: 'v1', kind: 'Pod', name: 'cart-1', uid: 'u1' },
    ]);
  });

  it('is a report and nothing else of the status', () => {
    const wallMs = Date.UTC(2026, 10, 25, 10, 0, 0, 250);
    const time = '2026-11-25T10:00:00.250Z';
    expect(encodeReport({ value: 'OUTOFSERVICE', wallMs, podUid: 'u1' })).toEqual({
      reported: { value: 'OUTOFSERVICE', time, podUid: 'u1' },
    });
    expect(encodeReport({ value: 'UP', wallMs, podUid: undefined })).toEqual({
      reported: { value: 'UP', time, podUid: null },
    });
  });

  it('is a status in which null removes what is no longer so', () => {
    const condition = {
      status: 'True' as const,
      reason: 'HeartbeatReceived',
      message: 'Heard.',
      lastTransitionSeconds: Date.UTC(2026, 10, 25, 10) / 1_000,
      observedGeneration: 2,
    };
    const status = {
      fresh: condition,
      healthy: undefined,
      podSynced: undefined,
      identityConflict: undefined,
      healthySummary: undefined,
      lastHeartbeatWallMs: Date.UTC(2026, 10, 25, 10, 0, 1, 5),
      expiredWallMs: undefined,
      effective: undefined,
      podRef: undefined,
      observedGeneration: 2,
    };
    expect(encodeStatus(status)).toEqual({
      conditions: [
        {
          type: 'Fresh',
          status: 'True',
          reason: 'HeartbeatReceived',
          message: 'Heard.',
          lastTransitionTime: '2026-11-25T10:00:00Z',
          observedGeneration: 2,
        },
      ],
      healthy: null,
      lastHeartbeatTime: '2026-11-25T10:00:01.005Z',
      expiredAt: null,
      effective: null,
      podRef: null,
      observedGeneration: 2,
    });
  });

  it('goes to a path in which every part is escaped', () => {
    expect(instancesPath()).toBe('/apis/heartbeat-operator.io/v1alpha1/heartbeatinstances');
    expect(instancesPath('a/b')).toBe('/apis/heartbeat-operator.io/v1alpha1/namespaces/a%2Fb/heartbeatinstances');
    expect(instancePath('team', 'a?b')).toBe(`${instancesPath('team')}/a%3Fb`);
    expect(instanceStatusPath('team', 'a')).toBe(`${instancesPath('team')}/a/status`);
  });
});
