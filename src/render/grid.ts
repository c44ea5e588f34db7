/** The grid that a VLM sees: one visual token is one square cell of the page. */

/** Side of one visual token in page pixels: 14-px patches merged 2×2 (GLM-4V, Qwen2-VL, Qwen2.5-VL). */
export const VISUAL_TOKEN_CELL_PX = 28;

/** Line pitches that divide a cell into whole text rows. */
const LOCKED_PITCHES_PX = [28, 14, 28 / 3, 7] as const;

/**
 * The line pitch nearest to the wanted one that divides a cell, and holds the type.
 * Pitches above a cell become whole cells.
 */
export function lockedPitchPx(wantedPx: number, fontSizePx: number): number {
  if (wantedPx > VISUAL_TOKEN_CELL_PX + 1e-6) {
    return Math.ceil(wantedPx / VISUAL_TOKEN_CELL_PX - 1e-6) * VISUAL_TOKEN_CELL_PX;
  }
  const roomy = LOCKED_PITCHES_PX.filter((pitch) => pitch >= fontSizePx - 1e-6);
  return roomy.reduce((best, pitch) =>
    Math.abs(pitch - wantedPx) < Math.abs(best - wantedPx) ? pitch : best,
  );
}
