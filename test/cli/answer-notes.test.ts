import { describe, expect, it } from 'vitest';
import { answerNotes } from '../../src/cli/answer-notes.js';
import type { AskResult } from '../../src/pipeline/ask-result.js';

const result = {
  answer: 'The gate is sh',
  found: true,
  confidence: 0.5,
  calibrated: true,
  citations: [{ page: 2, start: 1_000, end: 1_014 }],
  usage: { promptTokens: 900, completionTokens: 2_048 },
  finishReason: 'stop',
  expanded: [],
  support: null,
  report: { stackedRatio: 2 },
} as unknown as AskResult;

describe('what is said beside an answer', () => {
  it('is how sure it is, and where it stands', () => {
    expect(answerNotes(result)).toBe('confidence 0.50 | page 2, characters 1,000–1,014');
  });

  it('says what was read as text, and what stands nowhere', () => {
    const read = {
      ...result,
      report: { ...result.report, expandedTokens: 1_204, stackedRatio: 1.5 },
    };
    const expanded = [{}, {}] as unknown as AskResult['expanded'];
    expect(answerNotes({ ...read, expanded, support: 'none' })).toBe(
      'confidence 0.50 | read as text: 2 passages of 1,204 tokens, 1.50× in all | names a value that stands nowhere in the text | page 2, characters 1,000–1,014',
    );
  });

  it('warns of an answer that hardly anything speaks for', () => {
    expect(answerNotes({ ...result, confidence: 0.08, doubtful: true })).toMatch(
      /^confidence 0\.08 \| hardly supported by the text/,
    );
  });

  it('begins with the limit that cut it off', () => {
    expect(answerNotes({ ...result, finishReason: 'length' })).toMatch(
      /^cut off after 2,048 tokens: --max-tokens gives it more room \| confidence/,
    );
    const usage = { promptTokens: null, completionTokens: null };
    expect(answerNotes({ ...result, usage, finishReason: 'length' })).toMatch(/^cut off: --max/);
  });

  it('begins with the loop that it ended in', () => {
    expect(answerNotes({ ...result, finishReason: 'loop' })).toMatch(
      /^cut off where it began to repeat itself \| /,
    );
  });
});
