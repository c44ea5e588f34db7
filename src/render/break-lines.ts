/**
 * Display items → laid-out lines, in chunks of bounded size. A line that a chunk cuts off is laid
 * out again at the start of the next chunk, so the result is that of one piece (line breaking is
 * greedy), and memory does not grow with the document.
 */

import type { BreakItem, DisplayItem, MarkItem, TextItem } from './display-text.js';
import type { LaidRow, LayoutFlow } from './layout-page.js';

export interface LineRun {
  text: string;
  /** Left edge relative to the line's block, before alignment. */
  xPx: number;
  widthPx: number;
  /** `#rrggbb`, or null for the text colour. */
  color: string | null;
  /** Reading direction of a run that is one box; null takes the line's. */
  rtl: boolean | null;
}

export interface LaidLine {
  runs: LineRun[];
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
  rtl: boolean;
  /** End of the line that this one goes on from; empty after a forced break. */
  before: string;
  /** First line of a paragraph (indent, space before). */
  startsParagraph: boolean;
  endsParagraph: boolean;
  /** Last line before a forced break: never justified. */
  endsFlow: boolean;
  pageBreakAfter: boolean;
}

export type LayoutFunction = (flows: readonly LayoutFlow[]) => Promise<LaidRow[][]>;

/** Characters of the line before that a line can repeat. */
const MAX_BEFORE = 200;

/** Characters laid out at once. */
const CHUNK_CHARACTERS = 65_536;

interface Piece {
  item: TextItem | MarkItem;
  /** Display offset of the piece in its item. */
  from: number;
  text: string;
}

interface Flow {
  pieces: Piece[];
  startsParagraph: boolean;
  /** No line of it was emitted yet. */
  fresh: boolean;
  rtl: boolean | null;
  /** Text of the last line that was emitted. */
  before: string;
  /** Source offset where its next line starts. */
  start: number;
  /** The forced break that ends it; null while it is still open. */
  end: BreakItem | null;
}

/** @param items as `DisplayText.items()` gives them: the last one is a break */
export async function* breakLines(
  items: Iterable<DisplayItem>,
  layout: LayoutFunction,
  chunkCharacters = CHUNK_CHARACTERS,
): AsyncGenerator<LaidLine> {
  let pending: Flow[] = [openFlow(0, true)];
  let characters = 0;
  let limit = chunkCharacters;

  for (const step of boundedSteps(items, chunkCharacters)) {
    const flow = pending.at(-1)!;
    if (step.kind === 'break') {
      flow.end = step;
      pending.push(openFlow(step.next, step.endsParagraph));
      characters += 1; // empty lines must fill a chunk, too
    } else {
      flow.pieces.push(step.piece);
      // The whole item decides, so that lines do not depend on where a chunk ends.
      if (step.piece.from === 0) flow.rtl ??= readingDirection(step.piece.item.text);
      characters += step.piece.text.length;
    }
    if (characters < limit) continue;
    const { lines, rest } = splitLines(pending, await layout(pending.map(toLayoutFlow)));
    yield* lines;
    pending = rest;
    characters = charactersIn(rest);
    // A carried line that fills the chunk would never end: look further next time.
    limit = characters >= chunkCharacters ? characters + chunkCharacters : chunkCharacters;
  }
  pending.pop(); // the flow that the last break opened
  if (pending.length > 0) yield* splitLines(pending, await layout(pending.map(toLayoutFlow))).lines;
}

type Step = BreakItem | { kind: 'piece'; piece: Piece };

/** Items with long texts cut into pieces of at most `limit` characters. */
function* boundedSteps(items: Iterable<DisplayItem>, limit: number): Generator<Step> {
  for (const item of items) {
    if (item.kind === 'break') {
      yield item;
      continue;
    }
    let from = 0;
    do {
      const text = item.text.slice(from, from + limit);
      yield { kind: 'piece', piece: { item, from, text } };
      from += text.length;
    } while (from < item.text.length);
  }
}

/** Lines that are final, and the open flow with what must be laid out again. */
function splitLines(
  flows: readonly Flow[],
  laid: LaidRow[][],
): { lines: LaidLine[]; rest: Flow[] } {
  const lines: LaidLine[] = [];
  const rest: Flow[] = [];
  flows.forEach((flow, i) => {
    const rows = laid[i]!;
    if (flow.end === null) {
      const keep = Math.max(0, rows.length - 1);
      lines.push(...linesOf(flow, rows, keep));
      rest.push(keep === 0 ? flow : cutFlow(flow, rows[keep - 1]!, rows[keep]!));
    } else {
      lines.push(...linesOf(flow, rows.length > 0 ? rows : [[]], Math.max(1, rows.length)));
    }
  });
  return { lines, rest };
}

