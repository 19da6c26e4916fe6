/* oxlint-disable vitest/expect-expect -- What a test expects is often said by the world: expectServing, expectPod. */
import { describe, expect, it } from 'vitest';
import type { ObservedPolicy } from '../../../src/health/observed-policy.ts';
import { HOUR, MINUTE, SECOND, TTL } from '../../support/builders.ts';
import { names, PodWorld, WITHDRAWN_AFTER } from '../../support/pod-world.ts';

const EXPIRED = 'False/HeartbeatExpired';
const RECEIVED = 'True/HeartbeatReceived';
const NOT_ENFORCED = 'True/NotEnforced';

const SHORT = { intervalSeconds: 10, times: 2 };

/** Selects the Pods with the label `tier: <tier>`. */
function tier(value: string): Pick<ObservedPolicy, 'selector'> {
  return { selector: { matchLabels: { tier: value }, matchExpressions: [] } };
}

const BROKEN: Pick<ObservedPolicy, 'selector'> = {
  selector: { matchLabels: {}, matchExpressions: [{ key: 'tier', operator: 'Matches', values: ['a'] }] },
};

describe('The timing', () => {
  it('comes from the person’s wish, then the policy, then the default, and the object says from where', async () => {
    const world = await PodWorld.started();
    world.putPolicy('short', { ...tier('a'), timing: SHORT });
    await world.givenServing(['web-0', 'web-1'], { labels: { tier: 'a' } });
    await world.givenServing(['web-2']);
    await world.edit('web-1', { heartbeat: { intervalSeconds: 5, times: 1 } });
    await world.pass(SECOND);
    expect(names(3).map((id) => world.object(id).status?.effective)).toEqual([
      { ...SHORT, ttlSeconds: 30, source: 'Policy' },
      { intervalSeconds: 5, times: 1, ttlSeconds: 10, source: 'Spec' },
      { intervalSeconds: 30, times: 3, ttlSeconds: 120, source: 'Default' },
    ]);
  });

  it('that a policy shortens counts from then on: nobody is stale by the change, and silence is told by the new one', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(3));
    world.silence('web-0');
    world.beat('web-0');
    await world.pass(TTL - 40 * SECOND);
    world.putPolicy('short', { timing: { intervalSeconds: 8, times: 3 } });
    await world.pass(31 * SECOND);
    world.expectServing('web-0');
    await world.pass(SECOND + WITHDRAWN_AFTER);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    expect(world.object('web-0').status?.effective).toMatchObject({ ttlSeconds: 32, source: 'Policy' });
    expect(world.servingOf(names(3))).toEqual(['web-1', 'web-2']);
  });

  it('that a policy lengthens holds at once: an application that beats as slowly as it says is never stale', async () => {
    const world = await PodWorld.started({ timing: SHORT });
    await world.givenServing(names(3));
    world.putPolicy('slow', { timing: { intervalSeconds: 60, times: 3 } });
    world.silence(names(3));
    world.keepBeating(names(3), { intervalMs: MINUTE });
    await world.pass(10 * MINUTE);
    expect(world.servingOf(names(3))).toEqual(names(3));
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False')).toEqual([]);
  });

  it('is that of another policy as soon as the labels of the Pod say so, and the default when the policy is gone', async () => {
    const world = await PodWorld.started();
    world.putPolicy('short', { ...tier('a'), timing: SHORT });
    await world.givenServing(names(2));
    world.changePod('web-0', { labels: { tier: 'a' } });
    await world.pass(SECOND);
    expect(world.object('web-0').status?.effective).toMatchObject({ ttlSeconds: 30, source: 'Policy' });
    world.removePolicy('short');
    await world.pass(SECOND);
    expect(world.object('web-0').status?.effective).toMatchObject({ ttlSeconds: 120, source: 'Default' });
  });

  it('of the policy holds for an instance that is bound when the operator restarts', async () => {
    const world = await PodWorld.started();
    world.putPolicy('slow', { timing: { intervalSeconds: 300, times: 3 } });
    world.addPods(names(2));
    world.keepBeating(names(2), { intervalMs: 5 * MINUTE });
    await world.pass(MINUTE);
    await world.restart('pods');
    await world.pass(20 * MINUTE);
    expect(world.shown(names(2))).toEqual([RECEIVED, RECEIVED]);
    expect(world.cluster.podWrites.filter(({ status }) => status === 'False')).toEqual([]);
  });
});

