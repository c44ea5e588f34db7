/** What of English tells nothing: its commonest words, and the endings of the others. */

/** Words that say nothing of where an answer stands. Folded, see foldWord. */
export const COMMON_WORDS: ReadonlySet<string> = new Set(
  'a an and are as at be been but by did do does for from had has have he her his how i in is it its me my no not of on one or our says she so than that the their them then there they this to was we were what when where which who whom whose why will with yes you your answer text document page'.split(
    ' ',
  ),
);

/** Shorter words stay as they are: "red", "bus". */
const SHORTEST_STEM = 3;

/**
 * A word without its ending, so that "collected" and "collects" are one. Only the endings that most words
 * take, a cut that is too deep joins words that have nothing to do with each other; what it leaves need
 * not be a word.
 *
 * @param word folded; one with a digit is a name or a value and stays
 */
export function stemOf(word: string): string {
  if (word.length <= SHORTEST_STEM || /\d/.test(word)) return word;
  const singular = word
    .replace(/ies$/, 'y')
    .replace(/sses$/, 'ss')
    .replace(/([^s])s$/, '$1');
  const [, stem, ending] = /^(.+?)(ing|ed)$/.exec(singular) ?? [];
  const bare = stem && ending && stem.length >= SHORTEST_STEM ? stem : singular;
  return bare.replace(/e$/, '');
}
