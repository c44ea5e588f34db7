import { describe, expect, it } from 'vitest';
import { areaUnderRoc } from '../../src/eval/auroc.js';
import { namedValue, requiredWords, verdictMatch } from '../../src/eval/metrics/judged-answer.js';
import { saysNotFound } from '../../src/eval/metrics/not-found.js';
import { hasPhrase, plainWords } from '../../src/eval/metrics/plain-words.js';
import { scoreAnswer } from '../../src/eval/score.js';

describe('plain words', () => {
  it.each([
    ['It was £1,904.', 'it was 1904'],
    ['on the second of October, 1931', 'on the 2 october 1931'],
    ['October 2, 1931', '2 october 1931'],
    ['1931-10-02', '2 october 1931'],
    ['the 2nd of Oct. 1931', 'the 2 october 1931'],
    ['Sept 9th', '9 september'],
    ['You may go.', 'you may go'],
    ['1 May 2025 at 06:10', '1 may 2025 at 6:10'],
    ['twenty-eight metres, thirty five', '28 metres 35'],
    ['840kg or 840 kg', '840 kg or 840 kg'],
    ['16.0 °C and 06.50', '16 c and 6.5'],
    ['70% of 1,000,000', '70 of 1000000'],
    [
      "Mother's \u201cstep-free\u201d hall \u2014 **no** `lanyards`!",
      'mothers step free hall no lanyards',
    ],
    ['version 4.2.0, not 4.2', 'version 4.2.0 not 4.2'],
    ['part 3310-72 (lab-1)', 'part 3310-72 lab-1'],
    ['~/.local/share/x.db; --feet', '~/.local share x.db --feet'],
    ['a,b,12,340', 'a b 12340'],
    ['12, 14', '12 14'],
  ])('of %j are %j', (text, words) => expect(plainWords(text).join(' ')).toBe(words));

  it('hold a phrase as a whole, and stems', () => {
    const words = plainWords('They scarified 39 sound fastenings on 10 January 2025.');
    expect(hasPhrase(words, 'sound fastenings')).toBe(true);
    expect(hasPhrase(words, 'fastenings sound')).toBe(false);
    expect(hasPhrase(words, 'fasten')).toBe(false);
    expect(hasPhrase(words, 'fasten*')).toBe(true);
    expect(hasPhrase(words, 'scarif* 39')).toBe(true);
    expect(hasPhrase(words, 'January 10')).toBe(true);
    expect(hasPhrase(words, '2025-01-10')).toBe(true);
    expect(hasPhrase(words, '3')).toBe(false);
    expect(hasPhrase(words, '')).toBe(false);
    expect(hasPhrase(words, '*')).toBe(false);
  });
});

describe('a named value', () => {
  it.each([
    ['The tap may cost up to 45 pounds.', ['£45'], [], 1],
    ['£450', ['£45'], [], 0],
    ['Mr Osei', ['Mr Osei', 'Osei'], ['Devlin'], 1],
    ['Osei or Devlin', ['Mr Osei', 'Osei'], ['Devlin'], 0],
    ['28 days', ['28 days'], [], 1],
    ['twenty-eight days', ['28 days'], [], 1],
    ['28 hours', ['28 days'], [], 0],
    ['The answer, 28 days, is not found.', ['28 days'], [], 0],
    ['', ['28 days'], [], 0],
  ])('in %j of %j', (answer, forms, wrong, score) =>
    expect(namedValue(answer, forms, wrong)).toBe(score),
  );

  it('behind a page that was copied out is none', () => {
    const copied = `${'word '.repeat(200)}28 days`;
    expect(namedValue(copied, ['28 days'])).toBe(0);
  });
});

