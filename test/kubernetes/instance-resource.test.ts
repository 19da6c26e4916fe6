import { describe, expect, it } from 'vitest';
import {
  decodeInstance,
  encodeDraft,
  encodeStatus,
  instancePath,
  instancesPath,
  instanceStatusPath,
} from '../../src/kubernetes/instance-resource.ts';
import { StringTable } from '../../src/kubernetes/string-table.ts';
import { instanceKey } from '../../src/liveness/instance-key.ts';

const identity = { domain: 'd', projectId: 'p', serviceId: 's', instanceId: 'i' };
const metadata = {
  name: 'a',
  namespace: 'team',
  resourceVersion: '7',
  generation: 2,
  creationTimestamp: '2026-11-25T10:00:00Z',
  managedFields: [{ manager: 'kubectl' }],
};

describe('a stored HeartbeatInstance', () => {
  it('is decoded to what decisions need and no more', () => {
    expect(decodeInstance({ metadata, spec: identity })).toEqual({
      key: instanceKey('d', 'p', 's', 'i'),
      namespace: 'team',
      name: 'a',
      resourceVersion: '7',
      generation: 2,
      createdSeconds: Date.UTC(2026, 10, 25, 10) / 1_000,
      managed: false,
      heartbeat: undefined,
      outOfService: false,
      paused: false,
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
    ['nothing', undefined],
    ['a list', []],
    ['no spec', { metadata }],
    ['no metadata', { spec: identity }],
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
  it('is a draft with our label and without a status', () => {
    expect(encodeDraft('a', 'team', identity)).toEqual({
      apiVersion: 'heartbeat-operator.io/v1alpha1',
      kind: 'HeartbeatInstance',
      metadata: { name: 'a', namespace: 'team', labels: { 'app.kubernetes.io/managed-by': 'heartbeat-operator' } },
      spec: identity,
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
      healthySummary: undefined,
      lastHeartbeatWallMs: Date.UTC(2026, 10, 25, 10, 0, 1, 5),
      expiredWallMs: undefined,
      effective: undefined,
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
