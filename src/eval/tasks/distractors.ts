/** One fact at each depth among facts that differ from it in one word: RULER's multi-key needles. */

import { Draft, type DraftSetting } from '../draft.js';
import { askValue } from '../questions.js';
import type { EvalDocument } from '../task.js';
import { VALUE_TOKENS } from './ask-fact.js';

/** Near facts for each fact that is asked for: half share its owner, half its attribute. */
const DISTRACTORS = 4;

export function makeDistractors(setting: DraftSetting): EvalDocument {
  const draft = new Draft(setting);
  const asked = setting.depths.map((depth) => {
    const fact = draft.fact('code');
    const near = Array.from({ length: DISTRACTORS }, (_, i) =>
      draft.fact('code', i % 2 === 0 ? { owner: fact.owner } : { attribute: fact.attribute }),
    );
    return { depth, fact, near };
  });
  for (const { depth, fact, near } of asked) {
    draft.hide(depth, fact);
    for (const other of near) draft.hide(draft.anyDepth(), other);
  }
  const all = asked.flatMap(({ fact, near }) => [fact, ...near].map(({ value }) => value));
  for (const { depth, fact } of asked) {
    draft.ask({
      kind: 'distractors',
      question: askValue(fact, setting.style),
      expected: [fact.value],
      wrong: all.filter((value) => value !== fact.value),
      metric: 'value',
      depth,
      maxNewTokens: VALUE_TOKENS,
    });
  }
  return draft.finish();
}
