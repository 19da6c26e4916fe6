import type { Condition } from '../../../../src/health/condition.ts';
import type { ReportedValue } from '../../../../src/health/observed-instance.ts';
import type { ObservedPod } from '../../../../src/health/observed-pod.ts';
import type { Enforcement } from '../../../../src/health/observed-policy.ts';
import type { ReportAnswer } from '../../../../src/liveness/report-answer.ts';
import { keyOf } from '../../../../src/liveness/instance-key.ts';
import { MINUTE, SECOND } from '../../../support/builders.ts';
import type { Kubelet } from '../../../support/cluster-in-memory.ts';
import { identityWith, PodWorld } from '../../../support/pod-world.ts';

/** Something that happens. `slot` is a place in a workload; the Pod in it comes and goes. */
export type Move =
  | { readonly kind: 'beat' | 'silence' | 'restartContainer' | 'remove' | 'terminate' | 'add'; readonly slot: number }
  /** All Pods of the workload fall silent. */
  | { readonly kind: 'silenceAll'; readonly slot: number }
  /** Two Pods end, and each comes back with the address of the other. */
  | { readonly kind: 'swap'; readonly slot: number; readonly other: number }
  /** It falls silent, and is heard again so long after its deadline: perhaps while a call about it is under way. */
  | { readonly kind: 'lateBeat'; readonly slot: number; readonly afterMs: number; readonly isSlow: boolean }
  | { readonly kind: 'report'; readonly slot: number; readonly value: ReportedValue }
  | { readonly kind: 'stranger'; readonly slot: number; readonly victim: number; readonly isReport: boolean }
  | { readonly kind: 'policy'; readonly enforcement: Enforcement | 'deleted' }
  | { readonly kind: 'operator'; readonly last: 'instances' | 'pods'; readonly awayMs: number }
  | { readonly kind: 'stall'; readonly ms: number }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'kubelet'; readonly kubelet: Kubelet }
  | { readonly kind: 'collected'; readonly afterMs: number }
  | { readonly kind: 'heal' }
  | { readonly kind: 'pass'; readonly ms: number };

export type Fault = 'podsAway' | 'instancesAway' | 'podsForbidden' | 'conflicts' | 'slowCalls' | 'frozen';

/** The workload of each slot. The last two are empty at first. */
const WORKLOADS = ['web', 'web', 'web', 'web', 'api', 'api', 'api', 'plain', 'plain', 'web', 'api'];

export const SLOTS = WORKLOADS.length;

const EMPTY_AT_FIRST = 2;

const INTERVAL_MS = 5 * SECOND;
export const TTL_MS = 2 * INTERVAL_MS;

/** How long a container is down at least when it restarts. */
const RESTART_MS = 100;

/** So many heartbeats reach back further than a call takes. */
const HEARD_KEPT = 20;

/** No network gives an address away again at once. */
const ADDRESS_REST_MS = 6 * SECOND;

/** The garbage collector is slow, so that objects outlive their Pods for a while. */
const COLLECTED_MS = 20 * SECOND;

/** Brakes that let much happen in a short time: storms of three, and nobody waits for the rate. */
const RULES = {
  withdrawalPercentPerMinute: 100,
  storm: { percent: 75, minimum: 3, maxDurationSeconds: 40 },
} as const;

/** What is true of the application in a slot, whatever the operator believes. */
interface Application {
  readonly name: string;
  readonly workload: string;
  readonly hasGate: boolean;
  /** The uid of the Pod in the slot. */
  uid: string | undefined;
  isBeating: boolean;
  /** The instance id that it has now; another one with every restart of the container. */
  instanceId: string;
  idCount: number;
}

interface Report {
  readonly value: ReportedValue;
}

/**
 * Random things that happen to a small fleet, and what is true of it meanwhile, kept apart from what the operator
 * believes. What must never be is collected in `violations` at the moment at which it happens.
 */
