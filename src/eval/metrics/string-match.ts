/**
 * Is the reference somewhere in the answer, whatever else the answer says? Case does not count.
 *
 * Source: RULER (NVIDIA/RULER, scripts/eval/synthetic/constants.py).
 */

/** `string_match_all`: the share of references that occur. For needles, variables and word lists. */
export function stringMatchAll(answer: string, references: readonly string[]): number {
  if (references.length === 0) return 0;
  return references.filter((reference) => contains(answer, reference)).length / references.length;
}

/** `string_match_part`: 1 if any reference occurs. For questions with several ways to say the answer. */
export function stringMatchPart(answer: string, references: readonly string[]): number {
  return references.some((reference) => contains(answer, reference)) ? 1 : 0;
}

const contains = (answer: string, reference: string) =>
  answer.toLowerCase().includes(reference.toLowerCase());
