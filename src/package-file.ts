/** What ships beside the code: models, the page for the browser, package.json. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = folderWithPackageJson(dirname(fileURLToPath(import.meta.url)));

/** @param path from the root of the package: `models/reader`; the same from `src` and from `dist` */
export function packageFile(path: string): string {
  return join(ROOT, path);
}

/** The model that reads where none is named: the folder in GLYPHPRESS_MODEL, else the reader that ships. */
export const DEFAULT_MODEL = resolve(process.env.GLYPHPRESS_MODEL || packageFile('models/reader'));

/** The model that transcribes and proofreads where none is named: the one that ships with a legibility probe. */
export const PROBED_MODEL = resolve(
  process.env.GLYPHPRESS_MODEL || packageFile('models/look-up-reader'),
);

/**
 * A module that another thread or process starts: JavaScript that the build made, also where the caller
 * runs from its TypeScript source.
 *
 * @param source from the root of the package: `src/extract/child.ts`
 * @returns its path; null where nothing was built
 */
export function builtFile(source: string): string | null {
  const file = packageFile(join('dist', source.replace(/\.ts$/, '.js')));
  return existsSync(file) ? file : null;
}

export function packageJson(): { version: string; description: string } {
  return JSON.parse(readFileSync(packageFile('package.json'), 'utf8'));
}

function folderWithPackageJson(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : folderWithPackageJson(dirname(folder));
}
