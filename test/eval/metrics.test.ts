import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bootstrapInterval, wilsonInterval } from '../../src/eval/interval.js';
import { characterErrors, continuationErrors } from '../../src/eval/metrics/character-error.js';
import { exactMatch } from '../../src/eval/metrics/exact-match.js';
import { f1 } from '../../src/eval/metrics/f1.js';
import { normaliseAnswer } from '../../src/eval/metrics/normalise.js';
import { saysNotFound } from '../../src/eval/metrics/not-found.js';
import { sequenceMatch, similarity } from '../../src/eval/metrics/sequence-match.js';
import { stringMatchAll, stringMatchPart } from '../../src/eval/metrics/string-match.js';
import { valueMatch, valuesMatch } from '../../src/eval/metrics/value-match.js';
import { METRIC_NAMES, scoreAnswer } from '../../src/eval/score.js';
import { finalAnswer } from '../../src/pipeline/citing/final-answer.js';

describe('normalised answers', () => {
  it.each([
    ['The  Eiffel Tower!', 'eiffel tower'],
    ["an O'Brien's cat, a dog", 'obriens cat dog'],
    ['theatre and a thesis', 'theatre and thesis'],
    ['state-of-the-art', 'stateoftheart'],
    ['\tA\n', ''],
    ['“quoted” – kept', '“quoted” – kept'],
  ])('%j is %j', (text, normal) => expect(normaliseAnswer(text)).toBe(normal));

  it('stay as they are when normalised again, unless an article is left over', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const once = normaliseAnswer(text);
        expect(normaliseAnswer(once)).toBe(once);
      }),
    );
  });
});

describe('exact match', () => {
  it('overlooks case, articles and punctuation', () => {
    expect(exactMatch('The Beatles.', ['Rolling Stones', 'beatles'])).toBe(1);
    expect(exactMatch('The Beatles sang', ['beatles'])).toBe(0);
  });
});

describe('F1', () => {
  it('is worked out by hand', () => {
    // Said: cat sat on mat (4). Wanted: cat on red mat (4). Common: cat, on, mat. P = R = 3/4.
    expect(f1('The cat sat on the mat', ['a cat on a red mat'])).toBeCloseTo(0.75);
    // Common: 1 of 3 said, 1 of 1 wanted: 2 · 1/3 · 1 / (4/3) = 1/2.
    expect(f1('It is Paris', ['Lyon', 'Paris'])).toBeCloseTo(0.5);
    expect(f1('no no no', ['no'])).toBeCloseTo(0.5);
  });
  it('is 0 without a common word, and for an empty answer', () => {
    expect(f1('London', ['Paris'])).toBe(0);
    expect(f1('', ['Paris'])).toBe(0);
    expect(f1('the', ['a'])).toBe(0);
  });
  it('is symmetric, within 0 and 1, and 1 for the same words', () => {
    const words = fc.array(fc.constantFrom('gate', 'rope', 'tide', 'north', 'of'), {
      minLength: 1,
    });
    fc.assert(
      fc.property(words, words, (a, b) => {
        const score = f1(a.join(' '), [b.join(' ')]);
        expect(score).toBeCloseTo(f1(b.join(' '), [a.join(' ')]));
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(1);
        expect(f1(a.join(' '), [[...a].reverse().join(' ')])).toBeCloseTo(1);
      }),
    );
  });
});

describe('string match', () => {
  it('counts references that occur, whatever the case', () => {
    expect(stringMatchAll('They are 17, 23 and ABC.', ['17', '23', 'abc', '99'])).toBe(0.75);
    expect(stringMatchPart('Surely PARIS, France', ['Lyon', 'paris'])).toBe(1);
    expect(stringMatchPart('Surely Nice', ['Lyon', 'paris'])).toBe(0);
  });
});

describe('sequence match', () => {
  const { cases } = JSON.parse(
    readFileSync(new URL('fixtures/sequence-matcher.json', import.meta.url), 'utf8'),
  ) as { cases: { a: string; b: string; ratio: number }[] };
  it.each(cases)("gives Python's ratio $ratio", ({ a, b, ratio }) => {
    expect(similarity(a, b)).toBeCloseTo(ratio, 12);
  });
  it('is 0 unless the answer starts with what was to be prepended', () => {
    expect(sequenceMatch('Qx7 A poem', 'Qx7 A poem', 'Qx7 ')).toBe(1);
    expect(sequenceMatch('A poem', 'Qx7 A poem', 'Qx7 ')).toBe(0);
    expect(sequenceMatch('Qx7 bcde', 'Qx7 abcd', 'Qx7 ')).toBe(0.75);
  });
});

describe('character errors', () => {
  it.each([
    ['kitten', 'sitting', 3, 7],
    ['', 'abc', 3, 3],
    ['abc', 'abc', 0, 3],
    ['two  words\nhere', ' two words here ', 0, 14],
    ['a☕b', 'a☕☕b', 1, 4],
  ])('of %j for %j are %i in %i', (answer, reference, edits, characters) => {
    expect(characterErrors(answer, reference)).toEqual({ edits, characters });
  });
  it('are none for the text itself, and never more than the longer text', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(characterErrors(a, a).edits).toBe(0);
        expect(characterErrors(a, b).edits).toBeLessThanOrEqual(
          Math.max([...a].length, [...b].length),
        );
        expect(characterErrors(a, b).edits).toBe(characterErrors(b, a).edits);
      }),
    );
  });
});

