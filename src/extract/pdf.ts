/** PDF → the text that it carries, page by page. Pictures of text are not read. */

import { readFile } from 'node:fs/promises';
import { GlyphpressError } from '../errors.js';

const MAX_PAGES = 20_000;

export async function pdfToText(file: string): Promise<string> {
  // pdf.js makes such a matrix when it is loaded, and uses it for drawing only.
  (globalThis as { DOMMatrix?: unknown }).DOMMatrix ??= class {};
  const { getDocument, VerbosityLevel } = await import('pdfjs-dist/legacy/build/pdf.mjs');
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
    if (document.numPages > MAX_PAGES) throw unreadable(`it has ${document.numPages} pages`);
    const pages: string[] = [];
    for (let number = 1; number <= document.numPages; number++) {
      const page = await document.getPage(number);
      const { items } = await page.getTextContent();
      const text = items
        .map((item) => ('str' in item ? `${item.str}${item.hasEOL ? '\n' : ''}` : ''))
        .join('');
      pages.push(text.replace(/[ \t]+\n/g, '\n').trim());
      page.cleanup();
    }
    return pages.filter((page) => page !== '').join('\n\n');
  } catch (cause) {
    if (cause instanceof GlyphpressError) throw cause;
    const locked = (cause as Error).name === 'PasswordException';
    throw unreadable(locked ? 'it is locked with a password' : (cause as Error).message, cause);
  } finally {
    await task.destroy();
  }
}

function unreadable(problem: string, cause?: unknown): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FORMAT', {
    message: `The PDF cannot be read: ${problem}`,
    hint: 'Save it again without a password, or hand it in as text.',
    cause,
  });
}
