import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resourceName } from '../../src/health/resource-name.ts';
import { keyOf } from '../../src/liveness/instance-key.ts';
import { key } from '../support/builders.ts';

const part = fc.string({ unit: 'grapheme', maxLength: 64, size: 'max' }).map((text) => text.replaceAll(/\p{Cc}/gu, ''));
const instanceId = fc.oneof(
  part,
  fc.stringMatching(/^[A-Za-z0-9_.-]{0,64}$/),
  fc.constantFrom('', '.', '---', '_'.repeat(64), `${'a'.repeat(45)}-b`, 'A.b_C-d'),
);
const identity = fc.record({ domain: part, projectId: part, serviceId: part, instanceId });

describe("The name of an instance's object", () => {
  it('is always a legal RFC 1123 label of at most 63 characters', () => {
    fc.assert(
      fc.property(identity, (identity) => {
        expect(resourceName(keyOf(identity))).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
      }),
    );
  });

  it('is the same each time, and another for another identity', () => {
    fc.assert(
      fc.property(identity, identity, (a, b) => {
        expect(resourceName(keyOf(a))).toBe(resourceName(keyOf(a)));
        expect(resourceName(keyOf(a)) === resourceName(keyOf(b))).toBe(keyOf(a) === keyOf(b));
      }),
    );
  });

  it('differs for ids that look alike once they are made legal', () => {
    const names = ['Cart-1', 'cart-1', 'cart_1', 'cart.1', '-cart-1-'].map((id) => resourceName(key(id)));
    expect(new Set(names).size).toBe(5);
    for (const name of names) expect(name).toMatch(/^cart-1-[0-9a-f]{16}$/);
  });

  it('differs for the same instanceId in another domain, project or service', () => {
    const identity = { domain: 'd', projectId: 'p', serviceId: 's', instanceId: 'i' };
    const others = [
      identity,
      { ...identity, domain: 'D' },
      { ...identity, projectId: 'P' },
      { ...identity, serviceId: 'S' },
    ];
    expect(new Set(others.map((other) => resourceName(keyOf(other)))).size).toBe(4);
  });

  it('never changes from one version of the operator to the next, since every replica must find the same object', () => {
    expect(resourceName(key('cart-7f8b-1'))).toBe('cart-7f8b-1-7e84454408707519');
    expect(resourceName(key('...'))).toMatch(/^instance-/);
  });
});
