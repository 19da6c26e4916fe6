import { Reason } from './reason.ts';
import type { ObservedNode } from './observed-node.ts';
import type { ObservedPod } from './observed-pod.ts';

/** What the Pod's own state says about a silence: a word for programs and a sentence for people. */
export interface SilenceEvidence {
  readonly reason: string;
  readonly text: string;
}

/** Clocks of nodes differ a little, and a container may die just before its last heartbeat is read. */
const SLACK_SECONDS = 5;

/**
 * Why an instance fell silent, as far as its Pod and its node tell: what explains the most comes first.
 *
 * @param sinceSeconds the last heartbeat, in seconds since the Unix epoch; what ended long before it explains nothing.
 */
export function silenceEvidence(
  pod: ObservedPod | undefined,
  node: ObservedNode | undefined,
  sinceSeconds: number | undefined,
): SilenceEvidence | undefined {
  if (pod === undefined) return undefined;
  const name = `The Pod ${pod.name}`;
  if (pod.isFinished) return { reason: Reason.PodFinished, text: `${name} has finished.` };
  if (pod.isTerminating) return { reason: Reason.PodTerminating, text: `${name} is being deleted.` };
  if (node !== undefined && !node.isReady) {
    return { reason: Reason.NodeNotReady, text: `Its node ${node.name} is not ready.` };
  }
  const { lastTermination: ended, waiting } = pod;
  const isRecent =
    ended !== undefined && sinceSeconds !== undefined && ended.finishedSeconds >= sinceSeconds - SLACK_SECONDS;
  if (ended !== undefined && isRecent) {
    const how = `${ended.reason === '' ? 'ended' : ended.reason} with exit code ${ended.exitCode}`;
    const text = `The container ${ended.container} of ${pod.name} ${how} (${pod.restarts} restarts).`;
    return { reason: ended.reason === 'OOMKilled' ? Reason.ContainerOOMKilled : Reason.ContainerRestarted, text };
  }
  if (waiting !== undefined) {
    return {
      reason: Reason.ContainerWaiting,
      text: `The container ${waiting.container} of ${pod.name} waits: ${waiting.reason}.`,
    };
  }
  return undefined;
}