describe('required words', () => {
  const groups = ['salt', 'pepper|peppercorn*', 'oil'];
  it.each([
    ['Salt, pepper and oil.', undefined, 1],
    ['Oil, peppercorns, salt', undefined, 1],
    ['Salt and pepper', undefined, 0],
    ['Salt and pepper', 2, 1],
    ['Salt, pepper, oil and sugar', undefined, 0],
    ['It does not say which salt, pepper or oil.', undefined, 0],
  ])('%j with at least %j', (answer, atLeast, score) =>
    expect(requiredWords(answer, groups, ['sugar'], atLeast)).toBe(score),
  );

  it('are what the metric of that name counts', () => {
    const reference = { expected: groups, atLeast: 2, wrong: ['sugar'] };
    expect(scoreAnswer('requiredWords', 'oil and salt', reference).value).toBe(1);
    expect(scoreAnswer('requiredWords', 'oil', reference).value).toBe(0);
  });
});

describe('a verdict', () => {
  it.each([
    ['No.', 'no', 1],
    ['No, dogs are not allowed.', 'no', 1],
    ['Yes, on a lead.', 'yes', 1],
    ['Yes.', 'no', 0],
    ['Bees are not allowed there.', 'no', 1],
    ['You may bring it on a lead.', 'yes', 1],
    ['Dogs and cats are forbidden.', 'no', 1],
    ['Never use water on them.', 'no', 1],
    ['That is not mentioned in the text.', 'no', 0],
    ['That is not mentioned in the text.', 'yes', 0],
    ['Turbine Hall', 'yes', 0],
    ['', 'no', 0],
  ])('of %j is %s: %i', (answer, verdict, score) =>
    expect(verdictMatch(answer, verdict)).toBe(score),
  );

  it('is told by the sentence that settles it', () => {
    const settles = ['MySQL support is gone'];
    expect(verdictMatch('MySQL support is gone.', 'no')).toBe(0);
    expect(verdictMatch('MySQL support is gone.', 'no', settles)).toBe(1);
    expect(verdictMatch('Yes, MySQL support is gone.', 'no', settles)).toBe(0);
  });
});

describe('not found, in plain words', () => {
  it.each([
    'The document does not mention a telephone number.',
    "I don't know.",
    'I could not find the price in the document.',
    'Not stated.',
    'Not mentioned in the letter.',
    'None given.',
    'Unknown',
    'No telephone number is given.',
    'No price is mentioned in the text.',
    'There is no mention of a bounty.',
    'There is nothing about snow.',
    "There's nothing in this document about that.",
    'There is no phone number in the letter.',
    'The text says nothing about it.',
    'The leaflet doesn’t say what a pack costs.',
    'The contract does not give the horsepower.',
    'The minutes do not state how much the clerk is paid.',
    'It cannot be determined from the text.',
    "That isn't in the document.",
    'The price is nowhere mentioned.',
    'The manual is silent on that.',
    'The licence makes no mention of courts.',
    'No information.',
    'N/A',
    'Unfortunately, the engine’s horsepower is not listed.',
  ])('is said by %j', (answer) => expect(saysNotFound(answer)).toBe(true));

  it.each([
    'No.',
    'No, it is not allowed.',
    'Nobody may delete an invoice.',
    'There is no VAT on the rent.',
    'Nothing.',
    'The bilge pump does not work.',
    'The insurance does not cover racing.',
    'None was lost.',
    'The windows do not open.',
    'Not until the forecast is better than force 6.',
    'Unknown pleasures, by Joy Division',
    'It is not in the refrigerator but on the shelf.',
    'The frames are authenticated and not encrypted.',
    'No frames of type 15 are relayed.',
  ])('is not said by %j', (answer) => expect(saysNotFound(answer)).toBe(false));
});

describe('the area under the ROC curve', () => {
  const of = (...pairs: [number, boolean][]) =>
    areaUnderRoc(pairs.map(([chance, right]) => ({ chance, right })));
  it('is 1, 0, a half, and what counting pairs gives', () => {
    expect(of([0.9, true], [0.1, false])).toBe(1);
    expect(of([0.1, true], [0.9, false])).toBe(0);
    expect(of([0.5, true], [0.5, false])).toBe(0.5);
    // Pairs of right and wrong: 0.8>0.7, 0.8>0.3, 0.3<0.7, 0.3=0.3 → 2.5 of 4.
    expect(of([0.8, true], [0.3, true], [0.7, false], [0.3, false])).toBe(0.625);
    expect(of([0.8, true])).toBeNull();
    expect(of()).toBeNull();
  });
});
