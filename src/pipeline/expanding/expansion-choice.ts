/** Whether a document is read twice where nobody says so. */

import type { ModelInfo } from '../../vlm/index.js';
import type { ExpansionMethod } from './expander.js';

/** `auto` for models of which it was measured that passages alone are read better than pages, else `off`. */
export function defaultExpansion({
  passages,
}: Pick<ModelInfo, 'passages'>): 'off' | ExpansionMethod {
  return passages === 'alone' ? 'auto' : 'off';
}
