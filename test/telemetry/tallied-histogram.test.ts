import fc from 'fast-check';
import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { TalliedHistogram } from '../../src/telemetry/tallied-histogram.ts';

const BOUNDS = [0.001, 0.01, 0.1, 1];

test('a tallied histogram is scraped to the letter as one of prom-client that observed the same', async () => {
  // Powers of two add up without rounding, in whatever order.
  const value = fc.integer({ min: -12, max: 3 }).map((exponent) => 2 ** exponent);
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 50 }), async (values) => {
      const ours = new Registry();
      const tallied = new TalliedHistogram(ours, 'took_seconds', 'How long it took.', BOUNDS);
      const theirs = new Registry();
      const histogram = new Histogram({
        name: 'took_seconds',
        help: 'How long it took.',
        buckets: BOUNDS,
        registers: [theirs],
      });

      for (const each of values) {
        tallied.observe(each);
        histogram.observe(each);
      }

      expect(await ours.metrics()).toBe(await theirs.metrics());
    }),
    { numRuns: 50 },
  );
});

test('a value that equals a bound counts for that bound', async () => {
  const registry = new Registry();
  new TalliedHistogram(registry, 'took_seconds', 'How long it took.', BOUNDS).observe(0.01);

  expect(await registry.metrics()).toContain('took_seconds_bucket{le="0.01"} 1');
  expect(await registry.metrics()).toContain('took_seconds_bucket{le="0.001"} 0');
});

test('after a reset it is as at the start', async () => {
  const registry = new Registry();
  const tallied = new TalliedHistogram(registry, 'took_seconds', 'How long it took.', BOUNDS);
  const atTheStart = await registry.metrics();

  tallied.observe(5);
  registry.resetMetrics();

  expect(await registry.metrics()).toBe(atTheStart);
});