describe('continuation errors', () => {
  it('does not count a repeated quotation, well or badly read', () => {
    const rest = 'that leads to the sea and back again';
    expect(continuationErrors(`along the lane ${rest}`, rest, 'along the lane').edits).toBe(0);
    expect(continuationErrors(`a1ong tha lane ${rest}`, rest, 'along the lane').edits).toBe(0);
    expect(continuationErrors(rest, rest, 'along the lane').edits).toBe(0);
    expect(continuationErrors('along the lane', rest, 'along the lane').edits).toBe(36);
  });

  const reference = 'the lane that leads to the sea and on';
  it('forgive an early end, not an empty answer', () => {
    expect(continuationErrors('the lane that leads', reference).edits).toBe(0);
    expect(continuationErrors('', reference)).toEqual({ edits: 37, characters: 37 });
    expect(continuationErrors('the', reference)).toEqual({ edits: 9, characters: 12 });
  });
  it('forgive going on', () => {
    expect(continuationErrors(`${reference} along the wall`, reference).edits).toBe(0);
  });
  it('count what is wrong', () => {
    const { edits, characters } = continuationErrors('the lame that leads', reference);
    expect(edits).toBe(1);
    expect(characters).toBeGreaterThanOrEqual(19);
  });
});

describe('value match', () => {
  it.each([
    ['The access code of the north gate is 7F2A-91.', '7F2A-91', 1],
    ['7F2A-91', '7F2A-91', 1],
    ['7f2a-91', '7F2A-91', 0],
    ['7F2A-912', '7F2A-91', 0],
    ['7F2A-91-B', '7F2A-91', 0],
    ['X-7F2A-91', '7F2A-91', 0],
    ['"7F2A-91", I think.', '7F2A-91', 1],
    ['7F2A-912 or 7F2A-91', '7F2A-91', 1],
    ['It is 12.50', '12', 0],
    ['It is 12.', '12', 1],
    ['', '12', 0],
  ])('in %j of %j is %i', (answer, value, score) => expect(valueMatch(answer, value)).toBe(score));
  it('is 0 beside a wrong value', () => {
    expect(valueMatch('A1B2 or C3D4', 'A1B2', ['C3D4'])).toBe(0);
    expect(valueMatch('A1B2', 'A1B2', ['C3D4'])).toBe(1);
  });
  it('gives the share of several', () => {
    expect(valuesMatch('A1, B2 and D4', ['A1', 'B2', 'C3', 'D44'])).toBe(0.5);
  });
});

describe('not found', () => {
  it.each([
    'not found',
    'Not found.',
    'Not found: the document does not say.',
    '"not found"',
    'The text does not mention the pin of Anna.',
    'There is no information about that.',
    'The pin of Anna is not given in the text.',
    'The document doesn’t say.',
    'The access code of the north gate is not found.',
    'The access code of the north gate is not found',
    `The ${'very '.repeat(60)}long label of the gate is not found.`,
    'The part number of pump v. 2 is not found.',
    'Sorry, that is not mentioned in the text.',
    'The pin is not given, so I cannot say.',
    'The pin is not provided by the text.',
  ])('is said by %j', (answer) => expect(saysNotFound(answer)).toBe(true));
  it.each([
    'The pin of Anna is 7F2A-91.',
    '',
    'No. 12-44',
    'The notes found there say A1B2.',
    'knot found',
    'The status of the crane is not found by the crew; it is KX-4410.',
    'The secret word of the mill is what is not found.',
    'The label of the dock is "is not found here yet, sailor".',
    'The order number of the ship is not given lightly: 8QY2ZP.',
    'Those who are not found until dawn are A1 and B2.',
  ])('is not said by %j', (answer) => expect(saysNotFound(answer)).toBe(false));
});

describe('scores', () => {
  it('are within 0 and 1 for any answer and metric', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom(...METRIC_NAMES), (answer, metric) => {
        const { value } = scoreAnswer(metric, answer, { expected: ['7F2A-91 of the gate'] });
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
      }),
    );
  });
  it.each([
    ['<think>It may be A1. Or B2.</think>\n C3 ', 'C3'],
    ['<think>x</think><answer>C3</answer>', 'C3'],
    ['<|begin_of_box|>C3<|end_of_box|>', 'C3'],
    ['C3', 'C3'],
  ])('of %j look at %j', (text, said) => expect(finalAnswer(text)).toBe(said));
});

describe('intervals', () => {
  it('agree with worked values of Wilson', () => {
    // 5 of 10: centre (0.5 + 0.192073) / 1.384146; published as 0.2366 to 0.7634.
    expect(wilsonInterval(5, 10).low).toBeCloseTo(0.2366, 4);
    expect(wilsonInterval(5, 10).high).toBeCloseTo(0.7634, 4);
    expect(wilsonInterval(0, 20)).toMatchObject({ low: 0 });
    expect(wilsonInterval(0, 20).high).toBeCloseTo(0.1611, 4);
    expect(wilsonInterval(0, 0)).toEqual({ low: 0, high: 1 });
  });
  it('hold the share that was measured', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (n, p) => {
          const right = Math.round(n * p);
          const { low, high } = wilsonInterval(right, n);
          expect(low).toBeLessThanOrEqual(right / n);
          expect(high).toBeGreaterThanOrEqual(right / n);
          expect(low).toBeGreaterThanOrEqual(0);
          expect(high).toBeLessThanOrEqual(1);
        },
      ),
    );
  });
  it('of ratios are the same each time, and hold the ratio', () => {
    const items = Array.from({ length: 40 }, (_, i) => ({ part: i % 7, whole: 40 }));
    const interval = bootstrapInterval(items);
    expect(bootstrapInterval(items)).toEqual(interval);
    const ratio = items.reduce((sum, { part }) => sum + part, 0) / 1600;
    expect(interval.low).toBeLessThan(ratio);
    expect(interval.high).toBeGreaterThan(ratio);
  });
});
