/** The size of a page as its layout tells it, before a pixel is drawn. */

import type { RenderConfig } from './config-schema.js';
import type { PageGeometry } from './page-geometry.js';
import type { PagePlan } from './paginate.js';

type CropOptions = Pick<
  RenderConfig,
  'autoCropWidth' | 'autoCropLastPage' | 'cropMultiplePx' | 'paraBgColor' | 'pageBgColor'
>;

/**
 * Exact for a page that is not cropped. A cropped side ends where the line boxes end, while drawing
 * looks for the last inked pixel, which lies up to a few pixels from there; rounding to
 * `crop-multiple` hides most of that.
 */
export function plannedSize(
  { lines, paragraphs, isLast }: PagePlan,
  geometry: PageGeometry,
  config: CropOptions,
): { widthPx: number; heightPx: number } {
  const { pageWidthPx, pageHeightPx, marginXPx, marginTopPx, horizontalScale } = geometry;
  const { borderWidthPx, borderPaddingPx } = geometry;
  const framePx = borderPaddingPx + borderWidthPx / 2;
  const isFramed = borderWidthPx > 0 || config.paraBgColor !== config.pageBgColor;
  const boxes = [
    ...lines
      .filter(({ runs }) => runs.some(({ text }) => text.trim() !== ''))
      .map(({ xPx, yPx, widthPx, heightPx }) => [xPx + widthPx, yPx + heightPx] as const),
    ...(isFramed ? paragraphs : []).map(
      (box) =>
        [
          (box.xPx + box.widthPx + framePx) * horizontalScale,
          box.yPx + box.heightPx + framePx,
        ] as const,
    ),
  ];
  const right = Math.max(0, ...boxes.map(([x]) => x));
  const bottom = Math.max(0, ...boxes.map(([, y]) => y));
  const cropped = (end: number, marginPx: number, fullPx: number) => {
    if (end === 0) return fullPx;
    const wanted = Math.min(fullPx, Math.ceil(end) + Math.round(marginPx));
    return Math.min(fullPx, Math.ceil(wanted / config.cropMultiplePx) * config.cropMultiplePx);
  };
  return {
    widthPx: config.autoCropWidth
      ? cropped(right, marginXPx * horizontalScale, pageWidthPx)
      : pageWidthPx,
    heightPx:
      config.autoCropLastPage && isLast ? cropped(bottom, marginTopPx, pageHeightPx) : pageHeightPx,
  };
}
