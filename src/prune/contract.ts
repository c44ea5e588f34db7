/**
 * What every pruner promises: rows in, kept row indices out.
 *
 * The indices are ascending (tokens keep their raster order), unique, and exactly as many as the
 * budget says: `budgetedCount(n, budget)` for all rows together, whatever the ranking scope. So
 * the token count of a plan is known before anything is computed, from the row count alone.
 */
import { GlyphpressError, ShapeError } from '../errors.js';
import { assertRowCount, type Budget } from './retained-count.js';

/**
 * Who competes with whom. `document`: all rows for one budget, so a page may lose everything.
 * `page`: the budget is split over the pages in proportion to their rows ({@link pageBudgets}) and
 * the rows of one page compete for its part.
 */
export type RankingScope = 'document' | 'page';

export interface ScopeOptions {
  /** @defaultValue 'document' */
  scope?: RankingScope;
  /** int32 [N], the page of each row, non-decreasing. Needed for scope `page` and for minPerPage. */
  pageOfRow?: Int32Array;
  /**
   * Rows that each page keeps at least (or all of them, if it has fewer). The total stays exact.
   * @defaultValue 0
   */
  minPerPage?: number;
}

export interface KeepOptions extends ScopeOptions {
  /** Rows to keep in all, 0 ≤ count ≤ N. */
  count: number;
}

/** A pruner: it reads N rows of `Input` and names the rows that stay. */
export type Pruner<Input> = (input: Input, options: ScopeOptions & Budget) => Int32Array;

/** The rows of one page: [start, end). */
export interface PageRun {
  page: number;
  start: number;
  end: number;
}

/**
 * Keep the rows with the highest scores; of equal scores, the lower row index wins.
 *
 * With minPerPage, every page first takes its own best rows up to the floor, then the rest of the
 * budget goes to the best rows that are left. That is the best total score that honours the floors.
 *
 * @param scores float32 [N]; ±Infinity is allowed, NaN is not
 * @returns row indices [count], ascending
 * @throws {GlyphpressError} GP_TENSOR_VALUE for NaN; GP_PRUNE_PLAN if the floors exceed the budget
 * @throws {ShapeError} if count or pageOfRow do not fit the scores
 * Cost: O(N log N) time on one Uint32Array, 9 bytes a row.
 */
export function keepHighest(scores: Float32Array, options: KeepOptions): Int32Array {
  return keepHighestKeys(orderedKeys(scores), options);
}

/** {@link keepHighest} for uint32 keys; `keys` is not changed. */
export function keepHighestKeys(keys: Uint32Array, options: KeepOptions): Int32Array {
  const n = keys.length;
  const { count, scope = 'document', minPerPage = 0 } = options;
  assertRowCount(count);
  if (count > n) {
    throw new ShapeError(
      'kept rows',
      `[K], K ≤ ${n}`,
      [count],
      'Ask for at most as many rows as there are.',
    );
  }
  const kept = new Uint8Array(n);
  const scratch = new Uint32Array(n);
  if (scope === 'page' || minPerPage > 0) {
    const runs = pageRuns(options.pageOfRow, n);
    const budgets =
      scope === 'page' ? pageBudgets(runs, count, minPerPage) : pageFloors(runs, count, minPerPage);
    runs.forEach(({ start, end }, i) => {
      markHighest(keys, kept, scratch, start, end, budgets[i]!);
    });
    if (scope === 'document') {
      const floors = budgets.reduce((sum, floor) => sum + floor, 0);
      markHighest(keys, kept, scratch, 0, n, count - floors);
    }
  } else {
    markHighest(keys, kept, scratch, 0, n, count);
  }
  const rows = new Int32Array(count);
  for (let row = 0, k = 0; row < n; row++) if (kept[row]) rows[k++] = row;
  return rows;
}

/**
 * Split a budget over pages in proportion to their rows (largest remainder; of equal remainders the
 * earlier page wins), giving no page less than its floor or more than it has.
 *
 * @returns rows to keep of each run; they sum to `count`
 * @throws {GlyphpressError} GP_PRUNE_PLAN if the floors exceed the budget
 */
export function pageBudgets(runs: readonly PageRun[], count: number, minPerPage = 0): number[] {
  const floors = pageFloors(runs, count, minPerPage);
  const budgets = new Array<number>(runs.length).fill(-1);
  // A page whose share lies below its floor gets the floor; the others share what is left. Their
  // shares shrink by that, so look again until none falls below.
  let budget = count;
  let rows = runs.reduce((sum, run) => sum + size(run), 0);
  for (let pinned = true; pinned; ) {
    pinned = false;
    const [shared, sharers] = [budget, rows];
    runs.forEach((run, i) => {
      if (budgets[i] === -1 && shared * size(run) < floors[i]! * sharers) {
        budgets[i] = floors[i]!;
        budget -= floors[i]!;
        rows -= size(run);
        pinned = true;
      }
    });
  }
  const free = runs.map((_, i) => i).filter((i) => budgets[i] === -1);
  // share = quotient + remainder / rows, in integers, so that remainders compare exactly.
  const remainder = (i: number) => (budget * size(runs[i]!)) % rows;
  let left = budget;
  for (const i of free) {
    budgets[i] = (budget * size(runs[i]!) - remainder(i)) / rows;
    left -= budgets[i]!;
  }
  free.sort((a, b) => remainder(b) - remainder(a) || a - b);
  for (const i of free.slice(0, left)) budgets[i]!++;
  return budgets;
}

