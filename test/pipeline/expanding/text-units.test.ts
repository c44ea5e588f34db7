import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unitsOf, unitsTouched } from '../../../src/pipeline/expanding/text-units.js';

const textsOf = (source: string) =>
  unitsOf(source).map(({ start, end }) => source.slice(start, end));

describe('units of a text', () => {
  it('are sentences where prose was wrapped', () => {
    const source = 'The gate is open from\nnine. Dr. Ray has the\nkey to it. Ask there.\n';
    expect(textsOf(source)).toEqual([
      'The gate is open from\nnine.',
      'Dr. Ray has the\nkey to it.',
      'Ask there.',
    ]);
  });

  it('are lines where records stand', () => {
    const source = 'name: North gate\ncode: 7F2A-91\nopen: yes\n';
    expect(textsOf(source)).toEqual(['name: North gate', 'code: 7F2A-91', 'open: yes']);
  });

  it('are rows where a table stands, however alike their lengths', () => {
    const rows = [
      'species,found by,shelf',
      'Arran whitebeam,Orla Fay,B7-2',
      'marsh saxifrage,Jo Dunn,C1-4',
    ];
    expect(textsOf(rows.join('\n'))).toEqual(rows);
  });

  it('keep the indentation of a line of code', () => {
    expect(textsOf('def f():\n    return 1\n')).toEqual(['def f():', '    return 1']);
  });

  it('part a paragraph that was written on one line', () => {
    const first = `The ferry leaves at nine${' and so on'.repeat(12)}.`;
    expect(textsOf(`${first} It returns at six.`)).toEqual([first, 'It returns at six.']);
  });

  it('do not go over blank lines and form feeds', () => {
    expect(textsOf('One\n\nTwo\fThree')).toEqual(['One', 'Two', 'Three']);
  });

  it('cut what never ends, between words and never within a character', () => {
    const pieces = textsOf('😀'.repeat(1_000));
    expect(pieces.length).toBeGreaterThan(3);
    expect(pieces.every((piece) => /^(?:😀)+$/u.test(piece))).toBe(true);
  });

  it('hold each visible character once, in order', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'B', '.', '!', ' ', '\n', '\r\n', '\t', '\f', ':', '-', '😀', '1'),
      maxLength: 300,
    });
    fc.assert(
      fc.property(text, (source) => {
        const units = unitsOf(source);
        let behind = 0;
        for (const { start, end } of units) {
          expect(start).toBeGreaterThanOrEqual(behind);
          expect(end).toBeGreaterThan(start);
          behind = end;
        }
        const visible = (part: string) => part.replace(/\s/g, '');
        expect(textsOf(source).map(visible).join('')).toBe(visible(source));
      }),
    );
  });
});

describe('units that a range touches', () => {
  const units = [
    { start: 0, end: 3 },
    { start: 5, end: 8 },
    { start: 8, end: 9 },
  ];
  it.each([
    [0, 1, { first: 0, last: 0 }],
    [2, 6, { first: 0, last: 1 }],
    [7, 9, { first: 1, last: 2 }],
    [3, 5, null],
    [9, 20, null],
  ])('from %i to %i', (start, end, expected) => {
    expect(unitsTouched(units, { start, end })).toEqual(expected);
  });
});
