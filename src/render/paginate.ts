/** Lines → pages. Pure: a page plan says all that is drawn on a page, and nothing of its neighbours. */

import type { LaidLine, LineRun } from './break-lines.js';
import type { Alignment, RenderConfig } from './config-schema.js';
import type { PageGeometry } from './page-geometry.js';

export interface DrawnRun {
  text: string;
  /** Left edge in layout space. */
  xPx: number;
  color: string | null;
  /** Null takes the line's reading direction. */
  rtl: boolean | null;
}

/** A line box: a rectangle in page pixels (before cropping) and the source range it shows. */
export interface PlannedLine {
  xPx: number;
  yPx: number;
  widthPx: number;
  heightPx: number;
  start: number;
  end: number;
  runs: DrawnRun[];
  rtl: boolean;
  /** Added to every space, for justified lines; in layout space. */
  wordSpacingPx: number;
  /** Drawn in the margin before the line: its number on the page, from 1; `endPx` in layout space. */
  number?: { text: string; endPx: number };
  /** Repeated end of the line before, as much as has room to the left of `xPx`; in layout space. */
  overlap: { text: string; xPx: number; widthPx: number } | null;
}

/** The part of a paragraph that stands in one column, for its background and border; layout space. */
export interface ParagraphBox {
  xPx: number;
  yPx: number;
  widthPx: number;
  heightPx: number;
}

export interface PagePlan {
  /** 0-based. */
  index: number;
  lines: PlannedLine[];
  paragraphs: ParagraphBox[];
  isLast: boolean;
}

export async function* paginate(
  lines: AsyncIterable<LaidLine>,
  geometry: PageGeometry,
  config: Pick<RenderConfig, 'alignment' | 'lineNumbers'>,
): AsyncGenerator<PagePlan> {
  const filler = new PageFiller(geometry, config);
  // A page is held back until the next one starts: only then is it known not to be the last.
  let held: PagePlan | null = null;
  for await (const line of lines) {
    for (const full of filler.add(line)) {
      if (held) yield held;
      held = full;
    }
  }
  const rest = filler.finish();
  if (rest) {
    if (held) yield held;
    held = rest;
  }
  if (held) yield { ...held, isLast: true };
}

/** Between the number of a line and the line, in units of the type size. */
const NUMBER_GAP = 0.35;

class PageFiller {
  readonly #geometry: PageGeometry;
  readonly #alignment: Alignment;
  readonly #isNumbered: boolean;
  #index = 0;
  #column = 0;
  /** Distance from the top of the content area. */
  #y = 0;
  #lines: PlannedLine[] = [];
  #paragraphs: ParagraphBox[] = [];
  #box: ParagraphBox | null = null;

  constructor(
    geometry: PageGeometry,
    { alignment, lineNumbers = false }: Pick<RenderConfig, 'alignment' | 'lineNumbers'>,
  ) {
    this.#geometry = geometry;
    this.#alignment = alignment;
    this.#isNumbered = lineNumbers;
  }