export class History {
  readonly world: PodWorld;
  readonly violations: string[] = [];
  readonly applications: readonly Application[];
  /** When an instance was heard, by its id. Who sent it is all one: it counts as heard. */
  readonly #heardWallMs = new Map<string, number[]>();
  /** The ids that a Pod ever sent beside its own, by its uid: when they fall silent, that is its own doing. */
  readonly #borrowedIds = new Map<string, Set<string>>();
  /** What the Pod said of itself and may stand, by its uid, the oldest first: what came before an acknowledged report is past. */
  readonly #reports = new Map<string, readonly Report[]>();
  /** When something last happened to a workload without which a write may have been decided. */
  readonly #disturbedWallMs = new Map<string, number>();
  /** The addresses of Pods that ended, with when each may be used again. */
  readonly #freeAddresses: { readonly address: string; readonly fromWallMs: number }[] = [];
  #enforcement: Enforcement | 'deleted' = 'deleted';
  #isFrozen = false;

  private constructor(world: PodWorld) {
    this.world = world;
    world.collectedAfterMs = COLLECTED_MS;
    this.applications = WORKLOADS.map((workload, slot) => {
      const name = `${workload}-${slot}`;
      const hasGate = workload !== 'plain';
      return { name, workload, hasGate, uid: undefined, isBeating: false, instanceId: name, idCount: 0 };
    });
    world.cluster.beforeWrite = (pod, condition, calledWallMs) => this.#checkWrite(pod, condition, calledWallMs);
  }

  static async begun(): Promise<History> {
    const world = await PodWorld.started({ timing: { intervalSeconds: INTERVAL_MS / SECOND, times: 1 } });
    const history = new History(world);
    history.#setPolicy('Gate');
    for (let slot = 0; slot < SLOTS - EMPTY_AT_FIRST; slot += 1) {
      history.#add(slot);
      history.#beat(slot);
    }
    await history.#pass(2 * SECOND);
    return history;
  }

  async make(move: Move): Promise<void> {
    switch (move.kind) {
      case 'beat':
        this.#beat(move.slot);
        break;
      case 'silence':
        this.#silence(move.slot);
        break;
      case 'restartContainer':
        await this.#restartContainer(move.slot);
        break;
      case 'remove':
        this.#remove(move.slot);
        break;
      case 'terminate':
        this.#terminate(move.slot);
        break;
      case 'add':
        this.#add(move.slot);
        break;
      case 'swap':
        await this.#swap(move.slot, move.other);
        break;
      case 'silenceAll':
        await this.#silenceAll(move.slot);
        break;
      case 'lateBeat':
        await this.#beatLate(move.slot, move.afterMs, move.isSlow);
        break;
      case 'report':
        this.#report(move.slot, move.value);
        break;
      case 'stranger':
        this.#beStranger(move.slot, move.victim, move.isReport);
        break;
      case 'policy':
        this.#setPolicy(move.enforcement);
        break;
      case 'operator':
        await this.#restartOperator(move.last, move.awayMs);
        break;
      case 'stall':
        await this.#stall(move.ms);
        break;
      case 'fault':
        this.#fail(move.fault);
        break;
      case 'kubelet':
        this.world.cluster.kubelet = move.kubelet;
        this.#disturbAll();
        break;
      case 'collected':
        this.world.collectedAfterMs = move.afterMs;
        break;
      case 'heal':
        await this.heal();
        break;
      case 'pass':
        await this.#pass(move.ms);
        break;
    }
    await this.#pass(0);
  }

