/**
 * The legibility probe: which characters a visual token holds, without the decoder.
 *
 * A reader's visual token is written in a code (training/construct.py): block p of it, dimensions
 * 8p … 8p+7, is place p of its window of 3 text rows × 15 characters, row by row; the last 5 of a row are
 * the cell's own. The character of a place is the one whose code has the largest product with the block.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GlyphpressError } from '../errors.js';
import { SafetensorsFile } from './safetensors.js';
import type { EncodedImage } from './vision-encoder.js';

/** In the model folder. */
export const PROBE_FILE = join('probe', 'model.safetensors');

/** Class c is the character 32 + c: printable ASCII. */
const CLASSES = 95;
const FIRST_CHARACTER = 32;
const BLOCK = 8;
const WINDOW = 15;
/** Text rows of a cell. */
export const CELL_ROWS = 3;
/** Characters of a text row of a cell. */
export const CELL_COLUMNS = 5;
const DIMENSIONS = CELL_ROWS * WINDOW * BLOCK;

export class LegibilityProbe {
  /** @param codes float32 [95, 8] */
  constructor(private readonly codes: Float32Array) {}

  /** Whether {@link LegibilityProbe.open} would give one. */
  static isIn(dir: string, hiddenSize: number): boolean {
    return existsSync(join(dir, PROBE_FILE)) && hiddenSize >= DIMENSIONS;
  }

  /**
   * @param hiddenSize of the model's visual tokens
   * @throws GP_CHECKPOINT for a model without a probe, or with one of another shape
   */
  static open(dir: string, hiddenSize: number): LegibilityProbe {
    const file = join(dir, PROBE_FILE);
    if (!existsSync(file)) {
      throw unfit(file, `${dir} has no legibility probe: ${PROBE_FILE} does not exist`);
    }
    const probe = SafetensorsFile.open(file);
    try {
      const { shape } = probe.entry('codes');
      if (shape.length !== 2 || shape[0] !== CLASSES || shape[1] !== BLOCK) {
        throw unfit(
          file,
          `${file}: codes have shape [${shape.join(', ')}], expected [${CLASSES}, ${BLOCK}]`,
        );
      }
      if (hiddenSize < DIMENSIONS) {
        throw unfit(
          file,
          `The probe reads ${DIMENSIONS} dimensions of a visual token, those of ${dir} have ${hiddenSize}`,
        );
      }
      return new LegibilityProbe(probe.readFloat32('codes'));
    } finally {
      probe.close();
    }
  }

  /**
   * What a page says, as a grid of slots.
   *
   * @returns rows · 3 strings of cols · 5 characters, from the top; a place where nothing stands is a space
   */
  read({
    tokens,
    tokenGrid: { rows, cols },
  }: Pick<EncodedImage, 'tokens' | 'tokenGrid'>): string[] {
    const width = tokens.length / (rows * cols);
    return Array.from({ length: rows * CELL_ROWS }, (_, slotRow) => {
      const firstCell = Math.floor(slotRow / CELL_ROWS) * cols;
      const firstPlace = (slotRow % CELL_ROWS) * WINDOW + WINDOW - CELL_COLUMNS;
      const read = new Uint8Array(cols * CELL_COLUMNS);
      for (let column = 0; column < read.length; column += 1) {
        const token = (firstCell + Math.floor(column / CELL_COLUMNS)) * width;
        const place = firstPlace + (column % CELL_COLUMNS);
        read[column] = FIRST_CHARACTER + this.#nearest(tokens, token + place * BLOCK);
      }
      return String.fromCharCode(...read);
    });
  }

  #nearest(tokens: Float32Array, at: number): number {
    let best = 0;
    let most = Number.NEGATIVE_INFINITY;
    for (let n = 0; n < CLASSES; n += 1) {
      let product = 0;
      for (let i = 0; i < BLOCK; i += 1) product += tokens[at + i]! * this.codes[n * BLOCK + i]!;
      if (product > most) [best, most] = [n, product];
    }
    return best;
  }
}

function unfit(file: string, message: string): GlyphpressError {
  return new GlyphpressError('GP_CHECKPOINT', {
    message: `${message}.`,
    hint: 'Give a reader that was exported with its probe (training/export.py) with --model.',
    details: { file },
  });
}
