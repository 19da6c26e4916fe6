import type { Clock } from '../clock.ts';
import { nextCondition, type Verdict } from '../health/condition.ts';
import { Reason } from '../health/reason.ts';
import type { ObservedPod } from '../health/observed-pod.ts';
import type { ApiClient, ApiRequest, ApiResult } from '../kubernetes/api-client.ts';
import type { ApiFailure } from '../kubernetes/api-error.ts';
import { CallTimeout } from '../kubernetes/call-timeout.ts';
import { decodePod, podsPath } from '../kubernetes/pod-resource.ts';
import { KubernetesPodStore, podConditionGenerationSupported } from '../kubernetes/pod-store.ts';
import { type PagesEnd, readPages } from '../kubernetes/resource-pages.ts';
import { encodeMarker, MARKER_NAME, markersPath } from './release-marker.ts';

// An uninstall must leave no Pod closed that only we would ever open again (invariant I17).
//
// First the source is stopped: no new Pod gets the gate. Then the marker tells every replica that may run to withdraw
// nothing more, and to open what it closed. Then we look for gated Pods that are not released and release them, again
// and again: an API server injects for a moment after its policy was deleted, and a replica may have been about to
// write. Two looks in a row that find nothing are the end. None of this needs a running operator, and all of it may be
// done twice.

export interface ReleaseOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  /** Takes progress, a line each, for people. */
  readonly log: (line: string) => void;
  /** Where the operator runs, or ran. */
  readonly namespace: string;
  /** Ends it early. */
  readonly signal: AbortSignal;
  /** How long it may take. */
  readonly withinMs?: number;
  /** How long to wait before the Pods are looked at again. */
  readonly pauseMs?: number;
}

export type ReleaseOutcome =
  /** Every gated Pod is True/Released. `opened` counts those that were not so before. */
  | { readonly kind: 'released'; readonly opened: number }
  /** Trying again would not help. The message says what would. */
  | { readonly kind: 'refused'; readonly message: string }
  /** The time was over. The message names Pods that are left. */
  | { readonly kind: 'late'; readonly message: string }
  | { readonly kind: 'aborted' };

type ReleaseFailure = Exclude<ReleaseOutcome, { readonly kind: 'released' }>;

const WITHIN_MS = 5 * 60_000;

/** An API server takes notice of a deleted policy within a second or so, a replica of the marker sooner. */
const PAUSE_MS = 2_000;

const QUIET_PASSES_NEEDED = 2;

const PAGE_SIZE = 500;

/** As many as the operator's workers, give or take: it goes fast, and the API server has time for others. */
const WRITES_AT_ONCE = 8;

/** So many Pods that are left are named. */
const NAMED_MAX = 10;

const INJECTION_NAME = 'heartbeat-operator-gate';
const INJECTION_RESOURCES = ['mutatingadmissionpolicybindings', 'mutatingadmissionpolicies'] as const;

const RELEASED: Verdict = {
  status: 'True',
  reason: Reason.Released,
  message: 'The operator was uninstalled; heartbeats decide no longer.',
};

/** Opens every Pod that declares our readiness gate, for good. */
export async function release(options: ReleaseOptions): Promise<ReleaseOutcome> {
  const { client, clock, signal, withinMs = WITHIN_MS } = options;
  const limit = new CallTimeout(clock, withinMs, signal);
  try {
    const knowsGeneration = await podConditionGenerationSupported(client);
    const pods = new KubernetesPodStore(client, { knowsGeneration });
    const run = new ReleaseRun(options, pods, limit.signal);
    return (await run.endInjection()) ?? (await run.setMarker()) ?? (await run.openPods());
  } finally {
    limit.clear();
  }
}

/** One look at all Pods. */
interface Pass {
  /** The gated Pods that were not released, and those of them that still are not. */
  readonly closed: Set<string>;
  readonly left: Set<string>;
  opened: number;
}

class ReleaseRun {
  readonly #options: ReleaseOptions;
  readonly #pods: KubernetesPodStore;
  /** Fires when the time is over as well. */
  readonly #limit: AbortSignal;
  #opened = 0;
  /** What the last look that found anything has left, or had to open. */
  #suspects: ReadonlySet<string> = new Set();
  #lastTrouble = '';
  #refusal: ReleaseFailure | undefined;

  constructor(options: ReleaseOptions, pods: KubernetesPodStore, limit: AbortSignal) {
    this.#options = options;
    this.#pods = pods;
    this.#limit = limit;
  }

