/** A place of an opened document that was read as text. */

import type { Rectangle } from '../citing/citations.js';

export interface ExpandedPlace {
  /** Which of the documents that were opened together, from 0. */
  document: number;
  /** From 1; null where no page shows it. */
  page: number | null;
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
  /** In page pixels, around all its lines; null where no page shows it. */
  rect: Rectangle | null;
}
