import { describe, expect, it } from 'vitest';
import { didYouMean } from '../src/did-you-mean.js';

describe('a word that is not known', () => {
  const known = ['lossless', 'balanced', 'apet-paper', 'v2drop-paper'];

  it.each([
    ['losless', 'lossless'],
    ['Balanced', 'balanced'],
    ['apet_paper', 'apet-paper'],
    ['vdrop-paper', 'v2drop-paper'],
  ])('%s was meant to be %s', (word, meant) => {
    expect(didYouMean(word, known)).toBe(` Did you mean "${meant}"?`);
  });

  it.each(['plan.json', 'x', '', 'folder/lossless.json'])('%j is like none', (word) => {
    expect(didYouMean(word, known)).toBe('');
  });
});
