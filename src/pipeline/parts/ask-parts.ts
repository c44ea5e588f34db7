/**
 * A question to a document in parts: to all of them, or to those that its words point to. The rule is the
 * same whoever reads the parts; each is a document of its own, so each has a stored context of its own.
 */

import { citeFiles } from '../citing/cite-files.js';
import type { SourceDocument } from '../read-document.js';
import {
  citationsOfWhole,
  mergedCitations,
  type PartAnswer,
  type RankedAnswer,
  rankAnswers,
} from './merge-answers.js';
import { type DocumentPart, documentOfPart } from './plan-parts.js';
import { rankParts } from './rank-parts.js';

/** @param isOnly no other part is asked: its answer is the answer, and may be shown as it grows */
export type AskPart<Answer extends PartAnswer> = (
  document: SourceDocument,
  place: { part: DocumentPart; number: number; of: number; isOnly: boolean },
) => Promise<Answer>;

export interface PartsAnswer<Answer extends PartAnswer> {
  /** The best one, with citations in the whole document. */
  best: Answer;
  /** All that were asked, the best first. */
  ranked: RankedAnswer<Answer>[];
}

/** @param asked how many of the parts are asked: those that the words of the question point to */
export async function askParts<Answer extends PartAnswer>(
  document: SourceDocument,
  parts: readonly DocumentPart[],
  question: string,
  asked: number | 'all',
  ask: AskPart<Answer>,
): Promise<PartsAnswer<Answer>> {
  const likely = await rankParts(document.text, parts, question);
  const chosen = asked === 'all' ? likely : likely.slice(0, asked);
  const answers: RankedAnswer<Answer>[] = [];
  for (const [n, { index, score }] of chosen.entries()) {
    const part = parts[index]!;
    const place = { part, number: n + 1, of: chosen.length, isOnly: chosen.length === 1 };
    const reply = await ask(documentOfPart(document, part), place);
    const citations = citeFiles(citationsOfWhole(reply.citations, part), document.files);
    answers.push({ part, lexicalScore: score, reply: { ...reply, citations } });
  }
  const ranked = rankAnswers(answers);
  return { best: { ...ranked[0]!.reply, citations: mergedCitations(ranked) }, ranked };
}
