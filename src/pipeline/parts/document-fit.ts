/**
 * Whether a document fits a model, known from its layout, and in which parts where it does not: before a
 * page of it is drawn.
 */

import { GlyphpressError } from '../../errors.js';
import type { PrunePlan } from '../../prune/index.js';
import { type ChromiumOptions, DocumentRendering, type RenderConfig } from '../../render/index.js';
import { gridOfPage, type ModelInfo } from '../../vlm/index.js';
import { dropsByContent, predictPageTokens } from '../predict-tokens.js';
import type { SourceDocument } from '../read-document.js';
import { partCapacity } from './part-capacity.js';
import { type PartsPlan, planParts } from './plan-parts.js';
import type { MeasuredPage } from './split-document.js';

export interface FitSettings {
  renderConfig: RenderConfig;
  plan: PrunePlan;
  /** Text tokens beside the pages. */
  sidecar: number;
  model: ModelInfo;
}

export interface LayoutTools {
  chromium: () => ChromiumOptions;
  signal: AbortSignal;
}

/** Visual tokens of a document. */
export interface DocumentSize {
  pages: number;
  visualTokens: number;
  /** Laid out in part, the rest at the same rate. */
  isEstimate: boolean;
}

/** What a document takes, and the parts that it is read in; null where it is read as a whole. */
export interface DocumentFit {
  size: DocumentSize;
  parts: PartsPlan | null;
}

/** A document is laid out to its end while it takes no more than so many times what fits, or is to be read. */
const EXACT_UP_TO = 4;

/** More than any legible rendering has. */
const MAX_CHARACTERS_PER_TOKEN = 64;

/**
 * @param maxParts that a document may be read in; 1 reads none in parts
 * @returns null for a text that fits whatever its layout is: of fewer characters than tokens that fit
 * @throws {GlyphpressError} GP_CONTEXT_LENGTH with what it takes and what fits, and where it can be cut;
 *   where nothing is read in parts, not for plans that drop by what pages show, see
 *   {@link assertDrawnDocumentFits}
 */
export async function fitDocument(
  document: SourceDocument,
  settings: FitSettings,
  tools: LayoutTools,
  maxParts = 1,
): Promise<DocumentFit | null> {
  const { plan, sidecar, model } = settings;
  const capacity = partCapacity(model.maxPositions, plan, sidecar);
  if (document.text.length <= capacity || !model.vision) return null;
  const most = Math.max(EXACT_UP_TO, maxParts) * Math.max(1, capacity);
  const { pages, isWhole } = await layOut(document.text, settings, tools, most);
  const counted = pages.reduce((sum, { visualTokens }) => sum + visualTokens, 0);
  const scale = isWhole ? 1 : document.text.length / pages.at(-1)!.end;
  const size = {
    pages: Math.round(pages.length * scale),
    visualTokens: Math.round(counted * scale),
    isEstimate: !isWhole,
  };
  if (size.visualTokens <= capacity || (maxParts === 1 && dropsByContent(plan)))
    return { size, parts: null };
  const parts = isWhole ? await partsOf(document, settings, tools, capacity, pages) : null;
  if (parts && parts.parts.length <= maxParts) return { size, parts };
  throw tooLarge(size, capacity, parts, model, maxParts);
}

/**
 * Where the plan drops cells by what they show: once the pages are drawn, before any is encoded.
 *
 * @param contentDrops cells that go by what they show
 * @throws {GlyphpressError} GP_CONTEXT_LENGTH
 */
export function assertDrawnDocumentFits(
  { visualTokens, contentDrops }: { visualTokens: number; contentDrops: number },
  { plan, sidecar, model }: FitSettings,
): void {
  const capacity = partCapacity(model.maxPositions, plan, sidecar);
  const left = Math.max(0, visualTokens - contentDrops);
  if (left <= capacity) return;
  throw new GlyphpressError('GP_CONTEXT_LENGTH', {
    message: `The document takes ${visualTokens} visual tokens, ${left} without those that the plan drops by what they show; ${capacity} fit`,
    hint: 'Split it, render it more densely, or prune more right after the encoder.',
    details: { visualTokens, left, limit: capacity, maxPositions: model.maxPositions },
  });
}

async function layOut(
  text: string,
  { renderConfig, model }: FitSettings,
  { chromium, signal }: LayoutTools,
  mostTokens: number,
): Promise<{ pages: MeasuredPage[]; isWhole: boolean }> {
  const start = text.slice(0, mostTokens * MAX_CHARACTERS_PER_TOKEN);
  const rendering = new DocumentRendering(start, renderConfig, {
    chromium: chromium(),
    signal,
    browsers: 1,
  });
  const cells = cellsOf(model);
  const pages: MeasuredPage[] = [];
  let tokens = 0;
  try {
    for await (const page of rendering.layout()) {
      const { rows, cols } = cells(page);
      pages.push({ start: page.start, end: page.end, visualTokens: rows * cols });
      tokens += rows * cols;
      if (tokens > mostTokens) return { pages, isWhole: false };
    }
    return { pages, isWhole: start.length === text.length };
  } finally {
    await rendering.close();
  }
}

/** @returns null where not even a page fits */
async function partsOf(
  document: SourceDocument,
  { renderConfig, model }: FitSettings,
  { chromium, signal }: LayoutTools,
  capacity: number,
  measured: MeasuredPage[],
): Promise<PartsPlan | null> {
  const measure = (text: string) =>
    text === document.text
      ? Promise.resolve(measured)
      : predictPageTokens(text, renderConfig, cellsOf(model), { chromium: chromium(), signal });
  try {
    return await planParts(document, capacity, measure);
  } catch (error) {
    if (error instanceof GlyphpressError && error.code === 'GP_CONTEXT_LENGTH') return null;
    throw error;
  }
}

function cellsOf({ vision }: ModelInfo) {
  return (page: { widthPx: number; heightPx: number }) => gridOfPage(page, vision!);
}

function tooLarge(
  { visualTokens, isEstimate, pages }: DocumentSize,
  capacity: number,
  parts: PartsPlan | null,
  { maxPositions }: ModelInfo,
  maxParts: number,
): GlyphpressError {
  const count = parts?.parts.length ?? Math.ceil(visualTokens / Math.max(1, capacity));
  return new GlyphpressError('GP_CONTEXT_LENGTH', {
    message: `The document takes ${isEstimate ? 'about ' : ''}${visualTokens} visual tokens on ${pages} pages; ${capacity} fit beside question and answer${maxParts > 1 ? `, in each of at most ${maxParts} parts` : ''}`,
    hint: `Hand it in as ${count} documents${parts ? ' (details.parts says where to cut its text)' : ' or more'}, render it more densely, or prune more right after the encoder.`,
    details: {
      visualTokens,
      isEstimate,
      pages,
      limit: capacity,
      maxPositions,
      ...(maxParts > 1 && { maxParts }),
      ...(parts && { parts: parts.parts.map(({ start, end }) => ({ start, end })) }),
    },
  });
}
