/**
 * Page image → the flattened patches that the vision tower reads.
 *
 * Source: transformers 5.18.0, models/glm4v/image_processing_glm4v.py (torchvision backend).
 */
import { type GlyphpressError, ShapeError } from '../errors.js';
import { ConfigReader } from './config-reader.js';
import { roundHalfToEven } from './float16.js';
import { resampleBicubic } from './resample.js';

const MAX_ASPECT = 200;

/** A decoded page: rows from the top, channels interleaved. */
export interface PageImage {
  data: Uint8Array;
  widthPx: number;
  heightPx: number;
  channels: 1 | 3;
}

export interface ImageProcessorConfig {
  patchSize: number;
  temporalPatchSize: number;
  mergeSize: number;
  mean: readonly number[];
  std: readonly number[];
  rescaleFactor: number;
  /** Pixel budget, counted over the two frames a still image is doubled to. */
  minPixels: number;
  maxPixels: number;
}

export interface ProcessedImage {
  /** float32 [gridH · gridW, channels · frames · patch · patch] */
  pixelValues: Float32Array;
  /** In patches: [frames, rows, columns]. */
  gridThw: [number, number, number];
}

export function parseImageProcessorConfig(
  raw: Record<string, unknown>,
  file: string,
): ImageProcessorConfig {
  const config = new ConfigReader(raw, file);
  const size = config.child('size');
  const floats = (key: string, fallback: readonly number[]) => {
    const value = (raw[key] ?? fallback) as unknown;
    const valid = Array.isArray(value) && value.length === 3 && value.every(Number.isFinite);
    config.check(valid, key, 'three numbers');
    return value as number[];
  };
  return {
    patchSize: config.count('patch_size', 14),
    temporalPatchSize: config.count('temporal_patch_size', 2),
    mergeSize: config.count('merge_size', 2),
    mean: floats('image_mean', [0.48145466, 0.4578275, 0.40821073]),
    std: floats('image_std', [0.26862954, 0.26130258, 0.27577711]),
    rescaleFactor: config.number('rescale_factor', 1 / 255),
    minPixels: size?.count('shortest_edge', 12_544) ?? config.count('min_pixels', 12_544),
    maxPixels: size?.count('longest_edge', 11_760_000) ?? config.count('max_pixels', 11_760_000),
  };
}

/** What GLM-4.1V's published checkpoints say. */
export const GLM_4V_IMAGE_PROCESSOR = parseImageProcessorConfig(
  { size: { shortest_edge: 12_544, longest_edge: 9_633_792 } },
  'GLM-4.1V',
);

/**
 * The size a page is brought to: multiples of the cell, within the pixel budget.
 *
 * @throws GP_TENSOR_SHAPE when a page is more than 200 times as long as wide
 */
export function smartResize(
  page: { widthPx: number; heightPx: number },
  config: ImageProcessorConfig,
): { widthPx: number; heightPx: number } {
  const cell = config.patchSize * config.mergeSize;
  const frames = config.temporalPatchSize;
  let { widthPx: width, heightPx: height } = page;
  if (width < 1 || height < 1) throw badPage(page, 'at least one pixel each way');
  if (height < cell || width < cell) {
    const scale = Math.max(cell / height, cell / width);
    height = Math.trunc(height * scale);
    width = Math.trunc(width * scale);
  }
  if (Math.max(height, width) / Math.min(height, width) > MAX_ASPECT) {
    throw badPage(page, `sides at most ${MAX_ASPECT} to 1`);
  }
  let toHeight = roundHalfToEven(height / cell) * cell;
  let toWidth = roundHalfToEven(width / cell) * cell;
  if (frames * toHeight * toWidth > config.maxPixels) {
    const beta = Math.sqrt((frames * height * width) / config.maxPixels);
    toHeight = Math.max(cell, Math.floor(height / beta / cell) * cell);
    toWidth = Math.max(cell, Math.floor(width / beta / cell) * cell);
  } else if (frames * toHeight * toWidth < config.minPixels) {
    const beta = Math.sqrt(config.minPixels / (frames * height * width));
    toHeight = Math.ceil((height * beta) / cell) * cell;
    toWidth = Math.ceil((width * beta) / cell) * cell;
  }
  return { widthPx: toWidth, heightPx: toHeight };
}

