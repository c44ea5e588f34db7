/** How sure an answer is, and where in the documents it stands. */

import { type Citation, citeAnswer } from '../pipeline/citing/citations.js';
import { finalAnswer } from '../pipeline/citing/final-answer.js';
import { saysNotFound } from '../pipeline/citing/says-not-found.js';
import { confidenceOf, type ModelInfo } from '../vlm/index.js';
import { pageIndex } from './document-pages.js';
import type { EngineAnswer } from './question-engine.js';
import { storedText, type Work } from './steps.js';

/** Offsets and page are those of the document. */
export interface DocumentCitation extends Citation {
  document_id: string;
}

export interface Evidence {
  /** False where the answer says that the text does not hold what was asked for. */
  found: boolean;
  confidence: number | null;
  calibrated: boolean;
  /** Only when asked for: they are looked up in the whole text. The likeliest first. */
  citations?: DocumentCitation[];
}

export async function evidenceOf(
  works: readonly Work[],
  question: string,
  { answer, logProb }: EngineAnswer,
  { calibration }: Pick<ModelInfo, 'calibration'>,
  withCitations: boolean,
): Promise<Evidence> {
  const { confidence, calibrated } = confidenceOf(logProb, calibration);
  const evidence = { found: !saysNotFound(finalAnswer(answer)), confidence, calibrated };
  if (!withCitations) return evidence;
  const citations: DocumentCitation[] = [];
  for (const work of works) {
    const text = (await storedText(work.place, work.resolved)) ?? '';
    const readPages = async () => (await pageIndex(work)).pages;
    for (const citation of await citeAnswer(answer, question, text, readPages))
      citations.push({ document_id: work.record.id, ...citation });
  }
  // Stable: places of one document stay in their order where they score the same.
  return { ...evidence, citations: citations.sort((a, b) => b.score - a.score) };
}