function pageFloors(runs: readonly PageRun[], count: number, minPerPage: number): number[] {
  assertRowCount(minPerPage);
  const floors = runs.map((run) => Math.min(minPerPage, size(run)));
  const sum = floors.reduce((a, b) => a + b, 0);
  if (sum > count) {
    throw new GlyphpressError('GP_PRUNE_PLAN', {
      message: `Expected floors within the budget, got ${sum} rows for minPerPage ${minPerPage} on ${runs.length} pages, with ${count} rows to keep`,
      hint: `Lower minPerPage to ${Math.floor(count / Math.max(1, runs.length))} or less, or raise keepRatio.`,
      details: {
        path: 'minPerPage',
        value: minPerPage,
        pages: runs.length,
        floors: sum,
        budget: count,
      },
    });
  }
  return floors;
}

const size = (run: PageRun) => run.end - run.start;

/**
 * The contiguous rows of each page, in order.
 *
 * @throws {ShapeError} if pageOfRow is missing or not [N]
 * @throws {GlyphpressError} GP_TENSOR_VALUE if the pages are not in order
 */
export function pageRuns(pageOfRow: Int32Array | undefined, n: number): PageRun[] {
  if (pageOfRow?.length !== n) {
    throw new ShapeError(
      'pageOfRow',
      `[${n}]`,
      pageOfRow ? [pageOfRow.length] : [],
      'Ranking by page and minPerPage need the page number of every row.',
    );
  }
  const runs: PageRun[] = [];
  for (let row = 0; row < n; row++) {
    const page = pageOfRow[row]!;
    const last = runs.at(-1);
    if (last && last.page === page) {
      last.end = row + 1;
    } else if (last && page < last.page) {
      throw new GlyphpressError('GP_TENSOR_VALUE', {
        message: `Expected pageOfRow in page order, got page ${page} after page ${last.page} at row ${row}`,
        hint: 'Pass the rows in raster order, page by page.',
        details: { tensor: 'pageOfRow', row, value: page, before: last.page },
      });
    } else {
      runs.push({ page, start: row, end: row + 1 });
    }
  }
  return runs;
}

/** One run per page for scope `page`, one for all rows otherwise; none for no rows. */
export function scopeRuns(
  options: Pick<ScopeOptions, 'scope' | 'pageOfRow'>,
  n: number,
): PageRun[] {
  if (options.scope === 'page') return pageRuns(options.pageOfRow, n);
  return n === 0 ? [] : [{ page: 0, start: 0, end: n }];
}

/** Copy rows of a matrix. data [N, D], rows [K] → [K, D]. */
export function gatherRows(data: Float32Array, dim: number, rows: Int32Array): Float32Array {
  const out = new Float32Array(rows.length * dim);
  rows.forEach((row, i) => {
    out.set(data.subarray(row * dim, (row + 1) * dim), i * dim);
  });
  return out;
}

/**
 * The row count of a row-major matrix.
 *
 * @throws {ShapeError} if the length is no multiple of dim
 */
export function matrixRows(name: string, data: Float32Array, dim: number): number {
  if (!Number.isSafeInteger(dim) || dim < 1 || data.length % dim !== 0) {
    throw new ShapeError(
      name,
      `[N, ${dim}]`,
      [data.length],
      'Pass row-major float32 rows of width dim.',
    );
  }
  return data.length / dim;
}

/** Mark the `count` highest unmarked keys of rows [start, end). */
function markHighest(
  keys: Uint32Array,
  kept: Uint8Array,
  scratch: Uint32Array,
  start: number,
  end: number,
  count: number,
): void {
  if (count === 0) return;
  let open = 0;
  for (let row = start; row < end; row++) if (!kept[row]) scratch[open++] = keys[row]!;
  // Without a comparator this is the engine's own numeric sort: no recursion of ours, no objects.
  const sorted = scratch.subarray(0, open).sort();
  const threshold = sorted[open - count]!;
  let ties = count;
  for (let i = open - 1; i >= 0 && sorted[i]! > threshold; i--) ties--;
  for (let row = start; row < end; row++) {
    if (kept[row]) continue;
    const key = keys[row]!;
    if (key > threshold) kept[row] = 1;
    else if (key === threshold && ties > 0) {
      kept[row] = 1;
      ties--;
    }
  }
}

/** Map float32 scores to uint32 keys of the same order, with −0 equal to 0. */
function orderedKeys(scores: Float32Array): Uint32Array {
  const bits = new Int32Array(scores.buffer, scores.byteOffset, scores.length);
  const keys = new Uint32Array(scores.length);
  for (let row = 0; row < bits.length; row++) {
    const b = bits[row]!;
    const magnitude = b & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      throw new GlyphpressError('GP_TENSOR_VALUE', {
        message: `Expected a number as score of row ${row}, got NaN`,
        hint: 'A NaN score comes from NaN or overflow in the model; check its weights and dtype.',
        details: { tensor: 'scores', row, value: 'NaN' },
      });
    }
    // Negative floats grow downwards as integers: flip them all; put positive floats above.
    keys[row] = b < 0 && magnitude !== 0 ? ~b : magnitude | 0x80000000;
  }
  return keys;
}
