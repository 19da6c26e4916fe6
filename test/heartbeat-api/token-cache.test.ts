import { describe, expect, test } from 'vitest';
import { TokenBucket } from '../../src/controller/token-bucket.ts';
import {
  isTokenLike,
  REPEATED_REVIEWS,
  type ReviewRate,
  TokenCache,
  type TokenCacheParts,
  UNPROVED_REVIEWS,
} from '../../src/heartbeat-api/token-cache.ts';
import { podSender } from '../../src/liveness/sender.ts';
import type { TokenVerdict } from '../../src/liveness/token-verdict.ts';
import { MINUTE, SECOND } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { podToken, TokenReviews, uidOf } from '../support/http-tokens.ts';

const GOOD = podToken('pod-1');
const BAD = podToken('stranger');

const good = (pod = 'pod-1') => ({ kind: 'found', sender: podSender(uidOf(pod)) });
const REFUSED = { kind: 'refused', why: 'no such Pod' };
const REVIEWING = { kind: 'reviewing' };
const UNREACHABLE = { kind: 'unreachable' };

function setUp(parts: Partial<TokenCacheParts> = {}) {
  const clock = new FakeClock();
  const api = new TokenReviews();
  const reviewed: TokenVerdict['kind'][] = [];
  const cache = new TokenCache({
    review: api.review,
    unprovedReviews: ALWAYS,
    repeatedReviews: ALWAYS,
    nowMs: clock.nowMs,
    wallMs: clock.wallMs,
    onReviewed: ({ kind }) => reviewed.push(kind),
    tokensMax: 20_000,
    ...parts,
  });
  /** How a token stands at once. */
  const look = (token: string) => {
    const known = cache.find(token);
    return known === undefined ? UNREACHABLE : cache.standing(known, token);
  };
  /** How it stands when all questions that it caused are answered. */
  const lookAndWait = async (token: string) => {
    look(token);
    await settle();
    return look(token);
  };
  return { clock, api, cache, reviewed, look, lookAndWait };
}

const ALWAYS: ReviewRate = { take: () => true };

describe('a token that was never seen', () => {
  test('is asked about, once for all that come with it, and then not again', async () => {
    const { api, look, reviewed } = setUp();
    expect([look(GOOD), look(GOOD), look(GOOD)]).toEqual([REVIEWING, REVIEWING, REVIEWING]);
    await settle();
    expect([look(GOOD), look(GOOD)]).toEqual([good(), good()]);
    expect(api.asked).toEqual(['pod-1']);
    expect(reviewed).toEqual(['pod']);
  });

  test('is told apart from every other', async () => {
    const { api, lookAndWait } = setUp();
    expect(await lookAndWait(GOOD)).toEqual(good());
    expect(await lookAndWait(podToken('pod-2'))).toEqual(good('pod-2'));
    expect(await lookAndWait(`${GOOD}x`)).toEqual(good());
    expect(api.asked).toEqual(['pod-1', 'pod-2', 'pod-1']);
  });

  test('whose review throws is as if nobody had answered', async () => {
    const { lookAndWait, reviewed } = setUp({ review: () => Promise.reject(new Error('broken')) });
    expect(await lookAndWait(GOOD)).toEqual(UNREACHABLE);
    expect(reviewed).toEqual(['unreachable']);
  });
});

