/** Confidence and citations of an answer, as fields of the API. */

import type { Answer, PlacedCitation } from '../pipeline/backend.js';

/** Offsets and page are those of the document. */
export interface DocumentCitation extends Omit<PlacedCitation, 'document'> {
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

/** @param documentIds of the documents that were asked, in their order */
export function evidenceOf(
  { found, confidence, calibrated, citations }: Answer,
  documentIds: readonly string[],
  withCitations: boolean,
): Evidence {
  const evidence = { found, confidence, calibrated };
  if (!withCitations) return evidence;
  return {
    ...evidence,
    citations: citations.map(({ document, ...citation }) => ({
      document_id: documentIds[document]!,
      ...citation,
    })),
  };
}
