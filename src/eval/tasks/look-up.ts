/** One fact at each depth, each asked for on its own; then facts that are not there. */

import { Draft, type DraftSetting } from '../draft.js';
import type { Fact } from '../facts.js';
import { askValue } from '../questions.js';
import type { EvalDocument } from '../task.js';
import type { ValueKind } from '../values.js';
import { askAbsent, VALUE_TOKENS } from './ask-fact.js';

export interface LookUpOptions {
  /** What the questions are called. @defaultValue lookup */
  kind?: string;
  /** @defaultValue code */
  value?: ValueKind;
  /** Questions whose answer the text does not hold. @defaultValue 0 */
  absent?: number;
}

export function makeLookUp(
  setting: DraftSetting,
  { kind = 'lookup', value = 'code', absent = 0 }: LookUpOptions = {},
): EvalDocument {
  const draft = new Draft(setting);
  const facts = setting.depths.map((depth): [number, Fact] => [depth, draft.fact(value)]);
  for (const [depth, fact] of facts) draft.hide(depth, fact);
  for (const [depth, fact] of facts) {
    draft.ask({
      kind,
      question: askValue(fact, setting.style),
      expected: [fact.value],
      wrong: facts.map(([, other]) => other.value).filter((other) => other !== fact.value),
      metric: 'value',
      depth,
      maxNewTokens: VALUE_TOKENS,
    });
  }
  for (let i = 0; i < absent; i++) askAbsent(draft, draft.random.pick(facts)[1], i);
  return draft.finish();
}
