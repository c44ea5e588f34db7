/** DOCX → text, by way of the HTML that mammoth makes of it. */

import mammoth from 'mammoth';
import { GlyphpressError } from '../errors.js';
import { type Extraction, type ExtractionNote, lossNote, visibleCharacters } from './extraction.js';
import { htmlToText } from './html.js';
import { ZipArchive } from './zip.js';

/** What mammoth reads text from. */
const READ = /^word\/(document|footnotes|endnotes|comments)\d*\.xml$/;
/** What stands on every page, and is not read. */
const MARGINS = /^word\/(header|footer)\d*\.xml$/;

export async function docxToText(file: string): Promise<Extraction> {
  const { body, margins } = await countText(file);
  let text: string;
  try {
    const { value } = await mammoth.convertToHtml(
      { path: file },
      // Pictures hold no text; as data they would only take memory.
      { convertImage: mammoth.images.imgElement(async () => ({ src: '' })) },
    );
    text = htmlToText(value);
  } catch (cause) {
    if (cause instanceof GlyphpressError) throw cause;
    throw new GlyphpressError('GP_INPUT_FORMAT', {
      message: `The DOCX cannot be read: ${(cause as Error).message}`,
      hint: 'Open the document and save it again.',
      cause,
    });
  }
  const notes: ExtractionNote[] = lossNote(text, body);
  if (margins > 0) {
    notes.push({
      kind: 'not-read',
      message: `headers and footers of pages are not read (${margins} characters)`,
    });
  }
  return { text, notes };
}

/**
 * Characters in the runs of text, without white space. Unpacks every entry once: mammoth trusts the sizes
 * that are stated.
 */
async function countText(file: string): Promise<{ body: number; margins: number }> {
  const archive = await ZipArchive.open(file);
  const count = { body: 0, margins: 0 };
  try {
    for (const name of archive.names) {
      if (name.endsWith('/')) continue;
      const bytes = await archive.read(name);
      if (READ.test(name)) count.body += runCharacters(bytes.toString('utf8'));
      else if (MARGINS.test(name)) count.margins += runCharacters(bytes.toString('utf8'));
    }
  } finally {
    archive.close();
  }
  return count;
}

function runCharacters(xml: string): number {
  // What is written twice, for old programs, counts once.
  const once = xml.replace(/<mc:Fallback\b[\s\S]*?<\/mc:Fallback>/g, '');
  let count = 0;
  for (const [, text] of once.matchAll(/<w:t(?:\s[^>]*)?>([^<]*)<\/w:t>/g))
    count += visibleCharacters(text!.replace(/&(?:#\w{1,8}|\w{1,31});/g, '_'));
  return count;
}
