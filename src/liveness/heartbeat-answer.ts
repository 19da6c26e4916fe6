/** What became of a heartbeat; the HTTP edge turns it into a reply. */
export type HeartbeatAnswer =
  | { readonly kind: 'accepted'; readonly change: 'renewed' | 'confirmed' | 'appeared' | 'recovered' }
  /** There is no such instance, and it may not appear by a heartbeat alone. */
  | { readonly kind: 'unknownInstance' }
  /** A Pod's token came with a heartbeat of an instance of another Pod. */
  | { readonly kind: 'foreignSender' }
  /** It is new, and more new ones came than may. */
  | { readonly kind: 'tooManyNew'; readonly retryAfterSeconds: number };
