/** One event of a server-sent event stream. */
export interface ServerSentEvent {
  event: string;
  data: string;
}

/**
 * Reads server-sent events (WHATWG HTML, 9.2.6) from chunks cut at any byte.
 *
 * Lines may end with LF, CR LF or CR; comments, ids and retry hints are skipped; several data lines
 * of one event are joined by LF.
 */
export class SseParser {
  readonly #decoder = new TextDecoder('utf-8');
  #line = '';
  #endedWithCr = false;
  #event = '';
  #data: string[] = [];

  /** Characters held back because their event has not ended. */
  get pending(): number {
    return this.#data.reduce((sum, line) => sum + line.length, this.#line.length);
  }

  push(chunk: Uint8Array): ServerSentEvent[] {
    return this.#read(this.#decoder.decode(chunk, { stream: true }));
  }

  /**
   * The event that the stream ended on without a blank line. The standard drops it; servers that
   * close right after their last line exist, so it is read here.
   */
  end(): ServerSentEvent[] {
    return this.#read(`${this.#decoder.decode()}\n\n`);
  }

  #read(text: string): ServerSentEvent[] {
    if (text === '') return [];
    // A CR LF may come in two chunks: the LF then ends no line of its own.
    const fresh = this.#endedWithCr && text.startsWith('\n') ? text.slice(1) : text;
    this.#endedWithCr = text.endsWith('\r');
    const lines = fresh.split(/\r\n|\n|\r/);
    lines[0] = this.#line + lines[0];
    this.#line = lines.pop()!;
    return lines.flatMap((line) => this.#takeLine(line));
  }

  #takeLine(line: string): ServerSentEvent[] {
    if (line === '') {
      const ended = { event: this.#event || 'message', data: this.#data.join('\n') };
      const empty = this.#data.length === 0;
      this.#event = '';
      this.#data = [];
      return empty ? [] : [ended];
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') this.#data.push(value);
    else if (field === 'event') this.#event = value;
    return [];
  }
}
