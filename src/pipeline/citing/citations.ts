/** The places of the source that an answer was read from, as ranges and as rectangles on the pages. */

import type { PageRecord } from '../artifacts/page-folder.js';
import type { FilePlace } from '../inputs/document-files.js';
import { finalAnswer } from './final-answer.js';
import { partOfLine } from './line-part.js';
import { type Located, locateAnswer } from './locate-answer.js';
import { locateValues } from './locate-values.js';
import { saysNotFound } from './says-not-found.js';

export interface Rectangle {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Citation {
  /** Source range, UTF-16 offsets. A place that goes over a page break is two citations. */
  start: number;
  end: number;
  text: string;
  /** From 1; null where no page was drawn. */
  page: number | null;
  /** In page pixels; around all its lines. Null where no page was drawn. */
  rect: Rectangle | null;
  /** 0 to 1: how alike answer and place are, and how much of the question stands near. */
  score: number;
  /** The place in the file that the document was made of. */
  file?: FilePlace;
}

type Lines = Pick<PageRecord, 'start' | 'end' | 'lines' | 'advances'>;

/** @param readPages the span map, null for none; only read when there is a place to look up */
export async function citeAnswer(
  answer: string,
  question: string,
  source: string,
  readPages: () => Promise<readonly Lines[] | null>,
): Promise<Citation[]> {
  const said = finalAnswer(answer);
  if (said === '' || saysNotFound(said)) return [];
  const alike = locateAnswer(said, question, source);
  const places = alike.length > 0 ? alike : locateValues(said, question, source);
  if (places.length === 0) return [];
  const pages = await readPages();
  return pages ? citationsOf(places, pages, source) : places.map((place) => inText(place, source));
}

function inText({ start, end, score }: Located, source: string): Citation {
  return { start, end, text: source.slice(start, end), page: null, rect: null, score };
}

/** A place that no page shows (behind the pages that were drawn) has no citation. */
export function citationsOf(
  places: readonly Located[],
  pages: readonly Lines[],
  source: string,
): Citation[] {
  return places.flatMap((place) =>
    pages.flatMap((page, index) => {
      const start = Math.max(place.start, page.start);
      const end = Math.min(place.end, page.end);
      const rect = start < end ? rectangleOf(page, source, start, end) : null;
      if (!rect) return [];
      return [
        { start, end, text: source.slice(start, end), page: index + 1, rect, score: place.score },
      ];
    }),
  );
}

/** Around the lines' parts that the range covers. */
export function rectangleOf(
  { lines, advances }: Pick<PageRecord, 'lines' | 'advances'>,
  source: string,
  start: number,
  end: number,
): Rectangle | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const line of lines) {
    const from = Math.max(start, line.start);
    const to = Math.min(end, line.end);
    if (from >= to) continue;
    const part = partOfLine(line, source, { start: from, end: to }, advances);
    left = Math.min(left, part.left);
    right = Math.max(right, part.right);
    top = Math.min(top, line.y);
    bottom = Math.max(bottom, line.y + line.height);
  }
  if (left >= right) return null;
  return { x: left, y: top, width: right - left, height: bottom - top };
}
