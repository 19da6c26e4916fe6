/** Why a call to the API server did not do what was asked. The kinds are those that callers treat differently. */
export type ApiFailure =
  /** The object changed since it was read. */
  | { readonly kind: 'conflict'; readonly message: string }
  /** An object of that name is there already. */
  | { readonly kind: 'exists'; readonly message: string }
  /** No such object, namespace or resource. */
  | { readonly kind: 'absent'; readonly message: string }
  /** The server no longer has the asked resourceVersion: list afresh. */
  | { readonly kind: 'gone'; readonly message: string }
  /** The server has not reached the asked resourceVersion; after a restore from a backup it may never. */
  | { readonly kind: 'ahead'; readonly message: string }
  /** The server asks for a pause. */
  | { readonly kind: 'throttled'; readonly retryAfterMs: number; readonly message: string }
  /** The server does not know who we are. */
  | { readonly kind: 'unauthorized'; readonly message: string }
  /** The server knows who we are and says no. */
  | { readonly kind: 'forbidden'; readonly message: string }
  /** The server did not accept the request; the same request will not be accepted later. */
  | { readonly kind: 'invalid'; readonly message: string }
  /** No answer, or one that says "not now". Whether the request was carried out is unknown. */
  | { readonly kind: 'unreachable'; readonly message: string };

/** The parts of a Kubernetes Status object that tell failures apart. */
interface StatusBody {
  readonly message?: unknown;
  readonly reason?: unknown;
  readonly code?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown; readonly causes?: unknown };
}

/** A message ends up in conditions and log lines; the API server's own texts can be as long as an object. */
const MESSAGE_LENGTH_MAX = 512;

/** The pause after a "not now" that names none. The API server itself asks for one second. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

/** The longest pause that a server may impose on us. */
const RETRY_AFTER_MAX_MS = 60_000;

/**
 * Sorts an answer that is not a success.
 *
 * @param action what was being done, as in "creating default/a": the start of the message
 * @param body the parsed body, normally a Status object; anything else counts as no details
 */
export function classifyAnswer(
  action: string,
  statusCode: number,
  body: unknown,
  retryAfterHeader?: string | string[],
): ApiFailure {
  const status: StatusBody = isRecord(body) ? body : {};
  const reason = typeof status.reason === 'string' ? status.reason : '';
  const said = typeof status.message === 'string' ? status.message : typeof body === 'string' ? body.trim() : '';
  const message = boundedMessage(action, [`${statusCode}${reason === '' ? '' : ` ${reason}`}`, said]);

  if (isAheadOfServer(status, said)) return { kind: 'ahead', message };
  switch (statusCode) {
    case 401:
      return { kind: 'unauthorized', message };
    case 403:
      return { kind: 'forbidden', message };
    case 404:
      return { kind: 'absent', message };
    case 409:
      return { kind: reason === 'AlreadyExists' ? 'exists' : 'conflict', message };
    case 410:
      return { kind: 'gone', message };
    default:
  }
  if (reason === 'Expired' || reason === 'Gone') return { kind: 'gone', message };

  const retryAfterMs = retryAfter(status, retryAfterHeader);
  if (statusCode === 429 || (statusCode >= 500 && retryAfterMs !== undefined)) {
    return { kind: 'throttled', retryAfterMs: retryAfterMs ?? DEFAULT_RETRY_AFTER_MS, message };
  }
  // 408 is the server's own time limit, not a verdict on the request.
  if (statusCode >= 500 || statusCode === 408) return { kind: 'unreachable', message };
  return { kind: 'invalid', message };
}

/** Sorts a Status object that came as an event of a watch: the HTTP status was 200 long ago, the code is inside. */
export function classifyStatusEvent(action: string, status: unknown): ApiFailure {
  const code = isRecord(status) && typeof status['code'] === 'number' ? status['code'] : 500;
  return classifyAnswer(action, code, status);
}

/** Sorts what was thrown instead of an answer. All of it is the network or a time limit. */
export function classifyThrown(action: string, thrown: unknown): ApiFailure {
  const { code, text } = describeThrown(thrown);
  // Node repeats the code in most texts ("connect ECONNREFUSED …").
  const parts = code === undefined || text.includes(code) ? [text] : [code, text];
  return { kind: 'unreachable', message: boundedMessage(action, parts) };
}

function describeThrown(thrown: unknown): { readonly code: string | undefined; readonly text: string } {
  if (!(thrown instanceof Error)) return { code: undefined, text: String(thrown) };
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
  // A connection that was tried over several addresses fails with one error for each; the first tells enough.
  const inner: unknown = thrown instanceof AggregateError ? thrown.errors[0] : thrown.cause;
  const deeper = inner instanceof Error ? describeThrown(inner) : undefined;
  const text = thrown.message === '' ? (deeper?.text ?? thrown.name) : thrown.message;
  return { code: deeper?.code ?? code, text };
}

function isAheadOfServer(status: StatusBody, said: string): boolean {
  const causes = status.details?.causes;
  if (Array.isArray(causes)) {
    if (causes.some((cause: unknown) => isRecord(cause) && cause['reason'] === 'ResourceVersionTooLarge')) return true;
  }
  return said.includes('Too large resource version');
}

function retryAfter(status: StatusBody, header: string | string[] | undefined): number | undefined {
  const headerSeconds = header === undefined ? undefined : Number(Array.isArray(header) ? header[0] : header);
  const bodySeconds = status.details?.retryAfterSeconds;
  for (const seconds of [headerSeconds, bodySeconds]) {
    if (typeof seconds === 'number' && seconds > 0) return Math.min(seconds * 1_000, RETRY_AFTER_MAX_MS);
  }
  return undefined;
}

function boundedMessage(action: string, parts: readonly string[]): string {
  const message = [action, ...parts.filter((part) => part !== '')].join(': ').replace(/\s+/g, ' ');
  return message.length <= MESSAGE_LENGTH_MAX ? message : `${message.slice(0, MESSAGE_LENGTH_MAX - 1)}…`;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
