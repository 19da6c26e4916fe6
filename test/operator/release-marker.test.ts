import { describe, expect, it } from 'vitest';
import { decodeMarker, encodeMarker, MARKER_NAME } from '../../src/operator/release-marker.ts';

const METADATA = { uid: 'u', name: MARKER_NAME, namespace: 'heartbeat-operator', resourceVersion: '7' };

describe('I17: the marker of a release', () => {
  it('is read as what names it, and nothing of what it holds', () => {
    expect(decodeMarker({ metadata: { ...METADATA, labels: {} }, data: { meaning: 'any' } })).toEqual(METADATA);
  });

  it('is created under the name by which it is found', () => {
    expect(encodeMarker('heartbeat-operator')).toMatchObject({
      kind: 'ConfigMap',
      metadata: { name: MARKER_NAME, namespace: 'heartbeat-operator' },
    });
  });

  it.each([
    { what: 'nothing', object: undefined },
    { what: 'a text', object: 'marker' },
    { what: 'an object without metadata', object: {} },
    ...Object.keys(METADATA).map((part) => ({
      what: `one without ${part}`,
      object: { metadata: { ...METADATA, [part]: undefined } },
    })),
  ])('is not $what', ({ object }) => {
    expect(() => decodeMarker(object)).toThrow(TypeError);
  });
});
