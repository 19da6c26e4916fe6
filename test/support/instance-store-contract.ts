import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InstanceStore, ResourceListener, WriteOutcome } from '../../src/controller/ports.ts';
import type { Condition } from '../../src/health/condition.ts';
import type { InstanceStatus, ObservedInstance } from '../../src/health/observed-instance.ts';
import { type InstanceIdentity, keyOf } from '../../src/liveness/instance-key.ts';

/** What people may write. */
export type PersonsWish = Partial<Pick<ObservedInstance, 'heartbeat' | 'outOfService' | 'paused'>>;

/** A store, and the means to do to its objects what people do with kubectl. */
export interface InstanceStoreUnderTest {
  readonly store: InstanceStore;
  /** Where the test may make objects; nobody else does. */
  readonly namespace: string;
  /** From now on `listener` hears of the objects in `namespace`. */
  start(listener: ResourceListener<ObservedInstance>): Promise<void>;
  createByPerson(namespace: string, name: string, identity: InstanceIdentity, wish?: PersonsWish): Promise<void>;
  /** Changes what `wish` names. */
  edit(namespace: string, name: string, wish: PersonsWish): Promise<void>;
  deleteByPerson(namespace: string, name: string): Promise<void>;
  stop(): Promise<void>;
}

/** What every InstanceStore promises to the loop, whatever it keeps the objects in. */
export function describeInstanceStoreContract(
  storeName: string,
  makeStore: () => Promise<InstanceStoreUnderTest>,
): void {
  describe(`${storeName} keeps the contract of an instance store:`, () => {
    let underTest: InstanceStoreUnderTest;
    let store: InstanceStore;
    let heard: RecordingListener;
    let namespace: string;

    beforeEach(async () => {
      underTest = await makeStore();
      ({ store, namespace } = underTest);
      heard = new RecordingListener();
    });
    afterEach(() => underTest.stop());

    const draft = (name: string) => ({ namespace, name, identity: identityFor(name) });

    it('a created object carries the identity, our label and no status', async () => {
      const created = written(await store.create(draft('a')));
      expect(created).toMatchObject({
        key: keyOf(identityFor('a')),
        namespace,
        name: 'a',
        generation: 1,
        managed: true,
        heartbeat: undefined,
        outOfService: false,
        paused: false,
        status: undefined,
      });
      expect(created.resourceVersion).not.toBe('');
      expect(Number.isInteger(created.createdSeconds)).toBe(true);
    });

    it('a second object of the same name is refused as exists, whatever its identity', async () => {
      await store.create(draft('a'));
      expect(await store.create(draft('a'))).toEqual({ kind: 'exists' });
      expect(await store.create({ ...draft('a'), identity: identityFor('b') })).toEqual({ kind: 'exists' });
    });

    it('a written status is returned as it was given, with a new resourceVersion and the same generation', async () => {
      const created = written(await store.create(draft('a')));
      const after = written(await store.writeStatus(created, FRESH));
      expect(after.status).toEqual(FRESH);
      expect(after.resourceVersion).not.toBe(created.resourceVersion);
      expect({ ...after, status: undefined, resourceVersion: '' }).toEqual({ ...created, resourceVersion: '' });
    });

    it('a written status leaves what a person decided as it is', async () => {
      const wish = { heartbeat: { intervalSeconds: 7, times: 1 }, outOfService: true, paused: true };
      await underTest.createByPerson(namespace, 'a', identityFor('a'), wish);
      await underTest.start(heard);
      const after = written(await store.writeStatus(await heard.latest('a'), FRESH));
      expect(after).toMatchObject({ ...wish, managed: false, generation: 1 });
    });

    it('a status with fewer parts takes away the parts that it does not have', async () => {
      const created = written(await store.create(draft('a')));
      const stale = written(await store.writeStatus(created, STALE));
      expect(stale.status).toEqual(STALE);
      const fresh = written(await store.writeStatus(stale, FRESH));
      expect(fresh.status).toEqual(FRESH);
      const empty = written(await store.writeStatus(fresh, EMPTY));
      expect(empty.status).toEqual(EMPTY);
      await underTest.start(heard);
      expect((await heard.latest('a')).status).toEqual(EMPTY);
    });

    it('transition times come back to the second and heartbeat times to the millisecond', async () => {
      const created = written(await store.create(draft('a')));
      await store.writeStatus(created, STALE);
      await underTest.start(heard);
      const { status } = await heard.latest('a');
      expect(status?.fresh?.lastTransitionSeconds).toBe(STALE.fresh?.lastTransitionSeconds);
      expect(status?.lastHeartbeatWallMs).toBe(STALE.lastHeartbeatWallMs);
      expect(status?.expiredWallMs).toBe(STALE.expiredWallMs);
    });

    it('a status that is there already is written without a new resourceVersion', async () => {
      const before = written(await store.writeStatus(written(await store.create(draft('a'))), FRESH));
      expect(written(await store.writeStatus(before, FRESH))).toEqual(before);
    });

    it('a status planned on an old resourceVersion is a conflict and changes nothing', async () => {
      const created = written(await store.create(draft('a')));
      const current = written(await store.writeStatus(created, FRESH));
      expect(await store.writeStatus(created, STALE)).toEqual({ kind: 'conflict' });
      await underTest.start(heard);
      expect(await heard.latest('a')).toEqual(current);
    });

    it('a status for an object that is gone is absent', async () => {
      const created = written(await store.create(draft('a')));
      await underTest.deleteByPerson(namespace, 'a');
      expect(await store.writeStatus(created, FRESH)).toEqual({ kind: 'absent' });
      expect(await store.remove(created)).toEqual({ kind: 'absent' });
    });

    it('a status for an object that was deleted and made again is a conflict', async () => {
      const created = written(await store.create(draft('a')));
      await underTest.deleteByPerson(namespace, 'a');
      await store.create(draft('a'));
      expect(await store.writeStatus(created, FRESH)).toEqual({ kind: 'conflict' });
    });

    it('an object that changed since it was looked at is not removed', async () => {
      const created = written(await store.create(draft('a')));
      const current = written(await store.writeStatus(created, FRESH));
      expect(await store.remove(created)).toEqual({ kind: 'conflict' });
      expect(await store.remove(current)).toEqual({ kind: 'removed' });
    });

    it('a listener hears first of all objects that are there, and then of each change in order', async () => {
      written(await store.create(draft('a')));
      await underTest.createByPerson(namespace, 'b', identityFor('b'));
      await underTest.start(heard);
      await heard.latest('b');
      const [first] = heard.all;
      expect(first?.kind).toBe('replaced');
      expect(first?.items.map((item) => item.name).sort()).toEqual(['a', 'b']);

      const created = written(await store.create(draft('c')));
      const fresh = written(await store.writeStatus(created, FRESH));
      const stale = written(await store.writeStatus(fresh, STALE));
      await store.remove(stale);
      await heard.removalOf('c');
      expect(heard.all.slice(1).map(({ kind, items }) => [kind, items[0]?.status])).toEqual([
        ['changed', undefined],
        ['changed', FRESH],
        ['changed', STALE],
        ['removed', STALE],
      ]);
      expect(heard.all.at(-1)?.items[0]?.key).toBe(keyOf(identityFor('c')));
    });

    it('what a write returns is what the listener hears', async () => {
      await underTest.start(heard);
      const created = written(await store.create(draft('a')));
      const after = written(await store.writeStatus(created, STALE));
      await vi.waitFor(async () => expect((await heard.latest('a')).resourceVersion).toBe(after.resourceVersion));
      expect(await heard.latest('a')).toEqual(after);
    });

    it("a person's edit is heard with the next generation and the status as it was", async () => {
      const created = written(await store.create(draft('a')));
      const before = written(await store.writeStatus(created, FRESH));
      await underTest.start(heard);
      await underTest.edit(namespace, 'a', { paused: true, heartbeat: { intervalSeconds: 5, times: 0 } });
      await vi.waitFor(async () => expect((await heard.latest('a')).generation).toBe(2));
      const after = await heard.latest('a');
      expect(after).toMatchObject({ paused: true, heartbeat: { intervalSeconds: 5, times: 0 }, status: FRESH });
      expect(after.resourceVersion).not.toBe(before.resourceVersion);
      expect(await store.writeStatus(before, STALE)).toEqual({ kind: 'conflict' });
    });

    it('an object that a person makes is heard by its spec, whatever its name, and is not ours', async () => {
      await underTest.start(heard);
      await underTest.createByPerson(namespace, 'some-name', identityFor('a'), { outOfService: true });
      expect(await heard.latest('some-name')).toMatchObject({
        key: keyOf(identityFor('a')),
        managed: false,
        outOfService: true,
        paused: false,
        generation: 1,
      });
    });

    it('an object that a person deletes is heard as removed', async () => {
      await store.create(draft('a'));
      await underTest.start(heard);
      await underTest.deleteByPerson(namespace, 'a');
      expect((await heard.removalOf('a')).key).toBe(keyOf(identityFor('a')));
    });
  });
}

