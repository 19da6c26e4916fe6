import { describe, expect, it, test } from 'vitest';
import type { StormThreshold } from '../../src/health/observed-policy.ts';
import { StormBrake, type StormChanges } from '../../src/brakes/storm-brake.ts';
import type { SilenceFacts } from '../../src/brakes/storm-group.ts';
import { type Storm, stormMessage } from '../../src/brakes/storm.ts';
import { HOUR, MINUTE, SECOND, TTL } from '../support/builders.ts';
import { facts, uids } from './support/pod-standings.ts';

const WEB = 'shop/Deployment/web';
/** Deadlines passed a second ago. */
const NOW = 100 * MINUTE;
const SINCE = NOW - SECOND;

function brake(threshold: Partial<StormThreshold> = {}): StormBrake {
  return new StormBrake({
    workloadThreshold: () => ({ percent: 50, minimum: 5, maxDurationSeconds: 600, ...threshold }),
    nodeThreshold: { percent: 50, minimum: 5 },
    allThreshold: { percent: 20, minimum: 20 },
  });
}

function put(brake: StormBrake, uids: readonly string[], parts: Partial<SilenceFacts> = {}): void {
  for (const uid of uids) brake.put(facts(uid, parts));
}

function silence(brake: StormBrake, uids: readonly string[], parts: Partial<SilenceFacts> = {}): void {
  put(brake, uids, { isFresh: false, silentSinceMs: SINCE, ...parts });
}

/** Every Pod on a node of its own, so that only the workload and all can have a storm. */
function apart(brake: StormBrake, silentUids: readonly string[], freshUids: readonly string[], workload = WEB): void {
  for (const uid of silentUids) silence(brake, [uid], { workload, node: `node-of-${uid}` });
  for (const uid of freshUids) put(brake, [uid], { workload, node: `node-of-${uid}` });
}

/** Every second one from `fromMs` on to `untilMs`; all that began and ended. */
function run(brake: StormBrake, fromMs: number, untilMs: number): StormChanges {
  const began: Storm[] = [];
  const ended: StormChanges['ended'][number][] = [];
  for (let nowMs = fromMs; nowMs <= untilMs; nowMs += SECOND) {
    const changes = brake.step(nowMs);
    began.push(...changes.began);
    ended.push(...changes.ended);
  }
  return { began, ended };
}

const scopes = (storms: readonly Storm[]): readonly string[] =>
  storms.map(({ scope, name }) => `${scope} ${name}`.trim());

