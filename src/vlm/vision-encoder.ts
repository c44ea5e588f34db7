/** One page through the vision graph. */
import type { Checkpoint } from './checkpoint.js';
import { requireVision } from './families/family.js';
import { type PageImage, processImage } from './image-processor.js';
import type { Session } from './runtime.js';

export interface EncodedImage {
  gridThw: [number, number, number];
  tokenGrid: { rows: number; cols: number };
  /** float32 [rows · cols, token width] */
  tokens: Float32Array;
}

/** @throws {GlyphpressError} GP_MODEL_NO_VISION if the model reads text only */
export async function encodeImage(
  vision: Session,
  { config, imageProcessor }: Pick<Checkpoint, 'config' | 'imageProcessor'>,
  page: PageImage,
): Promise<EncodedImage> {
  const { tower } = requireVision(config);
  const { pixelValues, gridThw } = processImage(page, imageProcessor!);
  const [, gridH, gridW] = gridThw;
  const patches = gridH * gridW;
  const feeds = {
    pixel_values: { data: pixelValues, dims: [patches, pixelValues.length / patches] },
    ...tower.feeds(gridH, gridW),
  };
  const { image_features: tokens } = await vision.run(feeds, ['image_features']);
  const cells = (patches: number) => Math.floor(patches / tower.mergeSize);
  return { gridThw, tokenGrid: { rows: cells(gridH), cols: cells(gridW) }, tokens };
}
