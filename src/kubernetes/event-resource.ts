import type { EventObject, ObjectEvent } from '../controller/ports.ts';
import { GROUP } from './instance-resource.ts';

const API_VERSION = 'events.k8s.io/v1';

/** Who says so, as every event names it. */
const REPORTING_CONTROLLER = 'heartbeat-operator.io/heartbeat-operator';

/** The API server refuses an event whose `reportingInstance` or `note` is longer, in bytes. */
const REPORTING_INSTANCE_BYTES_MAX = 128;
const NOTE_BYTES_MAX = 1_024;

/** Of any object. */
const NAME_LENGTH_MAX = 253;

const KIND_API_VERSIONS: Readonly<Record<EventObject['kind'], string>> = {
  Pod: 'v1',
  HeartbeatInstance: `${GROUP}/v1alpha1`,
  HeartbeatPolicy: `${GROUP}/v1alpha1`,
};

/** An event, and how often it was repeated. */
export interface EventContent {
  readonly event: ObjectEvent;
  readonly name: string;
  /** Milliseconds since the Unix epoch at which it happened first. */
  readonly firstWallMs: number;
  /** 1 for an event that was not repeated. */
  readonly count: number;
  /** Milliseconds since the Unix epoch at which it happened last. */
  readonly lastWallMs: number;
}

/** The path of the events in one namespace. */
export function eventsPath(namespace: string): string {
  return `/apis/${API_VERSION}/namespaces/${encodeURIComponent(namespace)}/events`;
}

export function eventPath(namespace: string, name: string): string {
  return `${eventsPath(namespace)}/${encodeURIComponent(name)}`;
}

/**
 * The name of a new event as client-go gives it: that of the object, and the time in nanoseconds.
 *
 * @param serial tells apart the events of one millisecond
 */
export function eventName(objectName: string, wallMs: number, serial: number): string {
  const nanoseconds = BigInt(Math.floor(wallMs)) * 1_000_000n + BigInt(serial % 1_000_000);
  const suffix = `.${nanoseconds.toString(16)}`;
  // Between two dots, and at its ends, a name has letters and digits.
  const stem = objectName.slice(0, NAME_LENGTH_MAX - suffix.length).replace(/[.-]+$/, '');
  return stem + suffix;
}

/** @param reportingInstance the name of the host */
export function encodeEvent(content: EventContent, reportingInstance: string): object {
  const { event, name, firstWallMs } = content;
  const { regarding, related, type, reason, action, note } = event;
  return {
    apiVersion: API_VERSION,
    kind: 'Event',
    // An event lives where its object does; the API server insists on it.
    metadata: { name, namespace: regarding.namespace },
    eventTime: microTime(firstWallMs),
    reportingController: REPORTING_CONTROLLER,
    reportingInstance: bounded(reportingInstance, REPORTING_INSTANCE_BYTES_MAX),
    action,
    reason,
    type,
    note: bounded(note, NOTE_BYTES_MAX),
    regarding: encodeObject(regarding),
    ...(related !== undefined && { related: encodeObject(related) }),
    ...(content.count > 1 && encodeSeries(content)),
  };
}

/** What alone may change in a stored event, as a merge patch. */
export function encodeSeries({ count, lastWallMs }: Pick<EventContent, 'count' | 'lastWallMs'>): object {
  return { series: { count, lastObservedTime: microTime(lastWallMs) } };
}

function encodeObject({ kind, namespace, name, uid }: EventObject): object {
  return { apiVersion: KIND_API_VERSIONS[kind], kind, namespace, name, uid };
}

/** `metav1.MicroTime`, of which exactly six digits are asked for. */
function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}

/** Cut between two characters, and then with a mark that it was. */
function bounded(text: string, bytesMax: number): string {
  if (Buffer.byteLength(text) <= bytesMax) return text;
  const mark = '…';
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(bytesMax - Buffer.byteLength(mark)));
  return text.slice(0, read) + mark;
}
