/** Whether a document is read twice, and how: what was asked for, else what its model is best with. */

import type { ModelInfo } from '../../vlm/index.js';
import { DEFAULT_EXPANSION_BUDGET, type ExpandSettings, type ExpansionMethod } from './expander.js';

export type ExpansionChoice = Pick<ExpandSettings, 'method' | 'budget'>;

export interface AskedExpansion {
  expand?: 'off' | ExpansionMethod | undefined;
  expandBudget?: number | undefined;
  /** Pages that are read with the question first stay alone where nobody says otherwise. */
  questionFirst?: unknown;
}

/**
 * Where nothing is said: `auto` for models of which it was measured that passages alone are read better than
 * pages, else nothing.
 *
 * @param model null where only what is asked for counts: a measurement, a model behind a server
 */
export function expansionFor(
  { expand, expandBudget: budget = DEFAULT_EXPANSION_BUDGET, questionFirst }: AskedExpansion,
  model: Pick<ModelInfo, 'passages'> | null,
): ExpansionChoice | undefined {
  const isBetter = model?.passages === 'alone' && !questionFirst;
  const method = expand ?? (isBetter ? 'auto' : 'off');
  return method === 'off' ? undefined : { method, budget };
}