  /** All faults end. */
  async heal(): Promise<void> {
    this.world.cluster.heal();
    this.world.instances.heal();
    this.world.cluster.kubelet = 'prompt';
    if (this.#isFrozen) await this.world.thawWatches();
    this.#isFrozen = false;
  }

  /** Faults end and time passes, so that all that is to be written is. */
  async rest(): Promise<void> {
    await this.heal();
    await this.#pass(150 * SECOND);
  }

  get enforcement(): Enforcement {
    return this.#enforcement === 'deleted' ? 'Gate' : this.#enforcement;
  }

  podOf({ uid }: Application): ObservedPod | undefined {
    return uid === undefined ? undefined : this.world.cluster.pods.get(uid);
  }

  /** Whether a report may stand by which the Pod took itself out of service. */
  mayBeReportedDown(uid: string): boolean {
    return (this.#reports.get(uid) ?? []).some(({ value }) => value !== 'UP' && value !== 'TESTING');
  }

  /** Whether everything that the Pod ever sent, its own present instance and borrowed ids, was heard within the time to live. */
  isAllFresh(application: Application, atWallMs = this.world.clock.wallMs(), heardUntilWallMs = atWallMs): boolean {
    const ids = [application.instanceId, ...this.borrowedIdsOf(application)];
    return ids.every((id) => this.#isFresh(id, atWallMs, heardUntilWallMs));
  }

  /** Whether another Pod sent the id of this one, and so may have been taken for its Pod. */
  isIdBorrowed({ instanceId }: Application): boolean {
    return [...this.#borrowedIds.values()].some((ids) => ids.has(instanceId));
  }

  borrowedIdsOf({ uid }: Application): readonly string[] {
    return uid === undefined ? [] : [...(this.#borrowedIds.get(uid) ?? [])];
  }

  #isFresh(instanceId: string, atWallMs: number, heardUntilWallMs: number): boolean {
    const heard = this.#heardWallMs.get(instanceId) ?? [];
    return heard.some((heardWallMs) => heardWallMs <= heardUntilWallMs && atWallMs - heardWallMs < TTL_MS);
  }

  #application(slot: number): Application {
    const application = this.applications[slot % SLOTS];
    if (application === undefined) throw new Error(`no slot ${slot}`);
    return application;
  }

  #hear(instanceId: string): void {
    const heard = this.#heardWallMs.get(instanceId) ?? [];
    this.#heardWallMs.set(instanceId, [...heard.slice(-HEARD_KEPT), this.world.clock.wallMs()]);
  }

  /** Time passes in small steps, so that what was heard is known to the second. */
  async #pass(ms: number): Promise<void> {
    const untilWallMs = this.world.clock.wallMs() + ms;
    do {
      await this.world.pass(Math.min(SECOND, Math.max(0, untilWallMs - this.world.clock.wallMs())));
    } while (this.world.clock.wallMs() < untilWallMs);
  }

  #beat(slot: number): void {
    const application = this.#application(slot);
    if (this.podOf(application)?.isTerminating !== false || application.isBeating) return;
    application.isBeating = true;
    const { name, instanceId } = application;
    this.world.keepBeating([name], { instanceId, onBeat: () => this.#hear(instanceId) });
  }

  #silence(slot: number): void {
    const application = this.#application(slot);
    application.isBeating = false;
    this.world.silence(application.name);
  }

  async #restartContainer(slot: number): Promise<void> {
    const application = this.#application(slot);
    if (this.podOf(application)?.isTerminating !== false) return;
    this.#silence(slot);
    await this.#pass(RESTART_MS);
    application.idCount += 1;
    application.instanceId = `${application.name}-${application.idCount}`;
    this.#beat(slot);
  }

  #remove(slot: number): void {
    const application = this.#application(slot);
    const pod = this.podOf(application);
    if (pod === undefined) return;
    this.#silence(slot);
    this.world.removePod(application.name);
    const fromWallMs = this.world.clock.wallMs() + ADDRESS_REST_MS;
    for (const address of pod.addresses) this.#freeAddresses.push({ address, fromWallMs });
    application.uid = undefined;
    this.#disturb(application.workload);
  }

