import { describe, expect, it } from 'vitest';
import { DEFAULT_RULES } from '../../src/health/observed-policy.ts';
import { WorkloadRules } from '../../src/brakes/workload-rules.ts';
import { rules } from './support/pod-standings.ts';

const CAREFUL = rules({
  minHealthy: 3,
  storm: { percent: 30, minimum: 9, maxDurationSeconds: 60 },
  withdrawalPercentPerMinute: 50,
});
const BOLD = rules({
  minHealthy: 0,
  storm: { percent: 60, minimum: 2, maxDurationSeconds: 900 },
  withdrawalPercentPerMinute: 5,
});

describe('The rules of a workload', () => {
  it('are those that all of its Pods share', () => {
    const subject = new WorkloadRules();
    subject.add(CAREFUL);
    subject.add(CAREFUL);
    expect(subject.strictest).toBe(CAREFUL);
  });

  it('are of each the one that withdraws the least, where Pods differ', () => {
    const subject = new WorkloadRules();
    subject.add(CAREFUL);
    subject.add(BOLD);
    expect(subject.strictest).toEqual({
      minHealthy: 3,
      storm: { percent: 30, minimum: 2, maxDurationSeconds: 900 },
      withdrawalPercentPerMinute: 5,
    });
  });

  it('follow when the last Pod with other rules is gone, and not before', () => {
    const subject = new WorkloadRules();
    for (const one of [CAREFUL, BOLD, BOLD]) subject.add(one);
    subject.remove(BOLD);
    expect(subject.strictest.minHealthy).toBe(3);
    expect(subject.strictest.withdrawalPercentPerMinute).toBe(5);
    subject.remove(BOLD);
    expect(subject.strictest).toBe(CAREFUL);
  });

  it('are the defaults without any Pod', () => {
    const subject = new WorkloadRules();
    subject.add(CAREFUL);
    subject.remove(CAREFUL);
    expect(subject.strictest).toBe(DEFAULT_RULES);
  });
});
