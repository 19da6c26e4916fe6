import { expect, test } from 'vitest';
import { FakeClock } from './fake-clock.ts';

test('timers run in the order of their moments, each at its own', async () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  clock.schedule(20, () => ran.push(`late at ${clock.nowMs()}`));
  clock.schedule(10, () => ran.push(`early at ${clock.nowMs()}`));
  clock.schedule(10, () => ran.push(`second at ${clock.nowMs()}`));
  clock.schedule(31, () => ran.push('never'));

  await clock.advance(30);

  expect(ran).toEqual(['early at 10', 'second at 10', 'late at 20']);
  expect(clock.nowMs()).toBe(30);
  expect(clock.timers).toEqual([31]);
});

test('what a timer sets in motion comes to rest before the next timer runs', async () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  clock.schedule(10, () => {
    void (async () => {
      for (let turn = 0; turn < 50; turn += 1) await clock.turn();
      ran.push('chain');
      clock.schedule(5, () => ran.push(`its timer at ${clock.nowMs()}`));
    })();
  });
  clock.schedule(11, () => ran.push('next timer'));

  await clock.advance(20);

  expect(ran).toEqual(['chain', 'next timer', 'its timer at 15']);
});

test('after a stall every timer that fell due runs late, in order', async () => {
  const clock = new FakeClock();
  const ran: string[] = [];
  clock.schedule(20, () => ran.push(`second at ${clock.nowMs()}`));
  clock.schedule(10, () => ran.push(`first at ${clock.nowMs()}`));

  await clock.stall(1_000);

  expect(ran).toEqual(['first at 1000', 'second at 1000']);
});

test('a jump of the calendar moves no timer', async () => {
  const clock = new FakeClock();
  const before = clock.wallMs();
  let hasRun = false;
  clock.schedule(10, () => {
    hasRun = true;
  });

  clock.jumpWall(-3_600_000);
  await clock.advance(9);

  expect(hasRun).toBe(false);
  expect(clock.wallMs() - before).toBe(9 - 3_600_000);
});

test('a cancelled timer does not run', async () => {
  const clock = new FakeClock();
  let hasRun = false;
  const cancel = clock.schedule(10, () => {
    hasRun = true;
  });

  cancel();
  await clock.advance(100);

  expect(hasRun).toBe(false);
});

test('what lies in a buffer is read in the next turn and only once', async () => {
  const clock = new FakeClock();
  const read: number[] = [];
  clock.arriveOnTurn(() => read.push(clock.nowMs()));

  await clock.advance(10);
  expect(read).toEqual([]);
  await clock.turn();
  await clock.turn();

  expect(read).toEqual([10]);
});