  /** A policy without its binding does nothing, so the binding goes first. */
  async endInjection(): Promise<ReleaseFailure | undefined> {
    for (const resource of INJECTION_RESOURCES) {
      const result = await this.#insist({
        action: `deleting ${resource}/${INJECTION_NAME}`,
        method: 'DELETE',
        path: `/apis/admissionregistration.k8s.io/v1/${resource}/${INJECTION_NAME}`,
      });
      // Absent is also what a server says that does not know such policies.
      if (result.kind === 'absent') this.#log(`${resource}/${INJECTION_NAME} is not there`);
      else if (result.kind === 'ok') this.#log(`deleted ${resource}/${INJECTION_NAME}`);
      else return this.#failure(result, `delete ${resource}`);
    }
    return undefined;
  }

  async setMarker(): Promise<ReleaseFailure | undefined> {
    const { namespace } = this.#options;
    const marker = `configmaps/${MARKER_NAME} in namespace ${namespace}`;
    const result = await this.#insist({
      action: `creating ${marker}`,
      method: 'POST',
      path: markersPath(namespace),
      body: encodeMarker(namespace),
    });
    if (result.kind === 'ok') this.#log(`created ${marker}`);
    else if (result.kind === 'exists') this.#log(`${marker} is there already`);
    // Then no replica is left there that could read it.
    else if (isNamespaceGone(result)) this.#log(`the namespace ${namespace} is gone, and needs no marker`);
    else return this.#failure(result, `create configmaps in namespace ${namespace}`);
    return undefined;
  }

  async openPods(): Promise<ReleaseOutcome> {
    let quietPasses = 0;
    for (;;) {
      const pass: Pass = { closed: new Set(), left: new Set(), opened: 0 };
      const end = await this.#look(pass);
      this.#sumUp(pass, end);
      if (this.#refusal !== undefined) return this.#refusal;
      if (end.kind !== 'listed' && !isPassing(end)) return this.#failure(end, 'list pods in all namespaces');

      quietPasses = end.kind === 'listed' && pass.closed.size === 0 ? quietPasses + 1 : 0;
      if (quietPasses === QUIET_PASSES_NEEDED) {
        this.#log('every Pod with the gate is released');
        return { kind: 'released', opened: this.#opened };
      }
      await this.#pause(end.kind === 'throttled' ? end.retryAfterMs : 0);
      if (this.#limit.aborted) return this.#outOfTime();
    }
  }

  #sumUp({ closed, left, opened }: Pass, end: PagesEnd): void {
    this.#opened += opened;
    if (end.kind !== 'listed') this.#noteTrouble(end.message);
    if (closed.size > 0) this.#suspects = left.size > 0 ? left : closed;
    else if (end.kind === 'listed') this.#suspects = new Set();
    if (this.#limit.aborted || (closed.size === 0 && end.kind === 'listed')) return;
    const trouble = left.size > 0 || end.kind !== 'listed' ? `; ${this.#lastTrouble}` : '';
    this.#log(`opened ${opened} Pods, ${left.size} are left${trouble}`);
  }

  #look(pass: Pass): Promise<PagesEnd> {
    return readPages({
      client: this.#options.client,
      path: podsPath(),
      // A finished Pod never serves again.
      query: { fieldSelector: 'status.phase!=Succeeded,status.phase!=Failed' },
      pageSize: PAGE_SIZE,
      signal: this.#limit,
      onPage: async (objects) => {
        const closed = objects.flatMap((object) => this.#decode(object)).filter(isClosed);
        for (const pod of closed) {
          pass.closed.add(nameOf(pod));
          pass.left.add(nameOf(pod));
        }
        const waiting = closed.values();
        await Promise.all(Array.from({ length: WRITES_AT_ONCE }, () => this.#openEach(waiting, pass)));
      },
    });
  }

  #decode(object: unknown): readonly ObservedPod[] {
    try {
      return [decodePod(object)];
    } catch (error) {
      // One that cannot be read has no name by which it could be opened, and must not keep the others closed.
      this.#noteTrouble(String(error));
      return [];
    }
  }

  /** Takes one Pod after the other, beside others that do the same. */
  async #openEach(waiting: IteratorObject<ObservedPod>, pass: Pass): Promise<void> {
    const { clock } = this.#options;
    for (const pod of waiting) {
      if (this.#limit.aborted || this.#refusal !== undefined) return;
      const wallSeconds = Math.floor(clock.wallMs() / 1_000);
      const condition = nextCondition(pod.condition, RELEASED, pod.generation, wallSeconds);
      const outcome = await this.#pods.writeCondition(pod, condition);
      switch (outcome.kind) {
        case 'pod':
          pass.opened += 1;
          pass.left.delete(nameOf(pod));
          break;
        case 'absent':
          pass.left.delete(nameOf(pod));
          break;
        case 'throttled':
        case 'unreachable':
          // It comes again with the next look.
          this.#noteTrouble(outcome.message);
          await this.#pause(outcome.kind === 'throttled' ? outcome.retryAfterMs : 0);
          break;
        case 'refused':
          this.#noteTrouble(outcome.message);
          // Another one is about this Pod alone, and must not keep the others closed.
          if (outcome.reason === 'Forbidden') this.#refusal = forbidden(outcome.message, 'patch pods/status');
      }
    }
  }

  /** One call, until there is an answer or the time is over. */
  async #insist(request: ApiRequest): Promise<ApiResult> {
    for (;;) {
      const result = await this.#options.client.request({ ...request, signal: this.#limit });
      if (result.kind === 'ok' || !isPassing(result) || this.#limit.aborted) return result;
      this.#noteTrouble(result.message);
      this.#log(`${result.message}; it is tried again`);
      await this.#pause(result.kind === 'throttled' ? result.retryAfterMs : 0);
    }
  }

  #failure(failure: Exclude<PagesEnd, { readonly kind: 'listed' }>, right: string): ReleaseFailure {
    if (this.#limit.aborted) return this.#outOfTime();
    const { kind, message } = failure;
    if (kind === 'forbidden') return forbidden(message, right);
    const advice = kind === 'unauthorized' ? ': renew the kubeconfig or the service account' : '';
    return { kind: 'refused', message: message + advice };
  }

  #outOfTime(): ReleaseFailure {
    const { signal, withinMs = WITHIN_MS } = this.#options;
    if (signal.aborted) return { kind: 'aborted' };
    const parts = [`the release did not come to its end within ${withinMs / 1_000} s`];
    if (this.#suspects.size > 0) {
      const named = [...this.#suspects].slice(0, NAMED_MAX);
      const others = this.#suspects.size - named.length;
      parts.push(`Pods that may still be closed: ${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}`);
    }
    if (this.#lastTrouble !== '') parts.push(`the last trouble was: ${this.#lastTrouble}`);
    return { kind: 'late', message: `${parts.join('; ')}. Run it again.` };
  }

  #noteTrouble(message: string): void {
    // That calls are cut off when the time is over is no trouble to tell.
    if (!this.#limit.aborted) this.#lastTrouble = message;
  }

  #log(line: string): void {
    this.#options.log(line);
  }

  /** @param atLeastMs what the server asks for */
  async #pause(atLeastMs: number): Promise<void> {
    if (this.#limit.aborted) return;
    const { clock, pauseMs = PAUSE_MS } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => resolve();
    const cancel = clock.schedule(Math.max(atLeastMs, pauseMs), end);
    this.#limit.addEventListener('abort', end, { once: true });
    await promise;
    cancel();
    this.#limit.removeEventListener('abort', end);
  }
}

function isClosed(pod: ObservedPod): boolean {
  const { condition } = pod;
  const isReleased = condition?.status === 'True' && condition.reason === Reason.Released;
  return pod.hasGate && !pod.isFinished && !isReleased;
}

/** Whether it may be better in a moment. */
function isPassing(failure: Exclude<PagesEnd, { readonly kind: 'listed' }>): boolean {
  switch (failure.kind) {
    case 'throttled':
    case 'unreachable':
    case 'unreadable':
    case 'conflict':
    case 'gone':
    case 'ahead':
      return true;
    case 'absent':
    case 'exists':
    case 'forbidden':
    case 'unauthorized':
    case 'invalid':
      return false;
  }
}

function isNamespaceGone(failure: ApiFailure): boolean {
  // That nothing may be made in a namespace that ends is said with the code of a missing right.
  return failure.kind === 'absent' || (failure.kind === 'forbidden' && failure.message.includes('being terminated'));
}

function forbidden(message: string, right: string): ReleaseFailure {
  const advice = `grant the account the right to ${right}, as the roles heartbeat-operator-release in deploy/rbac.yaml do`;
  return { kind: 'refused', message: `${message}: ${advice}` };
}

function nameOf({ namespace, name }: ObservedPod): string {
  return `${namespace}/${name}`;
}
