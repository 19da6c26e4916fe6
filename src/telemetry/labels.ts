/** The controllers, in controller-runtime's way: the kind in lower case. */
export const CONTROLLERS = ['heartbeatinstance', 'pod'] as const;

export type ControllerName = (typeof CONTROLLERS)[number];

export function queueLabels(controller: ControllerName): { readonly name: string; readonly controller: string } {
  return { name: controller, controller };
}
