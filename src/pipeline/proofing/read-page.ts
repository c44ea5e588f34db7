/** Slots that the legibility probe read → the text rows of a page, by its span map. */

import type { LineBox, LineBreaking } from '../../render/index.js';
import type { Rectangle } from '../citing/citations.js';

export interface ReadLine {
  /** Source range of the drawn text, UTF-16 offsets. */
  start: number;
  end: number;
  /** In page pixels. */
  rect: Rectangle;
  /** What the reader sees, without spaces at the ends. */
  text: string;
  /** The same with all spaces, to the right margin (or the next column). */
  row: string;
}

export interface PageReading {
  /** All rows from the top, empty ones left out. */
  text: string;
  /** In the order of the span map. */
  lines: ReadLine[];
  /** Rows where the page holds nothing but something is seen. */
  stray: string[];
}

/**
 * A line of text fills the slot row that its middle falls into: all three of a cell at a pitch of 28/3 px,
 * the first and third at 14 px, the middle one at 28 px. In a row with several lines (columns) each
 * reaches to the next. What a line repeats of the line before (`line-overlap`) is left out.
 *
 * @param slots rows of equally many characters over the whole page
 */
export function readPage(
  slots: readonly string[],
  page: { widthPx: number; heightPx: number; lines: readonly LineBox[] },
): PageReading {
  const rowHeight = page.heightPx / slots.length;
  const columnWidth = page.widthPx / (slots[0]?.length ?? 1);
  // A margin of less than a column belongs to it.
  const columnOf = (xPx: number) => Math.round(xPx / columnWidth - 0.25);
  const rows = new Map<number, LineBox[]>();
  for (const line of page.lines) {
    const row = Math.floor((line.y + line.height / 2) / rowHeight);
    rows.set(row, [...(rows.get(row) ?? []), line]);
  }
  const read = new Map<LineBox, string>();
  for (const [row, lines] of rows) {
    lines.sort((a, b) => a.x - b.x);
    lines.forEach((line, n) => {
      const next = lines[n + 1];
      const from = columnOf(line.x);
      const to = next ? columnOf(next.x) : undefined;
      read.set(line, (slots[row] ?? '').slice(from, to));
    });
  }
  return {
    text: slots
      .map((row) => row.trimEnd())
      .filter((row) => row !== '')
      .join('\n'),
    lines: page.lines.map((line) => {
      const { x, y, width, height, start, end } = line;
      const row = read.get(line)!;
      return { start, end, rect: { x, y, width, height }, text: row.trim(), row };
    }),
    stray: slots.flatMap((text, row) => (rows.has(row) || text.trim() === '' ? [] : [text.trim()])),
  };
}

/**
 * Lines as running text. Those that were broken anywhere go on without a space; all others are parted by
 * a line break.
 */
export function joinLines(lines: readonly ReadLine[], lineBreaking: LineBreaking): string {
  return lines
    .map((line, n) => {
      const goesOn = lineBreaking === 'anywhere' && lines[n + 1]?.start === line.end;
      return goesOn ? line.row : `${line.row.trimEnd()}\n`;
    })
    .join('')
    .trimEnd();
}
