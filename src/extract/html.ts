/**
 * HTML and XHTML → the text that a reader would see. Markup is read as a stream: no tree is built, nothing
 * is loaded, no entity of a document type is expanded, and nesting costs no stack.
 */

import { Parser } from 'htmlparser2';
import { GlyphpressError } from '../errors.js';
import { type Extraction, lossNote } from './extraction.js';
import { rawCharacters } from './raw-characters.js';
import { TableWriter } from './table-writer.js';
import { TextWriter } from './text-writer.js';

/** Never shown, or shown as something else than text. */
const SKIPPED = new Set(
  'script style noscript template head title svg math iframe object embed canvas audio video select textarea'.split(
    ' ',
  ),
);

const BLOCKS = new Set(
  'address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main nav ol p pre section summary table ul'.split(
    ' ',
  ),
);

/** A blank line before and after. */
const PARAGRAPHS = new Set(
  'blockquote dl figure h1 h2 h3 h4 h5 h6 ol p pre section table ul'.split(' '),
);

/** What belongs to a table; its sections (thead, tbody) say nothing that its rows do not. */
const TABLE_PARTS = new Set(['table', 'tr', 'td', 'th']);

const HEADING = /^h[1-6]$/;

/** Text that was made invisible is meant for machines, often against their users. */
const INVISIBLE =
  /(display\s*:\s*none|visibility\s*:\s*(hidden|collapse)|font-size\s*:\s*0+(\.0+)?\s*([a-z%]|;|$)|opacity\s*:\s*0+(\.0+)?\s*(;|$))/i;

/** Maximum nesting depth of elements; browsers stop at 512. */
const MAX_DEPTH = 10_000;

/** @throws {GlyphpressError} GP_INPUT_FORMAT for markup that is nested without end */
export function extractHtml(html: string): Extraction {
  const text = htmlToText(html);
  return { text, notes: lossNote(text, rawCharacters(html)) };
}

/** @throws {GlyphpressError} GP_INPUT_FORMAT for markup that is nested without end */
export function htmlToText(html: string): string {
  const reader = new MarkupReader();
  const parser = new Parser(reader, {
    // XHTML closes any element with a slash: `<title/>` must not swallow what follows.
    recognizeSelfClosing: true,
    recognizeCDATA: true,
  });
  parser.write(html);
  parser.end();
  return reader.text();
}

interface OpenTable {
  table: TableWriter;
  /** Where the text of the cell goes that is open now; null between cells. */
  cell: ReturnType<TableWriter['openCell']> | null;
}

class MarkupReader {
  readonly #root = new TextWriter();
  readonly #tables: OpenTable[] = [];
  #depth = 0;
  /** Depth of the element that is left out with all it holds; null outside of one. */
  #skippedAt: number | null = null;
  #preformatted = 0;
  /** Lists that are open: the number of the next item, or null for bullets. */
  readonly #lists: (number | null)[] = [];

  onopentag(name: string, attributes: Record<string, string>): void {
    if (++this.#depth > MAX_DEPTH) throw endless();
    if (this.#skippedAt !== null) return;
    if (SKIPPED.has(name) || isInvisible(attributes)) {
      this.#skippedAt = this.#depth;
      return;
    }
    if (name === 'br') this.#out.newline();
    else if (name === 'img') this.#out.add(attributes.alt ?? '');
    else if (TABLE_PARTS.has(name)) this.#openTablePart(name, attributes);
    else this.#openBlock(name);
  }

  ontext(text: string): void {
    if (this.#skippedAt !== null) return;
    if (this.#preformatted > 0) this.#out.addVerbatim(text);
    else this.#out.add(text);
  }

  onclosetag(name: string): void {
    const depth = this.#depth--;
    if (this.#skippedAt !== null) {
      if (depth === this.#skippedAt) this.#skippedAt = null;
      return;
    }
    if (TABLE_PARTS.has(name)) {
      this.#closeTablePart(name);
      return;
    }
    if (name === 'pre') this.#preformatted--;
    if (name === 'ol' || name === 'ul') this.#lists.pop();
    this.#out.breakLine(breaksAround(name));
  }

  text(): string {
    while (this.#tables.length > 0) this.#closeTable();
    return this.#root.text();
  }

  get #table(): OpenTable | undefined {
    return this.#tables.at(-1);
  }

  get #out(): TextWriter {
    const open = this.#table;
    if (!open) return this.#root;
    return open.cell?.writer ?? open.table.outer;
  }

  #openBlock(name: string): void {
    if (HEADING.test(name) && this.#table?.cell) this.#table.cell.structured = true;
    if (name === 'pre') this.#preformatted++;
    this.#out.breakLine(breaksAround(name));
    if (name === 'ol') this.#lists.push(1);
    if (name === 'ul') this.#lists.push(null);
    if (name === 'li') this.#out.addMarker(this.#nextMarker());
  }

  #nextMarker(): string {
    const number = this.#lists.pop() ?? null;
    this.#lists.push(number === null ? null : number + 1);
    return number === null ? '- ' : `${number}. `;
  }

  /** A row or a cell outside of a table is a block like any other. */
  #openTablePart(name: string, { colspan, rowspan }: Record<string, string>): void {
    const open = this.#table;
    if (name === 'table') {
      if (open?.cell) open.cell.structured = true;
      this.#out.breakLine(breaksAround('table'));
      this.#tables.push({ table: new TableWriter(this.#out), cell: null });
    } else if (!open) {
      this.#out.breakLine(1);
    } else if (name === 'tr') {
      open.cell = null;
      open.table.closeRow();
    } else {
      open.cell = open.table.openCell(Number(colspan ?? 1), Number(rowspan ?? 1));
    }
  }

  #closeTablePart(name: string): void {
    if (name === 'table') this.#closeTable();
    else if (this.#table && name === 'tr') this.#table.table.closeRow();
    else if (this.#table) this.#table.cell = null;
  }

  #closeTable(): void {
    const open = this.#tables.pop();
    if (!open) return;
    const { table } = open;
    table.outer.breakLine(breaksAround('table'));
    table.outer.addVerbatim(table.text());
    table.outer.breakLine(breaksAround('table'));
  }
}

function breaksAround(name: string): number {
  return PARAGRAPHS.has(name) ? 2 : BLOCKS.has(name) ? 1 : 0;
}

function isInvisible(attributes: Record<string, string>): boolean {
  return (
    'hidden' in attributes ||
    attributes['aria-hidden'] === 'true' ||
    INVISIBLE.test(attributes.style ?? '')
  );
}

function endless(): GlyphpressError {
  return new GlyphpressError('GP_INPUT_FORMAT', {
    message: `The document nests elements more than ${MAX_DEPTH} deep`,
    hint: 'Hand it in as text.',
  });
}