describe('Enforcement', () => {
  const cases = [
    { enforcement: 'Observe', hasGate: false, shown: 'nothing', synced: 'False/NotEnforced' },
    { enforcement: 'Observe', hasGate: true, shown: NOT_ENFORCED, synced: 'False/NotEnforced' },
    { enforcement: 'Annotate', hasGate: false, shown: EXPIRED, synced: 'True/PodConditionCurrent' },
    { enforcement: 'Annotate', hasGate: true, shown: NOT_ENFORCED, synced: 'False/NotEnforced' },
    { enforcement: 'Gate', hasGate: false, shown: EXPIRED, synced: 'True/PodConditionCurrent' },
    { enforcement: 'Gate', hasGate: true, shown: EXPIRED, synced: 'True/PodConditionCurrent' },
  ] as const;

  it.each(cases)('$enforcement on a Pod whose gate is there: $hasGate shows a silence as $shown', async (row) => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { enforcement: row.enforcement });
    await world.givenServing(names(2), { hasGate: row.hasGate });
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    expect(world.shown(['web-0'])).toEqual([row.shown]);
    const { status, reason } = world.object('web-0').status?.podSynced ?? {};
    expect(`${status}/${reason}`).toBe(row.synced);
    world.expectHealthy('web-0', 'False', 'HeartbeatExpired');
  });

  it('Annotate on a gated Pod tells the verdict in the message', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { enforcement: 'Annotate' });
    await world.givenServing(names(2));
    expect(world.pod('web-0').condition?.message).toBe('The policy says Annotate. Its instances are healthy.');
    world.silence('web-0');
    await world.pass(TTL + SECOND);
    world.expectServing('web-0');
    expect(world.pod('web-0').condition?.message).toBe(
      'The policy says Annotate. 1 of 1 instances unhealthy (no heartbeat in time): cart/web-0.',
    );
  });

  it('lowered opens at once what was closed, and clears the False of a Pod without the gate', async () => {
    const world = await PodWorld.started();
    await world.givenServing(names(2));
    await world.givenServing(['plain'], { hasGate: false });
    world.silence(['web-0', 'plain']);
    await world.pass(TTL + SECOND);
    world.putPolicy('rules', { enforcement: 'Observe' });
    await world.pass(SECOND);
    expect(world.shown(['web-0', 'plain'])).toEqual([NOT_ENFORCED, NOT_ENFORCED]);
    world.expectServing('web-0');
  });

  it('I8: raised over many that were silent for long withdraws no more than the rate and the floor allow', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { enforcement: 'Annotate' });
    await world.givenServing(names(10));
    world.silence(names(10));
    await world.pass(HOUR);
    expect(world.servingOf(names(10)).length).toBe(10);
    world.putPolicy('rules', { enforcement: 'Gate' });
    await world.pass(5 * SECOND);
    expect(world.servingOf(names(10)).length).toBe(8);
    await world.pass(10 * MINUTE);
    expect(world.servingOf(names(10)).length).toBe(1);
    const moments = world.cluster.podWrites.filter(({ status }) => status === 'False').map(({ atWallMs }) => atWallMs);
    for (const atWallMs of moments) {
      const inMinute = moments.filter((other) => other >= atWallMs && other < atWallMs + MINUTE);
      expect(inMinute.length).toBeLessThanOrEqual(2);
    }
  }, 30_000);

  it('I17: of a policy that is deleted ends with it, and nobody who never was heard is closed by that', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { initial: 'Open' });
    world.addPod('never');
    await world.pass(MINUTE);
    world.expectServing('never');
    world.removePolicy('rules');
    await world.pass(MINUTE);
    world.expectServing('never');
  });

  it('I17: changed from initial Open to Closed closes nobody who is open', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules', { initial: 'Open' });
    world.addPods(names(10));
    await world.pass(MINUTE);
    expect(world.servingOf(names(10)).length).toBe(10);
    world.putPolicy('rules', { initial: 'Closed' });
    await world.pass(MINUTE);
    expect(world.servingOf(names(10)).length).toBe(10);
    world.addPod('later');
    await world.pass(SECOND);
    world.expectPod('later', 'Unknown', 'AwaitingFirstHeartbeat');
  });

  it('I17: of Observe and Annotate opens a gated Pod that was never heard', async () => {
    for (const enforcement of ['Observe', 'Annotate'] as const) {
      const world = await PodWorld.started();
      world.putPolicy('rules', { enforcement });
      world.addPod('never');
      await world.pass(SECOND);
      world.expectServing('never');
      world.removePolicy('rules');
      await world.pass(SECOND);
      world.expectServing('never');
    }
  });
});

