/** What pages cost in visual tokens when no model is at hand to ask. */

import { GLM_4V_PAGES, type PageGrid, visualTokenGrid } from '../vlm/index.js';

export interface PageSize {
  widthPx: number;
  heightPx: number;
}

/**
 * Σ cells as GLM-4.1V's image processor counts them: it enlarges a page of fewer than eight cells.
 * A model with other pixel limits may count otherwise, as the report of a compressed document says.
 *
 * @param cellPx side of one visual token, from the render config
 */
export function visualTokensOf(pages: readonly PageSize[], cellPx: number): number {
  return pages.reduce((sum, page) => {
    const { rows, cols } = gridOf(page, cellPx);
    return sum + rows * cols;
  }, 0);
}

/** The cells of one page, see {@link visualTokensOf}. */
export function gridOf(page: PageSize, cellPx: number): PageGrid {
  // A side below one cell is enlarged before anything else.
  const size = {
    widthPx: Math.max(cellPx, page.widthPx),
    heightPx: Math.max(cellPx, page.heightPx),
  };
  const { mergeSize } = GLM_4V_PAGES;
  const rule = { ...GLM_4V_PAGES.size, cellPx };
  return visualTokenGrid(size, { mergeSize, patchSize: cellPx / mergeSize, size: rule });
}
