import {
  DEFAULT_RULES,
  type Enforcement,
  type LabelSelector,
  type ObservedPolicy,
  type PolicyCounts,
  type PolicyStatus,
} from '../health/observed-policy.ts';
import { isRecord } from './api-error.ts';
import { decodeCondition, encodeCondition, secondsOf } from './condition-codec.ts';
import type { HeartbeatPolicy } from './generated/heartbeat-policy.ts';
import { GROUP } from './instance-resource.ts';

type StoredSpec = HeartbeatPolicy['spec'];
type StoredStatus = NonNullable<HeartbeatPolicy['status']>;

const PLURAL = 'heartbeatpolicies';

/** What a policy asks for that does not say: that it is there must not withdraw anything. */
const DEFAULT_ENFORCEMENT: Enforcement = 'Annotate';

const NOTHING_COUNTED: PolicyCounts = { live: 0, fresh: 0, stale: 0, unknown: 0, held: 0 };

/** The path of all policies, or of those in one namespace. */
export function policiesPath(namespace?: string): string {
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `/apis/${GROUP}/v1alpha1${scope}/${PLURAL}`;
}

export function policyStatusPath(namespace: string, name: string): string {
  return `${policiesPath(namespace)}/${encodeURIComponent(name)}/status`;
}

/**
 * The slim form of a stored object, with every default in place.
 *
 * The API server sets the defaults too, when it knows them: an object may have been read from one whose definition
 * of the resource is older than we are. It has checked the object against that definition, so that only what a later
 * one could change is looked at with suspicion.
 *
 * @throws TypeError if it is not a HeartbeatPolicy
 */
export function decodePolicy(object: unknown): ObservedPolicy {
  if (!isRecord(object) || !isRecord(object['metadata']) || !isRecord(object['spec'])) {
    throw new TypeError('not a HeartbeatPolicy: it has no metadata or no spec');
  }
  const { metadata } = object;
  const { spec, status } = object as unknown as HeartbeatPolicy;
  const { uid, name, namespace, resourceVersion, generation, creationTimestamp } = metadata;
  if (typeof name !== 'string' || typeof namespace !== 'string' || typeof resourceVersion !== 'string') {
    throw new TypeError('not a stored HeartbeatPolicy: it has no name, namespace or resourceVersion');
  }
  // Without a selector it would be taken for one that selects every Pod.
  if (!isRecord(spec.selector)) throw new TypeError(`the HeartbeatPolicy ${namespace}/${name} has no selector`);
  const { storm } = DEFAULT_RULES;
  return {
    uid: typeof uid === 'string' ? uid : '',
    namespace,
    name,
    resourceVersion,
    generation: typeof generation === 'number' ? generation : 0,
    createdSeconds: typeof creationTimestamp === 'string' ? secondsOf(creationTimestamp) : 0,
    priority: spec.priority ?? 0,
    selector: decodeSelector(spec.selector),
    timing: spec.heartbeat && { intervalSeconds: spec.heartbeat.intervalSeconds, times: spec.heartbeat.times },
    enforcement: decodeEnforcement(spec.enforcement),
    initial: spec.initial ?? DEFAULT_RULES.initial,
    openAfterSeconds: spec.openAfterSeconds ?? DEFAULT_RULES.openAfterSeconds,
    minHealthy: spec.minHealthy ?? DEFAULT_RULES.minHealthy,
    storm: {
      percent: spec.storm?.percent ?? storm.percent,
      minimum: spec.storm?.minimum ?? storm.minimum,
      maxDurationSeconds: spec.storm?.maxDurationSeconds ?? storm.maxDurationSeconds,
    },
    withdrawalPercentPerMinute: spec.withdrawalPercentPerMinute ?? DEFAULT_RULES.withdrawalPercentPerMinute,
    status: status && decodeStatus(status),
  };
}

function decodeSelector(selector: StoredSpec['selector']): LabelSelector {
  return {
    matchLabels: { ...selector.matchLabels },
    matchExpressions: (selector.matchExpressions ?? []).map(({ key, operator, values }) => ({
      key,
      operator,
      values: values ?? [],
    })),
  };
}

function decodeEnforcement(enforcement: StoredSpec['enforcement']): Enforcement {
  switch (enforcement) {
    case undefined:
      return DEFAULT_ENFORCEMENT;
    case 'Annotate':
    case 'Gate':
    case 'Observe':
      return enforcement;
    // One of a later version: what it allows is not known, so that nothing is.
    default:
      return 'Observe';
  }
}

function decodeStatus(status: StoredStatus): PolicyStatus {
  const { conditions, counts = NOTHING_COUNTED } = status;
  const { live, fresh, stale, unknown, held } = counts;
  return {
    observedGeneration: status.observedGeneration,
    pods: status.pods ?? 0,
    counts: { live, fresh, stale, unknown, held },
    accepted: decodeCondition(conditions, 'Accepted'),
    conflicted: decodeCondition(conditions, 'Conflicted'),
    listening: decodeCondition(conditions, 'Listening'),
    stormActive: decodeCondition(conditions, 'StormActive'),
  };
}

/** The status as the value of a merge patch, in which null removes a field and a missing one would leave it as it is. */
export function encodePolicyStatus(status: PolicyStatus): object {
  const { live, fresh, stale, unknown, held } = status.counts;
  const conditions = [
    ['Accepted', status.accepted],
    ['Conflicted', status.conflicted],
    ['Listening', status.listening],
    ['StormActive', status.stormActive],
  ] as const;
  return {
    observedGeneration: status.observedGeneration ?? null,
    pods: status.pods,
    counts: { live, fresh, stale, unknown, held },
    conditions: conditions.flatMap(([type, condition]) => (condition ? [encodeCondition(type, condition)] : [])),
  };
}
