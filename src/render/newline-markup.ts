/** What a line break of the source looks like on the page (Glyph's `newline-markup`). */

import { normalColor } from './color.js';

/** `<br/>` in any of its spellings. */
export function isLineBreakMarkup(markup: string): boolean {
  return /^\s*<br\s*\/?>\s*$/i.test(markup);
}

export interface NewlineMark {
  text: string;
  /** `#rrggbb`, or null for the text colour. */
  color: string | null;
}

/**
 * The visible mark that replaces a line break, or null when breaks stay breaks. Understands what
 * Glyph's configs hold: plain text, or text in one `<font color="…">` element.
 */
export function newlineMark(markup: string): NewlineMark | null {
  if (isLineBreakMarkup(markup)) return null;
  const font = /^<font\s+color="(#[0-9a-f]{3}|#[0-9a-f]{6})"\s*>([^<>]*)<\/font>$/i.exec(markup);
  if (font) return { text: font[2]!, color: normalColor(font[1]!) };
  return { text: markup, color: null };
}

/** A markup is a line break, plain text, or one <font> element: never other tags. */
export function isDrawableMarkup(markup: string): boolean {
  if (isLineBreakMarkup(markup)) return true;
  const mark = newlineMark(markup)!;
  return !/[<>\n\r\f\v]/.test(mark.text) && mark.text.length > 0;
}
