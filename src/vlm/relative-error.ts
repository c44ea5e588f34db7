/** How far rounded numbers are from the exact ones. */

/** ‖difference‖ / ‖expected‖ */
export function relativeError(actual: Float32Array, expected: Float32Array): number {
  let [difference, norm] = [0, 0];
  for (let i = 0; i < expected.length; i += 1) {
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return norm === 0 ? 0 : Math.sqrt(difference / norm);
}

/** Mean and largest relative error of a row. */
export interface RowErrors {
  mean: number;
  max: number;
}

/** @param exact and rounded: float32 [rows, width] */
export function rowErrors(exact: Float32Array, rounded: Float32Array, width: number): RowErrors {
  const rows = exact.length / width;
  const errors = Array.from({ length: rows }, (_, row) =>
    relativeError(
      rounded.subarray(row * width, (row + 1) * width),
      exact.subarray(row * width, (row + 1) * width),
    ),
  );
  return { mean: errors.reduce((sum, error) => sum + error, 0) / rows, max: Math.max(...errors) };
}
