/** Lays out running text: white space collapsed as a browser does, lines broken where blocks begin and end. */

export class TextWriter {
  readonly #parts: string[] = [];
  /** Line breaks that are due before the next word. */
  #breaks = 0;
  #space = false;
  /** Behind the mark of a list item: its text begins beside it. */
  #marked = false;

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  add(text: string): void {
    // No-break spaces stay what they are.
    const words = text.replace(/[ \t\n\r\f]+/g, ' ');
    if (words === '') return;
    if (words.startsWith(' ') && this.#breaks === 0) this.#space = true;
    const trimmed = words.replace(/^ | $/g, '');
    if (trimmed === '') return;
    this.#flush();
    this.#parts.push(trimmed);
    this.#space = words.endsWith(' ');
  }

  /** As it is, line breaks and spaces too. */
  addVerbatim(text: string): void {
    if (text === '') return;
    this.#flush();
    this.#parts.push(text);
    if (text.endsWith('\n')) this.#breaks = 1;
  }

  /** Of a list item; blocks inside it begin on the same line. */
  addMarker(marker: string): void {
    this.addVerbatim(marker);
    this.#marked = true;
  }

  /** A line break inside a block. */
  newline(): void {
    this.#space = false;
    if (!this.isEmpty) this.#parts.push('\n');
  }

  /** @param count 1: on a new line; 2: with a blank line before */
  breakLine(count: number): void {
    if (count === 0 || this.#marked) return;
    this.#space = false;
    this.#breaks = Math.max(this.#breaks, count);
  }

  text(): string {
    return this.#parts
      .join('')
      .split('\n')
      .map((line) => line.trimEnd())
      .join('\n')
      .replace(/\n{3,}/g, '\n\n')
      .trim();
  }

  #flush(): void {
    if (this.#breaks > 0 && !this.isEmpty) this.#parts.push('\n'.repeat(this.#breaks));
    else if (this.#space && !this.isEmpty) this.#parts.push(' ');
    this.#breaks = 0;
    this.#space = false;
    this.#marked = false;
  }
}
