import type { Feeds } from '../feed.js';
import { type AxialFrequencies, axialRotary } from './patch-grid.js';

/** `cos` and `sin` of the patches, as `rotaryInputs` takes them. */
export function axialFeeds(
  gridH: number,
  gridW: number,
  mergeSize: number,
  frequencies: AxialFrequencies,
): Feeds {
  const { cos, sin } = axialRotary(gridH, gridW, mergeSize, frequencies);
  const dims = [gridH * gridW, 2 * frequencies.row.length];
  return { cos: { data: cos, dims }, sin: { data: sin, dims } };
}
