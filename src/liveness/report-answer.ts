/** What became of a report, by which an application says how it is; the HTTP edge turns it into a reply. */
export type ReportAnswer =
  /** It is where a restart cannot lose it. */
  | { readonly kind: 'stored' }
  | { readonly kind: 'unknownInstance' }
  /** The instance is bound to a Pod that lives, and nothing shows that the sender, by address or token, is that Pod. */
  | { readonly kind: 'foreignSender' }
  /** Whether it was kept is not known; the application should say it again. */
  | { readonly kind: 'notStored'; readonly detail: string };
