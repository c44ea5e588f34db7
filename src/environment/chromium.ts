import {
  chromiumChoices,
  chromiumSandbox,
  discoverChromium,
  type FoundChromium,
  type SandboxState,
} from '#setup/discovery.mjs';
import { GlyphpressError } from '../errors.js';

export type { FoundChromium, SandboxState };

/**
 * The Chromium that every command uses: GLYPHPRESS_CHROME → Puppeteer's cache → PATH → known system
 * paths; the first that answers `--version`. The answer is cached per executable.
 *
 * @returns null when none works, also when GLYPHPRESS_CHROME is set and does not work
 */
export function findChromium(env: NodeJS.ProcessEnv = process.env): FoundChromium | null {
  return discoverChromium({ env }).found;
}

/**
 * Like {@link findChromium}, for callers that cannot go on without one.
 *
 * @throws {GlyphpressError} GP_BROWSER_NOT_FOUND with what was tried and the ways to get a browser
 */
export function requireChromium(env: NodeJS.ProcessEnv = process.env): FoundChromium {
  const { found, rejected } = discoverChromium({ env });
  if (found) return found;
  const problems = rejected.map(({ path, problem }) => `${path}: ${problem}`);
  const pinned = env.GLYPHPRESS_CHROME;
  throw new GlyphpressError('GP_BROWSER_NOT_FOUND', {
    message: pinned
      ? `GLYPHPRESS_CHROME is set to ${pinned}, which does not work (${problems.join('; ')})`
      : ['Expected a Chromium, found none that works', ...problems].join('; '),
    hint: pinned
      ? 'Correct GLYPHPRESS_CHROME, or unset it to let glyphpress search.'
      : `One of these gives you one. ${chromiumChoices().join('. ')}.`,
    details: { rejected, choices: chromiumChoices() },
  });
}

/**
 * Whether Chromium's own sandbox works for this user. Where it does not, for example as root,
 * Chromium starts only with `--no-sandbox`.
 */
export function sandboxState(env: NodeJS.ProcessEnv = process.env): SandboxState {
  return chromiumSandbox({ env });
}
