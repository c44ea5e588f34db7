/**
 * Sees when generated tokens repeat themselves: the last tokens are one cycle over and over.
 *
 * Text may repeat for a reason (rules of dashes, tables of equal rows), so a cycle counts only once it
 * fills {@link repeatedTokensOf} tokens. What that lets through is bounded by the longest answer.
 */

/** The longest cycle that is looked for, in tokens. */
export const LONGEST_CYCLE = 256;

const MIN_LOOP_TOKENS = 128;
const COPIES = 8;
/** A cycle as long as a sentence is a loop after fewer copies. */
const LONG_CYCLE_COPIES = 4;
const LONG_CYCLE_TOKENS = 512;

/** How many tokens a cycle of this length must fill to be a loop: 128 at least, 8 copies of up to 64 tokens, 4 of 128 and more. */
export function repeatedTokensOf(cycle: number): number {
  const long = Math.max(LONG_CYCLE_TOKENS, LONG_CYCLE_COPIES * cycle);
  return Math.max(MIN_LOOP_TOKENS, Math.min(COPIES * cycle, long));
}

export class LoopDetector {
  readonly #tokens: number[] = [];
  /** By length of the cycle: how many of the last tokens equal the one that many before. */
  readonly #equal = new Int32Array(LONGEST_CYCLE + 1);

  /**
   * Cost: O({@link LONGEST_CYCLE}) time a token, whatever was generated before.
   *
   * @returns tokens at the end that repeat the first copy of the loop, 0 while there is none
   */
  push(tokenId: number): number {
    const tokens = this.#tokens;
    const at = tokens.length;
    tokens.push(tokenId);
    const longest = Math.min(LONGEST_CYCLE, at);
    for (let cycle = 1; cycle <= longest; cycle += 1) {
      const equal = tokens[at - cycle] === tokenId ? this.#equal[cycle]! + 1 : 0;
      this.#equal[cycle] = equal;
      if (equal > 0 && equal + cycle >= repeatedTokensOf(cycle)) return equal;
    }
    return 0;
  }
}