describe('I9: a storm of a workload', () => {
  test.each([
    { silent: 5, fresh: 5, isStorm: true, why: 'both are reached' },
    { silent: 8, fresh: 2, isStorm: true, why: 'most are silent' },
    { silent: 10, fresh: 0, isStorm: true, why: 'all are silent' },
    { silent: 4, fresh: 0, isStorm: false, why: 'four are fewer than five, though they are all' },
    { silent: 5, fresh: 6, isStorm: false, why: 'five of eleven are less than half' },
    { silent: 0, fresh: 10, isStorm: false, why: 'nobody is silent' },
  ])('with $silent silent and $fresh fresh Pods: $isStorm, because $why', ({ silent, fresh, isStorm }) => {
    const subject = brake();
    apart(subject, uids(silent), uids(fresh, 100));
    const { began } = subject.step(NOW);
    expect(scopes(began)).toEqual(isStorm ? [`workload ${WEB}`] : []);
    expect(subject.storms).toEqual(began);
    expect(subject.stormOf('uid-0')).toBe(began[0]);
    expect(subject.stormOf('uid-100')).toBeUndefined();
  });

  test.each([
    { ageMs: TTL, ttlMs: TTL, isNew: true, title: 'one time to live ago' },
    { ageMs: TTL + 1, ttlMs: TTL, isNew: false, title: 'longer ago than one time to live' },
    { ageMs: 30 * SECOND, ttlMs: 4 * SECOND, isNew: true, title: 'half a minute ago with a very short time to live' },
    { ageMs: 30 * SECOND + 1, ttlMs: 4 * SECOND, isNew: false, title: 'longer ago than that' },
  ])('counts silence as new that began $title: $isNew', ({ ageMs, ttlMs, isNew }) => {
    const subject = brake();
    silence(subject, uids(5), { silentSinceMs: NOW - ageMs, ttlMs, node: '' });
    expect(subject.step(NOW).began).toHaveLength(isNew ? 1 : 0);
  });

  it('is judged by the rules of the workload', () => {
    const subject = new StormBrake({
      workloadThreshold: (workload) => ({
        percent: workload === 'strict' ? 10 : 90,
        minimum: 1,
        maxDurationSeconds: 60,
      }),
      nodeThreshold: { percent: 100, minimum: 100 },
      allThreshold: { percent: 100, minimum: 100 },
    });
    apart(subject, ['uid-0'], uids(4, 100), 'strict');
    apart(subject, ['uid-1'], uids(4, 200), 'loose');
    expect(scopes(subject.step(NOW).began)).toEqual(['workload strict']);
  });

  it('counts Pods that have been silent for long neither as silent nor as fresh', () => {
    const subject = brake();
    apart(subject, uids(5), uids(5, 100));
    for (const uid of uids(90, 200)) silence(subject, [uid], { silentSinceMs: SINCE - HOUR, node: `node-of-${uid}` });
    const { began } = subject.step(NOW);
    expect(began.map(({ silentCount, liveCount }) => [silentCount, liveCount])).toEqual([[5, 10]]);
    expect(subject.stormOf('uid-200')).toBeUndefined();
  });

  it('leaves a Pod alone whose silence began before our time', () => {
    const subject = brake();
    apart(subject, uids(5), []);
    put(subject, ['uid-9'], { isFresh: false });
    subject.step(NOW);
    expect(subject.stormOf('uid-9')).toBeUndefined();
  });

  it('captures Pods that fall silent while it lasts, however few', () => {
    const subject = brake();
    apart(subject, uids(5), uids(5, 100));
    run(subject, NOW, NOW + 5 * MINUTE);
    expect(subject.stormOf('uid-100')).toBeUndefined();
    silence(subject, ['uid-100'], { silentSinceMs: NOW + 5 * MINUTE, node: 'node-of-uid-100' });
    subject.step(NOW + 5 * MINUTE);
    expect(subject.stormOf('uid-100')).toBe(subject.storms[0]);
  });

  it('does not capture a Pod whose silence was old when it was first seen', () => {
    const subject = brake();
    apart(subject, uids(5), uids(5, 100));
    subject.step(NOW);
    silence(subject, ['uid-9'], { silentSinceMs: NOW - TTL - 1, node: '' });
    subject.step(NOW);
    expect(subject.stormOf('uid-9')).toBeUndefined();
  });

  it('does not capture a Pod that was heard before the next step', () => {
    const subject = brake();
    apart(subject, uids(5), uids(5, 100));
    subject.step(NOW);
    apart(subject, ['uid-100'], []);
    apart(subject, [], ['uid-100']);
    subject.step(NOW + SECOND);
    expect(subject.stormOf('uid-100')).toBeUndefined();
  });

  it('lets a Pod go at once when it is fresh, without waiting for a step', () => {
    const subject = brake();
    apart(subject, uids(8), uids(2, 100));
    subject.step(NOW);
    apart(subject, [], ['uid-3']);
    expect(subject.stormOf('uid-3')).toBeUndefined();
    expect(subject.stormOf('uid-4')).toBeDefined();
  });

  it('states its numbers again when more fell silent, but not more often than every half minute', () => {
    const subject = brake();
    apart(subject, uids(5), uids(5, 100));
    subject.step(NOW);
    const stated: string[] = [];
    for (let second = 1; second <= 90; second += 1) {
      const nowMs = NOW + second * SECOND;
      if (second <= 3) apart(subject, [`uid-${100 + second}`], []);
      if (second === 40) apart(subject, [], ['uid-0', 'uid-1']);
      subject.step(nowMs);
      const [storm] = subject.storms;
      const text = storm === undefined ? 'none' : `${storm.silentCount} of ${storm.liveCount}`;
      if (stated.at(-1)?.endsWith(text) !== true) stated.push(`after ${second} s: ${text}`);
    }
    expect(stated).toEqual(['after 1 s: 5 of 10', 'after 30 s: 8 of 10']);
  });
});

