import type { TestProject } from 'vitest/node';
import { ControlPlane } from './control-plane.ts';
import type { SharedControlPlane } from './shared-control-plane.ts';

declare module 'vitest' {
  interface ProvidedContext {
    readonly controlPlane: SharedControlPlane;
  }
}

/**
 * One control plane for the whole run, built before if need be. A test file that breaks the server starts one of its
 * own instead.
 */
export default async function startSharedControlPlane(project: TestProject): Promise<() => Promise<void>> {
  let controlPlane: ControlPlane;
  try {
    controlPlane = await ControlPlane.start();
  } catch (error) {
    // Thrown here, it would keep the tests of all other projects from running as well.
    project.provide('controlPlane', { kind: 'unavailable', reason: (error as Error).message });
    return async () => {};
  }
  project.provide('controlPlane', { kind: 'started', connection: controlPlane.connection });
  return () => controlPlane.stop();
}
