import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  blankCells,
  countBlank,
  inkedCells,
  type PagePixels,
  type PlacedGrid,
  pageSignals,
  REPEAT_RUN,
  repeatedCells,
} from '../../src/prune/index.js';
import { codeOf } from './thrown-code.js';

const CELL = 28;

/** A grid of cells that are CELL px in the page as the model sees it. */
function placed(rows: number, cols: number): PlacedGrid {
  return { rows, cols, cellPx: CELL, widthPx: cols * CELL, heightPx: rows * CELL };
}

/** A white page with dark pixels at the given places. */
function page(cols: number, rows: number, dark: readonly [number, number][] = []): PagePixels {
  const [widthPx, heightPx] = [cols * CELL, rows * CELL];
  const data = new Uint8Array(widthPx * heightPx).fill(255);
  for (const [x, y] of dark) data[y * widthPx + x] = 0;
  return { data, widthPx, heightPx };
}

describe('cells without ink', () => {
  it('are those in which no pixel differs from the page, to the last one', () => {
    const { blank, ink } = pageSignals(
      page(3, 2, [
        [27, 0],
        [28, 55],
      ]),
      placed(2, 3),
    );
    expect([...blank]).toEqual([0, 1, 1, 1, 0, 1]);
    expect([...ink].map((share) => Math.round(share * CELL * CELL))).toEqual([1, 0, 0, 0, 1, 0]);
  });

  it('are found on a page of any colour', () => {
    const dark = page(3, 1, [[3, 3]]);
    dark.data.forEach((value, i) => {
      dark.data[i] = 255 - value;
    });
    expect([...pageSignals(dark, placed(1, 3)).blank]).toEqual([0, 1, 1]);
  });

  it('are none where a resampled page brings ink in from next door', () => {
    // Ink in the last column of the first cell: exact pages keep it there.
    const inked = page(2, 1, [[27, 5]]);
    expect([...pageSignals(inked, placed(1, 2)).blank]).toEqual([0, 1]);
    const resampled = { ...inked, ...crop(inked, 55) };
    expect([...pageSignals(resampled, placed(1, 2)).blank]).toEqual([0, 0]);
    // A page that is enlarged to twice its size has whole cells of 14 pixels.
    expect([...pageSignals(inked, placed(2, 4)).blank]).toEqual([1, 0, 0, 1, 1, 1, 1, 1]);
  });

  it('follow the cells of the model, whatever their size', () => {
    // 64 × 32 px: two cells of 32 px, ink in column 30, which 28-px cells would have in the second.
    const data = new Uint8Array(64 * 32).fill(255);
    data[5 * 64 + 30] = 0;
    const grid = { rows: 1, cols: 2, cellPx: 32, widthPx: 64, heightPx: 32 };
    expect([...blankCells({ data, widthPx: 64, heightPx: 32 }, grid)]).toEqual([0, 1]);
  });

  it('are whole cells where a rim of the page becomes no token', () => {
    // 70 px are two cells of 28 and a rim of 14: column 30 lies in the second cell, column 60 in none.
    const inked = (x: number) => {
      const data = new Uint8Array(70 * 28).fill(255);
      data[x] = 0;
      return { data, widthPx: 70, heightPx: 28 };
    };
    const grid = { rows: 1, cols: 2, cellPx: 28, widthPx: 70, heightPx: 28 };
    expect([...blankCells(inked(30), grid)]).toEqual([1, 0]);
    expect([...blankCells(inked(60), grid)]).toEqual([1, 1]);
  });

  it('of a page without any ink are all but one in what is kept', () => {
    const signals = pageSignals(page(3, 2), placed(2, 3));
    expect(countBlank(signals)).toBe(6);
    expect([...inkedCells(signals)]).toEqual([0]);
  });

  it('and those with ink are the whole page, each once and ascending', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3 * CELL - 1), fc.nat(4 * CELL - 1)), { minLength: 1 }),
        (dark) => {
          const signals = pageSignals(page(3, 4, dark), placed(4, 3));
          expect(blankCells(page(3, 4, dark), placed(4, 3))).toEqual(signals.blank);
          const expected = new Set(
            dark.map(([x, y]) => Math.floor(y / CELL) * 3 + Math.floor(x / CELL)),
          );
          expect([...inkedCells(signals)]).toEqual([...expected].sort((a, b) => a - b));
          expect(countBlank(signals)).toBe(12 - expected.size);
        },
      ),
    );
  });

  it('need pixels that fit the page', () => {
    const { data } = page(1, 1);
    const bad = { data, widthPx: 28, heightPx: 29 };
    expect(codeOf(() => pageSignals(bad, placed(1, 1)))).toBe('GP_TENSOR_SHAPE');
    expect(codeOf(() => pageSignals(page(1, 1), placed(0, 1)))).toBe('GP_TENSOR_SHAPE');
  });
});

