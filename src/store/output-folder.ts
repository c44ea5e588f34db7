/** A folder that results are to go to, and cannot. */

import { GlyphpressError } from '../errors.js';

export function unusableFolder(folder: string, cause: unknown): GlyphpressError {
  return new GlyphpressError('GP_OUTPUT_EXISTS', {
    message: `${folder} cannot be used as a folder: ${(cause as Error).message}`,
    hint: 'Give another output folder.',
    details: { folder },
    cause,
  });
}
