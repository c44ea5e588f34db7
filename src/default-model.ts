/** Which model reads where none is named. */

import path from 'node:path';
import { packageFile } from './package-file.js';

/** The model folder that GLYPHPRESS_MODEL names, else the reader that ships with glyphpress. */
export const DEFAULT_MODEL = path.resolve(
  process.env.GLYPHPRESS_MODEL || packageFile('models/reader'),
);
