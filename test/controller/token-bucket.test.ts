import { expect, it } from 'vitest';
import { TokenBucket } from '../../src/controller/token-bucket.ts';

it('a bucket begins full, runs empty, and says how long until the next token', () => {
  const bucket = new TokenBucket(2, 2, 1_000);
  expect([bucket.take(1_000), bucket.take(1_000), bucket.take(1_000)]).toEqual([true, true, false]);
  expect(bucket.waitSeconds).toBe(0.5);
  expect([bucket.take(1_499), bucket.take(1_500), bucket.take(1_500)]).toEqual([false, true, false]);
});

it('a bucket holds no more than its burst', () => {
  const bucket = new TokenBucket(2, 3, 0);
  expect([1, 2, 3, 4].map(() => bucket.take(1e9))).toEqual([true, true, true, false]);
});

it('a bucket with a token left makes nobody wait', () => {
  const bucket = new TokenBucket(2, 3, 0);
  bucket.take(0);
  expect(bucket.waitSeconds).toBe(0);
});
