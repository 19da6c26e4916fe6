import { describe, expect, it } from 'vitest';
import { parseWatchEvent } from '../../src/kubernetes/watch-event.ts';

const parse = (event: unknown) => parseWatchEvent('watching', JSON.stringify(event));
const object = { metadata: { name: 'a', namespace: 'b', resourceVersion: '7' } };

describe('a line of a watch', () => {
  it.each([
    ['ADDED', 'changed'],
    ['MODIFIED', 'changed'],
    ['DELETED', 'removed'],
  ])('%s says that the object was %s', (type, kind) => {
    expect(parse({ type, object })).toEqual({ kind, object });
  });

  it('BOOKMARK moves the resourceVersion', () => {
    expect(parse({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '9' } } })).toEqual({
      kind: 'bookmark',
      resourceVersion: '9',
      endsInitialList: false,
    });
  });

  it('BOOKMARK with the annotation ends the initial list', () => {
    const metadata = { resourceVersion: '9', annotations: { 'k8s.io/initial-events-end': 'true' } };
    expect(parse({ type: 'BOOKMARK', object: { metadata } })).toMatchObject({ endsInitialList: true });
  });

  it('ERROR is the failure that its Status describes', () => {
    expect(parse({ type: 'ERROR', object: { code: 410, reason: 'Expired', message: 'too old' } })).toEqual({
      kind: 'gone',
      message: 'watching: 410 Expired: too old',
    });
  });

  it.each([
    ['no JSON', '{"type":"ADDED","obj'],
    ['no event', '[]'],
    ['an unknown type', '{"type":"FOUND","object":{}}'],
    ['an object without metadata', '{"type":"ADDED","object":{}}'],
    ['an object without a resourceVersion', '{"type":"ADDED","object":{"metadata":{"name":"a"}}}'],
    ['a bookmark without a resourceVersion', '{"type":"BOOKMARK","object":{"metadata":{}}}'],
  ])('that is %s is unreadable', (_name, line) => {
    expect(parseWatchEvent('watching', line)).toMatchObject({
      kind: 'unreadable',
      message: expect.stringMatching(/^watching: /),
    });
  });
});
