import type { AttemptEnd } from './reflector-state.ts';

/** Hears what a reflector goes through; for metrics and logs. */
export interface ReflectorObserver {
  /** The whole list is there (`listed`), or an attempt to get it ended otherwise. */
  listed(end: AttemptEnd['kind']): void;
  /** A watch ended that knew the list. */
  watched(end: AttemptEnd['kind']): void;
  /** The list has to begin afresh, for the reason for which the last attempt ended. */
  restarted(reason: AttemptEnd['kind']): void;
  /** Bytes came. */
  heard(): void;
  /** An object was skipped. */
  undecodable(error: unknown): void;
  /** The listener threw, and so missed a change. */
  listenerFailed(error: unknown): void;
  /** An attempt failed. The next one follows by itself. */
  failed(kind: FailedEnd['kind'], message: string): void;
}

type FailedEnd = Extract<AttemptEnd, { readonly message: string }>;