describe('a good token', () => {
  test('that does not say when it ends counts for a minute without a question, and then waits for the next answer', async () => {
    const { api, clock, look, lookAndWait } = setUp();
    await lookAndWait(GOOD);
    await clock.advance(MINUTE - 1);
    expect(look(GOOD)).toEqual(good());
    expect(api.asked).toHaveLength(1);

    await clock.advance(1);
    expect(look(GOOD)).toEqual(REVIEWING);
    await settle();
    expect(look(GOOD)).toEqual(good());
    expect(api.asked).toHaveLength(2);
  });

  test('that says when it ends goes on to count while it is asked about again', async () => {
    const { api, clock, look, lookAndWait } = setUp();
    const token = podToken('pod-1', { exp: Math.floor(clock.wallMs() / 1000) + 3_600 });
    await lookAndWait(token);
    await clock.advance(MINUTE);
    expect(look(token)).toEqual(good());
    await settle();
    expect(api.asked).toHaveLength(2);
  });

  test('whose Pod was deleted is refused once that is known', async () => {
    const { api, clock, lookAndWait } = setUp();
    const token = podToken('pod-1', { exp: Math.floor(clock.wallMs() / 1000) + 3_600 });
    await lookAndWait(token);
    api.deleted.add('pod-1');
    await clock.advance(MINUTE);
    expect(await lookAndWait(token)).toEqual(REFUSED);
  });

  test('counts until it ends while the API server does not answer, and then nobody can tell', async () => {
    const { api, clock, lookAndWait } = setUp();
    const token = podToken('pod-1', { exp: Math.floor(clock.wallMs() / 1000) + 3_600 });
    const endsInMs = Math.floor(clock.wallMs() / 1000) * 1000 + 3_600_000 - clock.wallMs();
    await lookAndWait(token);
    api.isReachable = false;
    await clock.advance(endsInMs - 1);
    expect(await lookAndWait(token)).toEqual(good());
    await clock.advance(1);
    expect(await lookAndWait(token)).toEqual(UNREACHABLE);
  });

  test('counts until it ends also when the calendar is set meanwhile', async () => {
    const { api, clock, lookAndWait } = setUp();
    const token = podToken('pod-1', { exp: Math.floor(clock.wallMs() / 1000) + 3_600 });
    await lookAndWait(token);
    api.isReachable = false;
    clock.jumpWall(365 * 24 * 60 * MINUTE);
    await clock.advance(30 * MINUTE);
    expect(await lookAndWait(token)).toEqual(good());
  });

  test('that has ended by our calendar counts for as long as the API server said so', async () => {
    const { clock, lookAndWait } = setUp();
    const token = podToken('pod-1', { exp: Math.floor(clock.wallMs() / 1000) - 300 });
    expect(await lookAndWait(token)).toEqual(good());
    await clock.advance(MINUTE - 1);
    expect(await lookAndWait(token)).toEqual(good());
  });

  test.each([
    ['does not say', {}],
    ['says it in words', { exp: 'tomorrow' }],
    ['says it beyond all numbers', { exp: Number.POSITIVE_INFINITY }],
  ])('that %s when it ends counts for a minute without an answer', async (_title, claims) => {
    const { api, clock, lookAndWait } = setUp();
    const token = podToken('pod-1', claims);
    await lookAndWait(token);
    api.isReachable = false;
    await clock.advance(MINUTE - 1);
    expect(await lookAndWait(token)).toEqual(good());
    await clock.advance(1);
    expect(await lookAndWait(token)).toEqual(UNREACHABLE);
  });

  test('is good again as soon as the API server answers again', async () => {
    const { api, clock, lookAndWait } = setUp();
    await lookAndWait(GOOD);
    api.isReachable = false;
    await clock.advance(MINUTE);
    expect(await lookAndWait(GOOD)).toEqual(UNREACHABLE);
    api.isReachable = true;
    await clock.advance(SECOND);
    expect(await lookAndWait(GOOD)).toEqual(good());
  });
});

describe('a bad token', () => {
  test('is refused for ten seconds without a question, and then asked about again', async () => {
    const { api, clock, look, lookAndWait } = setUp();
    expect(await lookAndWait(BAD)).toEqual(REFUSED);
    await clock.advance(10 * SECOND - 1);
    expect(look(BAD)).toEqual(REFUSED);
    expect(api.asked).toHaveLength(1);

    await clock.advance(1);
    expect(look(BAD)).toEqual(REVIEWING);
    await settle();
    expect(look(BAD)).toEqual(REFUSED);
    expect(api.asked).toHaveLength(2);
  });

  test('can become good', async () => {
    const { api, clock, lookAndWait } = setUp();
    api.deleted.add('pod-1');
    expect(await lookAndWait(GOOD)).toEqual(REFUSED);
    api.deleted.clear();
    await clock.advance(10 * SECOND);
    expect(await lookAndWait(GOOD)).toEqual(good());
  });

  test('stays bad while the API server does not answer', async () => {
    const { api, clock, lookAndWait } = setUp();
    await lookAndWait(BAD);
    api.isReachable = false;
    await clock.advance(MINUTE);
    expect(await lookAndWait(BAD)).toEqual(REFUSED);
  });
});

describe('while the API server does not answer', () => {
  test('it is asked once in a second, whoever comes', async () => {
    const { api, clock, look, lookAndWait } = setUp();
    api.isReachable = false;
    expect(await lookAndWait(podToken('pod-1'))).toEqual(UNREACHABLE);
    await clock.advance(SECOND - 1);
    expect([look(podToken('pod-1')), look(podToken('pod-2'))]).toEqual([UNREACHABLE, UNREACHABLE]);
    expect(api.asked).toEqual(['pod-1']);

    await clock.advance(1);
    expect(look(podToken('pod-2'))).toEqual(REVIEWING);
    await settle();
    expect(api.asked).toEqual(['pod-1', 'pod-2']);
  });

  test('those that wait for their turn do not try it too', async () => {
    const { api, look } = setUp();
    const answered = Promise.withResolvers<void>();
    api.hold = answered.promise;
    api.isReachable = false;
    const tokens = Array.from({ length: 100 }, (_, index) => podToken(`pod-${index}`));
    expect(tokens.map(look)).toEqual(tokens.map(() => REVIEWING));
    answered.resolve();
    await settle();
    expect(api.asked).toHaveLength(6);
    expect(tokens.map(look)).toEqual(tokens.map(() => UNREACHABLE));
  });
});

