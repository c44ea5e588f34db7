import { describe, expect, it } from 'vitest';
import { countTextTokens } from '../../src/pipeline/text-tokens.js';
import { withPredictedExpansion } from '../../src/search/expanded-tokens.js';

const text = 'The key hangs in the porch.\nRain fell all day.\nThe code of the gate is 4711.';
const asked = (...questions: string[]) =>
  questions.map((question, i) => ({
    id: String(i),
    kind: 'lookup',
    question,
    expected: ['4711'],
    metric: 'value' as const,
    maxNewTokens: 8,
  }));
const check = {
  pages: 1,
  textTokens: 20,
  visualTokens: 10,
  contextTokens: 10,
  characterErrorRate: null,
};
const settings = (method: 'lexical' | 'attention' | 'tool' | 'auto', budget: number) => ({
  method,
  budget,
  countTokens: countTextTokens,
});

describe('what passages will cost', () => {
  it('is counted for the questions of the text, in the mean', async () => {
    const gate = 'What is the code of the gate?';
    const about = { text, questions: asked(gate, 'Zeppelin?') };
    const one = await withPredictedExpansion(
      check,
      { text, questions: asked(gate) },
      settings('lexical', 16),
    );
    expect(one.expandedTokens).toBe(countTextTokens('The code of the gate is 4711.'));
    const two = await withPredictedExpansion(check, about, settings('auto', 16));
    expect(two.expandedTokens).toBe(one.expandedTokens! / 2);
    expect(two.contextTokens).toBe(10 + two.expandedTokens!);
  });

  it('is the budget where the model chooses, and never more than the text', async () => {
    const about = { text, questions: asked('When?') };
    expect(await withPredictedExpansion(check, about, settings('tool', 12))).toMatchObject({
      contextTokens: 22,
    });
    expect(await withPredictedExpansion(check, about, settings('attention', 300))).toMatchObject({
      contextTokens: 30,
    });
    expect(await withPredictedExpansion(check, about, undefined)).toEqual(check);
  });
});