function linesOf(flow: Flow, rows: LaidRow[], count: number): LaidLine[] {
  const lines: LaidLine[] = [];
  let { start, before } = flow;
  for (let i = 0; i < count; i++) {
    const isLast = flow.end !== null && i === rows.length - 1;
    const end = isLast ? endOf(flow) : sourceStartOf(flow, rows[i + 1]!);
    lines.push({
      runs: lineRuns(flow, rows[i]!),
      start,
      end,
      rtl: flow.rtl ?? false,
      before,
      startsParagraph: flow.startsParagraph && flow.fresh && i === 0,
      endsParagraph: isLast && flow.end!.endsParagraph,
      endsFlow: isLast,
      pageBreakAfter: isLast && flow.end!.page,
    });
    start = end;
    before = endOfRow(flow, rows[i]!);
  }
  return lines;
}

/**
 * A line of one colour is drawn in one go: Chromium orders its directions again, as layout did. With
 * several colours in bidirectional text, the colours' parts interleave, so each box is drawn by itself.
 */
function lineRuns(flow: Flow, row: LaidRow): LineRun[] {
  const runs = toLineRuns(flow, row);
  const isMixed = (flow.rtl ?? false) || row.some((run) => RTL.test(textOf(flow, run)));
  if (runs.length < 2 || !isMixed) return runs;
  return row.flatMap((run) => {
    const { item } = flow.pieces[run.piece]!;
    return run.boxes.map((box) => {
      const text = textOf(flow, { piece: run.piece, ...box });
      return {
        text,
        xPx: box.xPx,
        widthPx: box.widthPx,
        color: item.kind === 'mark' ? item.color : null,
        rtl: RTL.test(text),
      };
    });
  });
}

function textOf(
  flow: Flow,
  { piece, start, end }: { piece: number; start: number; end: number },
): string {
  return flow.pieces[piece]!.text.slice(start, end);
}

/** Runs of one colour that follow each other are one: pieces are our own cuts, not the text's. */
function toLineRuns(flow: Flow, row: LaidRow): LineRun[] {
  const runs: LineRun[] = [];
  for (const { piece, start, end, xPx, widthPx } of row) {
    const { item, text } = flow.pieces[piece]!;
    const run: LineRun = {
      text: text.slice(start, end),
      xPx,
      widthPx,
      color: item.kind === 'mark' ? item.color : null,
      rtl: null,
    };
    const last = runs.at(-1);
    if (last?.color === run.color) runs[runs.length - 1] = joinRuns(last, run);
    else runs.push(run);
  }
  return runs;
}

function joinRuns(first: LineRun, second: LineRun): LineRun {
  const text = first.text + second.text;
  if (second.widthPx === 0) return { ...first, text }; // spaces at the end of a line show nothing
  const xPx = Math.min(first.xPx, second.xPx);
  const right = Math.max(first.xPx + first.widthPx, second.xPx + second.widthPx);
  return { ...first, text, xPx, widthPx: right - xPx };
}

/** The source offset at which a row starts. */
function sourceStartOf(flow: Flow, row: LaidRow): number {
  const first = row[0]!;
  const piece = flow.pieces[first.piece]!;
  return piece.item.map.toSource(piece.from + first.start);
}

/** Source end of the last piece; terminators are not part of a line's range. */
function endOf(flow: Flow): number {
  const piece = flow.pieces.at(-1);
  return piece ? piece.item.map.toSource(piece.from + piece.text.length) : flow.start;
}

/** Text at the end of a row, at most `MAX_BEFORE` code points. */
function endOfRow(flow: Flow, row: LaidRow): string {
  const text = row.map((run) => textOf(flow, run)).join('');
  return [...text].slice(-MAX_BEFORE).join('');
}

/** The flow from the start of `row` on, which stands behind the row `last`. */
function cutFlow(flow: Flow, last: LaidRow, row: LaidRow): Flow {
  const first = row[0]!;
  const cut = flow.pieces[first.piece]!;
  return {
    ...flow,
    fresh: false,
    before: endOfRow(flow, last),
    start: sourceStartOf(flow, row),
    pieces: [
      { item: cut.item, from: cut.from + first.start, text: cut.text.slice(first.start) },
      ...flow.pieces.slice(first.piece + 1),
    ],
  };
}

function openFlow(start: number, startsParagraph: boolean): Flow {
  return { pieces: [], startsParagraph, fresh: true, rtl: null, before: '', start, end: null };
}

function toLayoutFlow(flow: Flow): LayoutFlow {
  return {
    pieces: flow.pieces.map((piece) => piece.text),
    rtl: flow.rtl ?? false,
    start: !flow.fresh ? 'goes-on' : flow.startsParagraph ? 'indent' : 'edge',
  };
}

function charactersIn(flows: readonly Flow[]): number {
  return flows.reduce(
    (sum, flow) => sum + flow.pieces.reduce((n, piece) => n + piece.text.length, 0),
    0,
  );
}

const STRONG = /\p{L}/u;
const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** Whether the first letter reads from right to left; null without a letter (UAX #9, P2 and P3). */
export function readingDirection(text: string): boolean | null {
  const letter = STRONG.exec(text)?.[0];
  return letter === undefined ? null : RTL.test(letter);
}
