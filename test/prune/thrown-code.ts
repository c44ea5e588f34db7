import { GlyphpressError } from '../../src/errors.js';

/** The code of the GlyphpressError that a function throws; anything else that it throws passes on. */
export function codeOf(run: () => unknown): string | undefined {
  return thrown(run)?.code;
}

export function thrown(run: () => unknown): GlyphpressError | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof GlyphpressError) return error;
    throw error;
  }
}
