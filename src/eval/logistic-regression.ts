/** Logistic regression with a pull of its slopes to 0, by Newton's method. */

export interface LogisticRow {
  /** Features of about mean 0 and spread 1, so that one pull suits all. */
  values: readonly number[];
  /** Chance that is to be met, 0 to 1. */
  target: number;
  /** How many rows it counts as. */
  weight: number;
}

export interface LogisticFit {
  intercept: number;
  slopes: number[];
  /** Of the rows and the pull: −log likelihood. */
  loss: number;
}

/** @param pull added to the curvature of each slope; the intercept is free */
export function logisticRegression(rows: readonly LogisticRow[], pull: number): LogisticFit {
  const size = 1 + (rows[0]?.values.length ?? 0);
  const inputs = rows.map(({ values }) => [1, ...values]);
  const scoreOf = (input: readonly number[], weights: readonly number[]) =>
    input.reduce((sum, value, n) => sum + value * weights[n]!, 0);
  const lossOf = (weights: readonly number[]) =>
    rows.reduce((sum, { target, weight }, i) => {
      const score = scoreOf(inputs[i]!, weights);
      // log(1 + e^s) − t·s, without overflow
      const loss = Math.max(0, score) + Math.log1p(Math.exp(-Math.abs(score))) - target * score;
      return sum + weight * loss;
    }, 0) +
    (pull / 2) * weights.slice(1).reduce((sum, weight) => sum + weight * weight, 0);

  let weights = new Array<number>(size).fill(0);
  let loss = lossOf(weights);
  // Halved steps; the loss is convex, so any start will do.
  for (let step = 0; step < 100; step++) {
    const gradient = weights.map((weight, n) => (n === 0 ? 0 : pull * weight));
    const curvature = Array.from({ length: size }, (_, n) =>
      Array.from({ length: size }, (_, m) => (n === m ? (n === 0 ? 1e-9 : pull) : 0)),
    );
    rows.forEach(({ target, weight }, i) => {
      const input = inputs[i]!;
      const chance = 1 / (1 + Math.exp(-scoreOf(input, weights)));
      for (let n = 0; n < size; n++) {
        gradient[n]! += weight * (chance - target) * input[n]!;
        for (let m = 0; m < size; m++)
          curvature[n]![m]! += weight * chance * (1 - chance) * input[n]! * input[m]!;
      }
    });
    const direction = solve(curvature, gradient);
    let length = 1;
    let next = weights;
    let nextLoss = loss;
    do {
      next = weights.map((weight, n) => weight - length * direction[n]!);
      nextLoss = lossOf(next);
      length /= 2;
    } while (!(nextLoss <= loss) && length > 1e-6);
    if (!(nextLoss < loss - 1e-10)) break;
    [weights, loss] = [next, nextLoss];
  }
  return { intercept: weights[0]!, slopes: weights.slice(1), loss };
}

export interface ScaledFit extends LogisticFit {
  /** For the features as they are. */
  slopes: number[];
}

/** As {@link logisticRegression}, of features of any mean and spread. */
export function scaledRegression(rows: readonly LogisticRow[], pull: number): ScaledFit {
  const count = rows[0]?.values.length ?? 0;
  const total = rows.reduce((sum, { weight }) => sum + weight, 0);
  const scales = Array.from({ length: count }, (_, n) => {
    const mean = rows.reduce((sum, { values, weight }) => sum + weight * values[n]!, 0) / total;
    const spread = Math.sqrt(
      rows.reduce((sum, { values, weight }) => sum + weight * (values[n]! - mean) ** 2, 0) / total,
    );
    return { mean, spread: spread > 1e-9 ? spread : 1 };
  });
  const scaled = rows.map((row) => ({
    ...row,
    values: row.values.map((value, n) => (value - scales[n]!.mean) / scales[n]!.spread),
  }));
  const { intercept, slopes, loss } = logisticRegression(scaled, pull);
  return {
    slopes: slopes.map((slope, n) => slope / scales[n]!.spread),
    intercept: slopes.reduce(
      (sum, slope, n) => sum - (slope * scales[n]!.mean) / scales[n]!.spread,
      intercept,
    ),
    loss,
  };
}

/** Gaussian elimination; the matrix is positive definite. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, n) => [...row, right[n]!]);
  for (let n = 0; n < rows.length; n++) {
    for (let m = n + 1; m < rows.length; m++) {
      const factor = rows[m]![n]! / rows[n]![n]!;
      for (let k = n; k <= rows.length; k++) rows[m]![k]! -= factor * rows[n]![k]!;
    }
  }
  const solution = new Array<number>(rows.length).fill(0);
  for (let n = rows.length - 1; n >= 0; n--) {
    const known = solution.reduce((sum, value, k) => (k > n ? sum + rows[n]![k]! * value : sum), 0);
    solution[n] = (rows[n]!.at(-1)! - known) / rows[n]![n]!;
  }
  return solution;
}
