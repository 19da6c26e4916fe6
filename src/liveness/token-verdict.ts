/** For whom a token must have been issued, so that one that was given to somebody else proves nothing here. */
export const TOKEN_AUDIENCE = 'heartbeat-operator';

/** What the API server says about a token. */
export type TokenVerdict =
  /** It is bound to this Pod, and the Pod exists. */
  | { readonly kind: 'pod'; readonly uid: string; readonly name: string; readonly namespace: string }
  /** It proves nothing to us; `why` is for its sender to read. */
  | { readonly kind: 'refused'; readonly why: string }
  /** No answer: nothing is known about the token. `message` is for the log. */
  | { readonly kind: 'unreachable'; readonly message: string };
