// Generated from deploy/crds/heartbeat-operator.io_heartbeatinstances.yaml by npm run generate. Do not edit.

/**
 * One running copy of a microservice that sends heartbeats, and what its heartbeats say about its health. The operator creates the object at the first heartbeat; one that a person creates is an instance that is expected.
 */
export interface HeartbeatInstance {
  /**
   * The versioned schema of this object, heartbeat-operator.io/v1alpha1.
   */
  apiVersion?: string;
  /**
   * HeartbeatInstance.
   */
  kind?: string;
  metadata?: {};
  /**
   * Who the instance is, and what people decided about it.
   */
  spec: {
    /**
     * The name of the tenant account, from the header x-domain-name of the heartbeat. It cannot be changed.
     */
    domain: string;
    /**
     * The tenant's sub-project, from the path of the heartbeat. It cannot be changed.
     */
    projectId: string;
    /**
     * The microservice that the instance is a copy of, from the path of the heartbeat. It cannot be changed.
     */
    serviceId: string;
    /**
     * The instance itself, from the path of the heartbeat. It cannot be changed.
     */
    instanceId: string;
    /**
     * The timing of this instance's heartbeats. It beats what the instance registered, the policy and the defaults. The instance is stale after intervalSeconds × (times + 1) seconds of silence.
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
     * OutOfService takes the instance out of service whatever it sends. It stays until the field is removed.
     */
    override?: 'OutOfService';
    /**
     * While true, the instance is not judged, and silence has no consequence.
     */
    paused?: boolean;
  };
  /**
   * What the operator found. It is written by the operator only.
   */
  status?: {
    /**
     * Fresh: is the heartbeat contract kept? Healthy: the verdict, with the reason of its cause. PodSynced: does the Pod show the verdict? IdentityConflict: do heartbeats come from elsewhere than the Pod that the instance runs in? It is there only if they ever did.
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
    /**
     * The status of the condition Healthy once more, so that --field-selector status.healthy=False finds the instance.
     */
    healthy?: 'True' | 'False' | 'Unknown';
    /**
     * When a heartbeat was last heard. The operator knows the exact time and records it coarsely: it is exact when a condition changes.
     */
    lastHeartbeatTime?: string;
    /**
     * When the time to live ran out. Present only while the instance is stale.
     */
    expiredAt?: string;
    /**
     * The timing in force.
     */
    effective?: {
      /**
       * Seconds between two heartbeats.
       */
      intervalSeconds: number;
      /**
       * How many heartbeats in a row may be missed.
       */
      times: number;
      /**
       * Seconds of silence after which the instance is stale, intervalSeconds × (times + 1).
       */
      ttlSeconds: number;
      /**
       * Where the timing comes from.
       */
      source: 'Spec' | 'Registration' | 'Policy' | 'Default';
    };
    /**
     * What the application last said of itself. It stays when heartbeats come or fail to come, until the application says something else.
     */
    reported?: {
      /**
       * The status that was reported.
       */
      value: 'UP' | 'DOWN' | 'OUTOFSERVICE' | 'STARTING' | 'TESTING';
      /**
       * When it was reported.
       */
      time: string;
      /**
       * The uid of the Pod that proved to have reported it. Without it the report counts for no Pod.
       */
      podUid?: string;
    };
    /**
     * The Pod that the instance runs in, if it is known.
     */
    podRef?: {
      /**
       * The namespace of the Pod, which may be another than that of this object.
       */
      namespace: string;
      /**
       * The name of the Pod.
       */
      name: string;
      /**
       * The uid of the Pod, so that a later Pod of the same name is not taken for it.
       */
      uid: string;
      /**
       * By which evidence the Pod was found. Token: the sender presented a token of the Pod. PodIP: the heartbeat came from an address that no other Pod has. Both prove it. InstanceId: of the Pods that may have sent the heartbeat it is the one that is named like the instance; nothing is written to a Pod for that.
       */
      matchedBy: 'Token' | 'PodIP' | 'InstanceId';
    };
    /**
     * The metadata.generation that the status was last derived from.
     */
    observedGeneration?: number;
  };
}
