/**
 * Character error rate: edits (insertions, deletions, substitutions) over the characters of the
 * reference. A line break on a page stands for a space or for nothing, so runs of white space count
 * as one space.
 */

export interface CharacterErrors {
  edits: number;
  /** Of the reference; errors of several texts are pooled over them. */
  characters: number;
}

export const collapseSpaces = (text: string) => text.replace(/\s+/g, ' ').trim();

export function characterErrors(answer: string, reference: string): CharacterErrors {
  const wanted = [...collapseSpaces(reference)];
  const edits = distances([...collapseSpaces(answer)], wanted).at(-1)!;
  return { edits, characters: wanted.length };
}

/** Fewer characters than this are no continuation. */
const MIN_CONTINUATION_CHARACTERS = 12;

/**
 * Errors of an answer that may stop early: the reference ends where that is best for the answer, but
 * not before {@link MIN_CONTINUATION_CHARACTERS} characters. An answer that goes on is cut at the reference's
 * length, for the right text goes on as well.
 *
 * @param quotation what was to be continued: an answer may repeat it first, well or badly
 */
export function continuationErrors(
  answer: string,
  reference: string,
  quotation = '',
): CharacterErrors {
  const wanted = [...collapseSpaces(reference)];
  const said = [...withoutQuotation(collapseSpaces(answer), collapseSpaces(quotation))].slice(
    0,
    wanted.length,
  );
  const byLength = distances(said, wanted);
  let best = { edits: byLength.at(-1)!, characters: wanted.length };
  const fewest = Math.max(Math.min(MIN_CONTINUATION_CHARACTERS, wanted.length), said.length - 2);
  for (let characters = fewest; characters < wanted.length; characters++) {
    const edits = byLength[characters]!;
    if (edits * best.characters < best.edits * characters) best = { edits, characters };
  }
  return best;
}

/** Of a repeated quotation at most one character in three is wrong. */
const BADLY_REPEATED = 1 / 3;

function withoutQuotation(answer: string, quotation: string): string {
  if (quotation === '') return answer;
  const quoted = [...quotation];
  const start = [...answer].slice(0, Math.ceil(quoted.length * (1 + BADLY_REPEATED)));
  const byLength = [...distances(quoted, start)];
  const edits = Math.min(...byLength);
  if (edits > quoted.length * BADLY_REPEATED) return answer;
  // Of equally good ends the longest one leaves nothing of the quotation.
  return [...answer].slice(byLength.lastIndexOf(edits)).join('').trimStart();
}

/**
 * Levenshtein distance of `said` to every beginning of `wanted`: entry n is that to its first n.
 * Cost: O(|said|·|wanted|) time, O(|wanted|) memory.
 */
function distances(said: readonly string[], wanted: readonly string[]): Int32Array {
  let row = Int32Array.from({ length: wanted.length + 1 }, (_, n) => n);
  let next = new Int32Array(wanted.length + 1);
  for (let i = 0; i < said.length; i++) {
    next[0] = i + 1;
    for (let j = 0; j < wanted.length; j++) {
      const substituted = row[j]! + (said[i] === wanted[j] ? 0 : 1);
      next[j + 1] = Math.min(substituted, row[j + 1]! + 1, next[j]! + 1);
    }
    [row, next] = [next, row];
  }
  return row;
}
