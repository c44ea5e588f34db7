/** A question with passages of the document before it, as it stands in the prompt. */

const HEADING = 'These passages stand in the document, word for word:';

/** @param passages text of the document; the question stands alone without any */
export function withPassages(question: string, passages = ''): string {
  return passages === '' ? question : `${HEADING}\n${passages}\n\n${question}`;
}
