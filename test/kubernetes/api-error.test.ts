import { describe, expect, it } from 'vitest';
import { classifyAnswer, classifyStatusEvent, classifyThrown } from '../../src/kubernetes/api-error.ts';

/** A Status object as the API server writes it. */
const status = (code: number, reason: string, message: string, details?: object) => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  reason,
  message,
  details,
});

const withCode = (message: string, code: string) => Object.assign(new Error(message), { code });

describe('an answer of the API server is', () => {
  it.each([
    ['a conflict', 409, status(409, 'Conflict', 'the object has been modified'), 'conflict'],
    ['a conflict without a Status', 409, 'conflict', 'conflict'],
    ['exists', 409, status(409, 'AlreadyExists', 'already exists'), 'exists'],
    ['absent', 404, status(404, 'NotFound', 'not found'), 'absent'],
    ['absent when the resource is unknown', 404, '404 page not found', 'absent'],
    ['gone', 410, status(410, 'Expired', 'too old resource version: 1 (2)'), 'gone'],
    [
      'gone by its reason alone',
      500,
      status(500, 'Expired', 'The resourceVersion for the provided watch is too old.'),
      'gone',
    ],
    ['unauthorized', 401, status(401, 'Unauthorized', 'Unauthorized'), 'unauthorized'],
    ['forbidden', 403, status(403, 'Forbidden', 'cannot list'), 'forbidden'],
    ['invalid', 422, status(422, 'Invalid', 'spec.domain: Required value'), 'invalid'],
    ['invalid when the request is malformed', 400, status(400, 'BadRequest', 'bad'), 'invalid'],
    ['invalid when it is too large', 413, status(413, 'RequestEntityTooLarge', 'too large'), 'invalid'],
    ['invalid when the patch type is unknown', 415, status(415, 'UnsupportedMediaType', 'no'), 'invalid'],
    [
      'unreachable when the server fails',
      500,
      status(500, 'InternalError', 'etcdserver: leader changed'),
      'unreachable',
    ],
    ['unreachable when a proxy answers', 502, '<html>Bad Gateway</html>', 'unreachable'],
    [
      'unreachable at a time limit of the server',
      504,
      status(504, 'Timeout', 'request did not complete'),
      'unreachable',
    ],
    ['unreachable at a time limit on reading the request', 408, undefined, 'unreachable'],
    [
      'ahead, by the cause',
      504,
      status(504, 'Timeout', 'Timeout', { causes: [{ reason: 'ResourceVersionTooLarge' }], retryAfterSeconds: 1 }),
      'ahead',
    ],
    ['ahead, by the text', 504, status(504, 'Timeout', 'Timeout: Too large resource version: 9, current: 3'), 'ahead'],
  ])('%s', (_name, code, body, kind) => {
    expect(classifyAnswer('listing', code, body).kind).toBe(kind);
  });

  it.each([
    ['as the header says', 429, undefined, '7', 7_000],
    ['as the body says', 429, status(429, 'TooManyRequests', 'later', { retryAfterSeconds: 3 }), undefined, 3_000],
    ['for a second when nothing says how long', 429, undefined, undefined, 1_000],
    ['for a second when the header is a date', 429, undefined, 'Wed, 25 Nov 2026 10:50:30 GMT', 1_000],
    ['for a minute at most', 429, undefined, '86400', 60_000],
    ['also when the server is overloaded', 503, undefined, '2', 2_000],
    [
      'also when it fails and says when to come back',
      500,
      status(500, 'ServerTimeout', 'x', { retryAfterSeconds: 2 }),
      undefined,
      2_000,
    ],
  ])('throttled, %s', (_name, code, body, header, retryAfterMs) => {
    expect(classifyAnswer('creating a/b', code, body, header)).toMatchObject({ kind: 'throttled', retryAfterMs });
  });

  it('told with what was being done, the code, the reason and what the server said', () => {
    const failure = classifyAnswer('creating default/a', 403, status(403, 'Forbidden', 'User "x" cannot\n create'));
    expect(failure.message).toBe('creating default/a: 403 Forbidden: User "x" cannot create');
  });

  it('told in a bounded length', () => {
    const failure = classifyAnswer('creating default/a', 422, status(422, 'Invalid', 'x'.repeat(100_000)));
    expect(failure.message).toHaveLength(512);
  });
});

describe('an ERROR event of a watch is', () => {
  it('classified by the code inside, since the HTTP status was 200', () => {
    expect(classifyStatusEvent('watching', status(410, 'Expired', 'too old')).kind).toBe('gone');
    expect(
      classifyStatusEvent('watching', status(429, 'TooManyRequests', 'x', { retryAfterSeconds: 4 })),
    ).toMatchObject({
      kind: 'throttled',
      retryAfterMs: 4_000,
    });
  });

  it('unreachable when there is nothing to read in it', () => {
    expect(classifyStatusEvent('watching', undefined).kind).toBe('unreachable');
  });
});

describe('a thrown error is unreachable, and its message', () => {
  it.each([
    [
      'names the code once',
      withCode('connect ECONNREFUSED 127.0.0.1:1', 'ECONNREFUSED'),
      'connect ECONNREFUSED 127.0.0.1:1',
    ],
    [
      'adds a code that the text lacks',
      withCode('other side closed', 'UND_ERR_SOCKET'),
      'UND_ERR_SOCKET: other side closed',
    ],
    ['finds the code of a cause', new Error('failed', { cause: withCode('x', 'ENOTFOUND') }), 'ENOTFOUND: failed'],
    [
      'tells the first of several addresses',
      new AggregateError([withCode('connect ECONNREFUSED ::1:1', 'ECONNREFUSED'), new Error('other')], ''),
      'connect ECONNREFUSED ::1:1',
    ],
    ['takes anything that was thrown', 'a text', 'a text'],
  ])('%s', (_name, thrown, text) => {
    expect(classifyThrown('creating a/b', thrown)).toEqual({ kind: 'unreachable', message: `creating a/b: ${text}` });
  });
});
