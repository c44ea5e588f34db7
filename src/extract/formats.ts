/** Formats of documents beside plain text, and who reads them. */

import type { Extraction } from './extraction.js';
import { DOCX_TYPE, EPUB_TYPE, HTML_TYPE, PDF_TYPE } from './media-types.js';

export type FormatReader = (
  file: string,
  onProgress?: (done: number, total: number) => void,
) => Promise<Extraction>;

export const FORMATS = {
  [HTML_TYPE]: async (file) => {
    const { readFile } = await import('node:fs/promises');
    const { decodeHtml } = await import('./html-encoding.js');
    const { extractHtml } = await import('./html.js');
    return extractHtml(decodeHtml(await readFile(file)));
  },
  [PDF_TYPE]: async (file, onProgress) => (await import('./pdf.js')).pdfToText(file, onProgress),
  [DOCX_TYPE]: async (file) => (await import('./docx.js')).docxToText(file),
  [EPUB_TYPE]: async (file, onProgress) => (await import('./epub.js')).epubToText(file, onProgress),
  /** DOCX, EPUB, or something else: it shows inside. */
  'application/zip': async (file, onProgress) =>
    (await import('./archive.js')).archiveToText(file, onProgress),
  /** Old and encrypted Office documents. */
  'application/x-ole-storage': async (file) => (await import('./archive.js')).compoundToText(file),
} as const satisfies Record<string, FormatReader>;

export type Format = keyof typeof FORMATS;

export function isFormat(mediaType: string): mediaType is Format {
  return Object.hasOwn(FORMATS, mediaType);
}
