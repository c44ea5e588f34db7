/**
 * Prompt rows: every row that enters the decoder, text or visual, with its position and origin.
 */
import { GlyphpressError, ShapeError } from '../errors.js';
import { tokenWidth } from './decoders/text-config.js';
import type { ModelConfig } from './families/family.js';
import { type PromptSegment, promptPositions, type RowPositions } from './positions.js';
import type { VisionModel } from './towers/tower.js';

/** What survives the encoder prune of one image. */
export interface PromptImage {
  tokenGrid: { rows: number; cols: number };
  /** float32 [kept.length, token width] */
  tokens: Float32Array;
  /** Ascending cell indices into rows · cols. */
  kept: Int32Array;
}

export interface PromptRows {
  /** Token of each row, −1 for visual rows. */
  tokenIds: Int32Array;
  /** Visual rows in order, one array an image: float32 [kept, token width]. */
  features: Float32Array[];
  positions: RowPositions;
  /** Image and cell of each visual row, −1 for text. */
  image: Int32Array;
  cell: Int32Array;
  /** First position after these rows. */
  next: number;
}

/** How images stand in the prompts of a model. */
export interface PromptShape {
  /** Stands once for each image; null for a model that reads text only. */
  imageTokenId: number | null;
  imagePositions: VisionModel['imagePositions'];
  /** Floats of one visual token. */
  tokenWidth: number;
}

export function promptShape({ text, vision }: ModelConfig): PromptShape {
  return {
    imageTokenId: vision?.imageTokenId ?? null,
    imagePositions: vision?.imagePositions ?? 'sequence',
    tokenWidth: tokenWidth(text),
  };
}

/**
 * @param tokenIds prompt in which the image token stands once for each image
 */
export function promptRows(
  tokenIds: readonly number[],
  shape: PromptShape,
  images: readonly PromptImage[],
): PromptRows {
  for (const [index, image] of images.entries()) checkImage(image, index, shape.tokenWidth);
  const segments: PromptSegment[] = [];
  const ids: number[] = [];
  const imageOf: number[] = [];
  const cellOf: number[] = [];
  let nextImage = 0;
  for (const id of tokenIds) {
    if (id === shape.imageTokenId) {
      const { tokenGrid, kept } = images[nextImage]!;
      segments.push({ kind: 'image', ...tokenGrid, kept });
      for (const cell of kept) {
        ids.push(-1);
        imageOf.push(nextImage);
        cellOf.push(cell);
      }
      nextImage += 1;
    } else {
      segments.push({ kind: 'text', length: 1 });
      ids.push(id);
      imageOf.push(-1);
      cellOf.push(-1);
    }
  }
  const { next, ...positions } = promptPositions(segments, shape.imagePositions);
  return {
    tokenIds: Int32Array.from(ids),
    features: images.map((image) => image.tokens),
    positions,
    image: Int32Array.from(imageOf),
    cell: Int32Array.from(cellOf),
    next,
  };
}

function checkImage({ tokenGrid, tokens, kept }: PromptImage, index: number, width: number): void {
  const name = `image ${index}`;
  const hint = 'Pass the tokens of encodeImage, or rows of them with their cell indices in `kept`.';
  if (tokens.length !== kept.length * width) {
    throw new ShapeError(`${name} tokens`, `[${kept.length}, ${width}]`, [tokens.length], hint);
  }
  const cells = tokenGrid.rows * tokenGrid.cols;
  checkAscending(kept, cells, `${name} kept`);
}

/** Row indices must be ascending, unique and below `count`. */
export function checkAscending(indices: Int32Array, count: number, name: string): void {
  for (let n = 0; n < indices.length; n += 1) {
    const previous = n === 0 ? -1 : indices[n - 1]!;
    if (indices[n]! > previous && indices[n]! < count) continue;
    throw new GlyphpressError('GP_TENSOR_SHAPE', {
      message: `Expected ${name} to ascend within 0…${count - 1}; entry ${n} is ${indices[n]} after ${previous}.`,
      hint: 'Sort the kept rows and remove duplicates.',
      details: { name, index: n, value: indices[n], count },
    });
  }
}
