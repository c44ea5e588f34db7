/** A render config turned into pixels: what layout, pagination and drawing share. */

import type { RenderConfig } from './config-schema.js';
import { lockedPitchPx } from './grid.js';

export interface PageGeometry {
  /** Size of the uncropped page image, after horizontal scaling. */
  pageWidthPx: number;
  pageHeightPx: number;
  /** Width before horizontal scaling: the space that layout works in. */
  layoutWidthPx: number;
  horizontalScale: number;
  marginXPx: number;
  marginTopPx: number;
  contentHeightPx: number;
  /** Left edge of each column, in layout space. */
  columnLeftsPx: number[];
  columnWidthPx: number;
  /** Width of a line between the indents. */
  lineWidthPx: number;
  leftIndentPx: number;
  firstLineIndentPx: number;
  /** Room at the start of a line that goes on, for the end of the line before. */
  lineOverlapPx: number;
  fontSizePx: number;
  linePitchPx: number;
  spaceBeforePx: number;
  spaceAfterPx: number;
  borderWidthPx: number;
  borderPaddingPx: number;
}

/** Points to pixels; a page side is rounded up, as poppler does with Glyph's PDF pages. */
export function pageGeometry(config: RenderConfig): PageGeometry {
  const px = (points: number) => (points * config.dpi) / 72;
  const layoutWidthPx = Math.ceil(px(config.pageWidthPt) - 1e-6);
  const pageHeightPx = Math.ceil(px(config.pageHeightPt) - 1e-6);
  const fontSizePx = px(config.fontSizePt);
  const linePitchPx = config.gridLock
    ? lockedPitchPx(px(config.lineHeightPt), fontSizePx, config.visualTokenPx)
    : px(config.lineHeightPt);
  // A row must not straddle two rows of cells: on the grid, text starts at a whole number of rows.
  const marginTopPx = config.gridLock
    ? Math.floor(px(config.marginYPt) / linePitchPx + 1e-9) * linePitchPx
    : px(config.marginYPt);
  const onGrid = (space: number) =>
    config.gridLock ? Math.round(space / linePitchPx) * linePitchPx : space;
  const marginXPx = px(config.marginXPt);
  const gapPx = px(config.columnGapPt);
  const columnWidthPx =
    (layoutWidthPx - 2 * marginXPx - (config.columns - 1) * gapPx) / config.columns;
  return {
    pageWidthPx: Math.max(1, Math.floor(layoutWidthPx * config.horizontalScale + 1e-6)),
    pageHeightPx,
    layoutWidthPx,
    horizontalScale: config.horizontalScale,
    marginXPx,
    marginTopPx,
    contentHeightPx: pageHeightPx - 2 * marginTopPx,
    columnLeftsPx: Array.from(
      { length: config.columns },
      (_, i) => marginXPx + i * (columnWidthPx + gapPx),
    ),
    columnWidthPx,
    lineWidthPx: columnWidthPx - px(config.leftIndentPt) - px(config.rightIndentPt),
    leftIndentPx: px(config.leftIndentPt),
    firstLineIndentPx: px(config.firstLineIndentPt),
    lineOverlapPx: px(config.lineOverlapPt),
    fontSizePx,
    linePitchPx,
    spaceBeforePx: onGrid(px(config.spaceBeforePt)),
    spaceAfterPx: onGrid(px(config.spaceAfterPt)),
    borderWidthPx: px(config.borderWidthPt),
    borderPaddingPx: px(config.borderPaddingPt),
  };
}