describe('Several policies', () => {
  it('over one Pod: the highest priority rules, and the other says that it is overruled and by whom', async () => {
    const world = await PodWorld.started();
    world.putPolicy('low', { timing: SHORT });
    world.putPolicy('high', { priority: 1, timing: { intervalSeconds: 20, times: 2 } });
    await world.givenServing(names(2));
    await world.pass(10 * SECOND);
    expect(world.object('web-0').status?.effective).toMatchObject({ ttlSeconds: 60, source: 'Policy' });
    expect(world.policyStatus('high')).toMatchObject({ pods: 2, conflicted: { status: 'False' } });
    expect(world.policyStatus('low')).toMatchObject({
      pods: 0,
      accepted: { status: 'True' },
      conflicted: { status: 'True', reason: 'OverruledByPolicy', message: expect.stringContaining('high') },
    });
  });

  it('of one priority: the oldest rules, then the first by name', async () => {
    const world = await PodWorld.started();
    const createdSeconds = Math.floor(world.clock.wallMs() / 1000);
    world.putPolicy('a', { createdSeconds, timing: { intervalSeconds: 11, times: 0 } });
    world.putPolicy('b', { createdSeconds: createdSeconds - 1, timing: { intervalSeconds: 12, times: 0 } });
    world.putPolicy('c', { createdSeconds: createdSeconds - 1, timing: { intervalSeconds: 13, times: 0 } });
    world.addPods(names(2));
    world.keepBeating(names(2), { intervalMs: 5 * SECOND });
    await world.pass(10 * SECOND);
    expect(world.object('web-0').status?.effective).toMatchObject({ ttlSeconds: 12 });
    expect(world.policyStatus('a')?.conflicted?.status).toBe('True');
    expect(world.policyStatus('c')?.conflicted?.status).toBe('True');
  });

  it('of which the ruling one is deleted: the other takes over, and no longer says that it is overruled', async () => {
    const world = await PodWorld.started();
    world.putPolicy('low', { enforcement: 'Annotate' });
    world.putPolicy('high', { priority: 1 });
    await world.givenServing(names(2));
    await world.pass(10 * SECOND);
    world.silence('web-0');
    await world.pass(TTL);
    world.expectPod('web-0', 'False', 'HeartbeatExpired');
    world.removePolicy('high');
    await world.pass(SECOND);
    world.expectPod('web-0', 'True', 'NotEnforced');
    await world.pass(20 * SECOND);
    expect(world.policyStatus('low')).toMatchObject({ pods: 2, conflicted: { status: 'False', reason: 'NoConflict' } });
  });

  it('of which one has a broken selector: it says so, rules nobody, and the other rules', async () => {
    const world = await PodWorld.started();
    world.putPolicy('broken', { ...BROKEN, priority: 9, enforcement: 'Observe' });
    world.putPolicy('sound', { timing: SHORT });
    await world.givenServing(names(2), { labels: { tier: 'a' } });
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
    await world.pass(10 * SECOND);
    expect(world.policyStatus('broken')).toMatchObject({
      pods: 0,
      counts: { live: 0, fresh: 0, stale: 0, unknown: 0, held: 0 },
      accepted: { status: 'False', reason: 'InvalidSelector' },
      conflicted: { status: 'False' },
    });
    expect(world.policyStatus('sound')).toMatchObject({ pods: 2, accepted: { status: 'True', reason: 'Valid' } });
  });

  it('in different namespaces do not touch each other’s Pods', async () => {
    const world = await PodWorld.started();
    world.putPolicy('elsewhere', { namespace: 'elsewhere', enforcement: 'Observe' });
    await world.givenServing(names(2));
    world.expectPod('web-0', 'True', 'HeartbeatReceived');
    await world.pass(10 * SECOND);
    expect(world.policyStatus('elsewhere')).toMatchObject({ pods: 0, counts: { live: 0 } });
  });
});

