import { describe, expect, it } from 'vitest';
import type { Verdict } from '../../src/health/condition.ts';
import {
  freshVerdict,
  type HealthFacts,
  healthyVerdict,
  hintedVerdict,
  notBoundVerdict,
  notLookedAtVerdict,
  otherNamespaceVerdict,
  supersededVerdict,
} from '../../src/health/instance-health.ts';
import type { EffectiveTiming, ReportedValue, StatusReport } from '../../src/health/observed-instance.ts';
import { Reason } from '../../src/health/reason.ts';
import type { SilenceEvidence } from '../../src/health/silence-evidence.ts';
import { belief, condition, TIMING } from '../support/builders.ts';

const EFFECTIVE: EffectiveTiming = { ...TIMING, ttlSeconds: 120, source: 'Default' };
const wallMsOf = (momentMs: number): number => 1_763_000_000_000 + momentMs;

describe('Fresh', () => {
  it('of an unheard instance whose object says Unknown awaits the first heartbeat', () => {
    const before = condition({ status: 'Unknown', reason: Reason.DuplicateIdentity });
    const verdict = freshVerdict(belief(0, { kind: 'unheard' }), EFFECTIVE, before, wallMsOf);
    expect(verdict).toMatchObject({ status: 'Unknown', reason: Reason.AwaitingFirstHeartbeat });
  });

  it.each(['True', 'False'] as const)('of an unheard instance whose object says %s stays to the letter', (status) => {
    const before = condition({ status, reason: 'AnyReason', message: 'Any words.' });
    const verdict = freshVerdict(belief(0, { kind: 'unheard' }), EFFECTIVE, before, wallMsOf);
    expect(verdict).toMatchObject({ status, reason: 'AnyReason', message: 'Any words.' });
  });

  it('of a paused instance is Unknown whatever is believed of it', () => {
    for (const kind of ['awaiting', 'unheard', 'fresh', 'stale'] as const) {
      const verdict = freshVerdict(belief(0, { kind, isPaused: true }), EFFECTIVE, condition(), wallMsOf);
      expect(verdict).toMatchObject({ status: 'Unknown', reason: Reason.Paused });
    }
  });

  it('does not mention less than a millisecond that did not count, which is the rounding of two clocks', () => {
    const stale = belief(0, { kind: 'stale', lastHeardMs: 0, deadlineMs: 120_000.4 });
    expect(freshVerdict(stale, EFFECTIVE, undefined, wallMsOf).message).not.toContain('did not count');
  });

  it('of an instance that was stale before our time says no more than is known', () => {
    const stale = belief(0, { kind: 'stale', lastHeardMs: undefined, deadlineMs: undefined });
    expect(freshVerdict(stale, EFFECTIVE, undefined, wallMsOf)).toEqual({
      status: 'False',
      reason: Reason.NotHeardSinceObserverStart,
      message: 'No heartbeat for the whole time to live of 120 s (30 s × 4) since the operator started to listen.',
    });
  });
});

const NOTHING_ELSE: HealthFacts = {
  wish: { outOfService: false, paused: false },
  reported: undefined,
  isSuperseded: false,
  evidence: undefined,
};
const OUT_OF_SERVICE = { outOfService: true, paused: false };
const OOM_KILLED: SilenceEvidence = { reason: 'ContainerOOMKilled', text: 'The container app OOMKilled.' };
const NODE: SilenceEvidence = { reason: 'NodeNotReady', text: 'Its node n1 is not ready.' };

const beating: Verdict = { status: 'True', reason: Reason.HeartbeatReceived, message: 'Heartbeats arrive.' };
const silent: Verdict = { status: 'False', reason: Reason.HeartbeatExpired, message: 'No heartbeat.' };
const unknown: Verdict = { status: 'Unknown', reason: Reason.AwaitingFirstHeartbeat, message: 'None yet.' };

