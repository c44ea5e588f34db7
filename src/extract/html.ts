/** HTML → the text that a reader would see. */

import { parseHTML } from 'linkedom';

/** Never shown, or shown as something else than text. */
const SKIPPED = new Set(
  'script style noscript template head svg math iframe object embed canvas audio video select textarea'.split(
    ' ',
  ),
);

const BLOCKS = new Set(
  'address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main nav ol p pre section summary table tbody tfoot thead tr ul'.split(
    ' ',
  ),
);

/** A blank line before and after. */
const PARAGRAPHS = new Set(
  'blockquote dl figure h1 h2 h3 h4 h5 h6 ol p pre section table ul'.split(' '),
);

/** Text that was made invisible is meant for machines, often against their users. */
const INVISIBLE =
  /(display\s*:\s*none|visibility\s*:\s*(hidden|collapse)|font-size\s*:\s*0+(\.0+)?\s*([a-z%]|;|$)|opacity\s*:\s*0+(\.0+)?\s*(;|$))/i;

interface ElementLike {
  localName: string;
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
}

interface NodeLike {
  nodeType: number;
  nodeValue: string | null;
  childNodes: Iterable<NodeLike>;
}

export function htmlToText(html: string): string {
  // linkedom wants an element to begin with; a bare fragment gets one.
  const source = /<(html|body)[\s>]/i.test(html) ? html : `<html><body>${html}</body></html>`;
  const { document } = parseHTML(source);
  const writer = new TextWriter();
  write(document.documentElement as unknown as NodeLike, writer, false);
  return writer.text();
}

function write(node: NodeLike, out: TextWriter, pre: boolean): void {
  if (node.nodeType === 3) {
    out.add(node.nodeValue ?? '', pre);
    return;
  }
  if (node.nodeType !== 1) return;
  const element = node as unknown as ElementLike;
  const name = element.localName.toLowerCase();
  if (SKIPPED.has(name) || isInvisible(element)) return;
  if (name === 'br') {
    out.newline();
    return;
  }
  const breaks = PARAGRAPHS.has(name) ? 2 : BLOCKS.has(name) ? 1 : 0;
  out.breakLine(breaks);
  if (name === 'li') out.add('- ', true);
  if (name === 'td' || name === 'th') out.cell();
  for (const child of node.childNodes) write(child, out, pre || name === 'pre');
  if (name === 'img') out.add(element.getAttribute('alt') ?? '', false);
  out.breakLine(breaks);
}

function isInvisible(element: ElementLike): boolean {
  return (
    element.hasAttribute('hidden') ||
    element.getAttribute('aria-hidden') === 'true' ||
    INVISIBLE.test(element.getAttribute('style') ?? '')
  );
}

/** Collapses white space as a browser does, and breaks lines where blocks begin and end. */
class TextWriter {
  readonly #parts: string[] = [];
  #breaks = 2;
  #space = false;
  #empty = true;

  add(text: string, pre: boolean): void {
    if (pre) {
      if (text === '') return;
      this.#flush();
      this.#parts.push(text);
      if (text.endsWith('\n')) this.#breaks = 1;
      return;
    }
    // No-break spaces stay what they are.
    const words = text.replace(/[ \t\n\r\f]+/g, ' ');
    if (words === '') return;
    if (words.startsWith(' ') && this.#breaks === 0) this.#space = true;
    const trimmed = words.replace(/^ | $/g, '');
    if (trimmed === '') return;
    this.#flush();
    this.#parts.push(trimmed);
    this.#space = words.endsWith(' ');
  }

  newline(): void {
    this.#space = false;
    if (!this.#empty) this.#parts.push('\n');
    this.#breaks = Math.max(this.#breaks, 0);
  }

  breakLine(count: number): void {
    if (count === 0) return;
    this.#space = false;
    this.#breaks = Math.max(this.#breaks, count);
  }

  /** Cells of a row stand side by side. */
  cell(): void {
    if (this.#breaks === 0) {
      this.#parts.push('\t');
      this.#space = false;
    }
  }

  text(): string {
    return this.#parts
      .join('')
      .replace(/[ \t]+\n/g, '\n')
      .replace(/\n{3,}/g, '\n\n')
      .trim();
  }

  #flush(): void {
    if (this.#breaks > 0 && !this.#empty) this.#parts.push('\n'.repeat(this.#breaks));
    else if (this.#space && !this.#empty) this.#parts.push(' ');
    this.#breaks = 0;
    this.#space = false;
    this.#empty = false;
  }
}
