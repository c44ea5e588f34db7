/**
 * The size a page is brought to before it is cut into patches: each family has a rule, each checkpoint
 * its limits.
 *
 * Source: transformers 5.24.0, `smart_resize` of models/{glm4v,qwen2_vl}/image_processing_*.py and
 * `get_resize_output_image_size` of models/pixtral/image_processing_pixtral.py.
 */
import { type GlyphpressError, ShapeError } from '../errors.js';
import type { ConfigReader } from './config-reader.js';
import { roundHalfToEven } from './float16.js';

export interface PageSize {
  widthPx: number;
  heightPx: number;
}

export type SizeRule = PixelBudget | LongestSide;

/** Whole cells nearest to the page, within a number of pixels (GLM-4V, Qwen-VL). */
export interface PixelBudget {
  kind: 'pixel-budget';
  cellPx: number;
  minPixels: number;
  maxPixels: number;
  /** Frames over which the pixels are counted: GLM counts a still image twice. */
  frames: number;
  /** A page with a side below one cell is enlarged before anything else (GLM). */
  enlargesNarrow: boolean;
}

/** Shrunk until no side is longer, then up to whole patches (Pixtral). */
export interface LongestSide {
  kind: 'longest-side';
  /** What a side is a multiple of. */
  multiplePx: number;
  /** The least that a side has: one cell. */
  cellPx: number;
  maxWidthPx: number;
  maxHeightPx: number;
}

const MAX_ASPECT = 200;

/**
 * Reads a pixel budget from `preprocessor_config.json`.
 *
 * @param patches of the tower, which the file must agree with
 */
export function readPixelBudget(
  preprocessor: ConfigReader,
  patches: { patchSize: number; mergeSize: number; temporalPatchSize: number },
  rule: { frames: number; enlargesNarrow: boolean; minPixels: number; maxPixels: number },
): PixelBudget {
  for (const [key, expected] of [
    ['patch_size', patches.patchSize],
    ['merge_size', patches.mergeSize],
    ['temporal_patch_size', patches.temporalPatchSize],
  ] as const) {
    preprocessor.check(
      preprocessor.count(key, expected) === expected,
      key,
      `${expected} as config.json says`,
    );
  }
  const size = preprocessor.child('size');
  const limit = (old: string, edge: string, fallback: number) =>
    preprocessor.count(old, size?.count(edge, size.count(old, fallback)) ?? fallback);
  return {
    kind: 'pixel-budget',
    cellPx: patches.patchSize * patches.mergeSize,
    minPixels: limit('min_pixels', 'shortest_edge', rule.minPixels),
    maxPixels: limit('max_pixels', 'longest_edge', rule.maxPixels),
    frames: rule.frames,
    enlargesNarrow: rule.enlargesNarrow,
  };
}

/** Reads Pixtral's rule. The file's `patch_size` may be the tower's or a multiple of it. */
export function readLongestSide(
  preprocessor: ConfigReader,
  { patchSize, mergeSize }: { patchSize: number; mergeSize: number },
): LongestSide {
  const multiplePx = readSide(preprocessor, 'patch_size', patchSize);
  preprocessor.check(
    multiplePx % patchSize === 0,
    'patch_size',
    `a multiple of ${patchSize}, the patch_size of config.json`,
  );
  const size = preprocessor.child('size');
  const longest = size?.has('longest_edge') ? size.count('longest_edge') : undefined;
  return {
    kind: 'longest-side',
    multiplePx,
    cellPx: patchSize * mergeSize,
    maxWidthPx: longest ?? size?.count('width', 1024) ?? 1024,
    maxHeightPx: longest ?? size?.count('height', 1024) ?? 1024,
  };
}

/** A number, or `{ height, width }` with two equal ones. */
function readSide(reader: ConfigReader, key: string, fallback: number): number {
  if (!reader.hasObject(key)) return reader.count(key, fallback);
  const sides = reader.requiredChild(key);
  const height = sides.count('height');
  sides.check(sides.count('width') === height, 'width', `${height}, as height; patches are square`);
  return height;
}

/** @throws {ShapeError} when a page is more than 200 times as long as wide, under a pixel budget */
export function resizedTo(page: PageSize, rule: SizeRule): PageSize {
  if (page.widthPx < 1 || page.heightPx < 1) throw badPage(page, 'at least one pixel each way');
  return rule.kind === 'pixel-budget' ? withinBudget(page, rule) : withinSides(page, rule);
}

/** The fewest and most pixels that a page is given. */
export function pixelLimits(rule: SizeRule): { minPixels: number; maxPixels: number } {
  if (rule.kind === 'longest-side') {
    return { minPixels: rule.cellPx ** 2, maxPixels: rule.maxWidthPx * rule.maxHeightPx };
  }
  return {
    minPixels: Math.ceil(rule.minPixels / rule.frames),
    maxPixels: Math.floor(rule.maxPixels / rule.frames),
  };
}

function withinBudget(page: PageSize, rule: PixelBudget): PageSize {
  const { cellPx: cell, frames } = rule;
  let { widthPx: width, heightPx: height } = page;
  if (rule.enlargesNarrow && (height < cell || width < cell)) {
    const scale = Math.max(cell / height, cell / width);
    height = Math.trunc(height * scale);
    width = Math.trunc(width * scale);
  }
  if (Math.max(height, width) / Math.min(height, width) > MAX_ASPECT) {
    throw badPage(page, `sides at most ${MAX_ASPECT} to 1`);
  }
  let toHeight = roundHalfToEven(height / cell) * cell;
  let toWidth = roundHalfToEven(width / cell) * cell;
  if (frames * toHeight * toWidth > rule.maxPixels) {
    const beta = Math.sqrt((frames * height * width) / rule.maxPixels);
    toHeight = Math.floor(height / beta / cell) * cell;
    toWidth = Math.floor(width / beta / cell) * cell;
  } else if (frames * toHeight * toWidth < rule.minPixels) {
    const beta = Math.sqrt(rule.minPixels / (frames * height * width));
    toHeight = Math.ceil((height * beta) / cell) * cell;
    toWidth = Math.ceil((width * beta) / cell) * cell;
  }
  return { widthPx: Math.max(cell, toWidth), heightPx: Math.max(cell, toHeight) };
}

/** Where the reference would leave less than a cell, and so no token, a side becomes one cell. */
function withinSides({ widthPx, heightPx }: PageSize, rule: LongestSide): PageSize {
  const ratio = Math.max(1, heightPx / rule.maxHeightPx, widthPx / rule.maxWidthPx);
  const side = (px: number) =>
    Math.max(
      rule.cellPx,
      Math.ceil((ratio > 1 ? Math.floor(px / ratio) : px) / rule.multiplePx) * rule.multiplePx,
    );
  return { widthPx: side(widthPx), heightPx: side(heightPx) };
}

export function badPage(page: PageSize & { channels?: number }, expected: string): GlyphpressError {
  const actual = [page.heightPx, page.widthPx, ...(page.channels ? [page.channels] : [])];
  return new ShapeError(
    'page image',
    expected,
    actual,
    'Pass decoded pixels: greyscale or RGB, without alpha.',
  );
}
