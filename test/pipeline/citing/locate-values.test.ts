import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { citeAnswer } from '../../../src/pipeline/citing/citations.js';
import { locateValues } from '../../../src/pipeline/citing/locate-values.js';
import { words } from '../../support/rendering.js';

const placesOf = (answer: string, question: string, text: string) =>
  locateValues(answer, question, text).map(({ start, end }) => text.slice(start, end));

describe('a text that says in other words what an answer says', () => {
  it.each([
    [
      'a date in another form',
      'Version 0.21 was released on 2 October 2018.',
      'When was version 0.21 released?',
      'Released version 0.21 (2018-10-02), the last for Node 6.',
    ],
    [
      'a date with its month first',
      'It came out on 2 October 2018.',
      'When was the second edition printed?',
      'The second edition was printed on October 2nd, 2018, in Leeds.',
    ],
    [
      'a number among other words',
      'There are 128 bytes of binary data.',
      'How many bytes of binary data follow the header?',
      'Behind the header follow the bytes of the key: binary data, 128 of them.',
    ],
    [
      'a number in words',
      'The committee has 12 members.',
      'How many members does the committee have?',
      'Twelve members sit on the committee.',
    ],
    [
      'a number with a comma of thousands',
      'The repair cost 1250 pounds.',
      'What did the repair of the roof cost?',
      'For repairing the roof £1,250 was paid.',
    ],
    [
      'a name',
      'The bridge was designed by Edith Marlow.',
      'Who designed the bridge?',
      'Edith Marlow, who also designed the pier, drew the bridge.',
    ],
  ])('is cited for %s', (_, answer, question, sentence) => {
    const text = `${words(60)}. ${sentence} ${words(60, 5)}.`;
    expect(placesOf(answer, question, text)).toEqual([sentence]);
  });

  it.each([
    ['the value stands elsewhere', 'The committee met. Twelve gulls sat on the pier.'],
    ['the value is another', 'Thirteen members sit on the committee.'],
    [
      'the value is a part of another',
      'The members of the committee paid 1,120 pounds, or 12.5 %.',
    ],
    ['nothing is said', 'The committee has members.'],
  ])('is not where %s', (_, text) => {
    const answer = 'The committee has 12 members.';
    expect(placesOf(answer, 'How many members does the committee have?', text)).toEqual([]);
  });

  it('is not for an answer without values, nor for one of whose values one stands nowhere', () => {
    const text = 'Twelve members sit on the committee of the harbour.';
    const question = 'How many members does the committee have?';
    expect(placesOf('The committee has members.', question, text)).toEqual([]);
    expect(placesOf('It has 12 members and 3 chairs.', question, text)).toEqual([]);
    expect(placesOf('', question, text)).toEqual([]);
    expect(placesOf('It has 12.', '', text)).toEqual([]);
  });

  it('is no place for a value that was moved to a sentence without the words of the question', () => {
    const thing = fc.constantFrom('lantern', 'harbour', 'ledger', 'committee', 'bridge');
    const value = fc.integer({ min: 11, max: 99_999 });
    fc.assert(
      fc.property(thing, value, fc.nat(20), (name, number, before) => {
        const question = `How many visitors saw the ${name}?`;
        const answer = `${number} visitors saw the ${name}.`;
        const filler = 'Nobody came that day. '.repeat(before);
        const told = `${filler}The ${name} was open, and of its visitors ${number} saw it.`;
        const moved = `${filler}Visitors saw the ${name}, which was open. On the pier stood ${number} gulls.`;
        expect(placesOf(answer, question, told)).toHaveLength(1);
        expect(placesOf(answer, question, moved)).toEqual([]);
      }),
    );
  });

  it('is cited where nothing is like the answer', async () => {
    const sentence = 'Released version 0.21 (2018-10-02), the last for Node 6.';
    const text = `${words(80)}.\n\n${sentence}\n\n${words(80, 3)}.`;
    const cite = (answer: string) =>
      citeAnswer(answer, 'When was version 0.21 released?', text, async () => null);
    const [found, ...others] = await cite('It was on 2 October 2018.');
    expect(found).toMatchObject({ text: sentence, page: null });
    expect(others).toEqual([]);
    expect(await cite('It was on 3 October 2018.')).toEqual([]);
  });
});
