import type { ConditionStatus } from '../health/condition.ts';
import type { MatchedBy, ReportedValue } from '../health/observed-instance.ts';
import type { InstanceKey } from '../liveness/instance-key.ts';
import type { Sender } from '../liveness/sender.ts';

/** Something that happened to an instance. Moments are milliseconds since the Unix epoch, for people to read. */
export type TimelineNote = { readonly wallMs: number } & (
  | TransitionNote
  | PodWriteNote
  | HoldNote
  | BindingNote
  | ReportNote
  | ConflictNote
);

/** The verdict changed. */
interface TransitionNote {
  readonly kind: 'transition';
  /** Undefined for the first one. */
  readonly from: ConditionStatus | undefined;
  readonly to: ConditionStatus;
  readonly reason: string;
  /** From when silence counted; undefined where no deadline caused it. */
  readonly deadlineWallMs: number | undefined;
  readonly lastHeardWallMs: number | undefined;
  /** How much of the silence did not count, because we could not have heard. */
  readonly uncountedMs: number;
  /** What else was known then, about the Pod and its node; may be empty. */
  readonly evidence: string;
}

/** The verdict was written to the Pod, or was not. */
interface PodWriteNote {
  readonly kind: 'podWrite';
  readonly pod: string;
  readonly status: ConditionStatus;
  readonly reason: string;
  readonly result: 'ok' | 'absent' | 'throttled' | 'unreachable' | 'refused';
  readonly tookMs: number;
}

/** A brake kept the verdict from the Pod, or does so no longer. */
interface HoldNote {
  readonly kind: 'hold';
  readonly change: 'began' | 'ended';
  readonly reason: string;
  readonly message: string;
}

interface BindingNote {
  readonly kind: 'bound' | 'unbound';
  readonly pod: string;
  readonly matchedBy: MatchedBy;
  readonly why: string;
}

/** The application said how it is. */
interface ReportNote {
  readonly kind: 'report';
  readonly value: ReportedValue;
  readonly isStored: boolean;
}

/** Heartbeats came from elsewhere than the bound Pod. */
interface ConflictNote {
  readonly kind: 'conflict';
  readonly sender: Sender;
}

/** A note as it is kept. */
export type TimelineEntry = TimelineNote & {
  /** How often it happened, one time like the other; then `wallMs` is the first time. */
  readonly times: number;
  readonly lastWallMs: number;
};

export interface TimelineLimits {
  /** For one instance. */
  readonly entriesMax: number;
  readonly instancesMax: number;
  /** For all instances together. */
  readonly totalEntriesMax: number;
}

/** An entry takes some 350 bytes, and so all of them together no more than 25 MB. Most instances have two or three. */
const TIMELINE_LIMITS: TimelineLimits = { entriesMax: 16, instancesMax: 20_000, totalEntriesMax: 65_536 };

/** Texts come from us and from the Pod; a longer one has its end cut off. */
const TEXT_LENGTH_MAX = 256;

/**
 * The last things that happened to each instance to which anything did: why it is as it is.
 *
 * Bounded everywhere. Within an instance, what happens often does not push out what happens rarely: of the kind with
 * the most entries the oldest goes. Among instances the one goes to which nothing happened for the longest time.
 * A list that was handed out does not change any more.
 */
export class Timeline {
  /** The instance to which nothing happened for the longest time comes first. */
  readonly #entries = new Map<InstanceKey, readonly TimelineEntry[]>();
  readonly #limits: TimelineLimits;
  #totalEntries = 0;

  constructor(limits: TimelineLimits = TIMELINE_LIMITS) {
    this.#limits = limits;
  }

  note(key: InstanceKey, note: TimelineNote): void {
    const before = this.of(key);
    this.forget(key);
    const after = withNote(before, note, this.#limits.entriesMax);
    this.#entries.set(key, after);
    this.#totalEntries += after.length;
    this.#makeRoom();
  }

  /** Oldest first; empty if nothing is known. */
  of(key: InstanceKey): readonly TimelineEntry[] {
    return this.#entries.get(key) ?? [];
  }

  forget(key: InstanceKey): void {
    this.#totalEntries -= this.of(key).length;
    this.#entries.delete(key);
  }

  #makeRoom(): void {
    for (const key of this.#entries.keys()) {
      if (this.#entries.size <= this.#limits.instancesMax && this.#totalEntries <= this.#limits.totalEntriesMax) return;
      this.forget(key);
    }
  }
}

function withNote(entries: readonly TimelineEntry[], note: TimelineNote, entriesMax: number): readonly TimelineEntry[] {
  const bounded = withBoundedText(note);
  const at = lastOfKind(entries, bounded.kind);
  const last = entries[at];
  if (last !== undefined && isSame(last, bounded)) {
    const counted = { ...bounded, wallMs: last.wallMs, times: last.times + 1, lastWallMs: bounded.wallMs };
    return entries.with(at, counted);
  }
  const kept = entries.length < entriesMax ? entries : withoutMostFrequent(entries);
  return [...kept, { ...bounded, times: 1, lastWallMs: bounded.wallMs }];
}

/**
 * Where the last entry of this kind is, back to the last transition: what repeats after one is another story.
 *
 * @returns -1 if there is none
 */
function lastOfKind(entries: readonly TimelineEntry[], kind: TimelineEntry['kind']): number {
  const at = entries.findLastIndex((entry) => entry.kind === kind);
  return at < entries.findLastIndex((entry) => entry.kind === 'transition') ? -1 : at;
}

/** Whether the same happened again. How long a write took is no difference. */
function isSame(a: TimelineNote, b: TimelineNote): boolean {
  switch (a.kind) {
    case 'transition':
      return (
        b.kind === a.kind &&
        b.from === a.from &&
        b.to === a.to &&
        b.reason === a.reason &&
        b.deadlineWallMs === a.deadlineWallMs &&
        b.lastHeardWallMs === a.lastHeardWallMs &&
        b.uncountedMs === a.uncountedMs &&
        b.evidence === a.evidence
      );
    case 'podWrite':
      return (
        b.kind === a.kind && b.pod === a.pod && b.status === a.status && b.reason === a.reason && b.result === a.result
      );
    case 'hold':
      return b.kind === a.kind && b.change === a.change && b.reason === a.reason && b.message === a.message;
    case 'bound':
    case 'unbound':
      return b.kind === a.kind && b.pod === a.pod && b.matchedBy === a.matchedBy && b.why === a.why;
    case 'report':
      return b.kind === a.kind && b.value === a.value && b.isStored === a.isStored;
    case 'conflict':
      return b.kind === a.kind && b.sender === a.sender;
  }
}

function withoutMostFrequent(entries: readonly TimelineEntry[]): readonly TimelineEntry[] {
  const counts = new Map<TimelineEntry['kind'], number>();
  for (const { kind } of entries) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return entries.toSpliced(
    entries.findIndex(({ kind }) => counts.get(kind) === most),
    1,
  );
}

function withBoundedText(note: TimelineNote): TimelineNote {
  switch (note.kind) {
    case 'transition':
      return { ...note, evidence: bounded(note.evidence) };
    case 'hold':
      return { ...note, message: bounded(note.message) };
    case 'bound':
    case 'unbound':
      return { ...note, why: bounded(note.why) };
    case 'podWrite':
    case 'report':
    case 'conflict':
      return note;
  }
}

function bounded(text: string): string {
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX - 1)}…`;
}