/** Cells of a page after `smartResize`: what it costs in visual tokens. */
export function visualTokenGrid(
  page: { widthPx: number; heightPx: number },
  config: ImageProcessorConfig,
): { rows: number; cols: number } {
  const { widthPx, heightPx } = smartResize(page, config);
  const cell = config.patchSize * config.mergeSize;
  return { rows: heightPx / cell, cols: widthPx / cell };
}

export function processImage(page: PageImage, config: ImageProcessorConfig): ProcessedImage {
  if (page.channels !== 1 && page.channels !== 3) throw badPage(page, '1 or 3 channels');
  if (page.data.length !== page.widthPx * page.heightPx * page.channels) {
    throw badPage(page, `${page.data.length} bytes = height × width × channels`);
  }
  const size = smartResize(page, config);
  const resized = resampleBicubic(page.data, page, size);
  return patchify(resized, { ...size, channels: page.channels }, config);
}

/**
 * Patches in merge order, (gridH/2, gridW/2, 2, 2), each flattened as (colour, frame, row, column).
 * A grey page is the same value in all three colours.
 */
function patchify(
  data: Uint8Array,
  { widthPx, heightPx, channels }: { widthPx: number; heightPx: number; channels: number },
  config: ImageProcessorConfig,
): ProcessedImage {
  const { patchSize, mergeSize, temporalPatchSize } = config;
  const gridH = heightPx / patchSize;
  const gridW = widthPx / patchSize;
  const normalised = config.mean.map((mean, colour) =>
    normalisation(mean, config.std[colour]!, config.rescaleFactor),
  );
  const colours = normalised.length;
  const area = patchSize * patchSize;
  const width = colours * temporalPatchSize * area;
  const pixelValues = new Float32Array(gridH * gridW * width);
  let patch = 0;
  for (const [row, column] of mergeOrder(gridH, gridW, mergeSize)) {
    for (let colour = 0; colour < colours; colour += 1) {
      const table = normalised[colour]!;
      const start = patch * width + colour * temporalPatchSize * area;
      let target = start;
      for (let y = 0; y < patchSize; y += 1) {
        let source =
          ((row * patchSize + y) * widthPx + column * patchSize) * channels +
          (channels === 3 ? colour : 0);
        for (let x = 0; x < patchSize; x += 1) {
          pixelValues[target++] = table[data[source]!]!;
          source += channels;
        }
      }
      // A still image is every frame of its clip.
      for (let frame = 1; frame < temporalPatchSize; frame += 1) {
        pixelValues.copyWithin(start + frame * area, start, start + area);
      }
    }
    patch += 1;
  }
  return { pixelValues, gridThw: [1, gridH, gridW] };
}

/** Patch coordinates in the order the tower wants: the four patches of a cell follow each other. */
export function* mergeOrder(
  gridH: number,
  gridW: number,
  mergeSize: number,
): Generator<[row: number, column: number]> {
  for (let blockRow = 0; blockRow < gridH; blockRow += mergeSize) {
    for (let blockColumn = 0; blockColumn < gridW; blockColumn += mergeSize) {
      for (let inRow = 0; inRow < mergeSize; inRow += 1) {
        for (let inColumn = 0; inColumn < mergeSize; inColumn += 1) {
          yield [blockRow + inRow, blockColumn + inColumn];
        }
      }
    }
  }
}

/** byte → (byte − mean·255) / (std·255), every step in float32 as the reference fuses it. */
function normalisation(mean: number, std: number, rescaleFactor: number): Float32Array {
  const f = Math.fround;
  const scale = 1 / rescaleFactor;
  const scaledMean = f(f(mean) * scale);
  const scaledStd = f(f(std) * scale);
  return Float32Array.from({ length: 256 }, (_, value) => f(f(value - scaledMean) / scaledStd));
}

function badPage(
  page: { widthPx: number; heightPx: number; channels?: number },
  expected: string,
): GlyphpressError {
  const actual = [page.heightPx, page.widthPx, ...(page.channels ? [page.channels] : [])];
  return new ShapeError(
    'page image',
    expected,
    actual,
    'Pass decoded pixels: greyscale or RGB, without alpha.',
  );
}
