/** Which parts a document is read in, known before anything is drawn or encoded. */

import { GlyphpressError } from '../../errors.js';
import { sha256Hex } from '../../sha256.js';
import { fileHeading } from '../inputs/document-files.js';
import { documentId, type SourceDocument } from '../read-document.js';
import { type MeasuredPage, splitDocument, type TextRange } from './split-document.js';

export interface DocumentPart extends TextRange {
  /** Pages before it: its first page is the one behind them. */
  pagesBefore: number;
  pages: number;
  /** As laid out by itself; the last pages of all parts but the last count as uncropped. */
  visualTokens: number;
}

export interface PartsPlan {
  parts: DocumentPart[];
  /** Of the whole document, or of the piece of it that was asked for. */
  visualTokens: number;
  /** Most that a part may take. */
  capacity: number;
}

/** A piece of a document, by its pages from 1. */
export interface PageRange {
  first: number;
  last: number;
  /** Pages as they are drawn, or those of a PDF. */
  of: 'drawing' | 'file';
}

/** Lays a text out. */
export type MeasurePages = (text: string) => Promise<MeasuredPage[]>;

/** Parts that do not fit by themselves are cut a page smaller, and all are laid out again. */
const TRIES = 5;

/**
 * @param capacity visual tokens that one part may take; Infinity for one part, whatever it takes
 * @throws {GlyphpressError} GP_CONTEXT_LENGTH when not even a page fits, GP_USAGE for pages that are not there
 */
export async function planParts(
  document: SourceDocument,
  capacity: number,
  measure: MeasurePages,
  piece: PageRange | null = null,
): Promise<PartsPlan> {
  const { text } = document;
  const pages = await measure(text);
  const range = piece ? rangeOfPages(document, pages, piece) : { start: 0, end: text.length };
  const largest = Math.max(...pages.map(({ visualTokens }) => visualTokens));
  if (largest > capacity) throw pageTooLarge(largest, capacity);
  const within = pages.filter(({ start, end }) => start < range.end && end > range.start);
  const visualTokens = within.reduce((sum, page) => sum + page.visualTokens, 0);
  const pagesBefore = pages.filter(({ end }) => end <= range.start).length;
  const fileStarts = new Set(
    (document.files ?? []).map(({ name, start }) => start - fileHeading(name).length),
  );
  // A part that starts on a new page ends with a page that is not full.
  const wholePages = Number.isFinite(capacity)
    ? Math.floor(capacity / largest) * largest
    : capacity;
  for (let attempt = 0; ; attempt++) {
    const goal = attempt === TRIES ? largest : Math.max(largest, wholePages - attempt * largest);
    const ranges = splitDocument(text, pages, range, goal, fileStarts);
    const parts =
      ranges.length === 1 && !piece
        ? [{ ...range, pagesBefore, pages: pages.length, visualTokens }]
        : await measureParts(text, ranges, pagesBefore, measure);
    if (parts.every((part) => part.visualTokens <= capacity))
      return { parts, visualTokens, capacity };
    if (goal === largest) throw pageTooLarge(largest, capacity);
  }
}

/** The text of a part as a document of its own. */
export function documentOfPart(
  document: SourceDocument,
  { start, end }: TextRange,
): SourceDocument {
  if (start === 0 && end === document.text.length) return document;
  const text = document.text.slice(start, end);
  const hash = sha256Hex(text);
  return { id: documentId(hash), hash, text };
}

/** One layout for all parts: each begins on a page of its own, as it does when it is drawn alone. */
async function measureParts(
  text: string,
  ranges: readonly TextRange[],
  pagesBefore: number,
  measure: MeasurePages,
): Promise<DocumentPart[]> {
  const starts: number[] = [];
  let joined = '';
  for (const [n, { start, end }] of ranges.entries()) {
    starts.push(joined.length);
    const own = text.slice(start, end);
    // The form feed ends the last line as its own end did.
    joined += n === ranges.length - 1 ? own : `${own.replace(/\r?\n$/, '')}\f`;
  }
  const pages = await measure(joined);
  let before = pagesBefore;
  return ranges.map((range, n) => {
    const [from, to] = [starts[n]!, starts[n + 1] ?? Number.POSITIVE_INFINITY];
    const own = pages.filter(({ start }) => start >= from && start < to);
    const part = {
      ...range,
      pagesBefore: before,
      pages: own.length,
      visualTokens: own.reduce((sum, { visualTokens }) => sum + visualTokens, 0),
    };
    before += own.length;
    return part;
  });
}

function rangeOfPages(
  document: SourceDocument,
  pages: readonly MeasuredPage[],
  { first, last, of }: PageRange,
): TextRange {
  const starts = of === 'file' ? fileStartsOf(document) : pages.map(({ start }) => start);
  if (first > starts.length) {
    throw new GlyphpressError('GP_USAGE', {
      message: `The document ends before page ${first}: it has ${starts.length}`,
      hint: 'Give an earlier first page.',
      details: { firstPage: first, pages: starts.length },
    });
  }
  const range = { start: starts[first - 1]!, end: starts[last] ?? document.text.length };
  if (document.text.slice(range.start, range.end).trim() !== '') return range;
  throw new GlyphpressError('GP_INPUT_EMPTY', {
    message: `Pages ${first} to ${last} hold no text`,
    hint: 'Give other pages.',
    details: { firstPage: first, lastPage: last },
  });
}

function fileStartsOf({ files = [] }: SourceDocument): number[] {
  const [file] = files;
  return (file?.pageStarts ?? []).map((start) => file!.start + start);
}

function pageTooLarge(largest: number, capacity: number): GlyphpressError {
  return new GlyphpressError('GP_CONTEXT_LENGTH', {
    message: `A page takes up to ${largest} visual tokens; a part may take ${capacity}`,
    hint: 'Draw smaller pages (--config, --set page-size=…), prune more right after the encoder, or allow larger parts.',
    details: { visualTokens: largest, limit: capacity },
  });
}
