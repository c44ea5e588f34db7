/** The browser that this machine offers, as the renderer wants it. */

import { requireChromium } from '../environment/chromium.js';
import type { ChromiumOptions } from '../render/index.js';
import { scratchFolder } from '../store/scratch-folder.js';

/**
 * The sandbox stays on wherever Chromium can have one. `GLYPHPRESS_CHROME_SANDBOX=off` turns it off
 * by choice; as root Chromium refuses to start with it.
 */
export function chromiumOptions(env: NodeJS.ProcessEnv = process.env): ChromiumOptions {
  const isRoot = process.getuid?.() === 0;
  return {
    executablePath: requireChromium(env).path,
    scratchFolder: scratchFolder(),
    sandbox: !isRoot && !/^(off|0|false|no)$/i.test(env.GLYPHPRESS_CHROME_SANDBOX ?? ''),
  };
}
