/** What a document will take in the store, known from its layout. */

import { type PrunePlan, predictEncodedTokens, predictTokens } from '../prune/index.js';
import type { ModelInfo } from '../vlm/index.js';

/** Bytes of a drawn page for each of its pixels; dense text, 2026-11-27, test/bench/soak.bench.ts. */
const PAGE_BYTES_PER_PIXEL = 0.2;

/** Visual tokens are kept as float16. */
const BYTES_OF_A_NUMBER = 2;

export interface DocumentBytes {
  pages: number;
  tokens: number;
  context: number;
}

/** @param visualTokens before any drop */
export function predictBytes(
  visualTokens: number,
  plan: PrunePlan,
  { vision, layers, storedKvBytesPerToken }: ModelInfo,
): DocumentBytes {
  if (!vision) return { pages: 0, tokens: 0, context: 0 };
  const { contextTokens } = predictTokens(predictEncodedTokens(visualTokens, plan), layers, plan);
  return {
    pages: Math.round(visualTokens * vision.cellPx ** 2 * PAGE_BYTES_PER_PIXEL),
    tokens: visualTokens * vision.tokenWidth * BYTES_OF_A_NUMBER,
    context: Math.round(contextTokens * storedKvBytesPerToken),
  };
}

export function sumOfBytes({
  pages = 0,
  tokens,
  context,
}: Partial<DocumentBytes> & Omit<DocumentBytes, 'pages'>): number {
  return pages + tokens + context;
}