  /** @returns the pages that this line completed: one before it, one with it, or none */
  add(line: LaidLine): PagePlan[] {
    const { linePitchPx, contentHeightPx, spaceBeforePx, spaceAfterPx } = this.#geometry;
    const full: PagePlan[] = [];
    if (line.startsParagraph && this.#y > 0) this.#y += spaceBeforePx;
    if (this.#y > 0 && this.#y + linePitchPx > contentHeightPx + 1e-6)
      full.push(...this.#nextColumn());
    this.#place(line);
    this.#y += linePitchPx;
    if (line.endsParagraph) {
      this.#box = null;
      this.#y += spaceAfterPx;
    }
    if (line.pageBreakAfter) full.push(this.#flush());
    return full;
  }

  finish(): PagePlan | null {
    return this.#lines.length > 0 ? this.#flush() : null;
  }

  #nextColumn(): PagePlan[] {
    this.#y = 0;
    this.#box = null;
    if (this.#column + 1 === this.#geometry.columnLeftsPx.length) return [this.#flush()];
    this.#column++;
    return [];
  }

  #flush(): PagePlan {
    const page: PagePlan = {
      index: this.#index,
      lines: this.#lines,
      paragraphs: this.#paragraphs,
      isLast: false,
    };
    this.#index++;
    this.#column = 0;
    this.#y = 0;
    this.#lines = [];
    this.#paragraphs = [];
    this.#box = null;
    return page;
  }

  #place(line: LaidLine): void {
    const {
      columnLeftsPx,
      leftIndentPx,
      lineWidthPx,
      lineOverlapPx,
      linePitchPx,
      marginTopPx,
      horizontalScale,
      fontSizePx,
    } = this.#geometry;
    const blockLeftPx = columnLeftsPx[this.#column]! + leftIndentPx;
    const yPx = Math.round(marginTopPx + this.#y);
    const heightPx = Math.round(marginTopPx + this.#y + linePitchPx) - yPx;
    const { shiftPx, wordSpacingPx, leftPx, widthPx } = alignLine(
      line,
      lineWidthPx,
      this.#alignment,
    );
    this.#lines.push({
      xPx: round((blockLeftPx + leftPx + shiftPx) * horizontalScale),
      yPx,
      widthPx: round(widthPx * horizontalScale),
      heightPx,
      start: line.start,
      end: line.end,
      rtl: line.rtl,
      wordSpacingPx,
      ...(this.#isNumbered && {
        number: {
          text: String(this.#lines.length + 1),
          endPx: blockLeftPx - NUMBER_GAP * fontSizePx,
        },
      }),
      overlap:
        lineOverlapPx > 0 && line.before !== '' && !line.rtl
          ? { text: line.before, xPx: blockLeftPx + lineOverlapPx, widthPx: lineOverlapPx }
          : null,
      runs: spreadRuns(line.runs, blockLeftPx + shiftPx, wordSpacingPx),
    });
    if (this.#box) {
      this.#box.heightPx = yPx + heightPx - this.#box.yPx;
    } else {
      this.#box = { xPx: blockLeftPx, yPx, widthPx: lineWidthPx, heightPx };
      this.#paragraphs.push(this.#box);
    }
  }
}

/** Where a line goes between its block's edges, and how far its spaces stretch. */
export function alignLine(
  line: Pick<LaidLine, 'runs' | 'rtl' | 'endsFlow'>,
  blockWidthPx: number,
  alignment: Alignment,
): { shiftPx: number; wordSpacingPx: number; leftPx: number; widthPx: number } {
  if (line.runs.length === 0) return { shiftPx: 0, wordSpacingPx: 0, leftPx: 0, widthPx: 0 };
  const leftPx = Math.min(...line.runs.map((run) => run.xPx));
  const rightPx = Math.max(...line.runs.map((run) => run.xPx + run.widthPx));
  const widthPx = rightPx - leftPx;
  const roomPx = Math.max(0, blockWidthPx - rightPx);
  const still = { shiftPx: 0, wordSpacingPx: 0, leftPx, widthPx };
  // Layout puts right-to-left text at the right edge.
  if (alignment === 'CENTER') return { ...still, shiftPx: line.rtl ? -leftPx / 2 : roomPx / 2 };
  if (alignment === 'RIGHT') return { ...still, shiftPx: roomPx };
  if (alignment === 'LEFT' || line.endsFlow || line.rtl) return still;
  const spaces = line.runs.reduce(
    (sum, run, i) => sum + countSpaces(i === line.runs.length - 1 ? run.text.trimEnd() : run.text),
    0,
  );
  if (spaces === 0) return still;
  return { ...still, widthPx: widthPx + roomPx, wordSpacingPx: roomPx / spaces };
}

function spreadRuns(runs: readonly LineRun[], offsetPx: number, wordSpacingPx: number): DrawnRun[] {
  let spacesBefore = 0;
  return runs.map((run) => {
    const drawn = {
      text: run.text,
      xPx: offsetPx + run.xPx + spacesBefore * wordSpacingPx,
      color: run.color,
      rtl: run.rtl,
    };
    spacesBefore += countSpaces(run.text);
    return drawn;
  });
}

function countSpaces(text: string): number {
  return text.split(/[ \u00a0]/).length - 1;
}

function round(px: number): number {
  return Math.round(px * 64) / 64;
}
