import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Citation,
  citationsOf,
  citeAnswer,
  rectangleOf,
} from '../../../src/pipeline/citing/citations.js';
import { locateAnswer } from '../../../src/pipeline/citing/locate-answer.js';
import {
  foldCode,
  foldWord,
  isWordCode,
  SEPARATOR,
} from '../../../src/pipeline/citing/text-folding.js';
import { words } from '../../support/rendering.js';

const FACT = 'The access code of the north gate is 7F2A-91.';
const NEAR =
  'The access code of the south gate is 9B11-20. The key number of the north gate is 44107.';
const source = `${words(400)}. ${NEAR} ${words(300, 5)}. ${FACT} ${words(500, 9)}.`;
const question = 'What is the access code of the north gate?';

const best = (answer: string, asked = question, text = source) => {
  const [place] = locateAnswer(answer, asked, text);
  return place ? text.slice(place.start, place.end) : null;
};

describe('where an answer stands', () => {
  it.each([
    ['the sentence', FACT, FACT.slice(0, -1)],
    ['the value alone', '7F2A-91', '7F2A-91'],
    ['a misread value', 'The access code of the north gate is 7F2A-9l.', FACT.slice(0, -1)],
    ['a value with a character too few', '7F2-91', '7F2A-91'],
    ['in other words', 'It is "7F2A-91", I think.', 'is 7F2A-91'],
    ['in another case', '7f2a-91', '7F2A-91'],
  ])('is found for %s', (_, answer, place) => expect(best(answer)).toBe(place));

  it.each([
    ['another value', 'The access code of the north gate is K0X9-55.'],
    ['two wrong characters of six', '7F2B-41'],
    ['yes', 'Yes.'],
    ['nothing', ''],
    ['signs', '?!?'],
    ['what the question says', 'The access code of the north gate is'],
  ])('is nowhere for %s', (_, answer) => {
    const found = locateAnswer(answer, question, `${words(400)}. ${NEAR} The code is 7F2A-91.`);
    expect(found).toEqual([]);
  });

  it('of several that are alike is the one by the words of the question', () => {
    const text = `Truck 17 left. ${words(200)}. The berth of the ferry is 17. ${words(200, 3)}. Room 17.`;
    const [place] = locateAnswer('17', 'What is the berth of the ferry?', text);
    expect(place!.start).toBe(text.indexOf('17.'));
    expect(locateAnswer('17', 'Which colour has the lantern?', text)).toEqual([]);
  });

  it('of a value of two characters is beside words of the question, or nowhere', () => {
    const text = `The zebra left. ${words(30)}. Room 17. ${words(30, 3)}. The cabin is 17.`;
    const [place, ...others] = locateAnswer('17', 'Which cabin?', text);
    expect(place!.start).toBe(text.lastIndexOf('17'));
    expect(others).toEqual([]);
    // The zebra stands in the same paragraph, and in another sentence.
    expect(locateAnswer('17', 'Which zebra?', text)).toEqual([]);
    expect(locateAnswer('17', 'What is it?', text)).toEqual([]);
  });

  it('of equal values is the one with more of the answer around it', () => {
    const text = `The north wind. ${words(80)}. North gate. ${words(80, 2)}.`.replaceAll(
      'north ',
      'west ',
    );
    const [place] = locateAnswer('The north gate.', 'Which gate?', text);
    expect(text.slice(place!.start, place!.end).toLowerCase()).toContain('north gate');
  });

  it('is several places for several values', () => {
    const text = `Anna has A1B2-C3. ${words(300)}. Boris has Q9X8-77. ${words(300, 2)}.`;
    const found = locateAnswer('A1B2-C3, Q9X8-77', 'What are the codes?', text);
    expect(found.map(({ start, end }) => text.slice(start, end))).toEqual(['A1B2-C3', 'Q9X8-77']);
  });

  it('bridges line breaks and other signs', () => {
    const text = `${words(80)}\n  the motto is\n\n    still waters run   deep—always.\n${words(80, 4)}`;
    expect(best('still waters run deep, always', 'What is the motto?', text)).toBe(
      'still waters run   deep—always',
    );
  });

  it('is found for any sentence of the source, also with some characters misread', () => {
    const telling = (text: string) => text.replace(/\b(of|the|a)\b|\W/g, '').length;
    const sentences = source
      .split('. ')
      .flatMap((part) => part.match(/(?:\S+ ){3,9}\S+/g) ?? [])
      .filter((text) => telling(text) >= 24);
    expect(sentences.length).toBeGreaterThan(50);
    fc.assert(
      fc.property(
        fc.constantFrom(...sentences),
        fc.array(fc.tuple(fc.nat(1000), fc.constantFrom(...'xqz7')), { maxLength: 2 }),
        (sentence, misreads) => {
          const answer = [...sentence];
          for (const [at, character] of misreads) answer[at % answer.length] = character;
          const found = locateAnswer(answer.join(''), 'What does it say?', source);
          expect(found.length).toBeGreaterThan(0);
          // Words repeat in this text, so another place may be as good; it must be as like.
          for (const { start, end, score } of found) {
            expect(end - start).toBeGreaterThan(sentence.length / 2);
            expect(score).toBeGreaterThan(0.6);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is the very place of a value copied from anywhere', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[A-Z]{2}[0-9]{3}-[A-Z0-9]{4}$/),
        fc.nat(900),
        (value, depth) => {
          const filler = words(1000).split(' ');
          const text = [...filler.slice(0, depth), value, ...filler.slice(depth)].join(' ');
          const misread = `${value.slice(0, 3)}_${value.slice(4)}`;
          for (const answer of [value, `The code is ${value}.`, misread]) {
            const [place] = locateAnswer(answer, 'What is the code?', text);
            expect(text.slice(place!.start, place!.end)).toContain(value);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is nowhere for random answers', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-zA-Z0-9]{6,40}$/), (answer) => {
        fc.pre(!source.toLowerCase().includes(answer.toLowerCase()));
        expect(locateAnswer(answer, question, source)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('stays within the source, and in order, for any texts', () => {
    const text = fc.string({ unit: 'binary', maxLength: 80 });
    fc.assert(
      fc.property(text, text, text, (answer, asked, within) => {
        for (const { start, end, score } of locateAnswer(answer, asked, within)) {
          expect(start).toBeGreaterThanOrEqual(0);
          expect(end).toBeGreaterThan(start);
          expect(end).toBeLessThanOrEqual(within.length);
          expect(score).toBeGreaterThan(0);
          expect(score).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it('costs little in a long document', () => {
    const long = `${words(400_000)} ${FACT} ${words(400_000, 7)}`;
    const start = performance.now();
    expect(best(FACT, question, long)).toBe(FACT.slice(0, -1));
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(long.length).toBeGreaterThan(4_000_000);
  });
});

describe('folding', () => {
  it('keeps the length, and makes separators of signs', () => {
    expect(foldWord('Äß7F')).toBe('äß7f');
    expect(foldWord('İ')).toHaveLength(1);
    for (const sign of ' \n.-–„。') expect(foldCode(sign.charCodeAt(0))).toBe(SEPARATOR);
    for (const letter of 'aZ9éж漢') expect(isWordCode(letter.charCodeAt(0))).toBe(true);
  });
});

const line = (start: number, end: number, y: number) => ({
  x: 10,
  y,
  width: (end - start) * 5,
  height: 9,
  start,
  end,
});

describe('citations', () => {
  const pages = [
    { start: 0, end: 20, lines: [line(0, 10, 0), line(10, 20, 9)] },
    { start: 20, end: 40, lines: [line(20, 30, 0), line(30, 40, 9)] },
  ];
  const text = 'abcdefghijklmnopqrstuvwxyz0123456789ABCD';

  it('have the rectangle of their part of a line', () => {
    expect(citationsOf([{ start: 12, end: 15, score: 0.9 }], pages, text)).toEqual([
      {
        start: 12,
        end: 15,
        text: 'mno',
        page: 1,
        rect: { x: 20, y: 9, width: 15, height: 9 },
        score: 0.9,
      },
    ]);
  });
  it('have one around all their lines', () => {
    expect(rectangleOf(pages[0]!, text, 8, 12)).toEqual({
      x: 10,
      y: 0,
      width: 50,
      height: 18,
    });
  });
  it('do not count the space at which a line was broken', () => {
    const lines = [{ x: 0, y: 0, width: 40, height: 9, start: 0, end: 5 }];
    expect(rectangleOf({ lines }, 'ab cd ef', 3, 5)).toMatchObject({ x: 24, width: 16 });
    expect(rectangleOf({ lines }, 'abcd ef', 2, 4)).toMatchObject({ x: 20, width: 20 });
    expect(rectangleOf({ lines }, 'abcd ef', 2, 5)).toMatchObject({ x: 20, width: 20 });
  });
  it('over a page break are two', () => {
    const found: Citation[] = citationsOf([{ start: 18, end: 23, score: 1 }], pages, text);
    expect(found.map((one) => [one.page, one.text])).toEqual([
      [1, 'st'],
      [2, 'uvw'],
    ]);
  });
  it('of a place that no line shows are none', () => {
    expect(citationsOf([{ start: 40, end: 44, score: 1 }], pages, text)).toEqual([]);
  });
  it('look at the span map only when there is something to look up', async () => {
    const never = () => Promise.reject(new Error('read'));
    expect(await citeAnswer('The code of the gate is not found.', question, source, never)).toEqual(
      [],
    );
    expect(await citeAnswer('ZZ99', question, source, never)).toEqual([]);
    expect(await citeAnswer('', question, source, never)).toEqual([]);
    await expect(citeAnswer(FACT, question, source, never)).rejects.toThrow('read');
  });
  it('are of what is answered, not of what was thought aloud', async () => {
    const [one] = await citeAnswer(`<think>44107?</think>7F2A-91`, question, source, async () => [
      { start: 0, end: source.length, lines: [line(0, source.length, 0)] },
    ]);
    expect(one).toMatchObject({ text: '7F2A-91', page: 1, start: source.indexOf('7F2A-91') });
  });
});
