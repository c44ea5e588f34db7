/** One subject with several values, at random depths, all asked for: RULER's multi-value needles. */

import { Draft, type DraftSetting } from '../draft.js';
import { oneOfSentence } from '../facts.js';
import { askAllValues } from '../questions.js';
import type { EvalDocument } from '../task.js';
import { VALUE_TOKENS } from './ask-fact.js';

/** Values of one subject. */
const VALUES = 4;

export function makeSeveralValues(setting: DraftSetting): EvalDocument {
  const draft = new Draft(setting);
  const subject = draft.subject();
  const values = Array.from({ length: VALUES }, () => draft.value('code'));
  for (const value of values) {
    const fact = { ...subject, value };
    draft.hide(draft.anyDepth(), fact, oneOfSentence(fact));
  }
  draft.ask({
    kind: 'values',
    question: askAllValues(subject, setting.style),
    expected: values,
    metric: 'values',
    maxNewTokens: VALUES * VALUE_TOKENS,
  });
  return draft.finish();
}
