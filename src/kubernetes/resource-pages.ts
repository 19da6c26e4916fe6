import type { ApiClient, ApiQuery } from './api-client.ts';
import { type ApiFailure, isRecord } from './api-error.ts';

export type PagesEnd =
  | { readonly kind: 'listed'; readonly resourceVersion: string }
  | { readonly kind: 'unreadable'; readonly message: string }
  | ApiFailure;

export interface PagesOptions {
  readonly client: ApiClient;
  readonly path: string;
  readonly query: ApiQuery;
  readonly pageSize: number;
  readonly signal: AbortSignal;
  /** Called with the objects of each page; the next page is asked for when it resolves. */
  readonly onPage: (objects: readonly unknown[]) => Promise<void>;
}

/** Reads a list page by page. All pages show the same moment, whose resourceVersion is that of the list. */
export async function readPages(options: PagesOptions): Promise<PagesEnd> {
  const { client, path, query, pageSize, signal, onPage } = options;
  const action = `listing ${path}`;
  let continueToken = '';
  for (;;) {
    const page = await client.request({
      action,
      method: 'GET',
      path,
      query: { ...query, limit: String(pageSize), ...(continueToken !== '' && { continue: continueToken }) },
      lane: 'watch',
      signal,
    });
    if (page.kind !== 'ok') return page;
    const { body } = page;
    if (!isRecord(body) || !isRecord(body['metadata'])) return { kind: 'unreadable', message: `${action}: not a list` };
    const { resourceVersion, continue: nextToken } = body['metadata'];
    if (typeof resourceVersion !== 'string') {
      return { kind: 'unreadable', message: `${action}: a list without a resourceVersion` };
    }
    // A Go server writes an empty list as null.
    await onPage(Array.isArray(body['items']) ? body['items'] : []);
    if (typeof nextToken !== 'string' || nextToken === '') return { kind: 'listed', resourceVersion };
    continueToken = nextToken;
  }
}
