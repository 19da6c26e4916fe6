import { type ApiFailure, classifyStatusEvent, isRecord } from './api-error.ts';

/** One line of a watch. */
export type WatchEvent =
  | { readonly kind: 'changed'; readonly object: StoredObject }
  | { readonly kind: 'removed'; readonly object: StoredObject }
  /** Nothing changed up to this resourceVersion. */
  | { readonly kind: 'bookmark'; readonly resourceVersion: string; readonly endsInitialList: boolean }
  /** The stream is broken, or this is not an API server. */
  | { readonly kind: 'unreadable'; readonly message: string }
  /** The server ends the watch with an error. */
  | ApiFailure;

/** Any object of the API, as far as every object is alike. */
export interface StoredObject {
  readonly metadata: {
    readonly name: string;
    /** Absent on objects that belong to the whole cluster. */
    readonly namespace?: string;
    readonly resourceVersion: string;
  };
}

/** @param action what is being done; the start of the message of a failure */
export function parseWatchEvent(action: string, line: string): WatchEvent {
  try {
    return watchEvent(action, JSON.parse(line));
  } catch (error) {
    return { kind: 'unreadable', message: `${action}: ${String(error)}` };
  }
}

function watchEvent(action: string, event: unknown): WatchEvent {
  if (!isRecord(event)) throw new TypeError('not a watch event');
  const { type, object } = event;
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
      return { kind: 'changed', object: storedObject(object) };
    case 'DELETED':
      return { kind: 'removed', object: storedObject(object) };
    case 'BOOKMARK':
      return bookmark(object);
    case 'ERROR':
      return classifyStatusEvent(action, object);
    default:
      throw new TypeError(`not a watch event: type ${JSON.stringify(type)}`);
  }
}

/** @throws TypeError if it is not an object of the API */
function storedObject(object: unknown): StoredObject {
  if (isRecord(object) && isRecord(object['metadata'])) {
    const { name, resourceVersion } = object['metadata'];
    if (typeof name === 'string' && typeof resourceVersion === 'string') return object as unknown as StoredObject;
  }
  throw new TypeError('not an object of the API: it has no name or no resourceVersion');
}

function bookmark(object: unknown): WatchEvent {
  if (!isRecord(object) || !isRecord(object['metadata'])) throw new TypeError('not a bookmark: it has no metadata');
  const { resourceVersion, annotations } = object['metadata'];
  if (typeof resourceVersion !== 'string') throw new TypeError('not a bookmark: it has no resourceVersion');
  const endsInitialList = isRecord(annotations) && annotations['k8s.io/initial-events-end'] === 'true';
  return { kind: 'bookmark', resourceVersion, endsInitialList };
}
