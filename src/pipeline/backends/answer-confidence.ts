/** How sure an answer is that a model here gave, by its tokens and by what was read for it. */

import {
  type AnswerEvidence,
  type AnswerLogProb,
  type Calibrations,
  type Confidence,
  confidenceOf,
  curveFor,
} from '../../vlm/index.js';
import { evidenceOf } from '../answer-evidence.js';
import type { CitedDocument } from '../citing/cite-documents.js';
import { WordRarity } from '../telling-words.js';

/** Counted once for each open document. */
const rarities = new WeakMap<CitedDocument, Promise<WordRarity>>();

/** @param read text that the answer was read from; null where it was read from pages, which tell nothing here */
export async function judgedAnswer(
  { answer, logProb }: { answer: string; logProb: AnswerLogProb | null },
  question: string,
  read: string | null,
  sources: readonly CitedDocument[],
  calibrations: Calibrations,
): Promise<Confidence & { evidence: AnswerEvidence | null }> {
  const evidence =
    read === null || answer === ''
      ? null
      : evidenceOf(answer, question, read, await rarityIn(sources, read));
  const curve = curveFor(calibrations, read === null ? 'pages' : 'text');
  return { ...confidenceOf(logProb, curve, evidence), evidence };
}

/** Of several documents each is a small part of what rarity is about: what was read stands for them. */
async function rarityIn(sources: readonly CitedDocument[], read: string): Promise<WordRarity> {
  const [source, ...others] = sources;
  if (!source || others.length > 0) return new WordRarity(read);
  let known = rarities.get(source);
  if (!known) {
    known = source.text().then((text) => new WordRarity(text));
    rarities.set(source, known);
    // A failure is not kept: what could not be read may be back for the next answer.
    known.catch(() => rarities.delete(source));
  }
  return known;
}
