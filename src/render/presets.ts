/** Named render configs. */

import type { RawRenderConfig } from './render-config.js';

/** Glyph's best English config (thu-coai/Glyph @61afa7f, config/config_en.json) at a given DPI. */
const glyphEnglish = (dpi: number): RawRenderConfig => ({
  'page-size': '595,842',
  dpi,
  'margin-x': 10,
  'margin-y': 10,
  'font-family': 'Verdana',
  'font-size': 9,
  'line-height': 10,
  'font-color': '#000000',
  alignment: 'LEFT',
  'horizontal-scale': 1,
  'first-line-indent': 0,
  'left-indent': 0,
  'right-indent': 0,
  'space-after': 0,
  'space-before': 0,
  'border-width': 0,
  'border-padding': 0,
  'page-bg-color': '#FFFFFF',
  'para-bg-color': '#FFFFFF',
  'auto-crop-width': true,
  'auto-crop-last-page': true,
});

/**
 * glyphpress's own: a page of whole visual tokens (21 × 30 cells, so the image processor never
 * resamples it), three text rows a cell, nothing cut through a cell.
 */
const gridPage: RawRenderConfig = {
  'page-size': '588,840',
  dpi: 72,
  'margin-x': 4,
  'margin-y': 0,
  'font-family': 'DejaVu Sans',
  'font-size': 9,
  'line-height': 9.33,
  alignment: 'LEFT',
  'grid-lock': true,
  'auto-crop-width': true,
  'auto-crop-last-page': true,
  'crop-multiple': 28,
};

/** For the reader that ships with glyphpress: two text rows a cell, the sparser half of what it was trained on. */
const readerPage: RawRenderConfig = {
  ...gridPage,
  'margin-x': 0,
  'font-size': 11,
  'line-height': 14,
};

export const PRESETS: Readonly<Record<string, RawRenderConfig>> = {
  default: gridPage,
  reader: readerPage,
  'glyph-72': glyphEnglish(72),
  'glyph-96': glyphEnglish(96),
  'glyph-120': glyphEnglish(120),
};

export const DEFAULT_PRESET = 'default';
