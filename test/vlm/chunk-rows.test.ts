import { expect, it } from 'vitest';
import { chunkRows } from '../../src/vlm/prefill.js';

it('rows of a prefill that go through a stage at once are fewer the more stand before them', () => {
  expect([0, 512, 8_192].map((past) => chunkRows(512, past))).toEqual([512, 512, 512]);
  expect(chunkRows(512, 16_384)).toBe(256);
  expect(chunkRows(512, 27_000)).toBe(128);
  expect(chunkRows(512, 1e6)).toBe(64);
  // What was asked for is never exceeded.
  expect(chunkRows(7, 1e6)).toBe(7);
  expect(chunkRows(100, 1e6)).toBe(64);
});
