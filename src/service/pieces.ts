/**
 * A document that is read in parts: each part has pages, visual tokens and a context of its own, below the
 * same content, under names that follow from those of the whole. So whatever removes the content removes
 * them, and one record holds what is known of them.
 */

import { documentOfPart } from '../pipeline/parts/plan-parts.js';
import type { TextRange } from '../pipeline/parts/split-document.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { DocumentRecord } from '../queue/document-record.js';
import { keyName } from '../store/artifact-key.js';
import type { ContentPlace } from './content-store.js';
import type { Work } from './work.js';

/** Its parts in their order, or the document itself where it is read as a whole. */
export function piecesOf<Place extends ContentPlace>(work: Work<Place>): Work<Place>[] {
  const { record, reading } = work;
  if (record.parts === null) return [work];
  return record.parts.map((part) => ({
    ...work,
    part,
    reading: {
      ...reading,
      pagesKey: keyOfPart(reading.pagesKey, part),
      tokensKey: keyOfPart(reading.tokensKey, part),
      contextKey: keyOfPart(reading.contextKey, part),
    },
  }));
}

/** @param document the whole one */
export function documentOfPiece(document: SourceDocument, { part }: Work): SourceDocument {
  return part ? documentOfPart(document, part) : document;
}

/** @param key of the same thing of the whole document */
export function keysOfParts(key: string, { parts }: Pick<DocumentRecord, 'parts'>): string[] {
  return parts === null ? [key] : parts.map((part) => keyOfPart(key, part));
}

function keyOfPart(whole: string, { start, end }: TextRange): string {
  return keyName({ whole, part: `${start}-${end}` });
}

/** Others may be at work on other parts: what they have done is counted again after so long. */
const COUNT_EVERY_MS = 5_000;

/** Counts what is done of all parts together, while one of them is worked on. */
export class WholeProgress {
  readonly #others: readonly Work[];
  readonly #count: (piece: Work) => Promise<number>;
  #done = 0;
  #countedMs = Number.NEGATIVE_INFINITY;

  private constructor(others: readonly Work[], count: (piece: Work) => Promise<number>) {
    this.#others = others;
    this.#count = count;
  }

  /** @param count what is done of a piece */
  static async open(
    pieces: readonly Work[],
    own: Work,
    count: (piece: Work) => Promise<number>,
  ): Promise<WholeProgress> {
    const progress = new WholeProgress(
      pieces.filter((piece) => piece !== own),
      count,
    );
    await progress.#countOthers();
    return progress;
  }

  /** @param own what is done of the piece that is worked on */
  total(own: number): number {
    if (performance.now() - this.#countedMs > COUNT_EVERY_MS) this.#countOthers().catch(() => {}); // the work itself meets a store that is away
    return this.#done + own;
  }

  async #countOthers(): Promise<void> {
    this.#countedMs = performance.now();
    const counts = await Promise.all(this.#others.map(this.#count));
    this.#done = counts.reduce((sum, count) => sum + count, 0);
  }
}
