import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Timeline, type TimelineEntry, type TimelineNote } from '../../src/controller/timeline.ts';
import { addressSender } from '../../src/liveness/sender.ts';
import { key } from '../support/builders.ts';

const START = 1_763_000_000_000;

type Parts<Kind extends TimelineNote['kind']> = Partial<Omit<Extract<TimelineNote, { kind: Kind }>, 'kind'>>;

function transition(parts: Parts<'transition'> = {}): TimelineNote {
  return {
    kind: 'transition',
    wallMs: START,
    from: 'True',
    to: 'False',
    reason: 'HeartbeatExpired',
    deadlineWallMs: START - 5,
    lastHeardWallMs: START - 120_005,
    uncountedMs: 0,
    evidence: '',
    ...parts,
  };
}

function podWrite(parts: Parts<'podWrite'> = {}): TimelineNote {
  return {
    kind: 'podWrite',
    wallMs: START,
    pod: 'shop/web-0',
    status: 'False',
    reason: 'HeartbeatExpired',
    result: 'ok',
    tookMs: 12,
    ...parts,
  };
}

function hold(parts: Parts<'hold'> = {}): TimelineNote {
  return { kind: 'hold', wallMs: START, change: 'began', reason: 'StormHold', message: '8 of 10 Pods', ...parts };
}

function conflict(address: string, wallMs = START): TimelineNote {
  return { kind: 'conflict', wallMs, sender: addressSender(address) };
}

function kinds(entries: readonly TimelineEntry[]): readonly string[] {
  return entries.map(({ kind }) => kind);
}

const A = key('a');

describe('The timeline', () => {
  it('knows nothing of an instance to which nothing happened', () => {
    expect(new Timeline().of(A)).toEqual([]);
  });

  it('keeps what happened in its order, each with how often and when last', () => {
    const timeline = new Timeline();
    timeline.note(A, transition());
    timeline.note(A, hold({ wallMs: START + 1 }));
    timeline.note(A, podWrite({ wallMs: START + 2 }));
    expect(timeline.of(A)).toEqual([
      { ...transition(), times: 1, lastWallMs: START },
      { ...hold({ wallMs: START + 1 }), times: 1, lastWallMs: START + 1 },
      { ...podWrite({ wallMs: START + 2 }), times: 1, lastWallMs: START + 2 },
    ]);
  });

  it('keeps the instances apart, and forgets one without the others', () => {
    const timeline = new Timeline();
    timeline.note(A, transition());
    timeline.note(key('b'), podWrite());
    timeline.forget(A);
    expect(timeline.of(A)).toEqual([]);
    expect(kinds(timeline.of(key('b')))).toEqual(['podWrite']);
    timeline.forget(key('never-there'));
  });

  it('does not change a list that it handed out', () => {
    const timeline = new Timeline();
    timeline.note(A, transition());
    const before = timeline.of(A);
    timeline.note(A, transition({ wallMs: START + 1 }));
    timeline.note(A, podWrite());
    expect(before).toEqual([{ ...transition(), times: 1, lastWallMs: START }]);
  });

  it('cuts a text that is too long', () => {
    const timeline = new Timeline();
    timeline.note(A, transition({ evidence: 'e'.repeat(1_000) }));
    timeline.note(A, hold({ message: 'm'.repeat(256) }));
    timeline.note(A, { kind: 'unbound', wallMs: START, pod: 'shop/web-0', matchedBy: 'PodIP', why: 'w'.repeat(257) });
    expect(timeline.of(A)).toMatchObject([
      { evidence: `${'e'.repeat(255)}…` },
      { message: 'm'.repeat(256) },
      { why: `${'w'.repeat(255)}…` },
    ]);
  });
});

