const LINE_FEED = 0x0a;

/** What comes is not a stream of lines, or not from an API server. */
export class LineTooLongError extends Error {
  override readonly name = 'LineTooLongError';
}

/**
 * Cuts a stream of bytes into lines.
 *
 * The bytes become text a whole line at a time, so that a character which arrives in two pieces stays whole.
 */
export class LineSplitter {
  readonly #lineBytesMax: number;
  /** The beginning of a line whose end has not come. */
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that end within `chunk`, without their line feeds. @throws LineTooLongError */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      this.#keep(chunk.subarray(start, end));
      lines.push(this.#takePending());
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
    return lines;
  }

  /** Whether a line has begun that has not ended. */
  get isWithinLine(): boolean {
    return this.#pendingBytes > 0;
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > this.#lineBytesMax) {
      throw new LineTooLongError(`a line of more than ${this.#lineBytesMax} bytes`);
    }
    this.#pending.push(bytes);
  }

  #takePending(): string {
    const text = Buffer.concat(this.#pending, this.#pendingBytes).toString('utf8');
    this.#pending = [];
    this.#pendingBytes = 0;
    return text;
  }
}