describe('The status of a policy', () => {
  it('counts the instances of its Pods by what is believed of them, and the Pods that are held', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules');
    await world.givenServing(names(3));
    await world.givenServing(['alone'], { workload: 'Deployment/alone' });
    world.addPod('never');
    world.addPod('done', { isFinished: true });
    await world.edit('web-2', { paused: true });
    world.silence(['web-0', 'alone']);
    await world.pass(TTL + 20 * SECOND);
    expect(world.policyStatus('rules')).toMatchObject({
      pods: 5,
      counts: { live: 4, fresh: 1, stale: 2, unknown: 1, held: 1 },
      accepted: { status: 'True' },
      listening: { status: 'True', reason: 'Listening' },
      stormActive: { status: 'False', reason: 'NoStorm' },
      observedGeneration: 1,
    });
  });

  it('does not count a superseded instance', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules');
    await world.givenServing(names(2));
    world.silence('web-0');
    world.keepBeating(['web-0'], { instanceId: 'second' });
    await world.pass(TTL + 20 * SECOND);
    expect(world.policyStatus('rules')?.counts).toEqual({ live: 2, fresh: 2, stale: 0, unknown: 0, held: 0 });
  });

  it('is written at most once in ten seconds, and not at all while nothing changes', async () => {
    const world = await PodWorld.started();
    world.putPolicy('rules');
    await world.givenServing(names(4));
    for (let round = 0; round < 60; round += 1) {
      world.addPod(`new-${round}`);
      await world.pass(3 * SECOND);
    }
    const moments = world.cluster.policyWrites.map(({ atWallMs }) => atWallMs);
    expect(moments.length).toBeGreaterThan(10);
    for (const [index, atWallMs] of moments.entries()) {
      expect(atWallMs - (moments[index - 1] ?? 0)).toBeGreaterThanOrEqual(10 * SECOND);
    }
    await world.pass(MINUTE);
    const { length } = world.cluster.policyWrites;
    await world.pass(10 * MINUTE);
    expect(world.cluster.policyWrites.length).toBe(length);
  });

  it('that conflicts, is refused or cannot be written is written later, and others are not held up', async () => {
    const world = await PodWorld.started();
    const outcomes = [
      { kind: 'conflict' },
      { kind: 'unreachable', message: 'away' },
      { kind: 'refused', reason: 'Forbidden', message: 'no' },
    ] as const;
    world.putPolicy('a');
    world.putPolicy('b', tier('b'));
    let calls = 0;
    world.cluster.policyFault = ({ name }) => {
      if (name !== 'a') return undefined;
      calls += 1;
      return outcomes[calls - 1];
    };
    await world.pass(11 * SECOND);
    expect(world.policyStatus('a')).toBeUndefined();
    expect(world.policyStatus('b')?.accepted?.status).toBe('True');
    await world.pass(30 * SECOND);
    expect(world.policyStatus('a')?.accepted?.status).toBe('True');
  });

  it('is written by the next round though one round threw', async () => {
    const world = await PodWorld.started();
    world.putPolicy('a');
    let calls = 0;
    world.cluster.policyFault = () => {
      calls += 1;
      if (calls === 1) throw new Error('a mistake of ours');
      return undefined;
    };
    await world.pass(MINUTE);
    expect(world.policyStatus('a')?.accepted?.status).toBe('True');
  });
});