describe('What happens again', () => {
  it('is counted, with the first and the last time, and the time that the last write took', () => {
    const timeline = new Timeline();
    timeline.note(A, podWrite({ result: 'throttled', tookMs: 5 }));
    timeline.note(A, podWrite({ result: 'throttled', tookMs: 7, wallMs: START + 100 }));
    timeline.note(A, podWrite({ result: 'throttled', tookMs: 9, wallMs: START + 200 }));
    expect(timeline.of(A)).toEqual([
      { ...podWrite({ result: 'throttled', tookMs: 9 }), times: 3, lastWallMs: START + 200 },
    ]);
  });

  it('is counted although something of another kind came between', () => {
    const timeline = new Timeline();
    timeline.note(A, podWrite({ result: 'unreachable' }));
    timeline.note(A, conflict('10.0.0.9'));
    timeline.note(A, podWrite({ result: 'unreachable', wallMs: START + 100 }));
    expect(timeline.of(A)).toMatchObject([{ kind: 'podWrite', times: 2 }, { kind: 'conflict' }]);
  });

  it('after the next transition is told anew, since it belongs to another story', () => {
    const timeline = new Timeline();
    timeline.note(A, podWrite());
    timeline.note(A, transition());
    timeline.note(A, podWrite());
    expect(kinds(timeline.of(A))).toEqual(['podWrite', 'transition', 'podWrite']);
  });

  it.each<[string, TimelineNote, TimelineNote]>([
    ['a transition to another status', transition(), transition({ to: 'Unknown' })],
    ['a transition from another status', transition(), transition({ from: undefined })],
    ['a transition for another reason', transition(), transition({ reason: 'ReportedDown' })],
    ['a transition at another deadline', transition(), transition({ deadlineWallMs: START })],
    ['a transition after another heartbeat', transition(), transition({ lastHeardWallMs: START })],
    ['a transition with more deafness', transition(), transition({ uncountedMs: 1 })],
    ['a transition with other evidence', transition(), transition({ evidence: 'OOMKilled' })],
    ['a write with another result', podWrite(), podWrite({ result: 'refused' })],
    ['a write of another status', podWrite(), podWrite({ status: 'True' })],
    ['a write of another reason', podWrite(), podWrite({ reason: 'ReportedDown' })],
    ['a write to another Pod', podWrite(), podWrite({ pod: 'shop/web-1' })],
    ['the end of a hold', hold(), hold({ change: 'ended' })],
    ['another hold', hold(), hold({ reason: 'RateLimited' })],
    ['a hold with other words', hold(), hold({ message: '9 of 10 Pods' })],
    ['another foreign sender', conflict('10.0.0.9'), conflict('10.0.0.8')],
    [
      'another report',
      { kind: 'report', wallMs: START, value: 'UP', isStored: true },
      { kind: 'report', wallMs: START, value: 'DOWN', isStored: true },
    ],
    [
      'a report that is stored at last',
      { kind: 'report', wallMs: START, value: 'UP', isStored: false },
      { kind: 'report', wallMs: START, value: 'UP', isStored: true },
    ],
    [
      'a binding to another Pod',
      { kind: 'bound', wallMs: START, pod: 'shop/web-0', matchedBy: 'PodIP', why: '' },
      { kind: 'bound', wallMs: START, pod: 'shop/web-1', matchedBy: 'PodIP', why: '' },
    ],
    [
      'a binding by other evidence',
      { kind: 'bound', wallMs: START, pod: 'shop/web-0', matchedBy: 'PodIP', why: '' },
      { kind: 'bound', wallMs: START, pod: 'shop/web-0', matchedBy: 'Token', why: '' },
    ],
    [
      'the end of a binding',
      { kind: 'bound', wallMs: START, pod: 'shop/web-0', matchedBy: 'PodIP', why: '' },
      { kind: 'unbound', wallMs: START, pod: 'shop/web-0', matchedBy: 'PodIP', why: '' },
    ],
    [
      'an end for another reason',
      { kind: 'unbound', wallMs: START, pod: 'shop/web-0', matchedBy: 'PodIP', why: 'deleted' },
      { kind: 'unbound', wallMs: START, pod: 'shop/web-0', matchedBy: 'PodIP', why: 'finished' },
    ],
  ])('is not %s', (_what, first, second) => {
    const timeline = new Timeline();
    timeline.note(A, first);
    timeline.note(A, second);
    expect(timeline.of(A).map(({ times }) => times)).toEqual([1, 1]);
    timeline.note(A, { ...second, wallMs: START + 1 });
    expect(timeline.of(A).map(({ times }) => times)).toEqual([1, 2]);
  });
});

