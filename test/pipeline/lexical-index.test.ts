import { describe, expect, it } from 'vitest';
import { stemOf } from '../../src/pipeline/english-words.js';
import { LexicalIndex } from '../../src/pipeline/lexical-index.js';

function found(texts: readonly string[], question: string): string[] {
  let start = 0;
  const passages = texts.map((text) => {
    const passage = { start, end: start + text.length };
    start = passage.end + 1;
    return passage;
  });
  const index = LexicalIndex.of(texts.join('\n'), passages);
  return index.find(question).map(({ index }) => texts[index]!);
}

describe('passages by the words of a question', () => {
  it('are those with its telling words, not with those of every sentence', () => {
    const texts = ['The seeds came from Skye.', 'Who was it that the letter is of? Who was he?'];
    expect(found(texts, 'Who was the giver of the seeds?')).toEqual([texts[0]]);
  });

  it('hold a word in any of its forms', () => {
    const texts = ['Orla collects the whitebeam.', 'Ferries leave at nine.'];
    expect(found(texts, 'Which one was collected?')).toEqual([texts[0]]);
    expect(found(texts, 'ferry?')).toEqual([texts[1]]);
  });

  it('are looked for by common words where there are no others', () => {
    expect(found(['What will be, will be.', 'Ferries leave.'], 'What will be?')).toHaveLength(1);
  });
});

describe('the stem of a word', () => {
  it.each([
    ['collected', 'collects', 'collecting', 'collect'],
    ['ferries', 'ferry'],
    ['opens', 'opened', 'open', 'opening'],
    ['glasses', 'glass'],
  ])('is one for %s and its forms', (...forms) => {
    expect(new Set(forms.map(stemOf)).size).toBe(1);
  });

  it.each(['red', 'bus', 'ring', 'glass', 'b7s', '2ed'])('of %s is the word', (word) => {
    expect(stemOf(word)).toBe(word);
  });
});
