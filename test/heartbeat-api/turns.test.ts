import { expect, test } from 'vitest';
import { Turns } from '../../src/heartbeat-api/turns.ts';
import { settle } from '../support/fake-clock.ts';

test('as many as may work at once do so, the others follow in the order in which they came', async () => {
  const turns = new Turns(2);
  const entered: string[] = [];
  for (const name of ['a', 'b', 'c', 'd']) void turns.enter().then(() => entered.push(name));
  await settle();
  expect([entered, turns.waitingCount]).toEqual([['a', 'b'], 2]);

  turns.leave();
  await settle();
  expect([entered, turns.waitingCount]).toEqual([['a', 'b', 'c'], 1]);

  turns.leave();
  turns.leave();
  turns.leave();
  await settle();
  expect([entered, turns.waitingCount]).toEqual([['a', 'b', 'c', 'd'], 0]);

  for (const name of ['e', 'f', 'g']) void turns.enter().then(() => entered.push(name));
  await settle();
  expect([entered.slice(4), turns.waitingCount]).toEqual([['e', 'f'], 1]);
});
