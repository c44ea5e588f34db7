import fc from 'fast-check';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, it } from 'vitest';
import { countTextTokens } from '../../src/pipeline/text-tokens.js';
import { words } from '../support/rendering.js';

const PIECE = 4_096;
const reference = (text: string) => encode(text, { disallowedSpecial: new Set() }).length;

/** Letters without an order that a tokenizer knows. */
function letters(length: number, seed = 7): string {
  let state = seed;
  return Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return String.fromCharCode(97 + ((state >> 8) % 26));
  }).join('');
}

describe('text tokens', () => {
  it("are the tokenizer's own for a text of one piece", () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
        expect(countTextTokens(text)).toBe(reference(text));
      }),
    );
    expect(countTextTokens('')).toBe(0);
    expect(countTextTokens('The tide comes in.')).toBe(5);
  });

  const long: [string, string][] = [
    ['words', words(6_000)],
    ['lines', words(6_000).replace(/ (\w+ \w+) /g, '\n$1\n\n')],
    ['CRLF lines', words(6_000).replace(/ (\w+ \w+) /g, '.\r\n$1!\r\n\r\n')],
    ['code', '  if (a) {\n    b();\n\n  }\n'.repeat(1_500)],
    ['letters without a space', letters(10_000)],
    ['digits without a space', '0123456789'.repeat(1_000)],
    ['spaces', ' '.repeat(10_000)],
    ['newlines', '\n'.repeat(10_000)],
    ['tabs', 'a\tb\t'.repeat(5_000)],
    ['Chinese', '北京大学的学生在图书馆里读书。'.repeat(1_200)],
    ['emoji', '👩‍👩‍👧🔥'.repeat(1_000)],
  ];
  it.each(long)('are as many, but for one a piece, in long texts: %s', (_, text) => {
    const whole = reference(text);
    const pieces = Math.ceil(text.length / (PIECE - 1));
    const extra = countTextTokens(text) - whole;
    expect(extra).toBeGreaterThanOrEqual(0);
    expect(extra).toBeLessThanOrEqual(pieces);
  });

  it('are as many, but for one a piece, wherever the cut falls', () => {
    const chunk = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 60 }),
      fc.constantFrom('\n\n', '   ', ' the', '...', '\r\n', '12345', 'a\u0301', '🔥'),
    );
    const text = fc
      .array(chunk, { minLength: 60, maxLength: 60 })
      .map((chunks) => words(620) + chunks.join('') + words(620, 9));
    fc.assert(
      fc.property(text, (t) => {
        const extra = countTextTokens(t) - reference(t);
        expect(extra).toBeGreaterThanOrEqual(0);
        expect(extra).toBeLessThanOrEqual(Math.ceil(t.length / PIECE));
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    ['one letter', 'a'.repeat(2e5)],
    ['a cycle', 'abcdefghij'.repeat(2e4)],
    ['no order at all', letters(2e5)],
  ])('of 200,000 characters without a space are counted in time: %s', (_, text) => {
    const start = process.cpuUsage();
    const count = countTextTokens(text);
    // Merged as one run it would take minutes; these are of the processor.
    expect(process.cpuUsage(start).user / 1e6).toBeLessThan(15);
    expect(count).toBeGreaterThan(text.length / 10);
  });

  it('of text that looks like a control token are those of its characters', () => {
    const text = '<|endoftext|> and <|im_start|>user<|endofprompt|>';
    expect(countTextTokens('<|endoftext|>')).toBeGreaterThan(3);
    expect(countTextTokens(text)).toBe(reference(text));
  });

  it('do not mind half a surrogate pair', () => {
    expect(countTextTokens(`${'a'.repeat(4_095)}🔥`)).toBeGreaterThan(0);
    expect(countTextTokens('\ud83d')).toBeGreaterThan(0);
  });
});
