/**
 * How well stated chances tell right answers from wrong ones: the chance that a right one was given more
 * confidence than a wrong one, equal ones counted half. 0.5 tells nothing, 1 tells all.
 *
 * Source: the Mann-Whitney U statistic; Hanley and McNeil, Radiology 143 (1982).
 *
 * An answer with a weight counts as so many.
 *
 * @returns null without answers of both kinds
 */
export function areaUnderRoc(
  judged: readonly { chance: number; right: boolean; weight?: number }[],
): number | null {
  const sorted = [...judged].sort((a, b) => a.chance - b.chance);
  const weightOf = (right: boolean, some: typeof sorted) =>
    some.reduce((sum, one) => sum + (one.right === right ? (one.weight ?? 1) : 0), 0);
  const [right, wrong] = [weightOf(true, sorted), weightOf(false, sorted)];
  if (right === 0 || wrong === 0) return null;
  let [below, won] = [0, 0];
  for (let start = 0; start < sorted.length; ) {
    let end = start;
    while (end < sorted.length && sorted[end]!.chance === sorted[start]!.chance) end++;
    const tied = sorted.slice(start, end);
    const wrongHere = weightOf(false, tied);
    won += weightOf(true, tied) * (below + wrongHere / 2);
    below += wrongHere;
    start = end;
  }
  return won / (right * wrong);
}
