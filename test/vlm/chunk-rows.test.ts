import { describe, expect, it } from 'vitest';
import {
  chunkRows,
  type DecoderSize,
  rowOperations,
  SHARED_RUN_OPERATIONS,
} from '../../src/vlm/chunk-rows.js';

/** models/reader */
const READER: DecoderSize = {
  hiddenSize: 576,
  intermediateSize: 1_536,
  layers: 30,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
};
const TWICE_AS_DEEP = { ...READER, layers: 60 };

const shared = (chunk: number) => ({ chunk, operations: SHARED_RUN_OPERATIONS });

describe('rows of a prefill that go through the decoder at once', () => {
  it('are fewer the more stand before them, and the larger the decoder', () => {
    const rows = [0, 512, 2_048, 8_192].map((past) => chunkRows(shared(512), past, READER));
    expect(rows).toEqual([256, 256, 128, 64]);
    expect(chunkRows(shared(512), 0, { ...READER, layers: 2 })).toBe(512);
    expect(chunkRows(shared(512), 0, TWICE_AS_DEEP)).toBe(128);
  });

  it('are never more than were asked for, and never so few that a run is mostly reading weights', () => {
    expect(chunkRows(shared(7), 1e6, READER)).toBe(7);
    expect(chunkRows(shared(100), 0, READER)).toBe(100);
    expect(chunkRows(shared(100), 1e6, READER)).toBe(64);
  });

  it('are as many as may be where nobody waits', () => {
    const alone = { chunk: 512, operations: Number.POSITIVE_INFINITY };
    expect(chunkRows(alone, 30_000, TWICE_AS_DEEP)).toBe(512);
  });

  it('do as much work in each run, above the least', () => {
    for (let past = 0; past < 30_000; past += 997) {
      const small = { ...READER, layers: 4 };
      const rows = chunkRows(shared(512), past, small);
      if (rows > 64)
        expect(rows * rowOperations(small, past)).toBeLessThanOrEqual(SHARED_RUN_OPERATIONS);
    }
  });

  it('count what the projections, the MLP and attention multiply', () => {
    // 106 million weights of matrices, and two products of 576 numbers with each row before, in 30 layers.
    expect(rowOperations(READER, 0)).toBe(2 * 30 * (576 * (576 + 2 * 192 + 576) + 3 * 576 * 1_536));
    expect(rowOperations(READER, 1_000) - rowOperations(READER, 0)).toBe(2 * 30 * 2 * 1_000 * 576);
  });
});