describe('I9: storms of a node and of all', () => {
  it('silence of a node goes through workloads of which none has a storm of its own', () => {
    const subject = brake();
    for (const index of [0, 1, 2, 3, 4, 5]) {
      const workload = `shop/Deployment/w${index}`;
      silence(subject, [`silent-${index}`], { workload, node: 'node-1' });
      put(subject, [`fresh-${index}`], { workload, node: 'node-2' });
    }
    silence(subject, ['silent-elsewhere'], { workload: 'shop/Deployment/w0', node: 'node-2' });
    expect(scopes(subject.step(NOW).began)).toEqual(['node node-1']);
    expect(subject.stormOf('silent-0')).toMatchObject({ silentCount: 6, liveCount: 6 });
    expect(subject.stormOf('silent-elsewhere')).toBeUndefined();
  });

  test.each([
    { silent: 20, fresh: 80, isStorm: true },
    { silent: 20, fresh: 81, isStorm: false },
    { silent: 19, fresh: 1, isStorm: false },
  ])('$silent of so many and $fresh fresh ones, each of another workload and node: $isStorm', (row) => {
    const subject = brake();
    for (const uid of uids(row.silent)) silence(subject, [uid], { workload: uid, node: uid });
    for (const uid of uids(row.fresh, 100)) put(subject, [uid], { workload: uid, node: uid });
    expect(scopes(subject.step(NOW).began)).toEqual(row.isStorm ? ['all'] : []);
  });

  it('name the widest for a Pod in several', () => {
    const subject = brake();
    silence(subject, uids(20));
    const { began } = subject.step(NOW);
    expect([...scopes(began)].sort()).toEqual(['all', 'node node-1', `workload ${WEB}`]);
    expect(subject.stormOf('uid-0')?.scope).toBe('all');
  });

  it('a Pod that is not scheduled belongs to no node', () => {
    const subject = brake();
    for (const uid of uids(6)) silence(subject, [uid], { workload: uid, node: '' });
    expect(subject.step(NOW).began).toEqual([]);
  });

  test.each(['node', 'all'])('a storm of %s goes on for as long as the share does not fall', (scope) => {
    const subject = brake();
    for (const uid of uids(20)) silence(subject, [uid], { workload: uid, node: scope === 'node' ? 'node-1' : uid });
    subject.step(NOW);
    run(subject, NOW, NOW + 60 * MINUTE);
    expect(scopes(subject.storms).some((name) => name.startsWith(scope))).toBe(true);
  });
});

describe('A node that is not ready is not our storm', () => {
  it('its silent Pods count in no group', () => {
    const subject = brake();
    silence(subject, uids(30), { isNodeReady: false });
    expect(subject.step(NOW).began).toEqual([]);
    expect(subject.isIdle).toBe(true);
  });

  it('its fresh Pods do not thin out the silence of others', () => {
    const subject = brake();
    put(subject, uids(50, 100), { isNodeReady: false });
    silence(subject, uids(5), { node: 'node-2' });
    expect(scopes(subject.step(NOW).began)).toContain(`workload ${WEB}`);
  });

  it('a storm that turns out to be one ends at once', () => {
    const subject = brake();
    silence(subject, uids(8));
    subject.step(NOW);
    silence(subject, uids(8), { isNodeReady: false });
    expect(subject.stormOf('uid-0')).toBeUndefined();
    const { ended } = subject.step(NOW + SECOND);
    expect(ended.map(({ why }) => why)).toEqual(['gone', 'gone']);
  });
});

