/** Documents that are asked together part by part: one text, in which each of their parts has its place. */

import type { DocumentPart } from '../pipeline/parts/plan-parts.js';
import type { SourceDocument } from '../pipeline/read-document.js';
import type { AnyPlace } from '../store/place.js';
import { notThere } from './document-pages.js';
import { piecesOf } from './pieces.js';
import { visualTokensOf } from './unread-document.js';
import { contextFolder, sourceOf, storedText, type Work } from './work.js';

/** Between two documents; no part holds it. */
const BETWEEN = '\n\n';

interface Own {
  /** Of the document among those that are asked, from 0. */
  document: number;
  /** Of the part in its document, from 1. */
  number: number;
  /** Offsets and pages of its document. */
  part: DocumentPart;
  context: AnyPlace;
}

/** Something with a place in the text, or in a document. */
interface Placed {
  document: number;
  start: number;
  end: number;
  page: number | null;
}

export class PartedDocuments {
  /** Of each document in the text: its first character, and the pages before it. */
  readonly #begins: { start: number; pagesBefore: number }[] = [];
  readonly #own = new Map<DocumentPart, Own>();
  #text = '';
  #pages = 0;

  private constructor(private readonly first: Work) {}

  /** @throws {GlyphpressError} GP_ARTIFACT_DAMAGED where a text is not in the store any more */
  static async open(works: readonly Work[]): Promise<PartedDocuments> {
    const documents = new PartedDocuments(works[0]!);
    for (const work of works) {
      const text = await storedText(work);
      if (text === null) throw notThere(work, 'text');
      documents.#add(work, text);
    }
    return documents;
  }

  #add(work: Work, text: string): void {
    const document = this.#begins.length;
    if (document > 0) this.#text += BETWEEN;
    const begin = { start: this.#text.length, pagesBefore: this.#pages };
    this.#begins.push(begin);
    this.#text += text;
    for (const [n, piece] of piecesOf(work).entries()) {
      const part = piece.part ?? {
        start: 0,
        end: text.length,
        pagesBefore: 0,
        pages: work.record.pages ?? 0,
        visualTokens: visualTokensOf(work),
      };
      const placed = {
        ...part,
        start: begin.start + part.start,
        end: begin.start + part.end,
        pagesBefore: begin.pagesBefore + part.pagesBefore,
      };
      this.#own.set(placed, { document, number: n + 1, part, context: contextFolder(piece) });
      this.#pages += part.pages;
    }
  }

  get source(): SourceDocument {
    return { ...sourceOf(this.first.record, this.#text), id: this.first.record.id };
  }

  /** Of all documents in their order, by their places in the text. */
  get parts(): DocumentPart[] {
    return [...this.#own.keys()];
  }

  contextOf(part: DocumentPart): AnyPlace {
    return this.#own.get(part)!.context;
  }

  /** Which part it is of which document, with its place there. */
  nameOf(part: DocumentPart): Pick<Own, 'document' | 'number' | 'part'> {
    const { context: _, ...name } = this.#own.get(part)!;
    return name;
  }

  /** From a place in the text to that in its document. */
  inOwn<Place extends Placed>(place: Place): Place {
    const document = this.#begins.findLastIndex(({ start }) => start <= place.start);
    const { start, pagesBefore } = this.#begins[document]!;
    return {
      ...place,
      document,
      start: place.start - start,
      end: place.end - start,
      page: place.page === null ? null : place.page - pagesBefore,
    };
  }
}
