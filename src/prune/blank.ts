/**
 * Lossless first: cells without ink hold nothing to read, so their visual tokens go before anything
 * else is ranked.
 *
 * The vision tower of GLM-4V lets every patch of a page attend to every other, so leaving blank
 * patches out of it would change all other tokens of the page: they are dropped right behind it. The
 * kept tokens keep their positions.
 *
 * "Lossless" is a claim about the page, not about the model: a tower may park information about the
 * whole page in background tokens ("registers"), and only a measurement shows whether it does.
 */
import type { PageSignals } from './page-signals.js';

/** @returns the cells that hold ink, ascending; the first cell where none does, for a page is never empty */
export function inkedCells({ blank }: Pick<PageSignals, 'blank'>): Int32Array {
  const cells = Int32Array.from(blank.keys()).filter((cell) => !blank[cell]);
  return cells.length > 0 ? cells : Int32Array.of(0);
}
