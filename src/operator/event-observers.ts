import type { LoopObserver, ObjectEvent, PodObserver, PolicyObserver, RecordEvent } from '../controller/ports.ts';
import type { Condition } from '../health/condition.ts';
import { identityConflictVerdict } from '../health/instance-health.ts';
import type { ObservedInstance } from '../health/observed-instance.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import type { ObservedPolicy } from '../health/observed-policy.ts';
import { stormMessage } from '../brakes/storm.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';

type EventLoop = Pick<LoopObserver, 'transitioned'>;
type EventPods = Pick<
  PodObserver,
  'podWritten' | 'podHeld' | 'identityConflict' | 'readyDidNotFollow' | 'stormBegan' | 'stormEnded'
>;

/**
 * What people see when they describe an object: that its health changed, that a brake holds it, that a policy is wrong.
 *
 * @param policiesOfAll every policy there is: a storm is told to each of them.
 */
export function eventObserver(
  record: RecordEvent,
  policiesOfAll: () => Iterable<ObservedPolicy>,
  instanceOf: (key: InstanceKey) => ObservedInstance | undefined,
): EventLoop & EventPods & Pick<PolicyObserver, 'policyWritten'> {
  const tellPolicies = (event: Omit<ObjectEvent, 'regarding'>): void => {
    for (const policy of policiesOfAll()) record({ ...event, regarding: policyObject(policy) });
  };
  return {
    transitioned(instance, before) {
      const healthy = instance.status?.healthy;
      // The first verdict on a healthy instance is no news.
      if (healthy === undefined || (before === undefined && healthy.status !== 'False')) return;
      const ref = instance.status?.podRef;
      record({
        regarding: instanceObject(instance),
        ...(ref && { related: { kind: 'Pod', namespace: ref.namespace, name: ref.name, uid: ref.uid } }),
        type: healthy.status === 'False' ? 'Warning' : 'Normal',
        reason: healthy.reason,
        action: 'Judge',
        note: healthy.message,
      });
    },
    podWritten(pod, condition) {
      const before = pod.condition?.status;
      // The first condition is no news, unless it is a bad one.
      if (before === condition.status || (before === undefined && condition.status !== 'False')) return;
      record({
        regarding: podObject(pod),
        type: condition.status === 'False' ? 'Warning' : 'Normal',
        reason: condition.reason,
        action: actionOf(pod, condition),
        note: condition.message,
      });
    },
    podHeld(pod, hold) {
      if (hold === undefined) return;
      record({ regarding: podObject(pod), type: 'Warning', reason: hold.reason, action: 'Hold', note: hold.message });
    },
    identityConflict(key, sender) {
      const instance = instanceOf(key);
      if (instance === undefined) return;
      const { reason, message } = identityConflictVerdict(true);
      const note = `${message} The last one came from ${sender}.`;
      record({ regarding: instanceObject(instance), type: 'Warning', reason, action: 'Bind', note });
    },
    readyDidNotFollow(pod) {
      const note = `The condition of the Pod was written, and its Ready has not followed within the time a kubelet takes.`;
      record({ regarding: podObject(pod), type: 'Warning', reason: 'ReadyNotFollowed', action: 'Confirm', note });
    },
    stormBegan(storm) {
      tellPolicies({ type: 'Warning', reason: 'StormBegan', action: 'Hold', note: stormMessage(storm) });
    },
    stormEnded(storm, why) {
      const note = `Ended (${why}): ${stormMessage(storm)}`;
      tellPolicies({ type: 'Normal', reason: 'StormEnded', action: 'Release', note });
    },
    policyWritten(policy, before) {
      for (const name of ['accepted', 'conflicted'] as const) {
        const condition = policy.status?.[name];
        const isBad = condition?.status === (name === 'accepted' ? 'False' : 'True');
        if (condition === undefined || !isBad || before.status?.[name]?.status === condition.status) continue;
        const { reason, message } = condition;
        record({ regarding: policyObject(policy), type: 'Warning', reason, action: 'Check', note: message });
      }
    },
  };
}

function actionOf(pod: ObservedPod, condition: Condition): string {
  if (!pod.hasGate) return 'Annotate';
  return condition.status === 'True' ? 'Restore' : 'Withdraw';
}

function instanceObject({ namespace, name, uid }: ObservedInstance): ObjectEvent['regarding'] {
  return { kind: 'HeartbeatInstance', namespace, name, uid };
}

function podObject({ namespace, name, uid }: ObservedPod): ObjectEvent['regarding'] {
  return { kind: 'Pod', namespace, name, uid };
}

function policyObject({ namespace, name, uid }: ObservedPolicy): ObjectEvent['regarding'] {
  return { kind: 'HeartbeatPolicy', namespace, name, uid };
}
