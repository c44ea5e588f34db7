/**
 * Merging: a dropped token lives on in the kept token that is most like it.
 */
import { gatherRows, matrixRows, type ScopeOptions, scopeRuns } from './contract.js';
import { RowKernel } from './row-kernel.js';

export interface MergeOptions extends Pick<ScopeOptions, 'scope' | 'pageOfRow'> {
  /**
   * Kept rows that take nothing in, such as the basis slots in the authors' code. Where they are all
   * the kept rows of a scope, nothing is merged there.
   */
  spare?: Int32Array;
  /**
   * Kept rows that a dropped row looks at, at least, where there are as many: the nearest in row
   * order, before and behind. It keeps merging linear in N. Up to so many kept rows in a scope, a
   * dropped row looks at all of them, as in the authors' code.
   * @defaultValue 1024
   */
  reach?: number;
}

const DEFAULT_REACH = 1024;

/**
 * Average every dropped token into the kept token of its scope with the highest cosine similarity:
 * out = (kept + Σ dropped) / (1 + number dropped into it).
 *
 * Source: `token_merging`, github.com/MaQianKun0/ApET @70cc01b, with its default scaling of 1.
 * Departs: a scope of more than `reach` kept rows is searched near the dropped row only. The authors
 * compare all with all in one (N−K)×K×D tensor.
 *
 * Averaging similar tokens is harmful where they carry different letters, so plans leave it off.
 * A dropped token of a page without kept rows is lost. Of equal similarities the lower row wins.
 *
 * @param visualTokens float32 [N, D], row-major; not changed
 * @param kept row indices [K], ascending
 * @returns float32 [K, D]
 * @throws {ShapeError} if visualTokens or pageOfRow do not fit D and N
 * Cost: O(N·reach·D) time and O(K·D) memory for the result; never N×K or N×K×D.
 */
export function mergeDropped(
  visualTokens: Float32Array,
  dim: number,
  kept: Int32Array,
  options: MergeOptions = {},
): Float32Array {
  const n = matrixRows('visualTokens', visualTokens, dim);
  const out = gatherRows(visualTokens, dim, kept);
  const slotOfRow = new Int32Array(n).fill(-1);
  kept.forEach((row, slot) => {
    slotOfRow[row] = slot;
  });
  const spared = new Uint8Array(n);
  for (const row of options.spare ?? []) spared[row] = 1;
  const runs = scopeRuns(options, n);
  const kernel = RowKernel.for(dim);

  for (const { start, end } of runs) {
    const rows = Int32Array.from({ length: end - start }, (_, i) => start + i);
    const targets = rows.filter((row) => slotOfRow[row] !== -1 && !spared[row]);
    const dropped = rows.filter((row) => slotOfRow[row] === -1);
    if (targets.length === 0 || dropped.length === 0) continue;
    const nearest = kernel.nearest(visualTokens, dropped, targets, options.reach ?? DEFAULT_REACH);
    averageInto(out, visualTokens, dim, dropped, (i) => slotOfRow[targets[nearest[i]!]!]!);
  }
  return out;
}

/** Add rows to slots of `out` and divide each slot by 1 + the rows that it took. */
function averageInto(
  out: Float32Array,
  tokens: Float32Array,
  dim: number,
  rows: Int32Array,
  slotOf: (index: number) => number,
): void {
  // Slot after slot, so that one sum is open at a time.
  const order = Array.from(rows.keys()).sort((a, b) => slotOf(a) - slotOf(b) || a - b);
  const sum = new Float64Array(dim);
  for (let i = 0; i < order.length; ) {
    const slot = slotOf(order[i]!);
    const target = out.subarray(slot * dim, (slot + 1) * dim);
    sum.set(target);
    let count = 1;
    for (; i < order.length && slotOf(order[i]!) === slot; i++, count++) {
      const row = rows[order[i]!]! * dim;
      for (let d = 0; d < dim; d++) sum[d]! += tokens[row + d]!;
    }
    for (let d = 0; d < dim; d++) target[d] = sum[d]! / count;
  }
}
