import { describe, expect, it } from 'vitest';
import {
  decodeCondition,
  encodeCondition,
  isConditionTrue,
  secondsOf,
  type StoredCondition,
} from '../../src/kubernetes/condition-codec.ts';
import { condition } from '../support/builders.ts';

function stored(type: string, status: string): StoredCondition {
  return { type, status, reason: 'R', message: 'm', lastTransitionTime: '2026-11-25T10:00:00Z', observedGeneration: 3 };
}

describe('A condition', () => {
  it('is read as it was written', () => {
    const written = condition({ status: 'False', observedGeneration: 4 });
    expect(decodeCondition([stored('Other', 'True'), encodeCondition('Fresh', written)], 'Fresh')).toEqual(written);
  });

  it('is written with a time of whole seconds', () => {
    const lastTransitionSeconds = Date.UTC(2026, 10, 25, 10) / 1_000;
    expect(encodeCondition('Fresh', condition({ lastTransitionSeconds }))).toMatchObject({
      type: 'Fresh',
      lastTransitionTime: '2026-11-25T10:00:00Z',
    });
  });

  it.each([
    ['another type', [stored('Other', 'True')]],
    ['nothing', []],
    ['null', null],
    ['no list', undefined],
  ])('is not there among %s', (_what, conditions) => {
    expect(decodeCondition(conditions, 'Fresh')).toBeUndefined();
    expect(isConditionTrue(conditions, 'Fresh')).toBe(false);
  });

  it.each([
    ['True', 'True', true],
    ['False', 'False', false],
    ['Unknown', 'Unknown', false],
    ['Perhaps', 'Unknown', false],
  ])('with the status %s is read as %s', (written, read, isTrue) => {
    expect(decodeCondition([stored('Fresh', written)], 'Fresh')?.status).toBe(read);
    expect(isConditionTrue([stored('Fresh', written)], 'Fresh')).toBe(isTrue);
  });

  it('of others may say no more than its type and status', () => {
    const bare = { type: 'Fresh', status: 'True', reason: null, lastTransitionTime: null };
    expect(decodeCondition([bare], 'Fresh')).toEqual({
      status: 'True',
      reason: '',
      message: '',
      lastTransitionSeconds: 0,
      observedGeneration: 0,
    });
  });
});

describe('A time of the API', () => {
  it.each([
    ['2026-11-25T10:00:00Z', Date.UTC(2026, 10, 25, 10) / 1_000],
    ['2026-11-25T10:00:00.999Z', Date.UTC(2026, 10, 25, 10) / 1_000],
    ['2026-11-25T11:00:00+01:00', Date.UTC(2026, 10, 25, 10) / 1_000],
    [null, 0],
    [undefined, 0],
  ])('%s is %d seconds', (timestamp, seconds) => {
    expect(secondsOf(timestamp)).toBe(seconds);
  });
});
