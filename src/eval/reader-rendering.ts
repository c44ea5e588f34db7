/** The rendering that a reader of glyphpress's own was trained to read. */

import { readFileSync } from 'node:fs';
import path from 'node:path';

/** A cell of 28 px holds exactly three rows of five letters. Keys as in render config files. */
export const READER_RENDERING: Readonly<Record<string, unknown>> = {
  'page-size': '588,840',
  dpi: 72,
  'margin-x': 0,
  'margin-y': 0,
  'font-family': 'DejaVu Sans Mono',
  'font-size': 9.3015,
  'line-height': 9.33,
  alignment: 'LEFT',
  'grid-lock': true,
  'auto-crop-width': true,
  'auto-crop-last-page': true,
  'crop-multiple': 28,
};

/**
 * @param modelDir a checkpoint folder
 * @returns `glyphpress.render` of its `config.json`; {@link READER_RENDERING} for a reader that does
 *   not say; null for any other model
 */
export function trainedRendering(modelDir: string): Readonly<Record<string, unknown>> | null {
  const config = JSON.parse(readFileSync(path.join(modelDir, 'config.json'), 'utf8')) as {
    glyphpress?: { render?: Record<string, unknown> };
  };
  if (!config.glyphpress) return null;
  return config.glyphpress.render ?? READER_RENDERING;
}
