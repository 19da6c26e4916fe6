import { createReadStream, createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { systemClock } from '../../src/clock.ts';
import type { InstanceStore, ResourceListener } from '../../src/controller/ports.ts';
import type { InstanceStatus, ObservedInstance } from '../../src/health/observed-instance.ts';
import { resourceName } from '../../src/health/resource-name.ts';
import { decodeInstance, encodeDraft, encodeStatus } from '../../src/kubernetes/instance-resource.ts';
import { IncomingList, ListenerFeed } from '../../src/kubernetes/listener-feed.ts';
import { parseWatchEvent } from '../../src/kubernetes/watch-event.ts';
import { watchLines } from '../../src/kubernetes/watch-lines.ts';
import { keyOf } from '../../src/liveness/instance-key.ts';
import type { Backend } from '../../src/operator/backend.ts';
import { memoryBackend } from '../../src/operator/memory-backend.ts';
import { identityAt } from './fleet.ts';

const NAMESPACE = 'default';

/** An API server carries out a write within milliseconds. */
const WRITE_TAKES_MS = 1;

export interface StoredFleetOptions {
  /** Made by {@link writeStoredFleet}. */
  readonly file: string;
  /** Whether the list can be told once more; else nothing is kept here. */
  readonly keepsList?: boolean;
}

export interface FleetBackend extends Backend {
  /** Tells the same list once more, as after a watch that broke. */
  listAnew(): Promise<void>;
}

/**
 * A backend in which a whole fleet is stored and fresh, told as a watch tells it: bytes of JSON text, through the same
 * splitter, parser, decoder and list as from the API server. Writes are answered a little later.
 */
export function storedFleetBackend({ file, keepsList = false }: StoredFleetOptions): FleetBackend {
  const store = new SlowStore();
  const noPods = memoryBackend(() => 0);
  let told: readonly ObservedInstance[] = [];
  let listener: ResourceListener<ObservedInstance> | undefined;
  return {
    ...noPods,
    store,
    namespace: NAMESPACE,
    start(listeners, onFailure) {
      const { instances: given, pods, nodes, policies } = listeners;
      listener = given;
      store.listener = given;
      const run = async (): Promise<void> => {
        for (const absent of [pods, nodes, policies]) await absent.replaced([]);
        const items = await tell(file, given);
        if (keepsList) told = items;
      };
      run().catch(onFailure);
    },
    async listAnew() {
      await listener?.replaced(told);
    },
  };
}

/** Writes the fleet as the API server would send it, in a process other than the one that is measured. */
export async function writeStoredFleet(file: string, { instances, ttlSeconds }: StoredFleetSize): Promise<void> {
  const lines = function* (): Generator<string> {
    for (let index = 0; index < instances; index += 1) {
      yield `{"type":"ADDED","object":${storedText(index, ttlSeconds)}}\n`;
    }
  };
  await pipeline(Readable.from(lines()), createWriteStream(file));
}

export interface StoredFleetSize {
  readonly instances: number;
  /** Of every instance. */
  readonly ttlSeconds: number;
}

async function tell(file: string, listener: ResourceListener<ObservedInstance>): Promise<readonly ObservedInstance[]> {
  const feed = new ListenerFeed<ObservedInstance>({
    decode: decodeInstance,
    listener,
    clock: systemClock,
    observer: {
      listed: () => undefined,
      watched: () => undefined,
      restarted: () => undefined,
      heard: () => undefined,
      failed: () => undefined,
      undecodable: fail,
      listenerFailed: fail,
    },
  });
  const incoming = new IncomingList(feed);
  const batches = watchLines(createReadStream(file), {
    clock: systemClock,
    silenceMs: 60_000,
    onSilence: () => fail('the fleet cannot be read'),
    lineBytesMax: 1024 * 1024,
  });
  for await (const lines of batches) {
    for (const line of lines) {
      const event = parseWatchEvent('reading the fleet', line);
      if (event.kind !== 'changed') throw new Error(`an object is read as ${event.kind}`);
      incoming.take('changed', event.object);
      await feed.giveTurn();
    }
  }
  const { items } = incoming;
  await feed.replace(items);
  return items;
}

function fail(error: unknown): never {
  throw error instanceof Error ? error : new Error(String(error));
}

/** Beyond that of every stored object. */
const FIRST_WRITTEN_VERSION = 1_000_000_000;

/** A fresh instance as the API server prints it. */
function storedText(index: number, ttlSeconds: number): string {
  const identity = identityAt(index);
  const draft = encodeDraft({
    name: resourceName(keyOf(identity)),
    namespace: NAMESPACE,
    identity,
    owner: undefined,
  }) as { metadata: object; spec: object };
  const writtenAt = '2026-01-01T00:00:00Z';
  return JSON.stringify({
    ...draft,
    metadata: {
      ...draft.metadata,
      uid: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
      resourceVersion: String(1_000 + index),
      generation: 1,
      creationTimestamp: writtenAt,
      managedFields: [
        {
          manager: 'heartbeat-operator',
          operation: 'Update',
          apiVersion: 'heartbeat-operator.io/v1alpha1',
          time: writtenAt,
          fieldsType: 'FieldsV1',
          fieldsV1: { 'f:spec': { 'f:domain': {}, 'f:projectId': {}, 'f:serviceId': {}, 'f:instanceId': {} } },
        },
      ],
    },
    status: encodeStatus(freshStatus(ttlSeconds)),
  });
}

function freshStatus(ttlSeconds: number): InstanceStatus {
  const times = 3;
  const heard = {
    status: 'True',
    reason: 'HeartbeatReceived',
    message: `Heartbeats arrive within the time to live of ${ttlSeconds} s (${ttlSeconds / (times + 1)} s × ${times + 1}).`,
    lastTransitionSeconds: 1_767_225_600,
    observedGeneration: 1,
  } as const;
  return {
    fresh: heard,
    healthy: heard,
    podSynced: { ...heard, status: 'False', reason: 'NotBound', message: 'The instance is not bound to a Pod.' },
    identityConflict: undefined,
    podRef: undefined,
    healthySummary: 'True',
    lastHeartbeatWallMs: 1_767_225_600_123,
    expiredWallMs: undefined,
    effective: { intervalSeconds: ttlSeconds / (times + 1), times, ttlSeconds, source: 'Default' },
    observedGeneration: 1,
  };
}

/** Takes every write, answers it after a moment, and tells the listener, as a watch would. */
class SlowStore implements InstanceStore {
  listener: ResourceListener<ObservedInstance> | undefined;
  #version = FIRST_WRITTEN_VERSION;

  async create(): Promise<never> {
    throw new Error('the whole fleet is stored already');
  }

  async writeStatus(target: ObservedInstance, status: InstanceStatus): ReturnType<InstanceStore['writeStatus']> {
    await new Promise((resolve) => setTimeout(resolve, WRITE_TAKES_MS));
    this.#version += 1;
    const instance = { ...target, status, resourceVersion: String(this.#version) };
    this.listener?.changed(instance);
    return { kind: 'written', instance };
  }

  async own(): Promise<never> {
    throw new Error('there are no Pods');
  }

  async report(): Promise<never> {
    throw new Error('nobody reports anything');
  }

  async remove(): Promise<never> {
    throw new Error('nothing is old enough to be removed');
  }
}
