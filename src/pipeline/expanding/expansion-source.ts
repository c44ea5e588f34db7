/** What an expansion reads from: the text of the opened documents as one, and where each range is drawn. */

import { rectangleOf } from '../citing/citations.js';
import type { CitedDocument } from '../citing/cite-documents.js';
import type { ExpandedPlace } from './expanded-place.js';
import { LexicalPlaces } from './lexical-places.js';
import { type TextRange, unitsOf } from './text-units.js';

/** Between documents; no unit goes over it. */
const BETWEEN = '\n\n';

type Pages = NonNullable<Awaited<ReturnType<CitedDocument['pages']>>>;

interface SourcePart {
  start: number;
  end: number;
  readPages: CitedDocument['pages'];
  /** Null before they are known. */
  pages: Pages | null;
}

/** Made once for what is open, asked for every question. */
export class ExpansionSource {
  readonly units: readonly TextRange[];
  readonly lexical: LexicalPlaces;

  private constructor(
    /** Of all documents, in their order. */
    readonly text: string,
    private readonly documents: readonly SourcePart[],
  ) {
    this.units = unitsOf(text);
    this.lexical = new LexicalPlaces(text, this.units);
  }

  /** With the pages of all documents. */
  static async of(sources: readonly CitedDocument[]): Promise<ExpansionSource> {
    const source = await ExpansionSource.ofText(sources);
    await source.readPages(true);
    return source;
  }

  /** Without pages, until {@link readPages}. */
  static async ofText(sources: readonly CitedDocument[]): Promise<ExpansionSource> {
    const texts = await Promise.all(sources.map(({ text }) => text()));
    let start = 0;
    const documents = sources.map((source, n): SourcePart => {
      const end = start + texts[n]!.length;
      const readPages = (isNeeded?: boolean) => source.pages(isNeeded);
      const part = { start, end, readPages, pages: null };
      start = end + BETWEEN.length;
      return part;
    });
    return new ExpansionSource(texts.join(BETWEEN), documents);
  }

  /** @param isNeeded as {@link CitedDocument.pages} */
  async readPages(isNeeded: boolean): Promise<void> {
    await Promise.all(
      this.documents.map(async (document) => {
        document.pages ??= await document.readPages(isNeeded);
      }),
    );
  }

  /** From a range of a document to that of {@link text}. */
  rangeOf(document: number, { start, end }: TextRange): TextRange {
    const offset = this.documents[document]!.start;
    return { start: start + offset, end: end + offset };
  }

  /** The span maps, one for each document. */
  get pages(): readonly Pages[] {
    return this.documents.map(({ pages }) => pages ?? []);
  }

  /** Where a range of {@link text} stands. One that goes over a page break is a place on each page. */
  placesOf(range: TextRange): ExpandedPlace[] {
    return this.documents.flatMap(
      ({ start: offset, end: documentEnd, pages }, document): ExpandedPlace[] => {
        const start = Math.max(range.start, offset) - offset;
        const end = Math.min(range.end, documentEnd) - offset;
        if (start >= end) return [];
        const onPages = (pages ?? []).flatMap((page, index) => {
          const from = Math.max(start, page.start);
          const to = Math.min(end, page.end);
          if (from >= to) return [];
          const text = this.text.slice(offset, documentEnd);
          const rect = rectangleOf(page, text, from, to);
          return [{ document, page: index + 1, start: from, end: to, rect }];
        });
        return onPages.length > 0 ? onPages : [{ document, page: null, start, end, rect: null }];
      },
    );
  }
}
