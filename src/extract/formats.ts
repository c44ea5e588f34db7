/** Forms of documents beside plain text, and who reads them. */

export const FORMATS = {
  'text/html': async (file: string) => {
    const { readFile } = await import('node:fs/promises');
    const { htmlToText } = await import('./html.js');
    return htmlToText(decodeHtml(await readFile(file)));
  },
  'application/pdf': async (file: string) => (await import('./pdf.js')).pdfToText(file),
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': async (file: string) =>
    (await import('./docx.js')).docxToText(file),
  'application/epub+zip': async (file: string) => (await import('./epub.js')).epubToText(file),
} as const satisfies Record<string, (file: string) => Promise<string>>;

export type Format = keyof typeof FORMATS;

export function isFormat(mediaType: string): mediaType is Format {
  return Object.hasOwn(FORMATS, mediaType);
}

/** By its byte order mark, else by what it says of itself, else UTF-8. */
function decodeHtml(bytes: Buffer): string {
  const head = bytes.subarray(0, 1024).toString('latin1');
  const stated = /<meta[^>]+charset\s*=\s*["']?\s*([\w-]+)/i.exec(head)?.[1];
  const marked =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : null;
  try {
    return new TextDecoder(marked ?? stated ?? 'utf-8').decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes); // it states an encoding that nobody knows
  }
}
