/**
 * Document → how well a reader can read its pages, without a question: every page is drawn, encoded and
 * read by the legibility probe, and compared with the text that stands there. No decoder runs. One page is
 * in memory at a time, besides those that are drawn ahead and those of the worst places.
 */
import path from 'node:path';
import {
  DocumentRendering,
  fitToCells,
  type RenderConfig,
  type RenderedPage,
  type RenderOptions,
  renderConfigId,
} from '../../render/index.js';
import { LegibilityProbe, type VisionLanguageModel } from '../../vlm/index.js';
import { decodePage } from '../artifacts/page-images.js';
import { type Rectangle, rectangleOf } from '../citing/citations.js';
import type { SourceDocument } from '../read-document.js';
import { proofLine } from './proof-line.js';
import { type ReadLine, readPage } from './read-page.js';

export interface ProofPage {
  /** From 1. */
  page: number;
  /** Without empty ones. */
  lines: number;
  /** Of the source, white space collapsed. */
  characters: number;
  edits: number;
  characterErrorRate: number;
}

/** A place that is read badly. */
export interface ProofSpan {
  page: number;
  /** Source range from the first wrong character to the last, to whole words. */
  start: number;
  end: number;
  rect: Rectangle;
  edits: number;
  /** The line, as it stands there and as it is read. */
  shown: string;
  read: string;
}

/** How often one character was read as another; an empty string is none. */
export interface Confusion {
  shown: string;
  read: string;
  count: number;
}

export interface ProofReport {
  documentId: string;
  model: string;
  renderConfigId: string;
  pages: ProofPage[];
  characters: number;
  edits: number;
  /** Edits ÷ characters over all pages. */
  characterErrorRate: number;
  /** Most edits first. */
  worst: ProofSpan[];
  /** Most frequent first. */
  confusions: Confusion[];
  timings: {
    /** Spent on the tower and the probe; the rest of the total is mostly waiting for pages. */
    encodeMs: number;
    totalMs: number;
  };
}

export interface ProofreadOptions extends RenderOptions {
  /** Places to tell of. @defaultValue 10 */
  worst?: number;
  /** Keep the pages of the worst places. @defaultValue false */
  keepPages?: boolean;
  /** `share` is that of the document, 0 to 1. */
  onPage?: ((progress: { pagesDone: number; share: number }) => void) | undefined;
}

export interface Proof {
  report: ProofReport;
  /** By number, from 1: PNG pages that hold one of the worst places. */
  pages: Map<number, Buffer>;
}

const DEFAULT_WORST = 10;
const CONFUSIONS = 20;

/** @throws {GlyphpressError} GP_CHECKPOINT for a model without a legibility probe, GP_USAGE for pages behind the end */
export async function proofread(
  document: SourceDocument,
  givenConfig: RenderConfig,
  model: VisionLanguageModel,
  options: ProofreadOptions,
): Promise<Proof> {
  const started = performance.now();
  const config = fitToCells(givenConfig, model.vision.cellPx);
  const probe = LegibilityProbe.open(model.info.dir, model.vision.tokenWidth);
  const { worst = DEFAULT_WORST, keepPages = false, onPage, ...renderOptions } = options;
  const tally = new Tally(document.text, worst);
  let encodeMs = 0;
  const rendering = new DocumentRendering(document.text, config, renderOptions);
  try {
    for await (const page of rendering.pages()) {
      const from = performance.now();
      const encoded = await model.encodeImage(await decodePage(page.png));
      tally.add(page, readPage(probe.read(encoded), page), keepPages);
      encodeMs += performance.now() - from;
      onPage?.({
        pagesDone: tally.pages.length,
        share: page.lines.at(-1)!.end / document.text.length,
      });
    }
  } finally {
    await rendering.close();
  }
  const sum = (field: 'characters' | 'edits') =>
    tally.pages.reduce((total, page) => total + page[field], 0);
  const [characters, edits] = [sum('characters'), sum('edits')];
  return {
    report: {
      documentId: document.id,
      model: path.basename(model.info.dir),
      renderConfigId: renderConfigId(config),
      pages: tally.pages,
      characters,
      edits,
      characterErrorRate: rate(edits, characters),
      worst: tally.worst,
      confusions: tally.confusions(CONFUSIONS),
      timings: { encodeMs, totalMs: performance.now() - started },
    },
    pages: tally.kept,
  };
}

const rate = (edits: number, characters: number) => edits / Math.max(1, characters);

/** What is known of the pages so far. Memory does not grow but for one record a page. */
export class Tally {
  readonly pages: ProofPage[] = [];
  worst: ProofSpan[] = [];
  readonly kept = new Map<number, Buffer>();
  readonly #confusions = new Map<string, Confusion>();

  constructor(
    private readonly source: string,
    private readonly places: number,
  ) {}

  add(
    page: Pick<RenderedPage, 'index' | 'lines' | 'advances' | 'png'>,
    reading: Pick<ReturnType<typeof readPage>, 'lines' | 'stray'>,
    keepPage = false,
  ): void {
    const number = page.index + 1;
    // What is seen where nothing stands is wrong in every character.
    let edits = reading.stray.reduce((sum, text) => sum + text.replace(/\s/g, '').length, 0);
    let characters = 0;
    let lines = 0;
    for (const line of reading.lines) {
      const proof = proofLine(this.source, line.start, line.end, line.text);
      characters += proof.characters;
      if (proof.characters > 0) lines += 1;
      edits += proof.edits.length;
      for (const { wanted, read } of proof.edits) this.#confuse(wanted ?? '', read ?? '');
      if (proof.wrong) this.#rank(page, line, proof.wrong, proof.edits.length);
    }
    this.pages.push({
      page: number,
      lines,
      characters,
      edits,
      characterErrorRate: rate(edits, characters),
    });
    if (keepPage) this.kept.set(number, page.png);
    for (const known of this.kept.keys()) {
      if (this.worst.every((span) => span.page !== known)) this.kept.delete(known);
    }
  }

  confusions(count: number): Confusion[] {
    return [...this.#confusions.values()]
      .sort((a, b) => b.count - a.count || (a.shown + a.read < b.shown + b.read ? -1 : 1))
      .slice(0, count);
  }

  #confuse(shown: string, read: string): void {
    const key = `${shown}\0${read}`;
    const known = this.#confusions.get(key);
    if (known) known.count += 1;
    else this.#confusions.set(key, { shown, read, count: 1 });
  }

  #rank(
    page: Pick<RenderedPage, 'index' | 'lines' | 'advances'>,
    line: ReadLine,
    { start, end }: { start: number; end: number },
    edits: number,
  ): void {
    if (this.worst.length === this.places && edits <= (this.worst.at(-1)?.edits ?? 0)) return;
    const rect = rectangleOf(page, this.source, start, end) ?? line.rect;
    const shown = this.source.slice(line.start, line.end).replace(/\s+/g, ' ').trim();
    const span = { page: page.index + 1, start, end, rect, edits, shown, read: line.text };
    this.worst = [...this.worst, span].sort((a, b) => b.edits - a.edits).slice(0, this.places);
  }
}
