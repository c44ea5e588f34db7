/** Text → pages, in order, with bounded memory: one browser lays out, all of them draw. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { GlyphpressError } from '../errors.js';
import { breakLines } from './break-lines.js';
import { type ChromiumOptions, PageSlot, TEXT_FLAGS } from './chromium.js';
import type { RenderConfig } from './config-schema.js';
import { type DisplayCounts, DisplayText } from './display-text.js';
import { AdvanceMeter, drawPage, installDrawing } from './draw-page.js';
import { type FontSubstitution, fontsHash, isFile, resolveFonts } from './fonts.js';
import type { GlyphAdvances } from './glyph-advances.js';
import { layoutFlows } from './layout-page.js';
import { newlineMark } from './newline-markup.js';
import { pageGeometry } from './page-geometry.js';
import { type PageStyle, preparePage } from './page-html.js';
import { type PagePlan, paginate } from './paginate.js';
import { plannedSize } from './planned-size.js';
import { renderConfigId } from './render-config.js';
import { SlotQueue } from './slot-queue.js';

/** Raised whenever the same text and config would give other bytes. */
const RENDERER_VERSION = 2;

export interface LineBox {
  /** Rectangle in page pixels. */
  x: number;
  y: number;
  width: number;
  height: number;
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
}

export interface RenderedPage {
  /** 0-based. */
  index: number;
  png: Buffer;
  widthPx: number;
  heightPx: number;
  lines: LineBox[];
  /** Of the characters on it; absent where all are equally wide, and from pages of an earlier version. */
  advances?: GlyphAdvances;
}

/** A page as the layout knows it. */
export interface PageLayout {
  /** 0-based. */
  index: number;
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
  /** See {@link plannedSize} for how exact these are where pages are cropped. */
  widthPx: number;
  heightPx: number;
}

/** With the lines as they will be drawn. */
export interface LaidOutPage extends PageLayout, Pick<RenderedPage, 'lines' | 'advances'> {}

/** What the whole run tells, complete once all pages were taken. */
export interface RenderSummary {
  renderConfigId: string;
  /** Chromium, flags, fonts and code that drew the pages: equal fingerprints give equal bytes. */
  renderer: RendererFingerprint;
  characters: number;
  counts: DisplayCounts;
  /** Some of the characters without a glyph, as `U+XXXX`. */
  missingSample: string[];
  fontSubstitution: FontSubstitution | null;
  browserRestarts: number;
}

/**
 * What the look of a page depends on, knowable without a browser: config, code, and the bytes of a
 * font of the user's. (Bundled fonts are pinned with the code; which Chromium drew is recorded.)
 */
export function renderingId(config: RenderConfig): string {
  const hash = createHash('sha256').update(`${RENDERER_VERSION}:${renderConfigId(config)}`);
  if (config.fontPath && isFile(config.fontPath)) hash.update(readFileSync(config.fontPath));
  return hash.digest('hex').slice(0, 16);
}

export interface RendererFingerprint {
  version: number;
  browser: string;
  flags: readonly string[];
  fonts: string;
}

export interface RenderOptions {
  chromium: ChromiumOptions;
  /** Browsers that draw side by side. @defaultValue cores, at most 4 */
  browsers?: number | undefined;
  /** Only these pages (0-based, end exclusive) are drawn; the others are only laid out. */
  pageRange?: { start: number; end: number };
  /** The lines of the page are known before its pixels are: for progress. */
  onPlanned?: (progress: { pages: number; sourceOffset: number }) => void;
  signal?: AbortSignal | undefined;
}

/** Drawn where lines are numbered, whatever the text holds. */
const DIGITS = '0123456789';

/** Pages drawn ahead of the one that is taken next, for each that can be under way. */
const PAGES_AHEAD = 3;

/** A further browser starts in the time that one takes for about this much text. */
const CHARACTERS_WORTH_A_BROWSER = 60_000;

/** One document on its way to pages. Close it, also after an error. */
export class DocumentRendering {
  readonly #source: string;
  readonly #config: RenderConfig;
  readonly #options: RenderOptions;
  readonly #display: DisplayText;
  readonly #slots: PageSlot[];
  readonly #fonts: ReturnType<typeof resolveFonts>;
  readonly #style: PageStyle;
  readonly #geometry: ReturnType<typeof pageGeometry>;

