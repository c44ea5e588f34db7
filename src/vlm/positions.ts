/**
 * Positions of prompt rows, and the rotary cosines and sines made from them.
 *
 * Source: transformers 5.24.0, get_rope_index of modeling_{glm4v,qwen2_vl,qwen3_vl}.py, and the text
 * rotary embeddings there.
 */
import type { RopeConfig } from './decoders/rope.js';
import type { VisionModel } from './towers/tower.js';

/** Positions of rows on the three axes: row s has (temporal[s], row[s], column[s]). */
export interface RowPositions {
  temporal: Int32Array;
  row: Int32Array;
  column: Int32Array;
}

/** A run of text tokens, or the cells of one image. */
export type PromptSegment =
  | { kind: 'text'; length: number }
  | {
      kind: 'image';
      rows: number;
      cols: number /** Cells that are in the prompt, ascending. @defaultValue all */;
      kept?: Int32Array;
    };

/**
 * Text counts up on all three axes. On a grid, an image's cells share one temporal position and spread
 * over rows and columns from there, and what follows starts after the longer side; in a sequence they
 * count up like text. Either way cells that were dropped leave their positions empty.
 *
 * @returns positions of every row, and the next free position
 */
export function promptPositions(
  segments: readonly PromptSegment[],
  layout: VisionModel['imagePositions'],
): RowPositions & { next: number } {
  const total = segments.reduce((sum, segment) => sum + segmentLength(segment), 0);
  const positions = emptyPositions(total);
  let next = 0;
  let at = 0;
  for (const segment of segments) {
    const length = segmentLength(segment);
    if (segment.kind === 'text') {
      for (let n = 0; n < length; n += 1)
        setPosition(positions, at + n, next + n, next + n, next + n);
      next += length;
    } else {
      const onGrid = layout === 'grid';
      for (let n = 0; n < length; n += 1) {
        const cell = segment.kept ? segment.kept[n]! : n;
        if (!onGrid) {
          setPosition(positions, at + n, next + cell, next + cell, next + cell);
          continue;
        }
        const row = Math.floor(cell / segment.cols);
        setPosition(positions, at + n, next, next + row, next + (cell % segment.cols));
      }
      next += onGrid ? Math.max(segment.rows, segment.cols) : segment.rows * segment.cols;
    }
    at += length;
  }
  return { ...positions, next };
}

/** Positions of text rows that continue after a prompt. */
export function textPositions(start: number, count: number): RowPositions {
  const counting = Int32Array.from({ length: count }, (_, n) => start + n);
  return { temporal: counting, row: counting, column: counting };
}

export function selectPositions(positions: RowPositions, rows: Int32Array): RowPositions {
  const pick = (axis: Int32Array) => Int32Array.from(rows, (row) => axis[row]!);
  return {
    temporal: pick(positions.temporal),
    row: pick(positions.row),
    column: pick(positions.column),
  };
}

/**
 * Rotary tables of rows [from, to): float32 [to − from, dim / 2] each. Frequency i takes the position
 * on its axis; angles are float32 products as in the reference.
 */
export function rotaryTables(
  { temporal, row, column }: RowPositions,
  { frequencies, axes }: RopeConfig,
  from = 0,
  to = temporal.length,
): { cos: Float32Array; sin: Float32Array } {
  const half = frequencies.length;
  const byAxis = [temporal, row, column] as const;
  const positions = axes.map((axis) => byAxis[axis]);
  const cos = new Float32Array((to - from) * half);
  const sin = new Float32Array((to - from) * half);
  for (let s = from; s < to; s += 1) {
    for (let i = 0; i < half; i += 1) {
      const angle = Math.fround(positions[i]![s]! * frequencies[i]!);
      cos[(s - from) * half + i] = Math.cos(angle);
      sin[(s - from) * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}

function segmentLength(segment: PromptSegment): number {
  if (segment.kind === 'text') return segment.length;
  return segment.kept ? segment.kept.length : segment.rows * segment.cols;
}

function emptyPositions(length: number): RowPositions {
  return {
    temporal: new Int32Array(length),
    row: new Int32Array(length),
    column: new Int32Array(length),
  };
}

function setPosition(
  positions: RowPositions,
  at: number,
  temporal: number,
  row: number,
  column: number,
): void {
  positions.temporal[at] = temporal;
  positions.row[at] = row;
  positions.column[at] = column;
}
