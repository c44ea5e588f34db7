/**
 * A document that is larger than a model's context → parts that fit. What they cost is known from the
 * layout of the whole; each part begins at the strongest border near an even split.
 */

import { bestBorder } from './text-borders.js';

/** A page of a laid-out text. */
export interface MeasuredPage {
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
  visualTokens: number;
}

export interface TextRange {
  start: number;
  end: number;
}

/** How far from its even end a part may end for a better border. */
const SLACK = 0.25;

/**
 * Parts that cover the range without gaps. Each costs at most `capacity` by the layout of the whole; laid
 * out by itself a part may take a little more, which {@link planParts} checks.
 *
 * @param capacity visual tokens, at least those of one page
 * @param fileStarts where files begin, with their headings
 */
export function splitDocument(
  text: string,
  pages: readonly MeasuredPage[],
  range: TextRange,
  capacity: number,
  fileStarts: ReadonlySet<number> = new Set(),
): TextRange[] {
  const cost = new CostCurve(pages);
  const parts: TextRange[] = [];
  let { start } = range;
  while (cost.between(start, range.end) > capacity) {
    const rest = cost.between(start, range.end);
    const count = Math.ceil(rest / capacity);
    const even = rest / count;
    // No earlier than leaves enough for the others, and no later than fits.
    const least = Math.max((1 - SLACK) * even, rest - (count - 1) * capacity);
    const latest = Math.min(
      range.end - 1,
      cost.reach(start, Math.min(capacity, (1 + SLACK) * even)),
    );
    const earliest = Math.min(latest, Math.max(start + 1, cost.reach(start, least)));
    const wanted = Math.min(latest, Math.max(earliest, cost.reach(start, even)));
    const { at } = bestBorder(text, earliest, latest, wanted, fileStarts);
    const end = Math.max(start + 1, Math.min(at, latest));
    parts.push({ start, end });
    start = end;
  }
  parts.push({ start, end: range.end });
  return parts;
}

/** Visual tokens up to an offset; within a page they count as spread evenly. */
class CostCurve {
  constructor(private readonly pages: readonly MeasuredPage[]) {}

  between(start: number, end: number): number {
    return this.#upTo(end) - this.#upTo(start);
  }

  /** The offset up to which a text from `start` on costs `tokens`. */
  reach(start: number, tokens: number): number {
    const wanted = this.#upTo(start) + tokens;
    let before = 0;
    for (const page of this.pages) {
      if (before + page.visualTokens >= wanted) {
        const share = (wanted - before) / page.visualTokens;
        return Math.floor(page.start + share * (page.end - page.start));
      }
      before += page.visualTokens;
    }
    return this.pages.at(-1)?.end ?? 0;
  }

  #upTo(offset: number): number {
    let tokens = 0;
    for (const { start, end, visualTokens } of this.pages) {
      if (offset >= end) tokens += visualTokens;
      else if (offset > start) tokens += (visualTokens * (offset - start)) / (end - start);
    }
    return tokens;
  }
}
