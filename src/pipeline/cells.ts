/** What pages cost in visual tokens when no model is at hand to ask. */

import { GLM_4V_PAGES, visualTokenGrid } from '../vlm/index.js';

export interface PageSize {
  widthPx: number;
  heightPx: number;
}

/**
 * Σ cells as GLM-4.1V's image processor counts them: it enlarges a page of fewer than eight cells.
 * A model with other pixel limits may count otherwise, as the report of a compressed document says.
 */
export function visualTokensOf(pages: readonly PageSize[]): number {
  return pages.reduce((sum, page) => {
    const { rows, cols } = gridOf(page);
    return sum + rows * cols;
  }, 0);
}

/** The cells of one page, see {@link visualTokensOf}. */
export function gridOf(page: PageSize): { rows: number; cols: number } {
  const { patchSize, mergeSize } = GLM_4V_PAGES;
  const cellPx = patchSize * mergeSize;
  // A side below one cell is enlarged before anything else.
  const size = {
    widthPx: Math.max(cellPx, page.widthPx),
    heightPx: Math.max(cellPx, page.heightPx),
  };
  return visualTokenGrid(size, GLM_4V_PAGES);
}
