import type { ApiRequest, ApiResult } from '../../../src/kubernetes/api-client.ts';
import type { ApiFailure } from '../../../src/kubernetes/api-error.ts';

/** An event as the API holds it, as far as tests look at it. */
export interface StoredEvent {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly eventTime: string;
  readonly reason: string;
  readonly note: string;
  readonly reportingInstance: string;
  readonly regarding: object;
  readonly related?: object;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

export const UNREACHABLE: ApiFailure = { kind: 'unreachable', message: 'as told' };
export const FORBIDDEN: ApiFailure = { kind: 'forbidden', message: 'as told' };
export const throttled = (retryAfterMs: number): ApiFailure => ({
  kind: 'throttled',
  retryAfterMs,
  message: 'as told',
});

/** The events of the API in memory, behind a client that does as it is told. */
export class EventsApi {
  readonly stored = new Map<string, StoredEvent>();
  /** How many calls there were. */
  calls = 0;
  /** How many calls are under way, and were at most. */
  open = 0;
  openMax = 0;
  /** What the next calls come to; after the last one, calls succeed. */
  failures: ApiFailure[] = [];
  /** Whether the next failed calls are carried out all the same, and only their answer is lost. */
  losesAnswers = false;
  #held: (() => void)[] | undefined;

  get list(): readonly StoredEvent[] {
    return [...this.stored.values()];
  }

  /** From now on calls wait. */
  hold(): void {
    this.#held = [];
  }

  /** Lets the calls that wait, and all further ones, go on. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const goOn of held) goOn();
  }

  /** What happens to events after an hour. */
  expireAll(): void {
    this.stored.clear();
  }

  async request(request: ApiRequest): Promise<ApiResult> {
    this.calls += 1;
    this.open += 1;
    this.openMax = Math.max(this.openMax, this.open);
    await this.#turn(request.signal);
    this.open -= 1;
    if (request.signal?.aborted === true) return UNREACHABLE;
    const failure = this.failures.shift();
    if (failure !== undefined && !this.losesAnswers) return failure;
    const result = this.#carryOut(request);
    return failure ?? result;
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (this.#held === undefined) return resolve();
      this.#held.push(resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  #carryOut({ method, path, body }: ApiRequest): ApiResult {
    if (method === 'POST') {
      const event = body as StoredEvent;
      const at = `${path}/${event.metadata.name}`;
      if (this.stored.has(at)) return { kind: 'exists', message: at };
      this.stored.set(at, event);
      return { kind: 'ok', status: 201, body: event };
    }
    const before = this.stored.get(path);
    if (before === undefined) return { kind: 'absent', message: path };
    const event = { ...before, ...(body as Pick<StoredEvent, 'series'>) };
    this.stored.set(path, event);
    return { kind: 'ok', status: 200, body: event };
  }
}
