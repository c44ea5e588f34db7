/**
 * A table as text: one row a line, cells separated by ` | `. Cells that span columns or rows leave empty
 * cells, so that columns stay columns. Rows that only lay a page out become paragraphs.
 */

import { TextWriter } from './text-writer.js';

const BETWEEN = ' | ';
/** A longer cell is no datum: its row is written as paragraphs. */
const MAX_CELL_CHARACTERS = 2_000;
/** A longer cell of several paragraphs that stands alone in its row lays a page out. */
const MAX_LONE_CHARACTERS = 200;
/** Spans beyond this are mistakes or attacks; 1000 is the limit of HTML, and no page is so wide. */
const MAX_SPAN = 64;

interface Cell {
  writer: TextWriter;
  columns: number;
  /** Holds headings or another table. */
  structured: boolean;
}

export class TableWriter {
  readonly #rows: string[] = [];
  #row: Cell[] = [];
  #column = 0;
  /** By column: rows below that a cell further up reaches into. */
  #reach: number[] = [];

  /** Text of the table that stands in no cell goes where the table stands. */
  constructor(readonly outer: TextWriter) {}

  openCell(columns: number, rows: number): Cell {
    const span = clampSpan(columns);
    this.#skipReached();
    const cell = { writer: new TextWriter(), columns: span, structured: false };
    this.#row.push(cell);
    const depth = clampSpan(rows) - 1;
    for (let column = 0; column < span; column++) this.#reach[this.#column + column] = depth + 1;
    this.#column += span;
    return cell;
  }

  /** Also at the end of the table; a row that has no cell yet is none. */
  closeRow(): void {
    if (this.#row.length === 0) return;
    this.#skipReached();
    this.#rows.push(rowText(this.#row));
    this.#row = [];
    this.#column = 0;
    this.#reach = this.#reach.map((rows) => Math.max(0, rows - 1));
  }

  text(): string {
    this.closeRow();
    return this.#rows.filter((row) => row !== '').join('\n');
  }

  /** Empty cells where a cell of a row above reaches into this one. */
  #skipReached(): void {
    while ((this.#reach[this.#column] ?? 0) > 0) {
      this.#row.push({ writer: new TextWriter(), columns: 1, structured: false });
      this.#column++;
    }
  }
}

function rowText(cells: readonly Cell[]): string {
  const texts = cells.map(({ writer }) => writer.text());
  if (!isData(cells, texts)) return texts.filter((text) => text !== '').join('\n\n');
  return cells
    .flatMap(({ columns }, n) => [
      texts[n]!.replace(/\s*\n\s*/g, ' '),
      ...Array.from({ length: columns - 1 }, () => ''),
    ])
    .join(BETWEEN)
    .trim();
}

function isData(cells: readonly Cell[], texts: readonly string[]): boolean {
  const filled = texts.filter((text) => text !== '');
  if (cells.length < 2 || filled.length === 0) return false;
  if (cells.some(({ structured }) => structured)) return false;
  const [first = ''] = filled;
  if (filled.length === 1 && first.length > MAX_LONE_CHARACTERS && first.includes('\n\n'))
    return false;
  return filled.every(({ length }) => length <= MAX_CELL_CHARACTERS);
}

function clampSpan(span: number): number {
  return Number.isInteger(span) && span >= 1 ? Math.min(span, MAX_SPAN) : 1;
}
