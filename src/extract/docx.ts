/** DOCX → text, by way of the HTML that mammoth makes of it. */

import mammoth from 'mammoth';
import { GlyphpressError } from '../errors.js';
import { htmlToText } from './html.js';
import { ZipArchive } from './zip.js';

export async function docxToText(file: string): Promise<string> {
  const archive = await ZipArchive.open(file);
  try {
    await archive.verify();
  } finally {
    archive.close();
  }
  try {
    const { value } = await mammoth.convertToHtml(
      { path: file },
      // Pictures hold no text; as data they would only take memory.
      { convertImage: mammoth.images.imgElement(async () => ({ src: '' })) },
    );
    return htmlToText(value);
  } catch (cause) {
    throw new GlyphpressError('GP_INPUT_FORMAT', {
      message: `The DOCX cannot be read: ${(cause as Error).message}`,
      hint: 'Open the document and save it again.',
      cause,
    });
  }
}