describe('A full timeline', () => {
  it('of one instance loses the oldest entry of the kind that it has most of', () => {
    const timeline = new Timeline();
    timeline.note(A, transition());
    timeline.note(A, podWrite());
    for (let i = 0; i < 100; i += 1) timeline.note(A, conflict(`10.0.0.${i}`));
    const entries = timeline.of(A);
    expect(entries).toHaveLength(16);
    expect(kinds(entries).slice(0, 3)).toEqual(['transition', 'podWrite', 'conflict']);
    expect(entries.slice(2)).toMatchObject(Array.from({ length: 14 }, (_, i) => ({ sender: `10.0.0.${i + 86}` })));
  });

  it('of too many instances loses the one to which nothing happened for the longest time', () => {
    const timeline = new Timeline({ entriesMax: 16, instancesMax: 2, totalEntriesMax: 100 });
    timeline.note(key('a'), transition());
    timeline.note(key('b'), transition());
    timeline.note(key('a'), podWrite());
    timeline.note(key('c'), transition());
    expect(['a', 'b', 'c'].map((id) => timeline.of(key(id)).length)).toEqual([2, 0, 1]);
  });

  it('of too many entries loses whole instances, the one that changed longest ago first', () => {
    const timeline = new Timeline({ entriesMax: 16, instancesMax: 100, totalEntriesMax: 4 });
    for (const id of ['a', 'b', 'c']) {
      timeline.note(key(id), transition());
      timeline.note(key(id), podWrite());
    }
    expect(['a', 'b', 'c'].map((id) => timeline.of(key(id)).length)).toEqual([0, 2, 2]);
    timeline.forget(key('b'));
    timeline.note(key('d'), transition());
    expect(['c', 'd'].map((id) => timeline.of(key(id)).length)).toEqual([2, 1]);
  });

  it('never holds more than its limits, never loses what happened last, and counts everything that it holds', () => {
    const IDS = ['a', 'b', 'c', 'd', 'e', 'f'];
    const limits = { entriesMax: 4, instancesMax: 4, totalEntriesMax: 10 };
    const notes = fc.oneof(
      fc.constantFrom('True', 'False', 'Unknown').map((to) => transition({ to })),
      fc.constantFrom('ok', 'refused').map((result) => podWrite({ result })),
      fc.constantFrom('began', 'ended').map((change) => hold({ change })),
      fc.nat(8).map((i) => conflict(`10.0.0.${i}`)),
    );
    const step = fc.record({ id: fc.constantFrom(...IDS), note: fc.option(notes, { freq: 20 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const timeline = new Timeline(limits);
        const noted = new Map<string, number>();
        steps.forEach(({ id, note }, i) => {
          if (note === null) timeline.forget(key(id));
          else timeline.note(key(id), { ...note, wallMs: START + i });
          noted.set(id, note === null ? 0 : (noted.get(id) ?? 0) + 1);

          const all = IDS.map((other) => timeline.of(key(other)));
          expect(Math.max(...all.map((entries) => entries.length))).toBeLessThanOrEqual(limits.entriesMax);
          expect(all.filter((entries) => entries.length > 0).length).toBeLessThanOrEqual(limits.instancesMax);
          expect(all.flat().length).toBeLessThanOrEqual(limits.totalEntriesMax);
          const own = timeline.of(key(id));
          const changed = own.filter(({ lastWallMs }) => lastWallMs === START + i);
          expect(kinds(changed)).toEqual(note === null ? [] : [note.kind]);
          expect(own.reduce((sum, { times }) => sum + times, 0)).toBeLessThanOrEqual(noted.get(id) ?? 0);
          expect(own.every(({ wallMs, lastWallMs }) => wallMs <= lastWallMs)).toBe(true);
          expect(own.map(({ wallMs }) => wallMs)).toEqual(own.map(({ wallMs }) => wallMs).sort((a, b) => a - b));
        });
      }),
    );
  });
});