describe('I10: a storm ends by itself', () => {
  it('when the share has been below half of the threshold for one time to live, to the step', () => {
    const subject = brake();
    apart(subject, uids(8), uids(2, 100));
    subject.step(NOW);
    // Two of ten are below 25 %.
    apart(subject, [], uids(6));
    subject.step(NOW + SECOND);
    expect(run(subject, NOW + 2 * SECOND, NOW + TTL).ended).toEqual([]);
    expect(subject.step(NOW + SECOND + TTL).ended).toMatchObject([{ scope: 'workload', name: WEB, why: 'recovered' }]);
    expect(subject.storms).toEqual([]);
    expect(subject.stormOf('uid-7')).toBeUndefined();
  });

  it('not while the share is at half of the threshold', () => {
    const subject = brake();
    apart(subject, uids(8), uids(4, 100));
    subject.step(NOW);
    apart(subject, [], uids(5));
    expect(run(subject, NOW, NOW + 3 * TTL).ended).toEqual([]);
  });

  it('not while the count is at half of the minimum', () => {
    const subject = brake({ minimum: 6 });
    apart(subject, uids(6), []);
    subject.step(NOW);
    for (const uid of uids(3)) subject.remove(uid);
    expect(run(subject, NOW, NOW + 3 * TTL).ended).toEqual([]);
    subject.remove('uid-3');
    expect(run(subject, NOW + 3 * TTL, NOW + 4 * TTL).ended).toHaveLength(1);
  });

  it('not at once when all came back, so that a fault which comes and goes is one storm', () => {
    const subject = brake();
    apart(subject, uids(8), uids(2, 100));
    subject.step(NOW);
    apart(subject, [], uids(8));
    subject.step(NOW + SECOND);
    expect(run(subject, NOW + 2 * SECOND, NOW + TTL).ended).toEqual([]);
    silence(subject, ['uid-0'], { silentSinceMs: NOW + TTL, node: 'node-of-uid-0' });
    subject.step(NOW + TTL);
    expect(subject.stormOf('uid-0')).toBe(subject.storms[0]);
    expect(subject.step(NOW + TTL + SECOND).ended).toMatchObject([{ why: 'recovered' }]);
  });

  it('not if the share rose again in between: the time begins anew', () => {
    const subject = brake();
    apart(subject, uids(8), uids(2, 100));
    subject.step(NOW);
    apart(subject, [], uids(6));
    run(subject, NOW, NOW + 100 * SECOND);
    for (const uid of uids(3)) {
      silence(subject, [uid], { silentSinceMs: NOW + 100 * SECOND, node: `node-of-${uid}` });
    }
    run(subject, NOW + 101 * SECOND, NOW + 110 * SECOND);
    apart(subject, [], uids(3));
    subject.step(NOW + 111 * SECOND);
    expect(run(subject, NOW + 112 * SECOND, NOW + 110 * SECOND + TTL).ended).toEqual([]);
    expect(subject.step(NOW + 111 * SECOND + TTL).ended).toHaveLength(1);
  });

  it('when so few are left of the silent ones that the count is below half, though nobody is fresh', () => {
    const subject = brake();
    apart(subject, uids(8), []);
    subject.step(NOW);
    for (const uid of uids(6)) subject.remove(uid);
    expect(run(subject, NOW + SECOND, NOW + SECOND + TTL).ended).toMatchObject([{ why: 'recovered' }]);
  });

  it('at once when all that it captured is gone', () => {
    const subject = brake();
    apart(subject, uids(8), uids(2, 100));
    subject.step(NOW);
    for (const uid of uids(8)) subject.remove(uid);
    expect(subject.step(NOW + SECOND).ended).toMatchObject([{ why: 'gone', silentCount: 8, liveCount: 10 }]);
  });

  it('when the whole workload is gone, and nothing of it is left', () => {
    const subject = brake();
    apart(subject, uids(8), uids(2, 100));
    subject.step(NOW);
    for (const uid of [...uids(8), ...uids(2, 100)]) subject.remove(uid);
    subject.step(NOW + SECOND);
    expect([subject.storms, subject.isIdle]).toEqual([[], true]);
  });

  it('never by growing old: what it captured stays in its count', () => {
    const subject = brake();
    apart(subject, uids(8), uids(2, 100));
    subject.step(NOW);
    expect(run(subject, NOW, NOW + 600 * SECOND - 1).ended).toEqual([]);
  });

  it('of a workload after its maximum, and not again for the same silence', () => {
    const subject = brake();
    apart(subject, uids(8), uids(2, 100));
    subject.step(NOW);
    const { ended, began } = run(subject, NOW + SECOND, NOW + 30 * MINUTE);
    expect(ended).toMatchObject([{ scope: 'workload', why: 'maximumDuration' }]);
    expect(began).toEqual([]);
    expect(subject.isIdle).toBe(true);
  });

  it('of a workload whose maximum is shorter than its time to live, and not again for the same silence', () => {
    const subject = brake({ maxDurationSeconds: 10 });
    apart(subject, uids(8), uids(2, 100));
    subject.step(NOW);
    expect(subject.step(NOW + 10 * SECOND).ended).toMatchObject([{ why: 'maximumDuration' }]);
    apart(subject, uids(8), []);
    expect(run(subject, NOW + 11 * SECOND, NOW + TTL).began).toEqual([]);
  });

  it('and after its maximum begins again when as many fell silent anew', () => {
    const subject = brake({ maxDurationSeconds: 10 });
    apart(subject, uids(8), uids(8, 100));
    subject.step(NOW);
    subject.step(NOW + 10 * SECOND);
    for (const uid of uids(8, 100)) {
      silence(subject, [uid], { silentSinceMs: NOW + 20 * SECOND, node: `node-of-${uid}` });
    }
    expect(subject.step(NOW + 20 * SECOND).began).toMatchObject([{ silentCount: 8, liveCount: 8 }]);
    expect(subject.stormOf('uid-0')).toBeUndefined();
    expect(subject.stormOf('uid-100')).toBeDefined();
  });

  it('a group scaled from 100 to 20 has no storm, since vanished Pods are not silent ones', () => {
    const subject = brake();
    put(subject, uids(100));
    subject.step(NOW);
    for (const uid of uids(80)) subject.remove(uid);
    expect(run(subject, NOW, NOW + 5 * MINUTE)).toEqual({ began: [], ended: [] });
    expect(subject.isIdle).toBe(true);
  });

  it('a group scaled from 100 to 20 in a storm of those that went keeps none', () => {
    const subject = brake();
    silence(subject, uids(60));
    put(subject, uids(40, 100));
    expect(subject.step(NOW).began).toHaveLength(3);
    for (const uid of [...uids(60), ...uids(20, 100)]) subject.remove(uid);
    expect(subject.step(NOW + SECOND).ended.map(({ why }) => why)).toEqual(['gone', 'gone', 'gone']);
  });
});

