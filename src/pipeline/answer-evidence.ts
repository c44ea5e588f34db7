/**
 * What can be seen of an answer without asking the model again: whether what it says stands in what was
 * read for it, beside the words of the question. Free of the model; counted in words as people write them
 * ("twelve" is 12), without endings.
 */

import type { AnswerEvidence } from '../vlm/index.js';
import { finalAnswer } from './citing/final-answer.js';
import { saysNotFound } from './citing/says-not-found.js';
import { PASSAGE_GAP } from './expanding/expand-places.js';
import { unitsOf } from './expanding/text-units.js';
import { tellingStems, type WordRarity } from './telling-words.js';

/** Raised when the same answer has other evidence: curves that were fitted before are then made again. */
export const EVIDENCE_VERSION = 1;

/** Of what a sentence has of the question; the rest is what it has with its neighbours. */
const OWN_SHARE = 0.5;

/** @param read passages, or the whole text */
export function evidenceOf(
  answer: string,
  question: string,
  read: string,
  rarity: WordRarity,
): AnswerEvidence {
  const said = finalAnswer(answer);
  const asked = tellingStems(question);
  const units = read.split(PASSAGE_GAP).flatMap(unitsWithin);
  const news = new Set([...tellingStems(said)].filter((word) => !asked.has(word)));
  return {
    notFound: saysNotFound(said),
    verdict: /^["'*]*(yes|no)\b/i.test(said),
    asked: rarity.share(asked, (word) => units.some((unit) => unit.has(word))),
    beside: news.size === 0 ? 0 : bestPlace(units, asked, news, rarity),
  };
}

/** The words of each sentence or line of a passage; behind the last, what parts it from the next. */
function unitsWithin(passage: string): Set<string>[] {
  const units = unitsOf(passage).map(({ start, end }) => tellingStems(passage.slice(start, end)));
  return [...units, new Set()];
}

/** Of the sentence that speaks most of both: its share of the news × its share of the question. */
function bestPlace(
  units: readonly ReadonlySet<string>[],
  asked: ReadonlySet<string>,
  news: ReadonlySet<string>,
  rarity: WordRarity,
): number {
  return units.reduce((best, unit, n) => {
    const told = rarity.share(news, (word) => unit.has(word));
    if (told <= best) return best;
    const own = rarity.share(asked, (word) => unit.has(word));
    const around = [units[n - 1], unit, units[n + 1]];
    const near = rarity.share(asked, (word) => around.some((one) => one?.has(word)));
    return Math.max(best, told * (OWN_SHARE * own + (1 - OWN_SHARE) * near));
  }, 0);
}
