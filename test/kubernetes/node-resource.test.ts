import { describe, expect, it } from 'vitest';
import { decodeNode, nodesPath } from '../../src/kubernetes/node-resource.ts';

const metadata = { uid: 'uid-of-node-1', name: 'node-1', resourceVersion: '7', labels: { zone: 'a' } };

function ready(status: string): object {
  return { type: 'Ready', status, reason: 'R', message: 'm', lastTransitionTime: '2026-11-25T10:00:00Z' };
}

describe('A stored Node', () => {
  it('is decoded to what decisions need and no more', () => {
    const addresses = [
      { type: 'InternalIP', address: '10.0.0.1' },
      { type: 'InternalIP', address: 'FD00:0:0:0::1' },
      { type: 'ExternalIP', address: '192.0.2.1' },
      { type: 'Hostname', address: 'node-1' },
      { type: 'InternalDNS', address: 'node-1.example.com' },
    ];
    const status = { conditions: [ready('True')], addresses, capacity: { cpu: '2' } };
    expect(decodeNode({ metadata, spec: { podCIDR: '10.1.0.0/24' }, status })).toEqual({
      uid: 'uid-of-node-1',
      name: 'node-1',
      resourceVersion: '7',
      isReady: true,
      addresses: ['10.0.0.1', 'fd00::1', '192.0.2.1'],
    });
  });

  it('that is named by its address has that address once', () => {
    const addresses = [
      { type: 'InternalIP', address: '10.0.0.1' },
      { type: 'Hostname', address: '10.0.0.1' },
    ];
    expect(decodeNode({ metadata, status: { addresses } }).addresses).toEqual(['10.0.0.1']);
  });

  it.each([
    ['Ready is False', { conditions: [ready('False')] }],
    ['Ready is Unknown, since its kubelet is not heard', { conditions: [ready('Unknown')] }],
    ['another condition is True', { conditions: [{ ...ready('True'), type: 'DiskPressure' }] }],
    ['it has no conditions', { conditions: null, addresses: null }],
    ['it has no status', null],
  ])('is not ready when %s', (_what, status) => {
    expect(decodeNode({ metadata, status })).toMatchObject({ isReady: false, addresses: [] });
  });

  it.each([
    ['nothing', undefined],
    ['no metadata', { status: {} }],
    ['no uid', { metadata: { ...metadata, uid: undefined } }],
    ['no name', { metadata: { ...metadata, name: undefined } }],
    ['no resourceVersion', { metadata: { ...metadata, resourceVersion: undefined } }],
  ])('cannot be decoded from %s', (_what, object) => {
    expect(() => decodeNode(object)).toThrow(TypeError);
  });

  it('is one of the whole cluster', () => {
    expect(nodesPath()).toBe('/api/v1/nodes');
  });
});
