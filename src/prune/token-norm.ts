import { matrixRows } from './contract.js';

/**
 * The length of every visual token: a large one carries more.
 *
 * Source: RTPrune, arXiv:2605.00392, whose study of DeepSeek-OCR found the plain L2 norm of the
 * encoder's tokens the best score for text among those it compares.
 *
 * @param visualTokens float32 [N, D], row-major
 * @returns float32 [N], sums in float64
 * @throws {ShapeError} if visualTokens does not fit D
 */
export function tokenNorms(visualTokens: Float32Array, dim: number): Float32Array {
  const n = matrixRows('visualTokens', visualTokens, dim);
  const norms = new Float32Array(n);
  for (let row = 0; row < n; row++) {
    let sum = 0;
    for (let d = row * dim; d < (row + 1) * dim; d++) sum += visualTokens[d]! ** 2;
    norms[row] = Math.sqrt(sum);
  }
  return norms;
}
