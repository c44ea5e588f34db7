/** The prompt of a question that follows passages of the document. */

const HEADING = 'These passages stand in the document, word for word:';

/** @param passages text of the document; the question stands alone without any */
export function withPassages(question: string, passages = ''): string {
  return passages === '' ? question : `${HEADING}\n${passages}\n\n${question}`;
}
