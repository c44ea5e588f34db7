/** What pages cost in visual tokens when no model is at hand to ask. */

import { GLM_4V_IMAGE_PROCESSOR, visualTokenGrid } from '../vlm/index.js';

export interface PageSize {
  widthPx: number;
  heightPx: number;
}

/**
 * Σ cells as GLM-4.1V's image processor counts them: it enlarges a page of fewer than eight cells.
 * A model with other pixel limits may count otherwise, as the report of a compressed document says.
 */
export function visualTokensOf(pages: readonly PageSize[]): number {
  const { patchSize, mergeSize } = GLM_4V_IMAGE_PROCESSOR;
  const cellPx = patchSize * mergeSize;
  return pages.reduce((sum, page) => {
    // A side below one cell is enlarged before anything else.
    const size = {
      widthPx: Math.max(cellPx, page.widthPx),
      heightPx: Math.max(cellPx, page.heightPx),
    };
    const { rows, cols } = visualTokenGrid(size, GLM_4V_IMAGE_PROCESSOR);
    return sum + rows * cols;
  }, 0);
}
