/** Two short texts character by character: which of them were changed, lost or added. */

export interface Edit {
  /** Null where a character was added. */
  wanted: string | null;
  /** Null where one was lost. */
  read: string | null;
  /** Index in `wanted`; of an added one, of the character that it stands before. */
  at: number;
}

const [SAME, LOST, ADDED] = [0, 1, 2];

/** Fewest edits (Levenshtein), from the left. Cost: O(|wanted|·|read|) time and bytes. */
export function editScript(wanted: readonly string[], read: readonly string[]): Edit[] {
  const [rows, columns] = [wanted.length, read.length];
  const moves = new Uint8Array((rows + 1) * (columns + 1));
  let above = Int32Array.from({ length: columns + 1 }, (_, n) => n);
  let costs = new Int32Array(columns + 1);
  moves.fill(ADDED, 1, columns + 1);
  for (let i = 1; i <= rows; i++) {
    costs[0] = i;
    moves[i * (columns + 1)] = LOST;
    for (let j = 1; j <= columns; j++) {
      const same = above[j - 1]! + (wanted[i - 1] === read[j - 1] ? 0 : 1);
      const lost = above[j]! + 1;
      const added = costs[j - 1]! + 1;
      const cost = Math.min(same, lost, added);
      costs[j] = cost;
      moves[i * (columns + 1) + j] = cost === same ? SAME : cost === lost ? LOST : ADDED;
    }
    [above, costs] = [costs, above];
  }
  const edits: Edit[] = [];
  for (let [i, j] = [rows, columns]; i > 0 || j > 0; ) {
    const move = moves[i * (columns + 1) + j];
    if (move !== ADDED) i--;
    if (move !== LOST) j--;
    if (move === SAME && wanted[i] === read[j]) continue;
    edits.push({
      wanted: move === ADDED ? null : wanted[i]!,
      read: move === LOST ? null : read[j]!,
      at: i,
    });
  }
  return edits.reverse();
}
