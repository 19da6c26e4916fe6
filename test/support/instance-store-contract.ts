import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { InstanceDraft, InstanceStore, ResourceListener, WriteOutcome } from '../../src/controller/ports.ts';
import type { Condition } from '../../src/health/condition.ts';
import type { InstanceStatus, ObservedInstance, StatusReport } from '../../src/health/observed-instance.ts';
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

    const draft = (name: string, parts: Partial<InstanceDraft> = {}): InstanceDraft => ({
      namespace,
      name,
      identity: identityFor(name),
      owner: undefined,
      ...parts,
    });

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
        ownerUid: undefined,
        reported: undefined,
        status: undefined,
      });
      expect(created.uid).not.toBe('');
      expect(created.resourceVersion).not.toBe('');
      expect(Number.isInteger(created.createdSeconds)).toBe(true);
    });

    it('a second object of the same name is refused as exists, whatever its identity', async () => {
      await store.create(draft('a'));
      expect(await store.create(draft('a'))).toEqual({ kind: 'exists' });
      expect(await store.create(draft('a', { identity: identityFor('b') }))).toEqual({ kind: 'exists' });
    });

    it('a created object is owned by the Pod of the draft', async () => {
      const created = written(await store.create(draft('a', { owner: POD })));
      expect(created).toMatchObject({ ownerUid: POD.uid, managed: true, generation: 1 });
      await underTest.start(heard);
      expect(await heard.latest('a')).toEqual(created);
    });

    it('an object that is made again under its name has another uid', async () => {
      const former = written(await store.create(draft('a')));
      await underTest.deleteByPerson(namespace, 'a');
      expect(written(await store.create(draft('a'))).uid).not.toBe(former.uid);
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

    it('an empty status is a status, also as the first one', async () => {
      const created = written(await store.create(draft('a')));
      expect(written(await store.writeStatus(created, EMPTY)).status).toEqual(EMPTY);
    });

    it('the Pod of an instance and who else beats for it come back as they were written', async () => {
      const created = written(await store.create(draft('a')));
      const bound = written(await store.writeStatus(created, BOUND));
      expect(bound.status).toEqual(BOUND);
      const hinted: InstanceStatus = {
        ...BOUND,
        identityConflict: condition('False', 'HeardFromPod'),
        podRef: { namespace: 'elsewhere', name: 'cart-1', uid: 'uid-of-cart-1', matchedBy: 'InstanceId' },
        effective: { intervalSeconds: 10, times: 2, ttlSeconds: 30, source: 'Policy' },
      };
      expect(written(await store.writeStatus(bound, hinted)).status).toEqual(hinted);
    });

    it('a Pod that becomes the owner is the only one, and nothing else changes', async () => {
      const created = written(await store.create(draft('a', { owner: POD })));
      const fresh = written(await store.writeStatus(created, FRESH));
      const owned = written(await store.own(fresh, { name: 'cart-2', uid: 'uid-of-cart-2' }));
      expect(owned).toEqual({ ...fresh, ownerUid: 'uid-of-cart-2', resourceVersion: owned.resourceVersion });
      expect(owned.resourceVersion).not.toBe(fresh.resourceVersion);
      await underTest.start(heard);
      expect(await heard.latest('a')).toEqual(owned);
    });

    it('an owner that is the owner already is written without a new resourceVersion', async () => {
      const created = written(await store.create(draft('a', { owner: POD })));
      expect(written(await store.own(created, POD))).toEqual(created);
    });

    it('a report is stored to the millisecond, and nothing else changes', async () => {
      const created = written(await store.create(draft('a')));
      const fresh = written(await store.writeStatus(created, FRESH));
      const reported = written(await store.report(fresh, DOWN));
      expect(reported).toEqual({ ...fresh, reported: DOWN, resourceVersion: reported.resourceVersion });
      expect(reported.resourceVersion).not.toBe(fresh.resourceVersion);
      await underTest.start(heard);
      expect(await heard.latest('a')).toEqual(reported);
    });

    it('a report before the first status is no status', async () => {
      const created = written(await store.create(draft('a')));
      expect(written(await store.report(created, DOWN))).toMatchObject({ reported: DOWN, status: undefined });
    });

    it.each<StatusReport['value']>(['UP', 'DOWN', 'OUTOFSERVICE', 'STARTING', 'TESTING'])(
      'an instance can report %s, and a later report takes the place of an earlier one',
      async (value) => {
        const created = written(await store.create(draft('a')));
        const first = written(await store.report(created, DOWN));
        const report = { value, wallMs: DOWN.wallMs + 1, podUid: undefined };
        expect(written(await store.report(first, report)).reported).toEqual(report);
      },
    );

    it('I23: a report survives the statuses that are written after it', async () => {
      const created = written(await store.create(draft('a')));
      const reported = written(await store.report(created, DOWN));
      const stale = written(await store.writeStatus(reported, STALE));
      expect(stale).toMatchObject({ reported: DOWN, status: STALE });
      const empty = written(await store.writeStatus(stale, EMPTY));
      expect(empty).toMatchObject({ reported: DOWN, status: EMPTY });
    });

    it.each([
      ['an owner', (target: ObservedInstance) => store.own(target, POD)],
      ['a report', (target: ObservedInstance) => store.report(target, DOWN)],
    ])('%s for an object that changed or went is not written', async (_what, write) => {
      const created = written(await store.create(draft('a')));
      const current = written(await store.writeStatus(created, FRESH));
      expect(await write(created)).toEqual({ kind: 'conflict' });
      await underTest.start(heard);
      expect(await heard.latest('a')).toEqual(current);

      await underTest.deleteByPerson(namespace, 'a');
      expect(await write(current)).toEqual({ kind: 'absent' });
      await store.create(draft('a'));
      expect(await write(current)).toEqual({ kind: 'conflict' });
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
  identityConflict: undefined,
  healthySummary: 'True',
  lastHeartbeatWallMs: 1_763_000_123_456,
  expiredWallMs: undefined,
  effective: { intervalSeconds: 30, times: 3, ttlSeconds: 120, source: 'Default' },
  podRef: undefined,
  observedGeneration: 1,
};

const POD = { name: 'cart-1', uid: 'uid-of-cart-1' };

const BOUND: InstanceStatus = {
  ...FRESH,
  identityConflict: condition('True', 'ForeignHeartbeats'),
  podRef: { namespace: 'team', ...POD, matchedBy: 'Token' },
};

const DOWN: StatusReport = { value: 'DOWN', wallMs: 1_763_000_222_333, podUid: 'uid-of-the-pod' };

const STALE: InstanceStatus = {
  fresh: condition('False', 'HeartbeatExpired'),
  healthy: condition('False', 'HeartbeatExpired'),
  podSynced: undefined,
  identityConflict: undefined,
  healthySummary: 'False',
  lastHeartbeatWallMs: 1_763_000_123_456,
  expiredWallMs: 1_763_000_243_457,
  effective: { intervalSeconds: 5, times: 0, ttlSeconds: 5, source: 'Spec' },
  podRef: undefined,
  observedGeneration: 1,
};

const EMPTY: InstanceStatus = {
  fresh: undefined,
  healthy: undefined,
  podSynced: undefined,
  identityConflict: undefined,
  healthySummary: undefined,
  lastHeartbeatWallMs: undefined,
  expiredWallMs: undefined,
  effective: undefined,
  podRef: undefined,
  observedGeneration: undefined,
};
