/** The one controller, in controller-runtime's way: the kind in lower case. */
export const CONTROLLER = 'heartbeatinstance';

export const QUEUE_LABELS = { name: CONTROLLER, controller: CONTROLLER } as const;
