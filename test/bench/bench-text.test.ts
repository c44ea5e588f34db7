import { expect, it } from 'vitest';
import { generatedProse, proseText, reflow } from './bench-text.js';

it.each([
  ['proseText', proseText],
  ['generatedProse', generatedProse],
])('%s gives exactly the characters asked for, the same each time, all printable', (_, make) => {
  for (const chars of [1, 999, 400_000]) {
    const text = make(chars);
    expect(text).toHaveLength(chars);
    expect(text).toMatch(/^[\n\x20-\x7e]+$/);
    expect(text === make(chars)).toBe(true);
  }
  expect(make(5000).startsWith(make(1000))).toBe(true);
});

it('writes prose with the word length of English', () => {
  const words = generatedProse(100_000).split(/\s+/);
  const mean = words.join('').length / words.length;
  expect(mean).toBeGreaterThan(3.2);
  expect(mean).toBeLessThan(5.5);
});

it('joins the lines of a paragraph and keeps the paragraphs apart', () => {
  expect(reflow('  One line\n  goes on.\n\n\n  Second\u2019s \n')).toBe(
    'One line goes on.\nSecond s',
  );
});
