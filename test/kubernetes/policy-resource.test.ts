import { describe, expect, it } from 'vitest';
import type { Condition } from '../../src/health/condition.ts';
import type { PolicyStatus } from '../../src/health/observed-policy.ts';
import {
  decodePolicy,
  encodePolicyStatus,
  policiesPath,
  policyStatusPath,
} from '../../src/kubernetes/policy-resource.ts';

const metadata = {
  uid: 'uid-a',
  name: 'a',
  namespace: 'team',
  resourceVersion: '7',
  generation: 2,
  creationTimestamp: '2026-11-25T10:00:00Z',
};
const spec = { selector: {} };

const condition: Condition = {
  status: 'True',
  reason: 'PolicyAccepted',
  message: 'The policy is used as it is written.',
  lastTransitionSeconds: Date.UTC(2026, 10, 25, 10) / 1_000,
  observedGeneration: 2,
};

describe('a stored HeartbeatPolicy', () => {
  it('that says nothing but its selector has every default, also when the server did not set them', () => {
    expect(decodePolicy({ metadata, spec })).toEqual({
      uid: 'uid-a',
      namespace: 'team',
      name: 'a',
      resourceVersion: '7',
      generation: 2,
      createdSeconds: Date.UTC(2026, 10, 25, 10) / 1_000,
      priority: 0,
      selector: { matchLabels: {}, matchExpressions: [] },
      timing: undefined,
      enforcement: 'Annotate',
      initial: 'Closed',
      openAfterSeconds: 600,
      minHealthy: 1,
      storm: { percent: 50, minimum: 5, maxDurationSeconds: 600 },
      withdrawalPercentPerMinute: 15,
      status: undefined,
    });
  });

  it('that says everything is decoded as it is written', () => {
    const said = {
      priority: -3,
      enforcement: 'Gate',
      initial: 'Open',
      openAfterSeconds: 0,
      minHealthy: 0,
      storm: { percent: 100, minimum: 1, maxDurationSeconds: 30 },
      withdrawalPercentPerMinute: 100,
    };
    const matchExpressions = [
      { key: 'tier', operator: 'In', values: ['a', 'b'] },
      { key: 'canary', operator: 'DoesNotExist' },
    ];
    const selector = { matchLabels: { app: 'web' }, matchExpressions };
    const heartbeat = { intervalSeconds: 5, times: 2 };
    expect(decodePolicy({ metadata, spec: { ...said, heartbeat, selector } })).toMatchObject({
      ...said,
      timing: heartbeat,
      selector: {
        matchLabels: { app: 'web' },
        matchExpressions: [
          { key: 'tier', operator: 'In', values: ['a', 'b'] },
          { key: 'canary', operator: 'DoesNotExist', values: [] },
        ],
      },
    });
  });

  it('has the default of a part of the storm that it does not name', () => {
    expect(decodePolicy({ metadata, spec: { ...spec, storm: { percent: 80 } } }).storm).toEqual({
      percent: 80,
      minimum: 5,
      maxDurationSeconds: 600,
    });
  });

  it('only observes when it asks for an enforcement of a later version', () => {
    expect(decodePolicy({ metadata, spec: { ...spec, enforcement: 'Drain' } }).enforcement).toBe('Observe');
  });

  it('keeps an operator of a later version, so that the selector can be refused instead of selecting more', () => {
    const selector = { matchExpressions: [{ key: 'tier', operator: 'Gt', values: ['1'] }] };
    expect(decodePolicy({ metadata, spec: { selector } }).selector.matchExpressions).toEqual(selector.matchExpressions);
  });

  it('has a status with nothing counted when another writer left only a condition that is not ours', () => {
    const conditions = [
      { type: 'Other', status: 'True', reason: 'X', message: '', lastTransitionTime: '2026-11-25T10:00:00Z' },
    ];
    expect(decodePolicy({ metadata, spec, status: { conditions } }).status).toEqual({
      observedGeneration: undefined,
      pods: 0,
      counts: { live: 0, fresh: 0, stale: 0, unknown: 0, held: 0 },
      accepted: undefined,
      conflicted: undefined,
      listening: undefined,
      stormActive: undefined,
    });
  });

  it.each([
    ['nothing', undefined],
    ['a list', []],
    ['no spec', { metadata }],
    ['no metadata', { spec }],
    ['no name', { metadata: { ...metadata, name: undefined }, spec }],
    ['no resourceVersion', { metadata: { ...metadata, resourceVersion: undefined }, spec }],
    ['no selector, which would select every Pod', { metadata, spec: {} }],
  ])('cannot be decoded from %s', (_name, object) => {
    expect(() => decodePolicy(object)).toThrow(TypeError);
  });
});

describe('what is written to a HeartbeatPolicy', () => {
  const status: PolicyStatus = {
    observedGeneration: 2,
    pods: 3,
    counts: { live: 4, fresh: 2, stale: 1, unknown: 1, held: 1 },
    accepted: condition,
    conflicted: undefined,
    listening: { ...condition, reason: 'Listening' },
    stormActive: { ...condition, status: 'False', reason: 'NoStorm' },
  };

  it('is a status that is decoded to what it was', () => {
    expect(decodePolicy({ metadata, spec, status: encodePolicyStatus(status) }).status).toEqual(status);
  });

  it('is whole, with the conditions that there are and whole seconds in them', () => {
    const { lastTransitionSeconds: _seconds, ...said } = condition;
    const stored = { ...said, lastTransitionTime: '2026-11-25T10:00:00Z' };
    expect(encodePolicyStatus({ ...status, observedGeneration: undefined })).toEqual({
      observedGeneration: null,
      pods: 3,
      counts: { live: 4, fresh: 2, stale: 1, unknown: 1, held: 1 },
      conditions: [
        { ...stored, type: 'Accepted' },
        { ...stored, type: 'Listening', reason: 'Listening' },
        { ...stored, type: 'StormActive', status: 'False', reason: 'NoStorm' },
      ],
    });
  });

  it('goes to a path in which every part is escaped', () => {
    expect(policiesPath()).toBe('/apis/heartbeat-operator.io/v1alpha1/heartbeatpolicies');
    expect(policiesPath('a/b')).toBe('/apis/heartbeat-operator.io/v1alpha1/namespaces/a%2Fb/heartbeatpolicies');
    expect(policyStatusPath('team', 'a?b')).toBe(`${policiesPath('team')}/a%3Fb/status`);
  });
});