function crop({ data, widthPx, heightPx }: PagePixels, width: number): PagePixels {
  const rows = Array.from({ length: heightPx }, (_, y) =>
    data.subarray(y * widthPx, y * widthPx + width),
  );
  return { data: Uint8Array.from(rows.flatMap((row) => [...row])), widthPx: width, heightPx };
}

describe('edges', () => {
  it('are where the colour changes, not where much of it is', () => {
    const full = page(3, 1);
    // The first cell is black all over, the second has stripes.
    for (let y = 0; y < CELL; y++) {
      full.data.fill(0, y * 84, y * 84 + 26);
      for (let x = 30; x < 54; x += 4) full.data.fill(0, y * 84 + x, y * 84 + x + 2);
    }
    const { edges } = pageSignals(full, placed(1, 3));
    expect(edges[1]).toBeGreaterThan(3 * edges[0]!);
    expect(edges[2]).toBe(0);
  });
});

describe('text lines', () => {
  it('know the inked cells that they run through, and end with the cell that they end with', () => {
    const dark: [number, number][] = [
      [5, 5],
      [33, 5],
      [61, 33],
    ];
    const lines = [
      { x: 0, y: 0, width: 56, height: 28 },
      { x: 0, y: 28, width: 84, height: 14 },
      { x: 28, y: 20, width: 56, height: 28 },
      { x: 0, y: 56, width: 20, height: 9 },
    ];
    const { lines: found } = pageSignals(page(3, 3, dark), placed(3, 3), lines);
    // The last line holds only blank cells.
    expect(found.map((cells) => [...cells])).toEqual([[0, 1], [5], [1, 5]]);
  });

  it('are the rows of cells where there is no span map', () => {
    const { lines } = pageSignals(
      page(2, 3, [
        [0, 0],
        [40, 60],
      ]),
      placed(3, 2),
    );
    expect(lines.map((cells) => [...cells])).toEqual([[0], [5]]);
  });
});

describe('repetitions', () => {
  /** A page whose cells show numbers: equal numbers, equal pixels; 0 shows nothing. */
  const numbered = (cols: number, numbers: readonly number[]) => {
    const rows = numbers.length / cols;
    const dark = numbers.flatMap((number, cell): [number, number][] =>
      number === 0 ? [] : [[(cell % cols) * CELL + number, Math.floor(cell / cols) * CELL + 3]],
    );
    return pageSignals(page(cols, rows, dark), placed(rows, cols));
  };
  const marks = (pages: number[][]) =>
    repeatedCells(pages.map((numbers) => numbered(6, numbers))).map((page) => [...page]);

  it('are long enough runs of an earlier page, in the same columns and any row', () => {
    expect(REPEAT_RUN).toBe(4);
    const first = [1, 2, 3, 4, 5, 6, 7, 7, 8, 8, 9, 9];
    const second = [9, 8, 7, 6, 5, 4, 1, 2, 3, 4, 5, 9];
    expect(marks([first, second])).toEqual([
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0],
    ]);
  });

  it('are none on the page itself, in other columns, in short runs or over blank cells', () => {
    expect(marks([[1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]])[0]).not.toContain(1);
    expect(
      marks([
        [1, 2, 3, 4, 5, 6],
        [9, 1, 2, 3, 4, 5],
      ])[1],
    ).not.toContain(1);
    expect(
      marks([
        [1, 2, 3, 4, 5, 6],
        [1, 2, 3, 9, 5, 6],
      ])[1],
    ).not.toContain(1);
    expect(
      marks([
        [1, 2, 0, 4, 5, 6],
        [1, 2, 0, 4, 5, 6],
      ])[1],
    ).not.toContain(1);
  });
});
