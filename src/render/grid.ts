/** The grid that a VLM sees: one visual token is one square cell of the page. */
import type { RenderConfig } from './config-schema.js';

/** Side of one visual token where a config does not say: 14-px patches merged 2×2, as most models have. */
export const DEFAULT_VISUAL_TOKEN_PX = 28;

/** Text rows that a cell is divided into. */
const ROWS_A_CELL = [1, 2, 3, 4] as const;

/**
 * The line pitch nearest to the wanted one that divides a cell, and holds the type.
 * Pitches above a cell become whole cells.
 */
export function lockedPitchPx(wantedPx: number, fontSizePx: number, cellPx: number): number {
  if (wantedPx > cellPx + 1e-6) return Math.ceil(wantedPx / cellPx - 1e-6) * cellPx;
  const roomy = ROWS_A_CELL.map((rows) => cellPx / rows).filter(
    (pitch) => pitch >= fontSizePx - 1e-6,
  );
  return roomy.reduce((best, pitch) =>
    Math.abs(pitch - wantedPx) < Math.abs(best - wantedPx) ? pitch : best,
  );
}

/**
 * The config for a model whose visual tokens are of another size. What was whole cells stays so: the
 * sides of a page on the grid go to the nearest number of them, crops are rounded to as many; the line
 * pitch follows when it is locked. A config for this size comes back as it is.
 *
 * @param cellPx side of one visual token of the model
 */
export function fitToCells(config: RenderConfig, cellPx: number): RenderConfig {
  const { visualTokenPx: was, cropMultiplePx: crop } = config;
  if (was === cellPx) return config;
  const side = (pt: number) => {
    if (!config.gridLock) return pt;
    const cells = Math.max(1, Math.round((pt * config.dpi) / 72 / cellPx));
    return (cells * cellPx * 72) / config.dpi;
  };
  return {
    ...config,
    visualTokenPx: cellPx,
    pageWidthPt: side(config.pageWidthPt),
    pageHeightPt: side(config.pageHeightPt),
    cropMultiplePx: crop % was === 0 ? (crop / was) * cellPx : crop,
  };
}
