/** PDF → the text that it carries, page by page. Pictures of text are not read. */

import { readFile } from 'node:fs/promises';
import { GlyphpressError } from '../errors.js';
import type { Extraction, ExtractionNote } from './extraction.js';

const MAX_PAGES = 20_000;
/** Maximum number of pages without text that are searched for images. */
const MAX_LOOKED_AT = 20;
/** Share of characters without a meaning from which a reader should know. */
const UNMAPPED_SHARE = 0.01;

/** @param onProgress pages that are read, of how many */
export async function pdfToText(
  file: string,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<Extraction> {
  // pdf.js makes such a matrix when it is loaded, and uses it for drawing only.
  (globalThis as { DOMMatrix?: unknown }).DOMMatrix ??= class {};
  const { getDocument, VerbosityLevel, OPS } = await import('pdfjs-dist/legacy/build/pdf.mjs');
  const pictures = new Set<number>([
    OPS.paintImageXObject,
    OPS.paintInlineImageXObject,
    OPS.paintImageMaskXObject,
    OPS.paintImageXObjectRepeat,
  ]);
  const task = getDocument({
    data: new Uint8Array(await readFile(file)),
    isEvalSupported: false,
    disableFontFace: true,
    useSystemFonts: false,
    useWorkerFetch: false,
    enableXfa: false,
    stopAtErrors: false,
    verbosity: VerbosityLevel.ERRORS,
  });
  try {
    const document = await task.promise;
    const { numPages } = document;
    if (numPages > MAX_PAGES) throw unreadable(`it has ${numPages} pages`);
    const pages: string[] = [];
    const empty: number[] = [];
    let scanned = 0;
    for (let number = 1; number <= numPages; number++) {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      const text = items
        .map((item) => ('str' in item ? `${item.str}${item.hasEOL ? '\n' : ''}` : ''))
        .join('')
        .split('\n')
        .map((line) => line.trimEnd())
        .join('\n')
        .trim();
      pages.push(text);
      if (text === '') {
        empty.push(number);
        if (empty.length <= MAX_LOOKED_AT) {
          const { fnArray } = await page.getOperatorList();
          if (fnArray.some((operation) => pictures.has(operation))) scanned++;
        }
      }
      page.cleanup();
      onProgress(number, numPages);
    }
    if (empty.length === numPages && scanned > 0) throw onlyPictures(numPages);
    const joined = joinPages(pages);
    return { ...joined, notes: notesOf(joined.text, empty, scanned, numPages) };
  } catch (cause) {
    if (cause instanceof GlyphpressError) throw cause;
    if ((cause as Error).name === 'PasswordException') throw locked(cause);
    throw unreadable((cause as Error).message, cause);
  } finally {
    await task.destroy();
  }
}

function joinPages(pages: readonly string[]): { text: string; pageStarts: number[] } {
  const pageStarts: number[] = [];
  let text = '';
  for (const page of pages) {
    if (page !== '' && text !== '') text += '\n\n';
    pageStarts.push(text.length);
    text += page;
  }
  return { text, pageStarts };
}

function notesOf(
  text: string,
  empty: readonly number[],
  scanned: number,
  numPages: number,
): ExtractionNote[] {
  const notes: ExtractionNote[] = [];
  if (scanned > 0) {
    const named = `${empty.slice(0, 8).join(', ')}${empty.length > 8 ? ', …' : ''}`;
    notes.push({
      kind: 'pages-without-text',
      message: `${empty.length} of ${numPages} pages hold no text, some of them pictures: ${named}`,
    });
  }
  // Glyphs without a character: U+FFFD, private use, control codes.
  const unmapped = text.match(/[\ufffd\ue000-\uf8ff\u0001-\u0008\u000e-\u001f]/g)?.length ?? 0;
  if (unmapped > UNMAPPED_SHARE * text.length) {
    const share = Math.round((100 * unmapped) / text.length);
    notes.push({
      kind: 'unmapped-characters',
      message: `${unmapped} characters (${share} %) have no meaning that the PDF states; text recognition may read it better`,
    });
  }
  return notes;
}

function onlyPictures(numPages: number): GlyphpressError {
  return new GlyphpressError('GP_INPUT_SCANNED', {
    message: `The PDF holds pictures of its ${numPages === 1 ? 'page' : `${numPages} pages`} and no text`,
    hint: 'Run it through text recognition first, for example: ocrmypdf scan.pdf text.pdf.',
    details: { pages: numPages },
  });
}

function locked(cause: unknown): GlyphpressError {
  return new GlyphpressError('GP_INPUT_ENCRYPTED', {
    message: 'The PDF is locked with a password',
    hint: 'Save it without a password, for example: qpdf --decrypt --password=… locked.pdf open.pdf.',
    cause,
  });
}

function unreadable(problem: string, cause?: unknown): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FORMAT', {
    message: `The PDF cannot be read: ${problem}`,
    hint: 'Save it again with the program that made it, or hand it in as text.',
    cause,
  });
}
