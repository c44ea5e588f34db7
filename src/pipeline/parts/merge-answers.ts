/** Answers of several parts → one. */

import type { Citation } from '../citing/citations.js';
import { foldWord } from '../citing/text-folding.js';
import type { ExpandedPlace } from '../expanding/expanded-place.js';
import type { DocumentPart } from './plan-parts.js';

/** What is compared of an answer. */
export interface PartAnswer {
  answer: string;
  found: boolean;
  /** Null if unknown. */
  confidence: number | null;
  /** Offsets and pages of the whole document. */
  citations: Citation[];
}

export interface RankedAnswer<Answer extends PartAnswer> {
  part: DocumentPart;
  /** Of the words of the question in the part. */
  lexicalScore: number;
  reply: Answer;
}

/**
 * What was found goes before what was not; then the surer answer, then the one whose citation is more
 * like it, then the part that speaks more of what the question asks.
 *
 * @returns the answers, the best first
 */
export function rankAnswers<Answer extends PartAnswer>(
  answers: readonly RankedAnswer<Answer>[],
): RankedAnswer<Answer>[] {
  const says = ({ reply }: RankedAnswer<Answer>) => Number(reply.found && reply.answer !== '');
  const sure = ({ reply }: RankedAnswer<Answer>) => reply.confidence ?? 0;
  const cited = ({ reply }: RankedAnswer<Answer>) => reply.citations[0]?.score ?? 0;
  return [...answers].sort(
    (a, b) =>
      says(b) - says(a) ||
      sure(b) - sure(a) ||
      cited(b) - cited(a) ||
      b.lexicalScore - a.lexicalScore,
  );
}

/** Citations of the best answer, and of others that say the same. @param ranked the best first */
export function mergedCitations<Answer extends PartAnswer>(
  ranked: readonly RankedAnswer<Answer>[],
): Citation[] {
  const [best] = ranked;
  if (!best) return [];
  const same = ranked.filter(
    ({ reply }) => reply.found && folded(reply.answer) === folded(best.reply.answer),
  );
  return (best.reply.found ? same : [best])
    .flatMap(({ reply }) => reply.citations)
    .sort((a, b) => b.score - a.score);
}

const folded = (answer: string) => foldWord(answer).replace(/ +/g, ' ').trim();

/** From offsets and pages of a part to those of the whole document. */
export function citationsOfWhole<Cited extends Citation>(
  citations: readonly Cited[],
  { start, pagesBefore }: DocumentPart,
): Cited[] {
  return citations.map((citation) => ({
    ...citation,
    start: citation.start + start,
    end: citation.end + start,
    page: citation.page === null ? null : citation.page + pagesBefore,
  }));
}

/** As {@link citationsOfWhole}, for what was read as text. */
export function expandedOfWhole(
  expanded: readonly ExpandedPlace[],
  { start, pagesBefore }: DocumentPart,
): ExpandedPlace[] {
  return expanded.map((place) => ({
    ...place,
    start: place.start + start,
    end: place.end + start,
    page: place.page === null ? null : place.page + pagesBefore,
  }));
}
