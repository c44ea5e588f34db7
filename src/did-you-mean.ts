/** A word that was meant, for one that is not known. */

import { distance } from 'fastest-levenshtein';

/**
 * @param word what was written
 * @param known what could have been meant
 * @returns ` Did you mean "…"?`, with the space before it; nothing where no known word is near
 */
export function didYouMean(word: string, known: readonly string[]): string {
  // As many letters may be wrong as make a third of the word: one in `lokup`, three in `lossles-plan`.
  const maxEdits = Math.max(1, Math.floor(word.length / 3));
  const near = known
    .map((candidate) => ({
      candidate,
      edits: distance(word.toLowerCase(), candidate.toLowerCase()),
    }))
    .filter(({ edits }) => edits <= maxEdits)
    .sort((a, b) => a.edits - b.edits);
  const [best] = near;
  return best ? ` Did you mean "${best.candidate}"?` : '';
}
