/**
 * Rows of the embedding table, read from the checkpoint when a prompt needs them: the table itself is
 * never in memory.
 */
import { GlyphpressError } from '../../errors.js';
import { readRows, type StoredWeight, tensorsOf } from './stored-weight.js';

export class EmbeddingTable {
  constructor(
    private readonly weight: StoredWeight,
    readonly width: number,
  ) {}

  /** Writes row `tokenId` to `target` at `offset`. */
  read(tokenId: number, target: Float32Array, offset: number): void {
    const rows = this.weight.shape[0]!;
    if (tokenId < 0 || tokenId >= rows) {
      const file = tensorsOf(this.weight)[0]!.shard.path;
      throw new GlyphpressError('GP_CHECKPOINT', {
        message: `Token ${tokenId} has no embedding; ${file} holds ${rows} rows.`,
        hint: 'tokenizer.json and weights belong to different models; get both from one place.',
        details: { tokenId, rows, tensor: this.weight.name },
      });
    }
    target.set(readRows(this.weight, tokenId, 1), offset);
  }
}
