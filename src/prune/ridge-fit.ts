/**
 * How much of a row a basis cannot express.
 */
import type { Basis } from './apet-basis.js';

/**
 * ‖x − Sᵀ c‖₂ with c = (S Sᵀ + ridge·I)⁻¹ S x, for every row x.
 *
 * From inner products alone: ‖x − Sᵀ c‖² = |x|² − c·(2 S x − S Sᵀ c), in float64. Where that cancels to
 * a billionth of its terms (rows near the span), the residual is formed as a vector instead.
 *
 * @param rows float32 [N, D]
 * @param ridge added to the diagonal of S Sᵀ, absolute, at least 0
 * @returns float32 [N]
 */
export function residualNorms(
  rows: Float32Array,
  dim: number,
  { vectors, products, squares, gram }: Basis,
  ridge: number,
): Float32Array {
  const n = rows.length / dim;
  const m = products.length;
  const ridged = gram.slice();
  for (let i = 0; i < m; i++) ridged[i * m + i]! += ridge;
  const factor = cholesky(ridged, m);
  const errors = new Float32Array(n);
  const c = new Float64Array(m);
  for (let row = 0; row < n; row++) {
    for (let j = 0; j < m; j++) c[j] = products[j]![row]!;
    solveCholesky(factor, m, c);
    let square = squares[row]!;
    let terms = square;
    for (let i = 0; i < m; i++) {
      let fitted = 0;
      for (let j = 0; j < m; j++) fitted += gram[i * m + j]! * c[j]!;
      const term = c[i]! * (2 * products[i]![row]! - fitted);
      square -= term;
      terms += Math.abs(term) + Math.abs(c[i]! * fitted);
    }
    errors[row] = Math.sqrt(
      square > terms * CANCELLED ? square : residualSquare(rows, dim, row, vectors, c),
    );
  }
  return errors;
}

/** Below this share of its terms a difference of doubles has fewer digits than a float32. */
const CANCELLED = 1e-9;

function residualSquare(
  rows: Float32Array,
  dim: number,
  row: number,
  vectors: Float32Array,
  c: Float64Array,
): number {
  const residual = new Float64Array(rows.subarray(row * dim, (row + 1) * dim));
  c.forEach((share, j) => {
    if (share === 0) return;
    for (let d = 0; d < dim; d++) residual[d]! -= share * vectors[j * dim + d]!;
  });
  let sum = 0;
  for (let d = 0; d < dim; d++) sum += residual[d]! * residual[d]!;
  return sum;
}

/**
 * Lower Cholesky factor of a symmetric positive semi-definite [M, M] matrix.
 *
 * A pivot at rounding level means a basis row that the earlier ones already span (equal rows, blank
 * cells). Its column becomes 0 with an infinite pivot, which makes its coefficient 0.
 */
function cholesky(a: Float64Array, m: number): Float64Array {
  const l = new Float64Array(m * m);
  for (let j = 0; j < m; j++) {
    let pivot = a[j * m + j]!;
    for (let k = 0; k < j; k++) pivot -= l[j * m + k]! ** 2;
    if (pivot <= a[j * m + j]! * m * 1e-14) {
      l[j * m + j] = Number.POSITIVE_INFINITY;
      continue;
    }
    const root = Math.sqrt(pivot);
    l[j * m + j] = root;
    for (let i = j + 1; i < m; i++) {
      let sum = a[i * m + j]!;
      for (let k = 0; k < j; k++) sum -= l[i * m + k]! * l[j * m + k]!;
      l[i * m + j] = sum / root;
    }
  }
  return l;
}

/** Solve L Lᵀ x = b in place. */
function solveCholesky(l: Float64Array, m: number, x: Float64Array): void {
  for (let i = 0; i < m; i++) {
    let sum = x[i]!;
    for (let k = 0; k < i; k++) sum -= l[i * m + k]! * x[k]!;
    x[i] = sum / l[i * m + i]!;
  }
  for (let i = m - 1; i >= 0; i--) {
    let sum = x[i]!;
    for (let k = i + 1; k < m; k++) sum -= l[k * m + i]! * x[k]!;
    x[i] = sum / l[i * m + i]!;
  }
}
