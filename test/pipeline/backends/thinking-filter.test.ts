import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ThinkingFilter } from '../../../src/pipeline/backends/thinking-filter.js';

function filtered(pieces: readonly string[]): string {
  const filter = new ThinkingFilter();
  return pieces.map((piece) => filter.push(piece)).join('') + filter.end();
}

describe('the thinking filter', () => {
  it.each([
    ['<think>hm</think>north', 'north'],
    ['\n<think>\nhm\n</think>\n\nnorth\n', 'north\n'],
    ['<think></think>', ''],
    ['<think>cut off by the limit', ''],
    ['north <think>is text here</think>', 'north <think>is text here</think>'],
    ['<thinking about it>', '<thinking about it>'],
    ['<thi', '<thi'],
    ['  <b>north</b>', '  <b>north</b>'],
    ['', ''],
  ])('makes %j into %j', (text, expected) => {
    expect(filtered([text])).toBe(expected);
  });

  it('gives the same however the text is cut', () => {
    const part = fc.constantFrom('<think>', '</think>', '<', 'think>', '\n', ' ', 'north', '</');
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.array(fc.nat(60)), (parts, cuts) => {
        const text = parts.join('');
        const at = [0, ...cuts.map((cut) => Math.min(cut, text.length)), text.length];
        at.sort((a, b) => a - b);
        const pieces = at.slice(1).map((end, i) => text.slice(at[i], end));
        expect(filtered(pieces)).toBe(filtered([text]));
      }),
    );
  });
});
