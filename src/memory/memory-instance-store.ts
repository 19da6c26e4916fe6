import type { InstanceDraft, InstanceStore, ResourceListener, WriteOutcome } from '../controller/ports.ts';
import type { InstanceStatus, ObservedInstance, PodOwner, StatusReport } from '../health/observed-instance.ts';
import { keyOf, type InstanceIdentity } from '../liveness/instance-key.ts';

/** The part of a spec that a person may write. */
export type PersonsEdit = Partial<Pick<ObservedInstance, 'heartbeat' | 'outOfService' | 'paused'>>;

/**
 * HeartbeatInstances in memory, with the API server's rules: versions that only grow, writes that conflict,
 * a generation that moves with the spec, a listener that hears all in order.
 */
export class MemoryInstanceStore implements InstanceStore {
  readonly #instances = new Map<string, ObservedInstance>();
  readonly #wallMs: () => number;
  #listener: Pick<ResourceListener<ObservedInstance>, 'changed' | 'removed'> | undefined;
  #version = 0;

  constructor(wallMs: () => number) {
    this.#wallMs = wallMs;
  }

  /** Tells `listener` all there is, and from then on every change. */
  async listen(listener: ResourceListener<ObservedInstance>): Promise<void> {
    const meanwhile: (() => void)[] = [];
    this.#listener = {
      changed: (instance) => meanwhile.push(() => listener.changed(instance)),
      removed: (instance) => meanwhile.push(() => listener.removed(instance)),
    };
    await listener.replaced([...this.#instances.values()]);
    for (const tell of meanwhile) tell();
    this.#listener = listener;
  }

  create(draft: InstanceDraft): Promise<WriteOutcome> {
    const { namespace, name, identity, owner } = draft;
    return Promise.resolve(this.#create(namespace, name, identity, { managed: true, ownerUid: owner?.uid }));
  }

  writeStatus(target: ObservedInstance, status: InstanceStatus): Promise<WriteOutcome> {
    return Promise.resolve(this.#update(target, (stored) => ({ ...stored, status })));
  }

  own(target: ObservedInstance, owner: PodOwner): Promise<WriteOutcome> {
    return Promise.resolve(this.#update(target, (stored) => ({ ...stored, ownerUid: owner.uid })));
  }

  report(target: ObservedInstance, reported: StatusReport): Promise<WriteOutcome> {
    return Promise.resolve(this.#update(target, (stored) => ({ ...stored, reported })));
  }

  remove(target: ObservedInstance): Promise<WriteOutcome> {
    const stored = this.get(target.namespace, target.name);
    if (stored === undefined) return Promise.resolve({ kind: 'absent' });
    if (stored.resourceVersion !== target.resourceVersion) return Promise.resolve({ kind: 'conflict' });
    this.delete(target.namespace, target.name);
    return Promise.resolve({ kind: 'removed' });
  }

  get(namespace: string, name: string): ObservedInstance | undefined {
    return this.#instances.get(nameKey(namespace, name));
  }

  list(): readonly ObservedInstance[] {
    return [...this.#instances.values()];
  }

  /** As a person with kubectl: creates an object that is not ours. */
  createByPerson(namespace: string, name: string, identity: InstanceIdentity, edit: PersonsEdit = {}): WriteOutcome {
    return this.#create(namespace, name, identity, edit);
  }

  /** As a person with kubectl: changes the spec. */
  edit(namespace: string, name: string, edit: PersonsEdit): WriteOutcome {
    const stored = this.get(namespace, name);
    if (stored === undefined) return { kind: 'absent' };
    return this.#update(stored, (before) => ({ ...before, ...edit, generation: before.generation + 1 }));
  }

  /** As a person with kubectl: deletes an object, whatever its version. */
  delete(namespace: string, name: string): void {
    const stored = this.get(namespace, name);
    if (stored === undefined) return;
    this.#instances.delete(nameKey(namespace, name));
    this.#listener?.removed({ ...stored, resourceVersion: this.#nextVersion() });
  }

  #create(
    namespace: string,
    name: string,
    identity: InstanceIdentity,
    parts: Partial<Pick<ObservedInstance, keyof PersonsEdit | 'managed' | 'ownerUid'>>,
  ): WriteOutcome {
    if (this.get(namespace, name) !== undefined) return { kind: 'exists' };
    const version = this.#nextVersion();
    const instance: ObservedInstance = {
      key: keyOf(identity),
      uid: uidOf(version),
      namespace,
      name,
      resourceVersion: version,
      generation: 1,
      createdSeconds: Math.floor(this.#wallMs() / 1000),
      managed: false,
      heartbeat: undefined,
      outOfService: false,
      paused: false,
      ownerUid: undefined,
      reported: undefined,
      status: undefined,
      ...parts,
    };
    return this.#keep(instance);
  }

  #update(target: ObservedInstance, change: (stored: ObservedInstance) => ObservedInstance): WriteOutcome {
    const stored = this.get(target.namespace, target.name);
    if (stored === undefined) return { kind: 'absent' };
    if (stored.resourceVersion !== target.resourceVersion) return { kind: 'conflict' };
    const changed = change(stored);
    // As the API server does: a write that changes nothing is no change.
    if (JSON.stringify(changed) === JSON.stringify(stored)) return { kind: 'written', instance: stored };
    return this.#keep({ ...changed, resourceVersion: this.#nextVersion() });
  }

  #keep(instance: ObservedInstance): WriteOutcome {
    this.#instances.set(nameKey(instance.namespace, instance.name), instance);
    this.#listener?.changed(instance);
    return { kind: 'written', instance };
  }

  #nextVersion(): string {
    this.#version += 1;
    return String(this.#version);
  }
}

function nameKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

/** In the form of the API server's; no two versions are alike, so no two objects are. */
function uidOf(version: string): string {
  return `00000000-0000-4000-8000-${version.padStart(12, '0')}`;
}
