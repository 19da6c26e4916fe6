// Generated from deploy/crds/heartbeat-operator.io_heartbeatpolicies.yaml by npm run generate. Do not edit.

/**
 * What the heartbeats of the instances in some Pods of a namespace mean for these Pods. A Pod that no policy selects gets the defaults, and its readiness gate alone decides whether it can be withdrawn.
 */
export interface HeartbeatPolicy {
  /**
   * The versioned schema of this object, heartbeat-operator.io/v1alpha1.
   */
  apiVersion?: string;
  /**
   * HeartbeatPolicy.
   */
  kind?: string;
  metadata?: {};
  /**
   * Which Pods the policy is for, and its rules.
   */
  spec: {
    /**
     * The labels of the Pods that the policy is for, in its own namespace. All of it must match; an empty selector, {}, selects every Pod of the namespace.
     */
    selector: {
      /**
       * Labels that a Pod must have, with their values.
       */
      matchLabels?: {
        [k: string]: string;
      };
      /**
       * Further conditions on labels. All of them must hold.
       *
       * @maxItems 32
       */
      matchExpressions?: {
        /**
         * The name of the label.
         */
        key: string;
        /**
         * In: the label has one of the values. NotIn: it has none of them, or is absent. Exists, DoesNotExist: the label is there, with whatever value, or is not.
         */
        operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        /**
         * The values for In and NotIn.
         *
         * @maxItems 64
         */
        values?: string[];
      }[];
    };
    /**
     * Of several policies that select a Pod the one with the highest priority rules it, then the oldest, then the first by name. The rules of two policies are never mixed. 0 if absent.
     */
    priority?: number;
    /**
     * The timing of the instances in these Pods, unless the instance itself says otherwise. An instance is stale after intervalSeconds × (times + 1) seconds of silence.
     */
    heartbeat?: {
      /**
       * Seconds between two heartbeats.
       */
      intervalSeconds: number;
      /**
       * How many heartbeats in a row may be missed.
       */
      times: number;
    };
    /**
     * What may be done to the Pods. Observe: nothing is written to them. Annotate: they show the verdict in the condition heartbeat-operator.io/Healthy, and stay in service. Gate: a Pod that declares the readiness gate heartbeat-operator.io/Healthy leaves its Services when it is silent. Under Observe and Annotate a Pod that declares it is kept open, whatever the verdict. Annotate if absent.
     */
    enforcement?: 'Observe' | 'Annotate' | 'Gate';
    /**
     * What a Pod with the readiness gate shows before it was ever heard. Closed: it gets no traffic before its first heartbeat, or until openAfterSeconds. Open: it gets traffic at once. Closed if absent.
     */
    initial?: 'Open' | 'Closed';
    /**
     * How many seconds after its creation a Pod with the readiness gate that was never heard is opened all the same, so that a Pod which sends no heartbeats is not closed for ever. 600 if absent.
     */
    openAfterSeconds?: number;
    /**
     * How many Pods of a workload must stay ready when one is withdrawn. With 1, the last one stays in service although it is silent; 0 allows that none is left. 1 if absent.
     */
    minHealthy?: number;
    /**
     * When the silence of a workload is taken for a common fault, as of the network. While a storm is active none of its Pods is withdrawn for silence, and those withdrawn in the same moment are opened again.
     */
    storm?: {
      /**
       * The share of the live Pods, in percent, that must have fallen silent within one time to live. 50 if absent.
       */
      percent?: number;
      /**
       * At least so many Pods must have fallen silent, whatever their share. 5 if absent.
       */
      minimum?: number;
      /**
       * After so many seconds the storm is over for the workload, whatever its share. 600 if absent.
       */
      maxDurationSeconds?: number;
    };
    /**
     * The part of a workload, in percent and rounded up, that may be withdrawn in a minute. Pods that come back are never held up. 15 if absent.
     */
    withdrawalPercentPerMinute?: number;
  };
  /**
   * What the operator found. It is written by the operator only, at most once in some seconds.
   */
  status?: {
    /**
     * The metadata.generation that the status was last derived from.
     */
    observedGeneration?: number;
    /**
     * Pods that the policy rules. Those that a policy of higher precedence rules are not among them.
     */
    pods?: number;
    /**
     * Instances in the Pods that the policy rules.
     */
    counts?: {
      /**
       * All instances that are counted. Those of Pods that have finished or are being deleted are not.
       */
      live: number;
      /**
       * Instances whose heartbeats arrive in time.
       */
      fresh: number;
      /**
       * Instances that are silent for longer than their time to live.
       */
      stale: number;
      /**
       * Instances that were not heard yet or are not judged.
       */
      unknown: number;
      /**
       * Pods that fell silent and are not withdrawn, because of a brake.
       */
      held: number;
    };
    /**
     * Accepted: can the policy be used as it is written? Conflicted: does another policy rule Pods that this one selects? Listening: can the operator hear heartbeats? StormActive: is the silence of a workload taken for a common fault?
     *
     * @maxItems 16
     */
    conditions?: {
      /**
       * What the condition is about.
       */
      type: string;
      /**
       * Whether the condition holds.
       */
      status: 'True' | 'False' | 'Unknown';
      /**
       * One word for the category of the cause.
       */
      reason: string;
      /**
       * The cause in a sentence.
       */
      message: string;
      /**
       * When the status of the condition last changed.
       */
      lastTransitionTime: string;
      /**
       * The metadata.generation that the condition was derived from.
       */
      observedGeneration?: number;
    }[];
  };
}