  #terminate(slot: number): void {
    const application = this.#application(slot);
    if (this.podOf(application) === undefined) return;
    this.#silence(slot);
    this.world.terminate(application.name);
    this.#disturb(application.workload);
  }

  /** The address that was freed first is the first to be used again. */
  #add(slot: number): void {
    const application = this.#application(slot);
    if (this.podOf(application) !== undefined) return;
    const { name, workload, hasGate } = application;
    const isFree = (this.#freeAddresses[0]?.fromWallMs ?? Infinity) <= this.world.clock.wallMs();
    const address = isFree ? this.#freeAddresses.shift()?.address : undefined;
    const parts = { workload: `StatefulSet/${workload}`, hasGate, nodeName: `node-${slot % 3}` };
    application.uid = this.world.addPod(name, address === undefined ? parts : { ...parts, addresses: [address] }).uid;
  }

  async #silenceAll(slot: number): Promise<void> {
    const { workload } = this.#application(slot);
    for (const [other, application] of this.applications.entries()) {
      if (application.workload === workload) this.#silence(other);
    }
    await this.#pass(MINUTE);
  }

  async #swap(slot: number, other: number): Promise<void> {
    if (slot === other) return;
    this.#freeAddresses.length = 0;
    this.#remove(slot);
    this.#remove(other);
    await this.#pass(ADDRESS_REST_MS);
    for (const next of [other, slot]) {
      this.#add(next);
      this.#beat(next);
    }
  }

  async #beatLate(slot: number, afterMs: number, isSlow: boolean): Promise<void> {
    if (isSlow) this.#fail('slowCalls');
    this.#silence(slot);
    await this.#pass(TTL_MS + afterMs);
    this.#beat(slot);
    await this.#pass(2 * SECOND);
  }

  #report(slot: number, value: ReportedValue): void {
    const application = this.#application(slot);
    const pod = this.podOf(application);
    if (pod === undefined || !application.isBeating) return;
    const { name, instanceId } = application;
    const report = { value };
    this.#reports.set(pod.uid, [...(this.#reports.get(pod.uid) ?? []), report]);
    void this.#noteAnswer(pod.uid, report, this.world.report(value, { instanceId, from: name }));
  }

  async #noteAnswer(uid: string, report: Report, answer: Promise<ReportAnswer>): Promise<void> {
    const { kind } = await answer;
    const reports = this.#reports.get(uid) ?? [];
    if (kind === 'stored') this.#reports.set(uid, reports.slice(Math.max(0, reports.indexOf(report))));
  }

  #beStranger(slot: number, victimSlot: number, isReport: boolean): void {
    const stranger = this.#application(slot);
    const { instanceId } = this.#application(victimSlot);
    if (this.podOf(stranger) === undefined || slot === victimSlot || stranger.uid === undefined) return;
    if (isReport) {
      void this.world.report('DOWN', { instanceId, from: stranger.name });
      return;
    }
    const borrowed = this.#borrowedIds.get(stranger.uid) ?? new Set();
    this.#borrowedIds.set(stranger.uid, borrowed.add(instanceId));
    this.world.beat(stranger.name, instanceId);
    this.#hear(instanceId);
  }

  #setPolicy(enforcement: Enforcement | 'deleted'): void {
    this.#enforcement = enforcement;
    this.#disturbAll();
    if (enforcement === 'deleted') this.world.removePolicy('rules');
    else this.world.putPolicy('rules', { enforcement, ...RULES });
  }

  /** What was under way is done only afterwards, in one moment. */
  async #stall(ms: number): Promise<void> {
    const endWallMs = this.world.clock.wallMs() + ms;
    for (const { workload } of this.applications) this.#disturbedWallMs.set(workload, endWallMs);
    await this.world.clock.stall(ms);
  }

  async #restartOperator(last: 'instances' | 'pods', awayMs: number): Promise<void> {
    this.world.kill();
    this.#isFrozen = false;
    await this.world.clock.advance(awayMs);
    this.world.startHearing();
    await this.world.learnWhatIsStored(last);
  }

  #fail(fault: Fault): void {
    const { cluster, instances } = this.world;
    const away = { kind: 'unreachable', message: 'away' } as const;
    switch (fault) {
      case 'podsAway':
        cluster.failPodsWhenever(() => away);
        break;
      case 'podsForbidden':
        cluster.failPodsWhenever((_, { name }) =>
          name === 'web-0' ? { kind: 'refused', reason: 'Forbidden', message: 'no' } : undefined,
        );
        break;
      case 'instancesAway':
        instances.failWhenever(() => away);
        break;
      case 'conflicts':
        instances.failWhenever(() => ({ kind: 'conflict' }));
        break;
      case 'slowCalls':
        cluster.beforeCallMs = 2 * SECOND;
        cluster.afterCallMs = SECOND;
        break;
      case 'frozen':
        if (this.#isFrozen) return;
        this.#isFrozen = true;
        this.world.freezeWatches();
        break;
    }
  }

  #disturb(workload: string): void {
    this.#disturbedWallMs.set(workload, this.world.clock.wallMs());
  }

  #disturbAll(): void {
    for (const { workload } of this.applications) this.#disturb(workload);
  }

  /** What must hold of every write, by what was so when its call began; what came later opens the Pod again. */
  #checkWrite(pod: ObservedPod, condition: Condition, calledWallMs: number): void {
    const application = this.applications.find(({ uid }) => uid === pod.uid);
    if (application === undefined) {
      this.#violate(pod, condition, 'it is gone');
      return;
    }
    const isUnknown = this.#mayBeUnknown(application, calledWallMs);
    if (pod.isTerminating && !isUnknown) this.#violate(pod, condition, 'it is being deleted');
    if (condition.status === 'True') return;
    const isByReport = condition.reason.startsWith('Reported');
    if (isByReport && !this.mayBeReportedDown(pod.uid)) this.#violate(pod, condition, 'it did not report it');
    // What is heard in the millisecond of the call may come after it.
    const isFresh = this.isAllFresh(application, calledWallMs, calledWallMs - 1);
    if (condition.status === 'False' && !isByReport && isFresh) {
      this.#violate(pod, condition, 'all it ever sent is fresh');
    }
    if (!pod.hasGate || pod.condition?.status !== 'True') return;
    if (condition.status === 'Unknown') this.#violate(pod, condition, 'an open Pod became Unknown');
    if (!isUnknown) this.#checkWithdrawal(pod, condition);
  }

  #checkWithdrawal(pod: ObservedPod, condition: Condition): void {
    if (this.enforcement !== 'Gate') this.#violate(pod, condition, 'the policy says otherwise');
    const others = this.world.cluster.pods
      .values()
      .filter((other) => other.workload === pod.workload && other.uid !== pod.uid && isServing(other));
    if (others.length === 0) this.#violate(pod, condition, 'it is the last of its workload');
  }

  /** Whether something that happened to the workload was not known when the call began. */
  #mayBeUnknown({ workload }: Application, calledWallMs: number): boolean {
    return this.#isFrozen || calledWallMs <= (this.#disturbedWallMs.get(workload) ?? 0);
  }

  #violate({ name, uid }: ObservedPod, { status, reason }: Condition, why: string): void {
    this.violations.push(`${name} (${uid}) was written ${status}/${reason}, but ${why}`);
  }
}

function isServing({ isReady, isTerminating, hasGate, condition }: ObservedPod): boolean {
  return isReady && !isTerminating && (!hasGate || condition?.status === 'True');
}

/** The present instance of an application as the operator sees it: to which Pod it is bound. */
export function boundUidOf({ world }: History, { instanceId }: { readonly instanceId: string }): string | undefined {
  return world.loop.bindings.refOf(keyOf(identityWith(instanceId)))?.uid;
}
