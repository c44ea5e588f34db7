/** Citations that name the file that they stand in. */

import { type DocumentFile, placeInFiles } from '../inputs/document-files.js';
import type { Citation } from './citations.js';

/** One plain text alone is not named: its places are those of the document. */
export function citeFiles<T extends Citation>(
  citations: readonly T[],
  files: readonly DocumentFile[] | undefined,
): T[] {
  const [only] = files ?? [];
  if (!files || (files.length === 1 && !only?.pageStarts)) return [...citations];
  return citations.map((citation) => {
    const file = placeInFiles(citation, files);
    return file ? { ...citation, file } : citation;
  });
}
