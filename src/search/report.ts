import type { PagePicture } from './page-pictures.js';
import type { Space } from './space.js';
import type { SearchSummary } from './summary.js';
export function searchReport(
  summary: SearchSummary,
  pictures: readonly PagePicture[],
  _space: Space,
): string {
  return JSON.stringify([summary.version, pictures.length]);
}
