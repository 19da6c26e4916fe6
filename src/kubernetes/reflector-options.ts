import type { ApiClient, ApiQuery } from './api-client.ts';
import type { ListenerFeedOptions } from './listener-feed.ts';
import { RECONNECT_DELAY_LIMITS, type ReconnectDelayLimits } from './reconnect-delay.ts';

export interface ReflectorLimits extends ReconnectDelayLimits {
  /** So long without a byte, and the connection is taken for dead. */
  readonly silenceMs: number;
  /** Objects in a page of a list. */
  readonly pageSize: number;
  /** False: do not ask for a list as the beginning of a watch, but page by page. */
  readonly streaming: boolean;
}

export interface ReflectorOptions<T> extends ListenerFeedOptions<T> {
  readonly client: ApiClient;
  /** Of the collection. */
  readonly path: string;
  /** Selectors, if not all objects are wanted. */
  readonly query?: ApiQuery;
  /** As `Math.random`. */
  readonly random?: () => number;
  readonly limits?: Partial<ReflectorLimits>;
}

export const DEFAULT_LIMITS: ReflectorLimits = {
  ...RECONNECT_DELAY_LIMITS,
  // The API server sends a bookmark once a minute, but after a list that came as a watch it often leaves out the first:
  // 122 s of silence is the longest that was measured. A path that loses every packet is found out by TCP after 40 s;
  // this is for what still acknowledges bytes and no longer answers.
  silenceMs: 135_000,
  // client-go's page.
  pageSize: 500,
  streaming: true,
};
