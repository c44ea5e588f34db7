/**
 * Page image → the flattened patches that the vision tower reads.
 *
 * Source: transformers 5.24.0, models/{glm4v,qwen2_vl,pixtral}/image_processing_*.py (torchvision backend).
 */
import { ConfigReader } from './config-reader.js';
import { badPage, type PageSize, resizedTo, type SizeRule } from './page-size.js';
import { resampleBicubic } from './resample.js';
import { patchOrder } from './towers/patch-grid.js';
import type { VisionModel } from './towers/tower.js';

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
  size: SizeRule;
}

export interface ProcessedImage {
  /** float32 [gridH · gridW, channels · frames · patch · patch] */
  pixelValues: Float32Array;
  /** In patches: [frames, rows, columns]. */
  gridThw: [number, number, number];
}

/** Pillow's number for bicubic, the only filter that is reproduced. */
const BICUBIC = 3;

/** @throws {GlyphpressError} GP_CHECKPOINT for a step or a size that is not reproduced */
export function parseImageProcessorConfig(
  raw: Record<string, unknown>,
  file: string,
  { tower, sizeRule }: Pick<VisionModel, 'tower' | 'sizeRule'>,
): ImageProcessorConfig {
  const config = new ConfigReader(raw, file);
  const floats = (key: string, fallback: readonly number[]) => {
    const value = (raw[key] ?? fallback) as unknown;
    const valid = Array.isArray(value) && value.length === 3 && value.every(Number.isFinite);
    config.check(valid, key, 'three numbers');
    return value as number[];
  };
  for (const step of ['do_resize', 'do_rescale', 'do_normalize'])
    config.check(config.boolean(step, true), step, 'true');
  config.check(config.number('resample', BICUBIC) === BICUBIC, 'resample', '3 (bicubic)');
  return {
    patchSize: tower.patchSize,
    temporalPatchSize: tower.temporalPatchSize,
    mergeSize: tower.mergeSize,
    mean: floats('image_mean', [0.48145466, 0.4578275, 0.40821073]),
    std: floats('image_std', [0.26862954, 0.26130258, 0.27577711]),
    rescaleFactor: config.number('rescale_factor', 1 / 255),
    size: sizeRule(config),
  };
}

/** The cells of a page: what it costs in visual tokens, and where they lie. */
export interface PageGrid {
  rows: number;
  cols: number;
  /** Side of a cell. */
  cellPx: number;
  /** Size that the page is brought to; what lies beyond the last whole cell becomes no token. */
  widthPx: number;
  heightPx: number;
}

export function visualTokenGrid(
  page: PageSize,
  { size, patchSize, mergeSize }: Pick<ImageProcessorConfig, 'size' | 'patchSize' | 'mergeSize'>,
): PageGrid {
  const { widthPx, heightPx } = resizedTo(page, size);
  const cellPx = patchSize * mergeSize;
  const cells = (px: number) => Math.floor(px / cellPx);
  return { rows: cells(heightPx), cols: cells(widthPx), cellPx, widthPx, heightPx };
}

export function processImage(page: PageImage, config: ImageProcessorConfig): ProcessedImage {
  if (page.channels !== 1 && page.channels !== 3) throw badPage(page, '1 or 3 channels');
  if (page.data.length !== page.widthPx * page.heightPx * page.channels) {
    throw badPage(page, `${page.data.length} bytes = height × width × channels`);
  }
  const size = resizedTo(page, config.size);
  const resized = resampleBicubic(page.data, page, size);
  return patchify(resized, { ...size, channels: page.channels }, config);
}

/**
 * Patches in `patchOrder`, each flattened as (colour, frame, row, column).
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
  for (const [row, column] of patchOrder(gridH, gridW, mergeSize)) {
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

/** byte → (byte − mean·255) / (std·255), every step in float32 as the reference fuses it. */
function normalisation(mean: number, std: number, rescaleFactor: number): Float32Array {
  const f = Math.fround;
  const scale = 1 / rescaleFactor;
  const scaledMean = f(f(mean) * scale);
  const scaledStd = f(f(std) * scale);
  return Float32Array.from({ length: 256 }, (_, value) => f(f(value - scaledMean) / scaledStd));
}
