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

  /** Characters held back until their line ends. */
  get pending(): number {
    return this.#line.length + this.#data.reduce((sum, line) => sum + line.length, 0);
  }

  push(chunk: Uint8Array): ServerSentEvent[] {
    return this.#read(this.#decoder.decode(chunk, { stream: true }));
  }

  /**
   * Events that the stream ended on without the closing blank line. The standard drops them; servers
   * that close right after their last line exist, so they are read here.
   */
  end(): ServerSentEvent[] {
    return this.#read(`${this.#decoder.decode()}\n\n`);
  }

  #read(text: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    let start = 0;
    // A CR LF may be cut in two: the LF then belongs to the CR before.
    if (this.#endedWithCr && text.startsWith('\n')) start = 1;
    if (text !== '') this.#endedWithCr = text.endsWith('\r');
    for (const match of text.slice(start).matchAll(/\r\n|\n|\r/g)) {
      const at = start + match.index;
      const event = this.#takeLine(this.#line + text.slice(this.#lineStart, at), events);
      void event;
    }
    return events;
  }
}
