/**
 * How well stated chances tell right answers from wrong ones: the chance that a right one was given more
 * confidence than a wrong one, equal ones counted half. 0.5 tells nothing, 1 tells all.
 *
 * Source: the Mann-Whitney U statistic; Hanley and McNeil, Radiology 143 (1982).
 *
 * @returns null without answers of both kinds
 */
export function areaUnderRoc(judged: readonly { chance: number; right: boolean }[]): number | null {
  const sorted = [...judged].sort((a, b) => a.chance - b.chance);
  const right = sorted.filter((one) => one.right).length;
  const wrong = sorted.length - right;
  if (right === 0 || wrong === 0) return null;
  let ranks = 0;
  for (let start = 0; start < sorted.length; ) {
    let end = start;
    while (end < sorted.length && sorted[end]!.chance === sorted[start]!.chance) end++;
    // Equal chances share the mean of their ranks, which are start + 1 to end.
    const tied = sorted.slice(start, end).filter((one) => one.right).length;
    ranks += (tied * (start + 1 + end)) / 2;
    start = end;
  }
  return (ranks - (right * (right + 1)) / 2) / (right * wrong);
}
