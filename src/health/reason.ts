/** Every reason that can stand in a condition; docs/conditions.md explains each. */
export const Reason = {
  HeartbeatReceived: 'HeartbeatReceived',
  HeartbeatExpired: 'HeartbeatExpired',
  NotHeardSinceObserverStart: 'NotHeardSinceObserverStart',
  AwaitingFirstHeartbeat: 'AwaitingFirstHeartbeat',
  Paused: 'Paused',
  DuplicateIdentity: 'DuplicateIdentity',
  OverriddenOutOfService: 'OverriddenOutOfService',
  Superseded: 'Superseded',
  // What the application said of itself.
  ReportedDown: 'ReportedDown',
  ReportedOutOfService: 'ReportedOutOfService',
  ReportedStarting: 'ReportedStarting',
  // What the Pod or its node tells about a silence.
  PodFinished: 'PodFinished',
  PodTerminating: 'PodTerminating',
  NodeNotReady: 'NodeNotReady',
  ContainerOOMKilled: 'ContainerOOMKilled',
  ContainerRestarted: 'ContainerRestarted',
  ContainerWaiting: 'ContainerWaiting',
  // Whether the Pod shows the verdict, and why not.
  PodConditionCurrent: 'PodConditionCurrent',
  NotBound: 'NotBound',
  OtherNamespace: 'OtherNamespace',
  NotEnforced: 'NotEnforced',
  StormHold: 'StormHold',
  RateLimited: 'RateLimited',
  MinimumHealthyFloor: 'MinimumHealthyFloor',
  Forbidden: 'Forbidden',
  PodCacheStale: 'PodCacheStale',
  PodWriteUnconfirmed: 'PodWriteUnconfirmed',
  // On Pods alone.
  Released: 'Released',
  FirstHeartbeatTimeout: 'FirstHeartbeatTimeout',
  // Who beats for the instance.
  ForeignSender: 'ForeignSender',
  OnlyBoundPod: 'OnlyBoundPod',
} as const;

export type Reason = (typeof Reason)[keyof typeof Reason];
