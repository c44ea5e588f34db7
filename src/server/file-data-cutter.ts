/**
 * Cuts the values of `file_data` out of a JSON text while it comes, so that what they hold need not be in
 * memory. What is left is the same JSON with those strings empty; whether it is JSON at all is for its
 * parser to say. A key that is written with escapes is not recognised, and its value stays.
 */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const SLASH = 0x2f;
const KEY = 'file_data';

const isSpace = (byte: number) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

export type Piece =
  /** Part of what is left. */
  | { json: Buffer }
  /** Behind the quotation mark of a value; its data follow. */
  | { begin: true }
  /** Of the value, with `\/` as `/`. Any other escape is no base64 and is kept as it is. */
  | { data: Buffer }
  /** Before its closing quotation mark. */
  | { end: true };

export class FileDataCutter {
  #mode: 'json' | 'string' | 'file' = 'json';
  /** The last byte was a backslash, whose meaning the next one tells. */
  #escaped = false;
  /** The string that is read or was the last, as far as it can be the key. */
  #string = '';
  /** Where the text stands with regard to the key. */
  #place: 'elsewhere' | 'behind-string' | 'behind-colon' = 'elsewhere';

  push(chunk: Buffer): Piece[] {
    const pieces: Piece[] = [];
    for (let at = 0; at < chunk.length; )
      at = this.#mode === 'file' ? this.#file(chunk, at, pieces) : this.#json(chunk, at, pieces);
    return pieces;
  }

  /** @returns how far it came: to the end, or behind the quotation mark where data begin */
  #json(chunk: Buffer, start: number, pieces: Piece[]): number {
    let at = start;
    while (at < chunk.length) {
      const byte = chunk[at++]!;
      if (this.#mode === 'string') this.#inString(byte);
      else if (byte !== QUOTE) this.#between(byte);
      else if (this.#place === 'behind-colon' && this.#string === KEY) {
        this.#mode = 'file';
        pieces.push({ json: chunk.subarray(start, at) }, { begin: true });
        return at;
      } else {
        this.#mode = 'string';
        this.#string = '';
      }
    }
    pieces.push({ json: chunk.subarray(start, at) });
    return at;
  }

  #inString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === QUOTE) {
      this.#mode = 'json';
      this.#place = 'behind-string';
      return;
    } else if (byte === BACKSLASH) this.#escaped = true;
    if (this.#string.length <= KEY.length) this.#string += String.fromCharCode(byte);
  }

  #between(byte: number): void {
    if (isSpace(byte)) return;
    this.#place = byte === COLON && this.#place === 'behind-string' ? 'behind-colon' : 'elsewhere';
  }

  /** @returns how far it came: to the end, or to the closing quotation mark */
  #file(chunk: Buffer, start: number, pieces: Piece[]): number {
    const data = (from: number, to: number) => {
      if (to > from) pieces.push({ data: chunk.subarray(from, to) });
    };
    if (this.#escaped) {
      this.#escaped = false;
      if (chunk[start] !== SLASH) pieces.push({ data: Buffer.of(BACKSLASH) });
      data(start, start + 1);
      return start + 1;
    }
    const quote = chunk.indexOf(QUOTE, start);
    const end = quote < 0 ? chunk.length : quote;
    const backslash = chunk.subarray(start, end).indexOf(BACKSLASH);
    if (backslash >= 0) {
      data(start, start + backslash);
      this.#escaped = true;
      return start + backslash + 1;
    }
    data(start, end);
    if (quote < 0) return end;
    pieces.push({ end: true });
    this.#mode = 'json';
    this.#place = 'elsewhere';
    // The quotation mark itself belongs to what is left.
    pieces.push({ json: chunk.subarray(quote, quote + 1) });
    return quote + 1;
  }
}
