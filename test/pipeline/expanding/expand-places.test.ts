import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expandPlaces } from '../../../src/pipeline/expanding/expand-places.js';
import { LexicalPlaces } from '../../../src/pipeline/expanding/lexical-places.js';
import { unitsOf } from '../../../src/pipeline/expanding/text-units.js';

const countTokens = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;

const GATES = [
  'The north gate is oak.',
  'Its code is 7F2A-91.',
  'The south gate is iron.',
  'Its code is 88C0-12.',
  'Ferries leave at nine.',
].join('\n\n');

function at(text: string, score: number) {
  const start = GATES.indexOf(text);
  return { start, end: start + text.length, score };
}

describe('expandPlaces', () => {
  it('gives whole sentences, in the order of the document', () => {
    const places = [at('nine', 1), at('7F2A', 2)];
    const { passages, text } = expandPlaces(GATES, places, { budget: 20, countTokens });
    expect(passages.map((passage) => passage.text)).toEqual([
      'Its code is 7F2A-91.',
      'Ferries leave at nine.',
    ]);
    expect(text).toBe('Its code is 7F2A-91.\n…\nFerries leave at nine.');
  });

  it('joins neighbours as they stand in the source', () => {
    const places = [at('oak', 1), at('7F2A', 2)];
    expect(expandPlaces(GATES, places, { budget: 20, countTokens }).passages).toEqual([
      { start: 0, end: 44, text: 'The north gate is oak.\n\nIts code is 7F2A-91.' },
    ]);
  });

  it('takes the best place first when not all fit', () => {
    const places = [at('oak', 1), at('88C0', 3), at('nine', 2)];
    const { text, tokens } = expandPlaces(GATES, places, { budget: 6, countTokens });
    expect(text).toBe('Its code is 88C0-12.');
    expect(tokens).toBe(4);
  });

  it('reads on behind a place that does not fit', () => {
    const long = { start: 0, end: GATES.length, score: 9 };
    const { text } = expandPlaces(GATES, [long, at('nine', 1)], { budget: 6, countTokens });
    expect(text).toBe('Ferries leave at nine.');
  });

  it.each([
    ['no budget', [at('oak', 1)], 0],
    ['no places', [], 100],
    ['white space only', [{ start: 22, end: 24, score: 1 }], 100],
  ])('gives nothing for %s', (_, places, budget) => {
    const nothing = { passages: [], text: '', tokens: 0 };
    expect(expandPlaces(GATES, places, { budget, countTokens })).toEqual(nothing);
  });

  it('never goes over its budget, nor beside the source', () => {
    const place = fc
      .tuple(fc.nat(GATES.length), fc.nat(GATES.length), fc.integer({ min: 0, max: 9 }))
      .map(([a, b, score]) => ({ start: Math.min(a, b), end: Math.max(a, b), score }));
    fc.assert(
      fc.property(fc.array(place), fc.nat(30), (places, budget) => {
        const { passages, text, tokens } = expandPlaces(GATES, places, { budget, countTokens });
        expect(tokens).toBe(countTokens(text));
        expect(tokens).toBeLessThanOrEqual(budget);
        for (const passage of passages)
          expect(GATES.slice(passage.start, passage.end)).toBe(passage.text);
      }),
    );
  });
});

describe('LexicalPlaces', () => {
  const units = unitsOf(GATES);
  const places = new LexicalPlaces(GATES, units);
  const bestFor = (question: string) => {
    const [best] = places.find(question).sort((a, b) => b.score - a.score);
    return best && GATES.slice(best.start, best.end);
  };

  it('finds the sentence that holds the words of a question', () => {
    expect(bestFor('When do ferries leave?')).toBe('Ferries leave at nine.');
  });

  it('finds a value beside the sentence that names it', () => {
    const { text } = expandPlaces(GATES, places.find('What is the code of the south gate?'), {
      budget: 12,
      countTokens,
      units,
    });
    expect(text).toContain('88C0-12');
    expect(text).not.toContain('7F2A-91');
  });

  it('knows nothing of words that the text does not hold', () => {
    expect(places.find('Zeppelin?')).toEqual([]);
  });
});
