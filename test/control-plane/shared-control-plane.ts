import { inject } from 'vitest';
import { ApiServerAccess, type ControlPlaneConnection } from './api-server-access.ts';

/** What the global setup tells the test files. */
export type SharedControlPlane =
  | { readonly kind: 'started'; readonly connection: ControlPlaneConnection }
  | { readonly kind: 'unavailable'; readonly reason: string };

/**
 * The control plane that the run started. Other test files use it too: keep to a namespace of your own.
 *
 * @throws Error with the reason why there is none, which fails the test file that asks.
 */
export function sharedControlPlane(): ApiServerAccess {
  const shared = inject('controlPlane');
  if (shared.kind === 'unavailable') {
    throw new Error(shared.reason);
  }
  return new ApiServerAccess(shared.connection);
}
