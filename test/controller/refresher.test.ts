import { describe, expect, it } from 'vitest';
import { InstanceCache } from '../../src/controller/instance-cache.ts';
import { refreshMs, Refresher } from '../../src/controller/refresher.ts';
import type { InstanceKey } from '../../src/liveness/instance-key.ts';
import { MINUTE, observed, SECOND } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';

async function walking(instances: number, writesPerSecond = 10) {
  const clock = new FakeClock();
  const cache = new InstanceCache(clock, { changed: () => {}, vanished: () => {}, synced: () => Promise.resolve() });
  await cache.replaced(Array.from({ length: instances }, (_, index) => observed(`i${index}`)));
  const enqueued: { key: InstanceKey; atMs: number }[] = [];
  const refresher = new Refresher(clock, cache, writesPerSecond, (key) => enqueued.push({ key, atMs: clock.nowMs() }));
  refresher.start();
  return { clock, refresher, enqueued };
}

describe('The time after which a stored heartbeat is written anew', () => {
  it.each([
    [0, 10, 5 * MINUTE],
    [3_000, 10, 5 * MINUTE],
    [3_001, 10, 300_100],
    [100_000, 10, 10_000 * SECOND],
    [100_000, 100, 1_000 * SECOND],
  ])('of %d instances at %d writes a second is %d ms', (instances, writesPerSecond, ms) => {
    expect(refreshMs(instances, writesPerSecond)).toBe(ms);
  });
});

describe('The refresher', () => {
  it.each([
    { instances: 1_000, perSecondMax: 4, walkMs: 315 * SECOND },
    { instances: 10_000, perSecondMax: 10, walkMs: 1_050 * SECOND },
    { instances: 7, perSecondMax: 1, walkMs: 315 * SECOND },
  ])('visits $instances instances once per walk, evenly', async ({ instances, perSecondMax, walkMs }) => {
    const { clock, enqueued } = await walking(instances);
    await clock.advance(walkMs + SECOND);

    const visits = new Map<InstanceKey, number>();
    const perSecond = new Map<number, number>();
    for (const { key, atMs } of enqueued) {
      visits.set(key, (visits.get(key) ?? 0) + 1);
      perSecond.set(atMs, (perSecond.get(atMs) ?? 0) + 1);
    }
    expect(visits.size).toBe(instances);
    // The first few of the next walk may be visited already.
    expect(enqueued.length).toBeLessThanOrEqual(instances + perSecondMax);
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(perSecondMax);
    expect(Math.max(...visits.values())).toBeLessThanOrEqual(2);
  });

  it('comes to nobody when there is nobody', async () => {
    const { clock, enqueued } = await walking(0);
    await clock.advance(10 * MINUTE);
    expect(enqueued).toEqual([]);
  });

  it('visits nobody any more when it is stopped', async () => {
    const { clock, refresher, enqueued } = await walking(1_000);
    await clock.advance(10 * SECOND);
    const before = enqueued.length;
    refresher.stop();
    await clock.advance(10 * MINUTE);
    expect(before).toBeGreaterThan(0);
    expect(enqueued).toHaveLength(before);
    expect(clock.timers).toEqual([]);
  });

  it('does not make up for a stall by visiting many at once', async () => {
    const { clock, enqueued } = await walking(1_000);
    await clock.advance(10 * SECOND);
    const before = enqueued.length;
    await clock.stall(10 * MINUTE);
    expect(enqueued.length - before).toBeLessThanOrEqual(4);
  });
});
