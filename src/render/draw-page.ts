/**
 * Draws a page plan in Chromium and brings it back as a finished grey PNG.
 *
 * Lines are drawn on a software canvas of the same engine that laid them out, turned into grey
 * scanlines and deflated there: a page crosses to Node as some 80 kB instead of 2 MB of screenshot,
 * and no compositor frame is waited for (measured in docs/log.md).
 */

import type { Page } from 'puppeteer';
import type { PageSlot } from './chromium.js';
import type { RenderConfig } from './config-schema.js';
import { type GlyphAdvances, groupAdvances, NO_ADVANCES } from './glyph-advances.js';
import type { PageGeometry } from './page-geometry.js';
import { cssFont, type PageStyle } from './page-html.js';
import type { PagePlan } from './paginate.js';
import { assembleGreyPng } from './png.js';

export interface DrawnPage {
  png: Buffer;
  widthPx: number;
  heightPx: number;
  /** Of the characters that were drawn; of none where all are equally wide. */
  advances: GlyphAdvances;
}

/** What the page in the browser must know once; colours are checked `#rrggbb`. */
interface Canvas {
  font: string;
  numberFont: string;
  pageWidthPx: number;
  pageHeightPx: number;
  horizontalScale: number;
  fontColor: string;
  pageColor: string;
  paragraphColor: string | null;
  borderColor: string;
  borderWidthPx: number;
  borderPaddingPx: number;
  linePitchPx: number;
  cropWidth: boolean;
  cropLastPage: boolean;
  cropMarginXPx: number;
  cropMarginYPx: number;
  cropMultiplePx: number;
}

interface Sheet {
  isLast: boolean;
  paragraphs: { xPx: number; yPx: number; widthPx: number; heightPx: number }[];
  lines: {
    yPx: number;
    rtl: boolean;
    wordSpacingPx: number;
    number: { text: string; endPx: number } | null;
    overlap: { text: string; xPx: number; widthPx: number } | null;
    runs: { text: string; xPx: number; color: string | null; rtl: boolean | null }[];
  }[];
}

interface DeflatedPage {
  widthPx: number;
  heightPx: number;
  /** zlib stream of the PNG scanlines, base64. */
  scanlines: string;
  /** Page pixels. */
  advances: [character: string, px: number][];
}

declare global {
  var glyphpressDraw: ((sheet: Sheet) => Promise<DeflatedPage>) | undefined;
  /** Page pixels of each character. */
  var glyphpressMeasure: ((characters: string[]) => [character: string, px: number][]) | undefined;
}

/** Numbers of lines are smaller than the lines, by this factor. */
const NUMBER_SIZE = 0.75;

/** Puts the drawing function into a prepared page. */
export async function installDrawing(
  page: Page,
  style: Pick<PageStyle, 'families' | 'fontSizePx'>,
  geometry: PageGeometry,
  config: RenderConfig,
): Promise<void> {
  const canvas: Canvas = {
    font: cssFont(style),
    numberFont: cssFont({ ...style, fontSizePx: NUMBER_SIZE * style.fontSizePx }),
    pageWidthPx: geometry.pageWidthPx,
    pageHeightPx: geometry.pageHeightPx,
    horizontalScale: geometry.horizontalScale,
    fontColor: config.fontColor,
    pageColor: config.pageBgColor,
    paragraphColor: config.paraBgColor === config.pageBgColor ? null : config.paraBgColor,
    borderColor: config.paraBorderColor,
    borderWidthPx: geometry.borderWidthPx,
    borderPaddingPx: geometry.borderPaddingPx,
    linePitchPx: geometry.linePitchPx,
    cropWidth: config.autoCropWidth,
    cropLastPage: config.autoCropLastPage,
    cropMarginXPx: Math.round(geometry.marginXPx * geometry.horizontalScale),
    cropMarginYPx: Math.round(geometry.marginTopPx),
    cropMultiplePx: config.cropMultiplePx,
  };
  await page.evaluate(drawingInPage, canvas);
}

