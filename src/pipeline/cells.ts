/** What pages cost in visual tokens when no model is at hand to ask. */

import { VISUAL_TOKEN_CELL_PX } from '../render/index.js';

export interface PageSize {
  widthPx: number;
  heightPx: number;
}

/**
 * Σ cells, each side rounded to whole cells of 28 px as GLM-4V's image processor does within its
 * pixel limits (half to even, at least one cell).
 */
export function visualTokensOf(pages: readonly PageSize[]): number {
  return pages.reduce((sum, page) => sum + cellsAlong(page.widthPx) * cellsAlong(page.heightPx), 0);
}

function cellsAlong(px: number): number {
  const cells = px / VISUAL_TOKEN_CELL_PX;
  const floor = Math.floor(cells);
  const rounded = cells - floor === 0.5 ? floor + (floor % 2) : Math.round(cells);
  return Math.max(1, rounded);
}
