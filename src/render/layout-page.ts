/**
 * Asks Chromium where its layout breaks lines. Text goes in as text nodes (it is never parsed as
 * HTML), line boxes come out of the layout tree with character offsets (CDP DOMSnapshot).
 */

import type { CDPSession } from 'puppeteer';
import { GlyphpressError } from '../errors.js';
import type { PageSlot } from './chromium.js';

/** Text that flows without a forced break, in pieces. */
export interface LayoutFlow {
  pieces: readonly string[];
  rtl: boolean;
  /** How its first row starts: with the first-line indent, at the edge, or as a row that goes on. */
  start: 'indent' | 'edge' | 'goes-on';
}

/** What one line box holds of one piece. */
export interface LaidRun {
  piece: number;
  /** UTF-16 offsets into the piece. */
  start: number;
  end: number;
  /** From the left edge of the line's block. */
  xPx: number;
  /** Without the spaces that hang at the end of a line. */
  widthPx: number;
  /** The boxes of one reading direction that it is made of; several only in bidirectional text. */
  boxes: LaidBox[];
}

export interface LaidBox {
  start: number;
  end: number;
  xPx: number;
  widthPx: number;
}

/** Runs of one line box, in logical order. */
export type LaidRow = LaidRun[];

/** @returns for each flow its rows from top to bottom; a flow without visible boxes has none */
export function layoutFlows(slot: PageSlot, flows: readonly LayoutFlow[]): Promise<LaidRow[][]> {
  return slot.run(async ({ page, cdp }) => {
    await page.evaluate(fillFlows, flows as LayoutFlow[]);
    return readRows(await captureTextBoxes(cdp), flows);
  });
}

/** Runs inside Chromium. */
function fillFlows(flows: LayoutFlow[]): void {
  const content = document.createDocumentFragment();
  for (const flow of flows) {
    const block = document.createElement('div');
    block.dir = flow.rtl ? 'rtl' : 'ltr';
    block.className = flow.start;
    for (const piece of flow.pieces) if (piece !== '') block.append(document.createTextNode(piece));
    content.append(block);
  }
  document.getElementById('flows')!.replaceChildren(content);
}

interface TextBoxes {
  /** Ordinal of the text node, in document order. */
  node: number[];
  bounds: number[][];
  start: number[];
  length: number[];
}

async function captureTextBoxes(cdp: CDPSession): Promise<TextBoxes> {
  const snapshot = await cdp.send('DOMSnapshot.captureSnapshot', { computedStyles: [] });
  const { layout, nodes, textBoxes } = snapshot.documents[0]!;
  const TEXT_NODE = 3;
  const ordinals = new Map<number, number>();
  layout.nodeIndex.forEach((node, i) => {
    if (nodes.nodeType![node] === TEXT_NODE) ordinals.set(i, ordinals.size);
  });
  return {
    node: textBoxes.layoutIndex.map((i) => ordinals.get(i)!),
    bounds: textBoxes.bounds,
    start: textBoxes.start,
    length: textBoxes.length,
  };
}

function readRows(boxes: TextBoxes, flows: readonly LayoutFlow[]): LaidRow[][] {
  const owners: { flow: number; piece: number }[] = [];
  flows.forEach(({ pieces }, flow) => {
    pieces.forEach((text, piece) => {
      if (text !== '') owners.push({ flow, piece });
    });
  });
  const rowsOfFlow = flows.map(() => new Map<number, Map<number, LaidRun>>());
  boxes.node.forEach((node, i) => {
    const owner = owners[node];
    if (!owner) {
      throw new GlyphpressError('GP_RENDER', {
        message: `Chromium laid out ${node + 1} text nodes, expected ${owners.length}`,
        hint: 'Report this with the browser version that `glyphpress doctor` prints.',
      });
    }
    const [x, y, width] = boxes.bounds[i] as [number, number, number];
    const rows = rowsOfFlow[owner.flow]!;
    const row = rows.get(y) ?? rows.set(y, new Map()).get(y)!;
    const start = boxes.start[i]!;
    const end = start + boxes.length[i]!;
    const isBlank = flows[owner.flow]!.pieces[owner.piece]!.slice(start, end).trim() === '';
    addBox(row, owner.piece, { start, end, xPx: x, widthPx: isBlank ? 0 : width });
  });
  return rowsOfFlow.map((rows) =>
    [...rows.keys()]
      .sort((a, b) => a - b)
      .map((y) => [...rows.get(y)!.values()].sort((a, b) => a.piece - b.piece)),
  );
}

/** Bidirectional text has several boxes on a line. */
function addBox(row: Map<number, LaidRun>, piece: number, box: LaidBox): void {
  const run = row.get(piece);
  if (!run) {
    row.set(piece, { piece, ...box, boxes: [box] });
    return;
  }
  run.boxes.push(box);
  run.start = Math.min(run.start, box.start);
  run.end = Math.max(run.end, box.end);
  if (box.widthPx === 0) return;
  const right = Math.max(run.xPx + run.widthPx, box.xPx + box.widthPx);
  run.xPx = Math.min(run.xPx, box.xPx);
  run.widthPx = right - run.xPx;
}
