import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/api/**', 'test/cluster/**', 'node_modules/**'],
          // Not 0: where there is one worker only, vitest runs that group last.
          sequence: { groupOrder: 1 },
          testTimeout: 10_000,
        },
      },
      {
        test: {
          name: 'api',
          include: ['test/api/**/*.test.ts'],
          sequence: { groupOrder: 2 },
          globalSetup: ['test/control-plane/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          // Two cores serve etcd, the API server and the tests: one test file at a time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          // Last and alone, since it measures how fast a cluster is.
          sequence: { groupOrder: 3 },
          // A first run installs packages and builds Kubernetes.
          testTimeout: 180_000,
          hookTimeout: 30 * 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
