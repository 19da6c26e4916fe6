import type { ApiFailure } from './api-error.ts';

/** What a reflector holds, and so what it asks for next. */
export type ReflectorState =
  /** Nothing: ask for a watch that begins with the list. */
  | { readonly kind: 'streaming' }
  /** Nothing, and the server does not list by watch: ask for the list page by page. */
  | { readonly kind: 'paging' }
  /** Everything up to `resourceVersion`: ask for what happened since. */
  | { readonly kind: 'following'; readonly resourceVersion: string };

/** How an attempt ended. */
export type AttemptEnd =
  /** All pages of the list were read. */
  | { readonly kind: 'listed'; readonly resourceVersion: string }
  /** The server ended the watch, as it does every few minutes. */
  | { readonly kind: 'ended'; readonly livedMs: number; readonly wasEmpty: boolean }
  /** Nothing came for so long that the connection must be dead. */
  | { readonly kind: 'silent'; readonly wasEmpty: boolean; readonly message: string }
  /** What came is not the language of the API, or was cut within a line. */
  | { readonly kind: 'unreadable'; readonly message: string }
  | ApiFailure;

/** `backOff`: a failure, wait longer each time. A number: the server said how many milliseconds. */
export type Pause = 'none' | 'backOff' | number;

export interface ReflectorStep {
  readonly state: ReflectorState;
  readonly pause: Pause;
}

/** A watch that ends sooner without a word was not the server's usual end; reconnecting at once would spin. */
const EMPTY_WATCH_MS = 1_000;

/**
 * What to do after an attempt.
 *
 * @param state what was held when the attempt ended: an attempt that completes the list moves from
 *   `streaming` to `following` on the way
 */
export function nextStep(state: ReflectorState, end: AttemptEnd): ReflectorStep {
  switch (end.kind) {
    case 'listed':
      return { state: { kind: 'following', resourceVersion: end.resourceVersion }, pause: 'none' };
    case 'ended':
      // A server that does not know streaming lists ignores the wish and never says that the list is complete.
      if (state.kind === 'streaming') return { state: { kind: 'paging' }, pause: 'backOff' };
      return { state, pause: end.wasEmpty && end.livedMs < EMPTY_WATCH_MS ? 'backOff' : 'none' };
    case 'throttled':
      return { state, pause: end.retryAfterMs };
    case 'gone':
    case 'ahead':
    case 'absent':
      // What is held no longer connects to what the server has.
      return { state: state.kind === 'paging' ? state : { kind: 'streaming' }, pause: 'backOff' };
    case 'invalid':
      if (state.kind === 'streaming') return { state: { kind: 'paging' }, pause: 'none' };
      return { state: { kind: 'streaming' }, pause: 'backOff' };
    case 'silent':
      // A server that answers and then says nothing, not even by a bookmark, waits for a resourceVersion that it has not
      // reached: it was restored from a backup, and would stay silent for as long as it takes to get there.
      if (state.kind === 'following' && end.wasEmpty) return { state: { kind: 'streaming' }, pause: 'backOff' };
      return { state, pause: 'backOff' };
    case 'unreadable':
    case 'unreachable':
    case 'unauthorized':
    case 'forbidden':
    case 'conflict':
    case 'exists':
      return { state, pause: 'backOff' };
  }
}