const reports = (value: ReportedValue): StatusReport => ({ value, wallMs: 1_763_000_000_000, podUid: undefined });
const overridden: Verdict = {
  status: 'False',
  reason: Reason.OverriddenOutOfService,
  message: 'A person took the instance out of service: spec.override is OutOfService.',
};
const superseded: Verdict = {
  status: 'Unknown',
  reason: Reason.Superseded,
  message: 'A newer instance of its service runs in the same Pod; this one no longer counts.',
};
const reportedDown: Verdict = {
  status: 'False',
  reason: Reason.ReportedDown,
  message: 'The instance reported DOWN of itself.',
};

interface HealthyRow {
  readonly title: string;
  readonly fresh: Verdict;
  readonly facts: Partial<HealthFacts>;
  readonly healthy: Verdict;
}

const HEALTHY_ROWS: readonly HealthyRow[] = [
  { title: 'of one that beats says so', fresh: beating, facts: {}, healthy: beating },
  { title: 'of a silent one copies status, reason and message of Fresh', fresh: silent, facts: {}, healthy: silent },
  { title: 'of one never heard is Unknown', fresh: unknown, facts: {}, healthy: unknown },
  {
    title: 'I25: is the decision of a person before all',
    fresh: beating,
    facts: { wish: OUT_OF_SERVICE },
    healthy: overridden,
  },
  {
    title: 'I25: is the decision of a person even of a paused instance',
    fresh: { ...unknown, reason: Reason.Paused },
    facts: { wish: { outOfService: true, paused: true } },
    healthy: overridden,
  },
  {
    title: 'I25: is the decision of a person whatever the application reports',
    fresh: beating,
    facts: { wish: OUT_OF_SERVICE, reported: reports('UP') },
    healthy: overridden,
  },
  {
    title: 'is the decision of a person even of one that was replaced',
    fresh: silent,
    facts: { wish: OUT_OF_SERVICE, isSuperseded: true, evidence: NODE },
    healthy: overridden,
  },
  {
    title: 'of one that reported DOWN is False though it beats',
    fresh: beating,
    facts: { reported: reports('DOWN') },
    healthy: reportedDown,
  },
  {
    title: 'of one that reported OUTOFSERVICE is False though it beats',
    fresh: beating,
    facts: { reported: reports('OUTOFSERVICE') },
    healthy: {
      status: 'False',
      reason: Reason.ReportedOutOfService,
      message: 'The instance reported OUTOFSERVICE of itself.',
    },
  },
  {
    title: 'of one that reported STARTING is False though it beats: it asks for no traffic yet',
    fresh: beating,
    facts: { reported: reports('STARTING') },
    healthy: { status: 'False', reason: Reason.ReportedStarting, message: 'The instance reported STARTING of itself.' },
  },
  {
    title: 'of one that reported UP is what its heartbeats say',
    fresh: beating,
    facts: { reported: reports('UP') },
    healthy: beating,
  },
  {
    title: 'of one that reported TESTING is what its heartbeats say',
    fresh: beating,
    facts: { reported: reports('TESTING') },
    healthy: beating,
  },
  {
    title: 'of a silent one that reported UP is False: a report is no heartbeat',
    fresh: silent,
    facts: { reported: reports('UP') },
    healthy: silent,
  },
  {
    title: 'of a silent one that reported DOWN names the silence',
    fresh: silent,
    facts: { reported: reports('DOWN') },
    healthy: silent,
  },
  {
    title: 'of one that is not judged says nothing of its report',
    fresh: unknown,
    facts: { reported: reports('DOWN') },
    healthy: unknown,
  },
  {
    title: 'of a silent one that was replaced is Unknown',
    fresh: silent,
    facts: { isSuperseded: true },
    healthy: superseded,
  },
  {
    title: 'of a silent one that was replaced needs no other explanation',
    fresh: silent,
    facts: { isSuperseded: true, evidence: OOM_KILLED },
    healthy: superseded,
  },
  {
    title: 'of one that beats is not touched by another that would replace it',
    fresh: beating,
    facts: { isSuperseded: true },
    healthy: beating,
  },
  {
    title: "of a silent one takes the Pod's reason, and its sentence behind its own",
    fresh: silent,
    facts: { evidence: OOM_KILLED },
    healthy: { status: 'False', reason: 'ContainerOOMKilled', message: 'No heartbeat. The container app OOMKilled.' },
  },
  {
    title: "of one that beats is not touched by its Pod's state",
    fresh: beating,
    facts: { evidence: OOM_KILLED },
    healthy: beating,
  },
  {
    title: "of one never heard is not touched by its Pod's state",
    fresh: unknown,
    facts: { evidence: OOM_KILLED },
    healthy: unknown,
  },
];

