/**
 * Values that must be exact: codes, hex strings, numbers. Unlike a string match, a value counts only
 * as a whole ("7F2A-9" is not in "7F2A-91"), in its own case, and not beside a wrong one.
 */

/** 1 if the answer names the value and none of the wrong ones. */
export function valueMatch(answer: string, value: string, wrong: readonly string[] = []): number {
  return names(answer, value) && !wrong.some((other) => names(answer, other)) ? 1 : 0;
}

/** The share of the values that the answer names. */
export function valuesMatch(answer: string, values: readonly string[]): number {
  return values.filter((value) => names(answer, value)).length / values.length;
}

function names(answer: string, value: string): boolean {
  for (let at = answer.indexOf(value); at >= 0; at = answer.indexOf(value, at + 1)) {
    const before = answer.slice(0, at);
    const after = answer.slice(at + value.length);
    // A hyphen or a full stop belongs to the value only if more of it follows.
    if (!/[\p{L}\p{N}][-.]?$/u.test(before) && !/^[-.]?[\p{L}\p{N}]/u.test(after)) return true;
  }
  return false;
}