  /**
   * @param source the text, UTF-16; must hold at least one visible character
   * @throws {GlyphpressError} GP_INPUT_EMPTY, GP_FONT
   */
  constructor(source: string, config: RenderConfig, options: RenderOptions) {
    if (source.trim() === '') {
      throw new GlyphpressError('GP_INPUT_EMPTY', {
        message: `The document holds no visible text (${source.length} characters)`,
        hint: 'Give a text with at least one character that is not white space.',
      });
    }
    this.#source = source;
    this.#config = config;
    this.#options = options;
    this.#fonts = resolveFonts(config);
    this.#geometry = pageGeometry(config);
    const mark = newlineMark(config.newlineMarkup);
    this.#style = {
      faces: this.#fonts.facesFor(source + (mark?.text ?? '') + (config.lineNumbers ? DIGITS : '')),
      families: this.#fonts.families,
      fontSizePx: this.#geometry.fontSizePx,
      lineWidthPx: this.#geometry.lineWidthPx,
      firstLineIndentPx: this.#geometry.firstLineIndentPx,
      lineOverlapPx: this.#geometry.lineOverlapPx,
      lineBreaking: config.lineBreaking,
    };
    this.#display = this.#displayText();
    const browsers = Math.min(
      options.browsers ?? Math.min(4, availableParallelism()),
      1 + Math.floor(source.length / CHARACTERS_WORTH_A_BROWSER),
    );
    this.#slots = Array.from(
      { length: browsers },
      () =>
        new PageSlot(options.chromium, async (page) => {
          await preparePage(page, this.#style);
          await installDrawing(page, this.#style, this.#geometry, config);
        }),
    );
  }

  /** All pages, laid out and not drawn: what {@link pages} would give, but for the pixels. */
  async *layout(): AsyncGenerator<LaidOutPage> {
    const queue = new SlotQueue(this.#slots.slice(0, 1));
    const meter = new AdvanceMeter();
    for await (const plan of this.#plans(this.#displayText(), queue)) {
      this.#options.signal?.throwIfAborted();
      const { index, lines } = plan;
      const advances = await queue.runFirst((slot) => meter.measure(slot, plan));
      yield {
        index,
        start: lines[0]!.start,
        end: lines.at(-1)!.end,
        lines: lineBoxes(plan),
        ...(advances[0] !== '' && { advances }),
        ...plannedSize(plan, this.#geometry, this.#config),
      };
    }
  }

  /** Pages in order, each as soon as it and those before it are drawn. */
  async *pages(): AsyncGenerator<RenderedPage> {
    const { pageRange, signal, onPlanned } = this.#options;
    const queue = new SlotQueue(this.#slots);
    const inFlight: Promise<RenderedPage>[] = [];
    for (const slot of this.#slots) slot.warmUp();
    try {
      for await (const plan of this.#plans(this.#display, queue)) {
        signal?.throwIfAborted();
        onPlanned?.({ pages: plan.index + 1, sourceOffset: plan.lines.at(-1)!.end });
        if (pageRange && plan.index >= pageRange.end) break;
        if (pageRange && plan.index < pageRange.start) continue;
        if (inFlight.length === PAGES_AHEAD * queue.capacity) yield await inFlight.shift()!;
        const page = queue.run((slot) => this.#draw(plan, slot));
        page.catch(() => {}); // reported when its turn comes
        inFlight.push(page);
      }
      while (inFlight.length > 0) yield await inFlight.shift()!;
    } finally {
      await Promise.allSettled(inFlight);
    }
  }

  async summary(): Promise<RenderSummary> {
    return {
      renderConfigId: renderConfigId(this.#config),
      renderer: await this.fingerprint(),
      characters: this.#source.length,
      counts: { ...this.#display.counts },
      missingSample: [...this.#display.missingSample].map(
        (codePoint) => `U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}`,
      ),
      fontSubstitution: this.#fonts.substitution,
      browserRestarts: this.#slots.reduce((sum, slot) => sum + slot.restarts, 0),
    };
  }

  async fingerprint(): Promise<RendererFingerprint> {
    return {
      version: RENDERER_VERSION,
      browser: await this.#slots[0]!.browserVersion(),
      flags: TEXT_FLAGS,
      fonts: fontsHash(this.#style.faces),
    };
  }

  /** Process groups of the browsers that are open; for tests that kill them. */
  async browserProcessGroups(): Promise<number[]> {
    const ids = await Promise.all(this.#slots.map((slot) => slot.processGroup()));
    return ids.filter((id) => id !== null);
  }

  async close(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.close()));
  }

  #displayText(): DisplayText {
    const { newlineMarkup, reflow, tabSize, paragraphLines } = this.#config;
    return new DisplayText(this.#source, {
      fonts: this.#fonts,
      newlineMark: newlineMark(newlineMarkup),
      reflow,
      tabSize,
      paragraphLines,
    });
  }

  #plans(display: DisplayText, queue: SlotQueue): AsyncGenerator<PagePlan> {
    const lines = breakLines(display.items(), (flows) =>
      queue.runFirst((slot) => layoutFlows(slot, flows)),
    );
    return paginate(lines, this.#geometry, this.#config);
  }

  async #draw(plan: PagePlan, slot: PageSlot): Promise<RenderedPage> {
    const { png, widthPx, heightPx, advances } = await drawPage(slot, plan);
    return {
      index: plan.index,
      png,
      widthPx,
      heightPx,
      lines: lineBoxes(plan),
      ...(advances[0] !== '' && { advances }),
    };
  }
}

function lineBoxes({ lines }: PagePlan): LineBox[] {
  return lines.map(({ xPx: x, yPx: y, widthPx: width, heightPx: height, start, end }) => ({
    x,
    y,
    width,
    height,
    start,
    end,
  }));
}
