/** Page images and a question as the messages of a chat. */

import { GlyphpressError } from '../../errors.js';
import type { ChatMessage, ContentPart, ImageDetail } from './chat-request.js';

export interface PagePromptOptions {
  /** The system message. @defaultValue {@link PAGE_INSTRUCTIONS} where there are pages; null for none */
  instructions?: string | null | undefined;
  /** A line before each page that says its number. @defaultValue true */
  pageNumbers?: boolean | undefined;
  /** The resolution that OpenAI's models read images with. Left to the server if left out. */
  detail?: ImageDetail | undefined;
  /** A text of its own between pages and question. */
  textAfterPages?: string | undefined;
}

/** `saysNotFound` reads the answer that is asked for here. */
export const PAGE_INSTRUCTIONS =
  'The images are the pages of one document, in order. Answer the question from these pages alone. ' +
  'Copy names, numbers and identifiers exactly as they are printed. ' +
  'If the pages do not contain the answer, reply only: Not found.';

const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Base64 and JSON must fit into one string of the engine. */
const MAX_PAGE_BYTES = 256 * 1024 * 1024;

/**
 * @param pages PNG files in page order; they stand before the question in one user message
 * @throws {GlyphpressError} GP_BACKEND_REQUEST for a page that is no PNG, and for too many bytes
 * @throws the signal's reason when it aborts
 */
export async function pageMessages(
  pages: AsyncIterable<Buffer> | Iterable<Buffer>,
  question: string,
  options: PagePromptOptions = {},
  signal?: AbortSignal,
): Promise<ChatMessage[]> {
  const { pageNumbers = true, detail, textAfterPages } = options;
  const content: ContentPart[] = [];
  let page = 0;
  for await (const url of dataUrls(pages, signal)) {
    page++;
    if (pageNumbers) content.push({ type: 'text', text: `Page ${page}:` });
    content.push({ type: 'image_url', image_url: detail ? { url, detail } : { url } });
  }
  if (textAfterPages) content.push({ type: 'text', text: textAfterPages });
  content.push({ type: 'text', text: question });
  const { instructions = page > 0 ? PAGE_INSTRUCTIONS : null } = options;
  return [
    ...(instructions === null ? [] : [{ role: 'system' as const, content: instructions }]),
    { role: 'user', content },
  ];
}

async function* dataUrls(
  pages: AsyncIterable<Buffer> | Iterable<Buffer>,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  signal?.throwIfAborted();
  let page = 0;
  let bytes = 0;
  for await (const png of pages) {
    signal?.throwIfAborted();
    page++;
    bytes += png.length;
    if (!png.subarray(0, PNG_SIGNATURE.length).equals(PNG_SIGNATURE)) {
      throw new GlyphpressError('GP_BACKEND_REQUEST', {
        message: `Expected page ${page} as a PNG file, got ${png.length} other bytes`,
        hint: 'Pass pages as the renderer wrote them.',
        details: { page },
      });
    }
    if (bytes > MAX_PAGE_BYTES) {
      throw new GlyphpressError('GP_BACKEND_REQUEST', {
        message: `Expected pages of at most ${MAX_PAGE_BYTES} bytes in one request, got more at page ${page}`,
        hint: 'Ask about fewer pages at once.',
        details: { page, allowed: MAX_PAGE_BYTES },
      });
    }
    yield `data:image/png;base64,${png.toString('base64')}`;
  }
}
