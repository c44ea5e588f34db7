/**
 * Prompt rows: every row that enters the decoder, text or visual, with its position and origin.
 */
import { GlyphpressError, ShapeError } from '../errors.js';
import { type PromptSegment, promptPositions, type RowPositions } from './positions.js';

/** What survives the encoder prune of one image. */
export interface PromptImage {
  tokenGrid: { rows: number; cols: number };
  /** float32 [kept.length, hidden] */
  tokens: Float32Array;
  /** Ascending cell indices into rows · cols. */
  kept: Int32Array;
}

export interface PromptRows {
  /** Token of each row, −1 for visual rows. */
  tokenIds: Int32Array;
  /** Visual rows in order, one array an image: float32 [kept, hidden]. */
  features: Float32Array[];
  positions: RowPositions;
  /** Image and cell of each visual row, −1 for text. */
  image: Int32Array;
  cell: Int32Array;
  /** First position after these rows. */
  next: number;
}

/**
 * @param tokenIds prompt in which `imageTokenId` stands once for each image
 */
export function promptRows(
  tokenIds: readonly number[],
  imageTokenId: number,
  images: readonly PromptImage[],
  hiddenSize: number,
): PromptRows {
  for (const [index, image] of images.entries()) checkImage(image, index, hiddenSize);
  const segments: PromptSegment[] = [];
  const ids: number[] = [];
  const imageOf: number[] = [];
  const cellOf: number[] = [];
  let nextImage = 0;
  for (const id of tokenIds) {
    if (id === imageTokenId) {
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
  const { next, ...positions } = promptPositions(segments);
  return {
    tokenIds: Int32Array.from(ids),
    features: images.map((image) => image.tokens),
    positions,
    image: Int32Array.from(imageOf),
    cell: Int32Array.from(cellOf),
    next,
  };
}

function checkImage(
  { tokenGrid, tokens, kept }: PromptImage,
  index: number,
  hiddenSize: number,
): void {
  const name = `image ${index}`;
  const hint = 'Pass the tokens of encodeImage, or rows of them with their cell indices in `kept`.';
  if (tokens.length !== kept.length * hiddenSize) {
    throw new ShapeError(
      `${name} tokens`,
      `[${kept.length}, ${hiddenSize}]`,
      [tokens.length],
      hint,
    );
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
