/** A page to measure on that needs no renderer. */
import type { PageImage } from './image-processor.js';

/** Dark strokes of letter size on white, the same ones every time. */
export function drawnPage(sidePx: number): PageImage {
  const data = new Uint8Array(sidePx * sidePx).fill(255);
  let state = 1;
  for (let y = 0; y < sidePx; y += 1) {
    for (let x = 0; x < sidePx; x += 1) {
      if (y % 12 < 4) continue;
      if (x % 3 === 0) state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      if (state >>> 31 === 1) data[y * sidePx + x] = 20;
    }
  }
  return { data, widthPx: sidePx, heightPx: sidePx, channels: 1 };
}
