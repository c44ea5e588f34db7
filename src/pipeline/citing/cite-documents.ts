/** Where an answer stands in one or several documents. */

import type { PageRecord } from '../artifacts/page-folder.js';
import { type Citation, citeAnswer } from './citations.js';

/** Both are only read when there is a place to look up. */
export interface CitedDocument {
  text(): Promise<string>;
  /**
   * The span map; null where no page was drawn.
   *
   * @param isNeeded lay the pages out for it, where that can be done
   */
  pages(isNeeded?: boolean): Promise<readonly Omit<PageRecord, 'file'>[] | null>;
}

/** @returns the likeliest places first; places of one document stay in order where they score the same */
export async function citeDocuments(
  answer: string,
  question: string,
  documents: readonly CitedDocument[],
): Promise<(Citation & { document: number })[]> {
  const citations: (Citation & { document: number })[] = [];
  for (const [document, { text, pages }] of documents.entries()) {
    for (const citation of await citeAnswer(answer, question, await text(), () => pages(true)))
      citations.push({ ...citation, document });
  }
  return citations.sort((a, b) => b.score - a.score);
}
