/** How many cells of drawn pages a plan drops by what they show: known from their pixels, without a model. */

import {
  cellsLeftByContent,
  needsSignals,
  type PrunePlan,
  pageSignals,
} from '../../prune/index.js';
import { gridOfPage, type VisionInfo } from '../../vlm/index.js';
import { decodePage } from '../artifacts/page-images.js';
import type { SourcePage } from '../artifacts/page-source.js';

export async function countContentDrops(
  pages: AsyncIterable<Pick<SourcePage, 'png' | 'lines'>>,
  plan: PrunePlan,
  vision: VisionInfo,
): Promise<{ visualTokens: number; contentDrops: number }> {
  const hashes = plan.encoder?.repeats === 'drop';
  const looked = [];
  for await (const { png, lines } of pages) {
    const image = await decodePage(png);
    const grid = gridOfPage(image, vision);
    const signals = needsSignals(plan) ? pageSignals(image, grid, lines, { hashes }) : undefined;
    looked.push({ grid, ...(signals && { signals }) });
  }
  const visualTokens = looked.reduce((sum, { grid }) => sum + grid.rows * grid.cols, 0);
  const left = cellsLeftByContent(looked, plan).reduce((sum, cells) => sum + cells.length, 0);
  return { visualTokens, contentDrops: visualTokens - left };
}
