import { afterAll, beforeAll, beforeEach } from 'vitest';
import { Cluster } from './cluster.ts';
import { OperatorInCluster } from './operator-in-cluster.ts';
import { PodHistory } from './pod-history.ts';

/** What the tests of one file have in common. */
export interface World {
  readonly cluster: Cluster;
  readonly operator: OperatorInCluster;
  readonly history: PodHistory;
}

const LOG_LINES = 60;

/** A cluster with the operator in it, for all tests of the file. Returns how to come to it. */
export function useWorld(): () => World {
  let world: World | undefined;

  beforeAll(async () => {
    const cluster = await Cluster.start();
    try {
      const operator = await OperatorInCluster.install(cluster);
      world = { cluster, operator, history: await PodHistory.start(cluster.controlPlane.connection) };
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  });

  beforeEach(({ onTestFailed }) => {
    onTestFailed(() => tell(`The operator said:\n${world?.operator.log.split('\n').slice(-LOG_LINES).join('\n')}`));
  });

  afterAll(async () => {
    await world?.history.stop();
    await world?.operator.kill();
    await world?.cluster.stop();
  });

  return () => {
    if (world === undefined) throw new Error('the cluster does not run');
    return world;
  };
}

/** For people to read, beside what tests assert. */
export function tell(line: string): void {
  process.stderr.write(`  ${line}\n`);
}
