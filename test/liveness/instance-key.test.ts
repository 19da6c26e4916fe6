import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { identityOf, type InstanceKey, instanceKey, keyOf } from '../../src/liveness/instance-key.ts';

// What the edge lets through: anything without control characters. Separators of other notations are likely to clash.
const part = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => text.replaceAll(/\p{Cc}/gu, '')),
  fc.constantFrom('', 'a', 'a/b', 'a|b', ' ', '\\n', 'a b'),
);
const identity = fc.record({ domain: part, projectId: part, serviceId: part, instanceId: part });

describe('An instance key', () => {
  it('gives back the identity that it was made from', () => {
    fc.assert(
      fc.property(identity, (identity) => {
        expect(identityOf(keyOf(identity))).toEqual(identity);
      }),
    );
  });

  it('is shared by two identities only if they are the same', () => {
    fc.assert(
      fc.property(identity, identity, (a, b) => {
        const areSame =
          a.domain === b.domain &&
          a.projectId === b.projectId &&
          a.serviceId === b.serviceId &&
          a.instanceId === b.instanceId;
        expect(keyOf(a) === keyOf(b)).toBe(areSame);
      }),
    );
  });

  it('does not mix up where one part ends and the next begins', () => {
    expect(instanceKey('a', 'b', 'cd', 'e')).not.toBe(instanceKey('a', 'bc', 'd', 'e'));
    expect(instanceKey('', 'a', 'b', 'c')).not.toBe(instanceKey('a', '', 'b', 'c'));
  });

  it.each(['', 'three\nparts\nonly', 'one\npart\ntoo\nmany\nhere'])('is not read from %j', (text) => {
    expect(() => identityOf(text as InstanceKey)).toThrow(TypeError);
  });
});