export async function drawPage(slot: PageSlot, plan: PagePlan): Promise<DrawnPage> {
  const sheet: Sheet = {
    isLast: plan.isLast,
    paragraphs: plan.paragraphs,
    lines: plan.lines.map(({ yPx, rtl, wordSpacingPx, number = null, overlap, runs }) => ({
      yPx,
      rtl,
      wordSpacingPx,
      number,
      overlap,
      runs,
    })),
  };
  const drawn = await slot.run(({ page }) =>
    page.evaluate((s) => globalThis.glyphpressDraw!(s), sheet),
  );
  const png = assembleGreyPng(
    drawn.widthPx,
    drawn.heightPx,
    Buffer.from(drawn.scanlines, 'base64'),
  );
  const { widthPx, heightPx, advances } = drawn;
  return { png, widthPx, heightPx, advances: tableOf(advances) };
}

/** As {@link drawPage} tells them, of pages that are not drawn. One for each document. */
export class AdvanceMeter {
  readonly #known = new Map<string, number>();

  async measure(slot: PageSlot, { lines }: PagePlan): Promise<GlyphAdvances> {
    const drawn = new Set(lines.flatMap(({ runs }) => runs.flatMap(({ text }) => [...text])));
    const unknown = [...drawn].filter((character) => !this.#known.has(character));
    if (unknown.length > 0) {
      const measured = await slot.run(({ page }) =>
        page.evaluate((characters) => globalThis.glyphpressMeasure!(characters), unknown),
      );
      for (const [character, px] of measured) this.#known.set(character, px);
    }
    return tableOf([...drawn].map((character) => [character, this.#known.get(character)!]));
  }
}

function tableOf(advances: readonly (readonly [string, number])[]): GlyphAdvances {
  const isMonospaced = new Set(advances.map(([, px]) => px)).size <= 1;
  return isMonospaced ? NO_ADVANCES : groupAdvances(advances);
}

/** Runs inside Chromium, once a page; must not refer to anything outside itself. */
function drawingInPage(canvas: Canvas): void {
  const { pageWidthPx: width, pageHeightPx: height } = canvas;
  // How far from the background a pixel must be to count as ink when cropping (grey levels; Glyph's value).
  const INK_TOLERANCE = 5;
  const element = document.createElement('canvas');
  element.width = width;
  element.height = height;
  const ink = element.getContext('2d', { alpha: false, willReadFrequently: true })!;
  const grey = new Uint8Array(width * height);

  ink.font = canvas.font;
  ink.textRendering = 'optimizeSpeed';
  ink.fontKerning = 'none';
  ink.textAlign = 'left';
  ink.textBaseline = 'alphabetic';
  const metrics = ink.measureText('x');
  const ascentPx = metrics.fontBoundingBoxAscent;
  const baselinePx = Math.round(
    (canvas.linePitchPx - ascentPx - metrics.fontBoundingBoxDescent) / 2 + ascentPx,
  );

  const paint = (sheet: Sheet) => {
    ink.setTransform(1, 0, 0, 1, 0, 0);
    ink.fillStyle = canvas.pageColor;
    ink.fillRect(0, 0, width, height);
    ink.setTransform(canvas.horizontalScale, 0, 0, 1, 0, 0);
    for (const box of sheet.paragraphs) {
      const pad = canvas.borderPaddingPx;
      const frame = [
        box.xPx - pad,
        box.yPx - pad,
        box.widthPx + 2 * pad,
        box.heightPx + 2 * pad,
      ] as const;
      if (canvas.paragraphColor) {
        ink.fillStyle = canvas.paragraphColor;
        ink.fillRect(...frame);
      }
      if (canvas.borderWidthPx > 0) {
        ink.strokeStyle = canvas.borderColor;
        ink.lineWidth = canvas.borderWidthPx;
        ink.strokeRect(...frame);
      }
    }
    for (const line of sheet.lines) {
      if (line.number) paintNumber(line.number, line.yPx);
      if (line.overlap) paintOverlap(line.overlap, line.yPx);
      ink.wordSpacing = `${line.wordSpacingPx}px`;
      for (const run of line.runs) {
        ink.direction = (run.rtl ?? line.rtl) ? 'rtl' : 'ltr';
        ink.fillStyle = run.color ?? canvas.fontColor;
        ink.fillText(run.text, run.xPx, line.yPx + baselinePx);
      }
    }
  };

  /** As many whole characters from the end of the text as there is room for, up to the right edge. */
  const paintOverlap = (overlap: NonNullable<Sheet['lines'][0]['overlap']>, yPx: number) => {
    ink.wordSpacing = '0px';
    ink.direction = 'ltr';
    ink.fillStyle = canvas.fontColor;
    // Widths are sums of rounded advances.
    const roomPx = overlap.widthPx + 0.01 * canvas.linePitchPx;
    const characters = [...overlap.text];
    let shown = '';
    for (let from = characters.length - 1; from >= 0; from--) {
      const longer = characters.slice(from).join('');
      if (ink.measureText(longer).width > roomPx) break;
      shown = longer;
    }
    ink.fillText(shown, overlap.xPx - ink.measureText(shown).width, yPx + baselinePx);
  };

  const paintNumber = ({ text, endPx }: { text: string; endPx: number }, yPx: number) => {
    ink.wordSpacing = '0px';
    ink.direction = 'ltr';
    ink.fillStyle = canvas.fontColor;
    ink.font = canvas.numberFont;
    ink.fillText(text, endPx - ink.measureText(text).width, yPx + baselinePx);
    ink.font = canvas.font;
  };

  const measured = new Map<string, number>();
  const advanceOf = (character: string) => {
    const known = measured.get(character);
    if (known !== undefined) return known;
    const px = ink.measureText(character).width * canvas.horizontalScale;
    measured.set(character, px);
    return px;
  };

  globalThis.glyphpressMeasure = (characters) => {
    ink.wordSpacing = '0px';
    return characters.map((character) => [character, advanceOf(character)]);
  };

  const advancesOn = (sheet: Sheet) => {
    const drawn = new Set(sheet.lines.flatMap(({ runs }) => runs.flatMap(({ text }) => [...text])));
    return globalThis.glyphpressMeasure!([...drawn]);
  };

  const toGrey = () => {
    const rgba = ink.getImageData(0, 0, width, height).data;
    // Luma of BT.601 in 1/256; exact for greys.
    for (let i = 0, k = 0; i < grey.length; i++, k += 4) {
      grey[i] = (77 * rgba[k]! + 150 * rgba[k + 1]! + 29 * rgba[k + 2]!) >> 8;
    }
  };

  const cropped = (inkEnd: number, margin: number, full: number) => {
    const multiple = canvas.cropMultiplePx;
    return Math.min(full, Math.ceil(Math.min(full, inkEnd + margin) / multiple) * multiple);
  };

  /** Right and bottom edge of what is kept; a side without ink is kept whole. */
  const crop = (isLast: boolean) => {
    const background = grey[0]!;
    let right = 0;
    let bottom = 0;
    for (let y = 0; y < height; y++) {
      let x = width - 1;
      while (x >= right && Math.abs(grey[y * width + x]! - background) <= INK_TOLERANCE) x--;
      if (x >= right) {
        right = x + 1;
        bottom = y + 1;
      } else if (isLast) {
        while (x >= 0 && Math.abs(grey[y * width + x]! - background) <= INK_TOLERANCE) x--;
        if (x >= 0) bottom = y + 1;
      }
    }
    return {
      cropWidthPx:
        canvas.cropWidth && right > 0 ? cropped(right, canvas.cropMarginXPx, width) : width,
      cropHeightPx:
        canvas.cropLastPage && isLast && bottom > 0
          ? cropped(bottom, canvas.cropMarginYPx, height)
          : height,
    };
  };

  const toBase64 = (bytes: Uint8Array): string => {
    const modern = bytes as Uint8Array & { toBase64?: () => string };
    if (modern.toBase64) return modern.toBase64();
    const parts: string[] = [];
    for (let i = 0; i < bytes.length; i += 0x8000) {
      parts.push(String.fromCharCode(...bytes.subarray(i, i + 0x8000)));
    }
    return btoa(parts.join(''));
  };

  globalThis.glyphpressDraw = async (sheet) => {
    // No await between paint and toGrey: two pages may be in flight on one canvas.
    paint(sheet);
    const advances = advancesOn(sheet);
    toGrey();
    const { cropWidthPx, cropHeightPx } = crop(sheet.isLast);
    const scanlines = new Uint8Array((cropWidthPx + 1) * cropHeightPx);
    for (let y = 0; y < cropHeightPx; y++) {
      // Filter byte 0, then the row.
      scanlines.set(grey.subarray(y * width, y * width + cropWidthPx), y * (cropWidthPx + 1) + 1);
    }
    const deflate = new CompressionStream('deflate');
    const writer = deflate.writable.getWriter();
    void writer.write(scanlines);
    void writer.close();
    const bytes = new Uint8Array(await new Response(deflate.readable).arrayBuffer());
    return { widthPx: cropWidthPx, heightPx: cropHeightPx, scanlines: toBase64(bytes), advances };
  };
}
