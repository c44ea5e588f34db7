/**
 * Leads from an offset in a displayed text back to the source. Almost every character is drawn as
 * it stands, so only the places are stored where the two differ.
 */
export class OffsetMap {
  readonly sourceStart: number;
  readonly #displayStarts: number[] = [];
  readonly #displayEnds: number[] = [];
  readonly #sourceStarts: number[] = [];
  readonly #sourceEnds: number[] = [];

  constructor(sourceStart: number) {
    this.sourceStart = sourceStart;
  }

  /** The display range [displayStart, displayEnd) stands for the source range [sourceStart, sourceEnd). */
  replace(displayStart: number, displayEnd: number, sourceStart: number, sourceEnd: number): void {
    this.#displayStarts.push(displayStart);
    this.#displayEnds.push(displayEnd);
    this.#sourceStarts.push(sourceStart);
    this.#sourceEnds.push(sourceEnd);
  }

  /**
   * The source offset that a cut before display offset `display` means. A cut inside a replacement
   * counts as after it, so that each source character belongs to exactly one side.
   */
  toSource(display: number): number {
    const i = lastAtOrBefore(this.#displayStarts, display);
    if (i < 0) return this.sourceStart + display;
    const end = this.#displayEnds[i]!;
    if (display === this.#displayStarts[i]! && end > display) return this.#sourceStarts[i]!;
    return this.#sourceEnds[i]! + Math.max(0, display - end);
  }
}

function lastAtOrBefore(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
