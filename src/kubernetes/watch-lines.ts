import type { Clock } from '../clock.ts';
import { LineSplitter } from './line-splitter.ts';

export interface WatchLinesOptions {
  readonly clock: Clock;
  /** How long to wait for the next byte. */
  readonly silenceMs: number;
  /** To be called when nothing came for that long. It must end the bytes. */
  readonly onSilence: () => void;
  readonly lineBytesMax: number;
}

/** The stream ended within a line. */
export class CutLineError extends Error {
  override readonly name = 'CutLineError';
}

/**
 * The lines of a watch, in batches as they come. Time in which the reader works does not count as silence.
 *
 * @throws LineTooLongError, CutLineError, and what the bytes throw when their connection breaks
 */
export async function* watchLines(
  bytes: AsyncIterable<Uint8Array>,
  options: WatchLinesOptions,
): AsyncGenerator<readonly string[]> {
  const { clock, silenceMs, onSilence, lineBytesMax } = options;
  const splitter = new LineSplitter(lineBytesMax);
  const iterator = bytes[Symbol.asyncIterator]();
  try {
    for (;;) {
      const cancelSilence = clock.schedule(silenceMs, onSilence);
      const chunk = await iterator.next().finally(cancelSilence);
      if (chunk.done === true) break;
      yield splitter.push(chunk.value);
    }
  } finally {
    await iterator.return?.();
  }
  if (splitter.isWithinLine) throw new CutLineError('the stream ended within a line');
}
