import { expect } from 'vitest';

/** The contract of a pruner's result: exactly `count` rows of n, each once, ascending. */
export function expectKeptRows(rows: Int32Array, n: number, count: number): void {
  expect(rows).toHaveLength(count);
  const misplaced = rows.findIndex((row, i) => row <= (rows[i - 1] ?? -1) || row >= n);
  expect(misplaced, `rows of ${n}: ${rows}`).toBe(-1);
}