/** Keeps all that it hears. */
class RecordingListener implements ResourceListener<ObservedInstance> {
  readonly all: { kind: 'replaced' | 'changed' | 'removed'; items: readonly ObservedInstance[] }[] = [];

  replaced(items: readonly ObservedInstance[]): Promise<void> {
    this.all.push({ kind: 'replaced', items });
    return Promise.resolve();
  }

  changed(item: ObservedInstance): void {
    this.all.push({ kind: 'changed', items: [item] });
  }

  removed(item: ObservedInstance): void {
    this.all.push({ kind: 'removed', items: [item] });
  }

  /** The object as it was last heard, once it was. */
  latest(name: string): Promise<ObservedInstance> {
    return vi.waitFor(() => {
      const items = this.all.filter(({ kind }) => kind !== 'removed').flatMap((entry) => entry.items);
      return expectFound(items.findLast((item) => item.name === name));
    });
  }

  removalOf(name: string): Promise<ObservedInstance> {
    return vi.waitFor(() => {
      const items = this.all.filter(({ kind }) => kind === 'removed').flatMap((entry) => entry.items);
      return expectFound(items.find((item) => item.name === name));
    });
  }
}

function expectFound<T>(found: T | undefined): T {
  if (found === undefined) throw new Error('not heard yet');
  return found;
}