describe('The brake', () => {
  it('is idle until somebody falls silent, and again when the silence is old', () => {
    const subject = brake();
    put(subject, uids(3));
    expect(subject.isIdle).toBe(true);
    silence(subject, ['uid-0']);
    expect(subject.isIdle).toBe(false);
    subject.step(SINCE + TTL);
    expect(subject.isIdle).toBe(false);
    subject.step(SINCE + TTL + 1);
    expect(subject.isIdle).toBe(true);
  });

  it('does not take old silence for new when the Pod is put again', () => {
    const subject = brake();
    silence(subject, ['uid-0']);
    subject.step(SINCE + TTL + 1);
    silence(subject, ['uid-0']);
    expect(subject.isIdle).toBe(true);
    silence(subject, ['uid-0'], { silentSinceMs: SINCE + TTL });
    expect(subject.isIdle).toBe(false);
  });

  it('moves a Pod to the groups in which it is now', () => {
    const subject = brake();
    for (const uid of uids(5)) silence(subject, [uid], { node: '', workload: uid });
    subject.step(NOW);
    for (const uid of uids(5)) silence(subject, [uid], { node: 'node-7', workload: uid });
    expect(scopes(subject.step(NOW).began)).toEqual(['node node-7']);
  });

  it('takes the removal of a Pod that it does not know for nothing', () => {
    const subject = brake();
    subject.remove('uid-0');
    expect([subject.isIdle, subject.stormOf('uid-0')]).toEqual([true, undefined]);
  });
});

