/** Several facts, one at each depth, asked for in one question: RULER's multi-query needles. */

import { Draft, type DraftSetting } from '../draft.js';
import { askSeveral } from '../questions.js';
import type { EvalDocument } from '../task.js';
import { VALUE_TOKENS } from './ask-fact.js';

/** Needles in one question. */
const NEEDLES = 4;

export function makeNeedles(setting: DraftSetting): EvalDocument {
  const draft = new Draft(setting);
  const facts = Array.from({ length: NEEDLES }, () => draft.fact('code'));
  for (const fact of facts) draft.hide(draft.anyDepth(), fact);
  draft.ask({
    kind: 'needles',
    question: askSeveral(facts, setting.style),
    expected: facts.map(({ value }) => value),
    metric: 'values',
    maxNewTokens: NEEDLES * VALUE_TOKENS,
  });
  return draft.finish();
}