function written(outcome: WriteOutcome): ObservedInstance {
  if (outcome.kind !== 'written') throw new Error(`not written: ${JSON.stringify(outcome)}`);
  return outcome.instance;
}

function identityFor(instanceId: string): InstanceIdentity {
  return { domain: 'domain with spaces/é', projectId: 'project', serviceId: 'service', instanceId };
}

function condition(status: Condition['status'], reason: string): Condition {
  return {
    status,
    reason,
    message: `A sentence about "${reason}", with ünusual — characters.`,
    lastTransitionSeconds: 1_763_000_001,
    observedGeneration: 1,
  };
}

const FRESH: InstanceStatus = {
  fresh: condition('True', 'HeartbeatReceived'),
  healthy: condition('True', 'HeartbeatReceived'),
  podSynced: condition('True', 'PodConditionCurrent'),
  healthySummary: 'True',
  lastHeartbeatWallMs: 1_763_000_123_456,
  expiredWallMs: undefined,
  effective: { intervalSeconds: 30, times: 3, ttlSeconds: 120, source: 'Default' },
  observedGeneration: 1,
};

const STALE: InstanceStatus = {
  fresh: condition('False', 'HeartbeatExpired'),
  healthy: condition('False', 'HeartbeatExpired'),
  podSynced: undefined,
  healthySummary: 'False',
  lastHeartbeatWallMs: 1_763_000_123_456,
  expiredWallMs: 1_763_000_243_457,
  effective: { intervalSeconds: 5, times: 0, ttlSeconds: 5, source: 'Spec' },
  observedGeneration: 1,
};

const EMPTY: InstanceStatus = {
  fresh: undefined,
  healthy: undefined,
  podSynced: undefined,
  healthySummary: undefined,
  lastHeartbeatWallMs: undefined,
  expiredWallMs: undefined,
  effective: undefined,
  observedGeneration: undefined,
};
