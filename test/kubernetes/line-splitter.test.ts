import { Readable } from 'node:stream';
import { assert, asyncProperty, array, constantFrom, nat, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { LineSplitter, LineTooLongError } from '../../src/kubernetes/line-splitter.ts';
import { CutLineError, watchLines } from '../../src/kubernetes/watch-lines.ts';

/** Lines with characters of one to four bytes. */
const lines = array(
  oneof(string({ unit: 'grapheme' }), constantFrom('', 'é', '✓', '🙂', 'a')).map((text) => text.replaceAll('\n', ' ')),
);

/** Cuts the bytes at the given places, wrapped around. */
function chunksOf(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...cuts, bytes.length].map((cut, index) => bytes.subarray(index === 0 ? 0 : cuts[index - 1], cut));
}

describe('a stream of bytes', () => {
  it('becomes the same lines wherever it is cut, also within a character', () => {
    assert(
      property(lines, array(nat()), (expected, places) => {
        const bytes = Buffer.from(expected.map((line) => `${line}\n`).join(''));
        const splitter = new LineSplitter(1_000_000);
        expect(chunksOf(bytes, places).flatMap((chunk) => splitter.push(chunk))).toEqual(expected);
        expect(splitter.isWithinLine).toBe(false);
      }),
    );
  });

  it('is within a line until the line feed comes', () => {
    const splitter = new LineSplitter(10);
    expect(splitter.push(Buffer.from('abc'))).toEqual([]);
    expect(splitter.isWithinLine).toBe(true);
    expect(splitter.push(Buffer.from('\nd'))).toEqual(['abc']);
    expect(splitter.isWithinLine).toBe(true);
  });

  it('may have lines up to the limit and not longer, however they arrive', () => {
    const splitter = new LineSplitter(4);
    expect(splitter.push(Buffer.from('abcd\nef'))).toEqual(['abcd']);
    expect(splitter.push(Buffer.from('gh'))).toEqual([]);
    expect(() => splitter.push(Buffer.from('i'))).toThrow(LineTooLongError);
    expect(() => new LineSplitter(4).push(Buffer.from('abcde\n'))).toThrow(LineTooLongError);
  });
});

describe('the lines of a watch', () => {
  const options = { clock: systemClock, silenceMs: 60_000, onSilence: () => undefined, lineBytesMax: 1_000 };

  it('come as they arrive', async () => {
    await assert(
      asyncProperty(array(lines), async (batches) => {
        async function* bytes() {
          for (const batch of batches) yield Buffer.from(batch.map((line) => `${line}\n`).join(''));
        }
        const got: string[] = [];
        for await (const batch of watchLines(bytes(), { ...options, lineBytesMax: 1_000_000 })) got.push(...batch);
        expect(got).toEqual(batches.flat());
      }),
    );
  });

  it('end with an error when the stream ends within a line', async () => {
    const bytes = Readable.from([Buffer.from('whole\nhal')]);
    const got: string[] = [];
    const read = async () => {
      for await (const batch of watchLines(bytes, options)) got.push(...batch);
    };
    await expect(read()).rejects.toThrow(CutLineError);
    expect(got).toEqual(['whole']);
  });

  it('are given up when nothing comes, though not while the reader is at work', async () => {
    const alarms: { readonly delayMs: number; readonly task: () => void; isCancelled: boolean }[] = [];
    const clock = {
      ...systemClock,
      schedule(delayMs: number, task: () => void) {
        const alarm = { delayMs, task, isCancelled: false };
        alarms.push(alarm);
        return () => {
          alarm.isCancelled = true;
        };
      },
    };
    const silence = Promise.withResolvers<never>();
    async function* bytes() {
      yield Buffer.from('a\n');
      await silence.promise;
    }
    const onSilence = () => silence.reject(new Error('silent'));
    const read = watchLines(bytes(), { ...options, clock, onSilence })[Symbol.asyncIterator]();

    expect(await read.next()).toEqual({ done: false, value: ['a'] });
    // The reader holds a line: no alarm is set.
    expect(alarms).toMatchObject([{ delayMs: 60_000, isCancelled: true }]);
    const next = read.next();
    await Promise.resolve();
    expect(alarms).toMatchObject([{ isCancelled: true }, { delayMs: 60_000, isCancelled: false }]);
    alarms[1]?.task();
    await expect(next).rejects.toThrow('silent');
  });
});