describe('a flood of bad tokens', () => {
  test('makes a bounded number of reviews, and each of the others costs a hash', async () => {
    const clock = new FakeClock();
    const { api, cache, look } = setUp({
      nowMs: clock.nowMs,
      wallMs: clock.wallMs,
      unprovedReviews: new TokenBucket(UNPROVED_REVIEWS.perSecond, UNPROVED_REVIEWS.burst, clock.nowMs()),
    });
    for (let second = 0; second < 10; second += 1) {
      for (let flood = 0; flood < 3_000; flood += 1) {
        look(podToken(`stranger-${second}-${flood}`));
        if (flood % 100 === 0) await settle();
      }
      await clock.advance(SECOND);
    }
    const boundary = UNPROVED_REVIEWS.burst + 10 * UNPROVED_REVIEWS.perSecond;
    expect(api.asked.length).toBeLessThanOrEqual(boundary);
    expect(api.asked.length).toBeGreaterThan(boundary / 2);
    expect(cache.size).toBe(api.asked.length);
  });

  test('leaves the questions about good ones alone', async () => {
    const NEVER: ReviewRate = { take: () => false };
    let unprovedReviews = ALWAYS;
    const { api, clock, look, lookAndWait } = setUp({
      unprovedReviews: { take: (nowMs) => unprovedReviews.take(nowMs) },
    });
    await lookAndWait(GOOD);
    unprovedReviews = NEVER;
    expect(look(BAD)).toEqual(UNREACHABLE);
    await clock.advance(MINUTE);
    expect(await lookAndWait(GOOD)).toEqual(good());
    expect(api.asked).toEqual(['pod-1', 'pod-1']);
  });

  test('asks about six at once, has five hundred wait, and answers all others that nobody can tell', async () => {
    const { api, look } = setUp();
    const answered = Promise.withResolvers<void>();
    api.hold = answered.promise;
    const standings = Array.from({ length: 600 }, (_, index) => look(podToken(`pod-${index}`)));
    await settle();
    expect(api.asked).toHaveLength(6);
    expect(standings.filter(({ kind }) => kind === 'reviewing')).toHaveLength(506);
    expect(standings.at(-1)).toEqual(UNREACHABLE);

    answered.resolve();
    await settle();
    expect(api.asked).toHaveLength(506);
    expect(look(podToken('pod-505'))).toEqual(good('pod-505'));
  });
});

describe('what is remembered', () => {
  test('is bounded: those that were asked about last stay', async () => {
    const { api, cache, clock, look, lookAndWait } = setUp({ tokensMax: 3 });
    for (const pod of ['pod-1', 'pod-2', 'pod-3']) await lookAndWait(podToken(pod));
    await clock.advance(MINUTE);
    await lookAndWait(podToken('pod-1'));
    await lookAndWait(podToken('pod-4'));
    expect(cache.size).toBe(3);
    api.asked.length = 0;
    expect(look(podToken('pod-1'))).toEqual(good('pod-1'));
    expect(look(podToken('pod-4'))).toEqual(good('pod-4'));
    expect(api.asked).toEqual([]);
    expect(look(podToken('pod-2'))).toEqual(REVIEWING);
  });

  test('is asked about at a bounded rate when the fleet is large, and counts on until it ends', async () => {
    const clock = new FakeClock();
    const { api, lookAndWait } = setUp({
      nowMs: clock.nowMs,
      wallMs: clock.wallMs,
      repeatedReviews: new TokenBucket(REPEATED_REVIEWS.perSecond, REPEATED_REVIEWS.burst, clock.nowMs()),
    });
    const exp = Math.floor(clock.wallMs() / 1000) + 3_600;
    const tokens = Array.from({ length: 1_000 }, (_, index) => podToken(`pod-${index}`, { exp }));
    for (const token of tokens) await lookAndWait(token);
    await clock.advance(MINUTE);
    api.asked.length = 0;
    for (const token of tokens) expect((await lookAndWait(token)).kind).toBe('found');
    expect(api.asked).toHaveLength(REPEATED_REVIEWS.burst);
  });
});

test.each([
  ['a token', GOOD, true],
  ['two parts', 'eyJ.eyJ', false],
  ['four parts', 'a.b.c.d', false],
  ['an empty part', 'a..c', false],
  ['other characters', 'a.b+/.c', false],
  ['as many characters as may be', `a.b.${'c'.repeat(4_092)}`, true],
  ['one character more', `a.b.${'c'.repeat(4_093)}`, false],
  ['nothing', '', false],
])('%s may be a token or not', (_title, text, isLike) => {
  expect(isTokenLike(text)).toBe(isLike);
});
