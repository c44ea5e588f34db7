/** How many times fewer tokens rendering and pruning leave, see the compression report. */

import type { Account } from './results-log.js';

export interface TokenRatios {
  /** Text tokens / visual tokens. */
  renderRatio: number;
  /** Visual tokens / context tokens. */
  pruneRatio: number;
  /** Text tokens / context tokens. */
  stackedRatio: number;
}

/** @returns 0 for a ratio to nothing: no document was opened */
export function tokenRatios({
  textTokens,
  visualTokens,
  contextTokens,
}: Omit<Account, 'pages'>): TokenRatios {
  const ratio = (a: number, b: number) => (b === 0 ? 0 : a / b);
  return {
    renderRatio: ratio(textTokens, visualTokens),
    pruneRatio: ratio(visualTokens, contextTokens),
    stackedRatio: ratio(textTokens, contextTokens),
  };
}
