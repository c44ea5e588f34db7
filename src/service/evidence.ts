/** Confidence and citations of an answer, as fields of the API. */

import type { Answer, PlacedCitation } from '../pipeline/backend.js';
import type { Rectangle } from '../pipeline/citing/citations.js';
import type { AnswerSupport } from '../pipeline/expanding/answer-support.js';
import type { ExpandedPlace } from '../pipeline/expanding/expanded-place.js';
import type { DocumentPart } from '../pipeline/parts/plan-parts.js';
import type { PassageReading } from '../vlm/index.js';

/** Offsets and page are those of the document. */
export interface DocumentPlace extends Omit<ExpandedPlace, 'document'> {
  document_id: string;
}

/** Offsets and page are those of the document; a service has drawn it. */
export interface DocumentCitation extends Omit<PlacedCitation, 'document' | 'page' | 'rect'> {
  document_id: string;
  page: number;
  rect: Rectangle;
}

/** What a part of a document answered. */
export interface AskedPart {
  /** Among those that were asked, from 0. */
  document: number;
  /** Counted from 1. */
  number: number;
  part: DocumentPart;
  answer: string;
  found: boolean;
  confidence: number | null;
  lexicalScore: number;
}

export interface Evidence {
  /** False where the answer says that the text does not hold what was asked for. */
  found: boolean;
  confidence: number | null;
  calibrated: boolean;
  /** So little in the text speaks for it that answers like it are hardly ever right. */
  doubtful: boolean;
  /** Only where passages were to be read as text beside the pages. */
  expanded?: DocumentPlace[];
  support?: AnswerSupport;
  /** `alone`: the pages were not read for this answer. */
  passages?: PassageReading;
  /** Only where a document is read in parts: those that were asked, the best first. */
  parts?: ReturnType<typeof partView>[];
  /** Only when asked for: they are looked up in the whole text. The likeliest first. */
  citations?: DocumentCitation[];
}

function partView(
  { document, number, part, answer, found, confidence, lexicalScore }: AskedPart,
  documentIds: readonly string[],
) {
  const { start, end, pagesBefore, pages } = part;
  return {
    document_id: documentIds[document]!,
    part: number,
    start,
    end,
    first_page: pagesBefore + 1,
    pages,
    answer,
    found,
    confidence,
    lexical_score: lexicalScore,
  };
}

/** @param documentIds of the documents that were asked, in their order */
export function evidenceOf(
  {
    found,
    confidence,
    calibrated,
    doubtful,
    citations,
    expansion,
    parts,
  }: Answer & { parts?: readonly AskedPart[] },
  documentIds: readonly string[],
  withCitations: boolean,
): Evidence {
  const named = <Place extends { document: number }>({ document, ...place }: Place) => ({
    document_id: documentIds[document]!,
    ...place,
  });
  const evidence = {
    found,
    confidence,
    calibrated,
    doubtful,
    ...(expansion && {
      expanded: expansion.expanded.map(named),
      support: expansion.support,
      ...(expansion.reading && { passages: expansion.reading }),
    }),
    ...(parts && { parts: parts.map((part) => partView(part, documentIds)) }),
  };
  if (!withCitations) return evidence;
  const drawn = citations.flatMap(({ page, rect, ...citation }) =>
    page === null || rect === null ? [] : [{ ...citation, page, rect }],
  );
  return { ...evidence, citations: drawn.map(named) };
}
