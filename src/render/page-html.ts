/** The one HTML document that Chromium ever loads: style and fonts, no text of the user's. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Page } from 'puppeteer';
import { GlyphpressError } from '../errors.js';
import type { LineBreaking } from './config-schema.js';
import type { FontFace } from './fonts.js';

export interface PageStyle {
  faces: readonly FontFace[];
  families: readonly string[];
  fontSizePx: number;
  lineWidthPx: number;
  firstLineIndentPx: number;
  lineOverlapPx: number;
  lineBreaking: LineBreaking;
}

/** Layout rows are this far apart; drawing uses the config's own pitch. */
function layoutRowPx(fontSizePx: number): number {
  return Math.ceil(fontSizePx * 2);
}

/** CSS `font` value that layout and drawing share. */
export function cssFont(style: Pick<PageStyle, 'families' | 'fontSizePx'>): string {
  return `400 ${style.fontSizePx}px ${style.families.map((family) => `"${family}"`).join(', ')}`;
}

/**
 * Everything in here comes from checked numbers, fixed names and font bytes. Flows are laid out, but
 * hidden: pages are drawn on a canvas, so Chromium need not paint them.
 */
function pageHtml(style: PageStyle): string {
  const wrap =
    style.lineBreaking === 'anywhere'
      ? // Spaces take their place, too: a line is full to the last column.
        'white-space: break-spaces; word-break: break-all; line-break: anywhere;'
      : 'white-space: pre-wrap; overflow-wrap: anywhere;';
  return `<!doctype html><html><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; font-src data:">
<style>
${style.faces.map(fontFaceRule).join('\n')}
html, body { margin: 0; padding: 0; }
#flows { width: ${style.lineWidthPx}px; font: ${cssFont(style)}; line-height: ${layoutRowPx(style.fontSizePx)}px;
  visibility: hidden; ${wrap} text-rendering: optimizeSpeed; font-kerning: none; text-align: start; }
#flows > div { padding-inline-start: ${style.lineOverlapPx}px; text-indent: ${-style.lineOverlapPx}px; }
#flows > .indent { text-indent: ${style.firstLineIndentPx - style.lineOverlapPx}px; }
#flows > .goes-on { text-indent: 0; }
</style></head><body><div id="flows"></div></body></html>`;
}

/** Loads the document and its fonts into a fresh page. */
export async function preparePage(page: Page, style: PageStyle): Promise<void> {
  await page.setContent(pageHtml(style));
  const failed = await page.evaluate(async () => {
    const faces = await Promise.allSettled([...document.fonts].map((face) => face.load()));
    return faces.filter((face) => face.status === 'rejected').map((face) => String(face.reason));
  });
  if (failed.length > 0) {
    throw new GlyphpressError('GP_FONT', {
      message: `Chromium refuses ${failed.length} of ${style.faces.length} fonts: ${failed[0]}`,
      hint: `Check the font file ${style.faces[0]!.file}.`,
      details: { files: style.faces.map((face) => face.file) },
    });
  }
}

const MIME_TYPES: Readonly<Record<string, string>> = {
  '.ttf': 'font/ttf',
  '.otf': 'font/otf',
  '.woff': 'font/woff',
  '.woff2': 'font/woff2',
};

function fontFaceRule(face: FontFace): string {
  const mime = MIME_TYPES[path.extname(face.file).toLowerCase()] ?? 'font/sfnt';
  const data = readFileSync(face.file).toString('base64');
  const range = face.unicodeRange === null ? '' : ` unicode-range: ${face.unicodeRange};`;
  return `@font-face { font-family: "${face.family}"; font-weight: 100 900; src: url(data:${mime};base64,${data});${range} }`;
}