describe('What was found', () => {
  /** The first storm of `scope` in a world of silent Pods, given as workload, node and how many. */
  function found(scope: string, silentPods: readonly (readonly [string, string, number])[], freshCount = 0): string {
    const subject = brake();
    let index = 0;
    for (const [workload, node, count] of silentPods) {
      silence(subject, uids(count, index), { workload, node });
      index += count;
    }
    put(subject, uids(freshCount, 1000), { workload: WEB, node: 'node-9' });
    const storm = subject.step(NOW).began.find((one) => one.scope === scope);
    return storm === undefined ? 'no storm' : stormMessage(storm);
  }

  test.each([
    {
      title: 'a workload whose Pods are spread',
      message: found(
        'workload',
        [
          [WEB, 'node-1', 4],
          [WEB, 'node-2', 4],
        ],
        2,
      ),
      expected: '8 of 10 Pods of shop/Deployment/web fell silent within 120 s.',
    },
    {
      title: 'a workload of which four in five silent Pods are on one node',
      message: found(
        'workload',
        [
          [WEB, 'node-1', 4],
          [WEB, 'node-2', 1],
        ],
        2,
      ),
      expected: '5 of 7 Pods of shop/Deployment/web fell silent within 120 s, 4 of them on the node node-1.',
    },
    {
      title: 'a node with Pods of many workloads',
      message: found('node', [
        ['a', 'node-1', 3],
        ['b', 'node-1', 3],
      ]),
      expected: '6 of 6 Pods on the node node-1 fell silent within 120 s.',
    },
    {
      title: 'a node of which all silent Pods are of one workload',
      message: found('node', [['a', 'node-1', 6]]),
      expected: '6 of 6 Pods on the node node-1 fell silent within 120 s, 6 of them of a.',
    },
    {
      title: 'all, with nothing in common',
      message: found(
        'all',
        [
          ['a', 'node-1', 10],
          ['b', 'node-2', 10],
        ],
        5,
      ),
      expected: '20 of 25 Pods fell silent within 120 s.',
    },
    {
      title: 'all, with a node in common before a workload',
      message: found(
        'all',
        [
          ['a', 'node-1', 19],
          ['a', 'node-2', 1],
        ],
        5,
      ),
      expected: '20 of 25 Pods fell silent within 120 s, 19 of them on the node node-1.',
    },
    {
      title: 'all, with a workload in common',
      message: found(
        'all',
        [
          ['a', 'node-1', 10],
          ['a', 'node-2', 10],
        ],
        5,
      ),
      expected: '20 of 25 Pods fell silent within 120 s, 20 of them of a.',
    },
  ])('says of $title', ({ message, expected }) => {
    expect(message).toBe(expected);
  });

  test.each([
    { reported: 0, verb: 'fell silent' },
    { reported: 3, verb: 'fell silent or reported themselves down' },
    { reported: 6, verb: 'reported themselves down' },
  ])('does not call $reported of 6 silent that are heard', ({ reported, verb }) => {
    const subject = brake();
    for (const [index, uid] of uids(6).entries()) {
      silence(subject, [uid], { isReport: index < reported, node: uid });
    }
    const [storm] = subject.step(NOW).began;
    expect(storm?.reportedCount).toBe(reported);
    expect(storm === undefined ? '' : stormMessage(storm)).toBe(`6 of 6 Pods of ${WEB} ${verb} within 120 s.`);
  });
});
