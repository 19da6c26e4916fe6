import { describe, expect, it, test } from 'vitest';
import type { ObservedNode } from '../../src/health/observed-node.ts';
import type { ContainerTermination, ObservedPod } from '../../src/health/observed-pod.ts';
import { type SilenceEvidence, silenceEvidence } from '../../src/health/silence-evidence.ts';
import { pod } from '../support/builders.ts';
import { node } from '../support/pod-builders.ts';

/** When the instance was last heard. */
const HEARD = 1_763_000_000;

const ended = (parts: Partial<ContainerTermination> = {}): ContainerTermination => ({
  container: 'app',
  reason: 'Error',
  exitCode: 1,
  finishedSeconds: HEARD + 2,
  ...parts,
});

const READY = node('node-1');
const NOT_READY = node('node-1', { isReady: false });
const CRASHING = { container: 'app', reason: 'CrashLoopBackOff' };

interface Row {
  readonly title: string;
  readonly pod: Partial<ObservedPod>;
  readonly node?: ObservedNode | undefined;
  readonly heardSeconds?: number | undefined;
  readonly evidence: SilenceEvidence | undefined;
}

const ROWS: readonly Row[] = [
  { title: 'A Pod that runs as it should explains nothing', pod: {}, evidence: undefined },
  {
    title: 'A Pod that has finished',
    pod: { isFinished: true },
    evidence: { reason: 'PodFinished', text: 'The Pod web-1 has finished.' },
  },
  {
    title: 'A Pod that is being deleted',
    pod: { isTerminating: true },
    evidence: { reason: 'PodTerminating', text: 'The Pod web-1 is being deleted.' },
  },
  {
    title: 'A node that is not ready',
    pod: {},
    node: NOT_READY,
    evidence: { reason: 'NodeNotReady', text: 'Its node node-1 is not ready.' },
  },
  { title: 'A node that is not known explains nothing', pod: {}, node: undefined, evidence: undefined },
  {
    title: 'A container that was killed for its memory',
    pod: { restarts: 3, lastTermination: ended({ reason: 'OOMKilled', exitCode: 137 }) },
    evidence: {
      reason: 'ContainerOOMKilled',
      text: 'The container app of web-1 OOMKilled with exit code 137 (3 restarts).',
    },
  },
  {
    title: 'A container that ended by itself',
    pod: { restarts: 1, lastTermination: ended({ reason: 'Completed', exitCode: 0 }) },
    evidence: {
      reason: 'ContainerRestarted',
      text: 'The container app of web-1 Completed with exit code 0 (1 restarts).',
    },
  },
  {
    title: 'A container of whose end the runtime says nothing',
    pod: { restarts: 1, lastTermination: ended({ reason: '', exitCode: 255 }) },
    evidence: {
      reason: 'ContainerRestarted',
      text: 'The container app of web-1 ended with exit code 255 (1 restarts).',
    },
  },
  {
    title: 'A container that waits',
    pod: { waiting: { container: 'app', reason: 'ImagePullBackOff' } },
    evidence: { reason: 'ContainerWaiting', text: 'The container app of web-1 waits: ImagePullBackOff.' },
  },
  {
    title: 'A container that ended five seconds before the last heartbeat: clocks differ',
    pod: { lastTermination: ended({ finishedSeconds: HEARD - 5 }) },
    evidence: { reason: 'ContainerRestarted', text: 'The container app of web-1 Error with exit code 1 (0 restarts).' },
  },
  {
    title: 'A container that ended long before the last heartbeat explains nothing',
    pod: { lastTermination: ended({ finishedSeconds: HEARD - 6 }) },
    evidence: undefined,
  },
  {
    title: 'A container that ended at a time that cannot be compared explains nothing',
    pod: { lastTermination: ended() },
    heardSeconds: undefined,
    evidence: undefined,
  },
  {
    title: 'A container that ended long ago leaves the word to one that waits now',
    pod: { lastTermination: ended({ finishedSeconds: HEARD - 600 }), waiting: CRASHING },
    evidence: { reason: 'ContainerWaiting', text: 'The container app of web-1 waits: CrashLoopBackOff.' },
  },
  {
    title: 'How it ended says more than that it waits to be started again',
    pod: { restarts: 9, lastTermination: ended({ reason: 'OOMKilled', exitCode: 137 }), waiting: CRASHING },
    evidence: {
      reason: 'ContainerOOMKilled',
      text: 'The container app of web-1 OOMKilled with exit code 137 (9 restarts).',
    },
  },
  {
    title: 'The node says more than a container on it',
    pod: { lastTermination: ended(), waiting: CRASHING },
    node: NOT_READY,
    evidence: { reason: 'NodeNotReady', text: 'Its node node-1 is not ready.' },
  },
  {
    title: 'A deletion says more than the node',
    pod: { isTerminating: true },
    node: NOT_READY,
    evidence: { reason: 'PodTerminating', text: 'The Pod web-1 is being deleted.' },
  },
  {
    title: 'That it has finished says more than that it is deleted',
    pod: { isFinished: true, isTerminating: true, lastTermination: ended() },
    node: NOT_READY,
    evidence: { reason: 'PodFinished', text: 'The Pod web-1 has finished.' },
  },
];

describe("What the Pod's own state says about a silence", () => {
  test.each(ROWS)('$title', (row) => {
    const on = 'node' in row ? row.node : READY;
    const heardSeconds = 'heardSeconds' in row ? row.heardSeconds : HEARD;
    expect(silenceEvidence(pod('web-1', row.pod), on, heardSeconds)).toEqual(row.evidence);
  });

  it('is nothing if the Pod is not known', () => {
    expect(silenceEvidence(undefined, NOT_READY, HEARD)).toBeUndefined();
  });
});
