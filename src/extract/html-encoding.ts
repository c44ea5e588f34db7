/** Bytes of an HTML file → characters. */

import { decodeText } from './text-encoding.js';

/** By its byte order mark, else by what it says of itself, else as a plain text is. */
export function decodeHtml(bytes: Buffer): string {
  const marked =
    (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (!marked) {
    const head = bytes.subarray(0, 1024).toString('latin1');
    const stated = (/<meta[^>]+charset\s*=\s*["']?\s*([\w-]+)/i.exec(head) ??
      /^(?:\u00ef\u00bb\u00bf)?<\?xml[^>]+encoding\s*=\s*["']([\w-]+)/i.exec(head))?.[1];
    // A file whose head could be read as ASCII is in no encoding of two bytes, whatever it says.
    if (stated !== undefined && !/^utf-?16/i.test(stated)) {
      try {
        return new TextDecoder(stated).decode(bytes);
      } catch {
        // It declares an unknown encoding.
      }
    }
  }
  return decodeText(bytes, 'The HTML').text;
}
