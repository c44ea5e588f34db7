/** What the passages of a text's questions will cost, known before anything is asked. */

import type { EvalDocument } from '../eval/task.js';
import { expandPlaces } from '../pipeline/expanding/expand-places.js';
import type { ExpandSettings } from '../pipeline/expanding/expander.js';
import { ExpansionSource } from '../pipeline/expanding/expansion-source.js';
import type { RenderCheck } from './trial.js';

/** The check with the passages of its questions, where there are some. */
export async function withPredictedExpansion(
  check: RenderCheck,
  document: Pick<EvalDocument, 'text' | 'questions'>,
  expand: ExpandSettings | undefined,
): Promise<RenderCheck> {
  if (!expand) return check;
  const expandedTokens = await predictExpandedTokens(document, expand, check.textTokens);
  return { ...check, contextTokens: check.contextTokens + expandedTokens, expandedTokens };
}

/** A question, in the mean. What only the model can rank or choose is taken to fill the budget. */
async function predictExpandedTokens(
  { text, questions }: Pick<EvalDocument, 'text' | 'questions'>,
  { method, budget, countTokens }: ExpandSettings,
  textTokens: number,
): Promise<number> {
  if (questions.length === 0) return 0;
  if (method !== 'lexical' && method !== 'auto') return Math.min(budget, textTokens);
  const source = await ExpansionSource.of([{ text: async () => text, pages: async () => [] }]);
  const { units } = source;
  const tokens = questions.map(
    ({ question }) =>
      expandPlaces(source.text, source.lexical.find(question), { budget, countTokens, units })
        .tokens,
  );
  return tokens.reduce((sum, count) => sum + count, 0) / tokens.length;
}
