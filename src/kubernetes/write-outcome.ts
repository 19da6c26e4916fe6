import type { WriteFailure } from '../controller/ports.ts';
import type { ApiFailure } from './api-error.ts';

/** What the stores tell apart beyond the failures that all of them have in common. */
type ObjectState = Extract<ApiFailure, { readonly kind: 'conflict' | 'exists' | 'absent' }>;

/** A failed call in the words of the stores. */
export function writeFailure(failure: Exclude<ApiFailure, ObjectState>): WriteFailure {
  const { message } = failure;
  switch (failure.kind) {
    case 'throttled':
      return { kind: 'throttled', retryAfterMs: failure.retryAfterMs, message };
    case 'unreachable':
    case 'ahead':
      return { kind: 'unreachable', message };
    case 'forbidden':
      return { kind: 'refused', reason: 'Forbidden', message };
    case 'invalid':
      return { kind: 'refused', reason: 'Invalid', message };
    case 'unauthorized':
    case 'gone':
      return { kind: 'refused', reason: 'Other', message };
  }
}

/** A success that does not show the object is no proof of anything: something else than the API server answered. */
export function unreadableAnswer(action: string, error: unknown): WriteFailure {
  return { kind: 'unreachable', message: `${action}: ${String(error)}` };
}