describe('Healthy', () => {
  it.each(HEALTHY_ROWS)('$title', ({ fresh, facts, healthy }) => {
    expect(healthyVerdict(fresh, { ...NOTHING_ELSE, ...facts }, undefined)).toEqual(healthy);
  });

  const explained = condition({
    status: 'False',
    reason: OOM_KILLED.reason,
    message: `${silent.message} ${OOM_KILLED.text}`,
  });

  it.each([{ evidence: NODE }, { evidence: undefined }, { evidence: OOM_KILLED }])(
    'I15: of a silence that was explained keeps its explanation, whatever the Pod says later',
    ({ evidence }) => {
      expect(healthyVerdict(silent, { ...NOTHING_ELSE, evidence }, explained)).toEqual(explained);
    },
  );

  it('of a silence in other words is explained anew', () => {
    const other: Verdict = { ...silent, message: 'Another silence.' };
    expect(healthyVerdict(other, { ...NOTHING_ELSE, evidence: NODE }, explained)).toEqual({
      status: 'False',
      reason: 'NodeNotReady',
      message: 'Another silence. Its node n1 is not ready.',
    });
  });

  // A node is found to be not ready 40 to 50 s after it is: later than the deadline of a short time to live.
  it('of a silence that nothing explained at first is explained once the Pod tells why', () => {
    const bare = condition({ status: 'False', reason: silent.reason, message: silent.message });
    expect(healthyVerdict(silent, { ...NOTHING_ELSE, evidence: NODE }, bare)).toMatchObject({ reason: 'NodeNotReady' });
  });

  it('of one that a person put back in service while it is silent is the silence, with its explanation', () => {
    const before = condition({ ...overridden });
    expect(healthyVerdict(silent, { ...NOTHING_ELSE, evidence: NODE }, before)).toMatchObject({
      status: 'False',
      reason: 'NodeNotReady',
    });
  });

  it('of one whose successor fell silent as well is its own silence again', () => {
    const before = condition({ ...superseded });
    expect(healthyVerdict(silent, NOTHING_ELSE, before)).toEqual(silent);
  });
});

describe('What is said of the Pod of an instance', () => {
  it.each([
    ['UnknownSender', 'The instance is not bound to a Pod: its sender is not known.'],
    [
      'SharedAddress',
      'The instance is not bound to a Pod: its heartbeats come from an address that many senders share.',
    ],
    ['NoPod', 'The instance is not bound to a Pod: no Pod is known at the address of its heartbeats.'],
    ['SeveralPods', 'The instance is not bound to a Pod: several Pods have the address of its heartbeats.'],
  ] as const)('names why none is bound: %s', (why, message) => {
    expect(notBoundVerdict(why)).toEqual({ status: 'False', reason: 'NotBound', message });
  });

  it('is never True but by a Pod that was looked at', () => {
    for (const verdict of [hintedVerdict, otherNamespaceVerdict, supersededVerdict, notLookedAtVerdict]) {
      expect(verdict.status).not.toBe('True');
    }
  });
});

describe('Reasons', () => {
  it('are single CamelCase words, as Kubernetes asks', () => {
    for (const [name, reason] of Object.entries(Reason)) {
      expect(reason).toBe(name);
      expect(reason).toMatch(/^[A-Z][A-Za-z]+$/);
    }
  });
});
