/** Whether an answer says what the sample's text says. Node's built-in modules only. */

/** Case, punctuation between words and runs of spaces do not count; letters and figures do. */
function words(text) {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join(' ');
}

/**
 * @param {string} answer of the model
 * @param {string} expected words that it must hold, in this order and side by side
 */
export function holdsAnswer(answer, expected) {
  const wanted = words(expected);
  return wanted !== '' && ` ${words(answer)} `.includes(` ${wanted} `);
}
