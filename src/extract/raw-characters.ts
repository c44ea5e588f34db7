/**
 * Counts what stands between the tags of markup without understanding its structure: the measure that
 * extracted text is compared with. Linear, whatever the input.
 */

import { visibleCharacters } from './extraction.js';

/** Elements whose content is no text of the document. */
const NO_TEXT = new Set(['script', 'style', 'head', 'title', 'svg', 'template']);

/** @returns characters without white space; an entity counts as one */
export function rawCharacters(html: string): number {
  const lower = html.toLowerCase();
  /** Closing tags that do not come again: they are not looked for a second time. */
  const absent = new Set<string>();
  const after = (mark: string, from: number): number | null => {
    if (absent.has(mark)) return null;
    const at = lower.indexOf(mark, from);
    if (at < 0) absent.add(mark);
    return at < 0 ? null : at + mark.length;
  };
  let count = 0;
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf('<', at);
    const text = html.slice(at, open < 0 ? html.length : open);
    count += visibleCharacters(text.replace(/&(?:#\w{1,8}|\w{1,31});/g, '_'));
    if (open < 0) break;
    if (lower.startsWith('<!--', open)) {
      at = after('-->', open) ?? open + 4;
      continue;
    }
    const close = after('>', open);
    if (close === null) break;
    const name = /^<([a-z]{4,8})[\s>]/.exec(lower.slice(open, open + 10))?.[1];
    const isSelfClosed = html[close - 2] === '/';
    at = close;
    if (name !== undefined && NO_TEXT.has(name) && !isSelfClosed) {
      const end = after(`</${name}`, close);
      at = end === null ? close : (after('>', end) ?? html.length);
    }
  }
  return count;
}
