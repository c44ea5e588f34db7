/** Facts at each depth, and as many questions near to them that the text does not answer. */

import type { DraftSetting } from '../draft.js';
import type { EvalDocument } from '../task.js';
import { makeLookUp } from './look-up.js';

/** The look-ups show at what price absence is recognised: saying "not found" always is not it. */
export function makeAbsent(setting: DraftSetting): EvalDocument {
  return makeLookUp(setting, { absent: setting.depths.length });
}
