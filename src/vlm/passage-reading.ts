/** How a model reads passages of the source, where a question is asked with some. */

import type { ConfigReader } from './config-reader.js';

/**
 * `behind-pages`: as text that follows the pages. `alone`: without the pages, which drown the text for a
 * model that never learned to read both together.
 */
export const PASSAGE_READINGS = ['behind-pages', 'alone'] as const;
export type PassageReading = (typeof PASSAGE_READINGS)[number];

/**
 * @param glyphpress of the checkpoint's config.json: `passages` says what was measured better
 * @throws {GlyphpressError} GP_CHECKPOINT for another word
 */
export function passageReading(glyphpress: ConfigReader | undefined): PassageReading {
  const stated = glyphpress?.string('passages', '') || 'behind-pages';
  const known = PASSAGE_READINGS.find((reading) => reading === stated);
  glyphpress?.check(known !== undefined, 'passages', PASSAGE_READINGS.join(' or '));
  return known ?? 'behind-pages';
}
