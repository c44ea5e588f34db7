import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editScript } from '../../../src/pipeline/proofing/edit-script.js';
import { proofLine } from '../../../src/pipeline/proofing/proof-line.js';
import { Tally } from '../../../src/pipeline/proofing/proofread.js';
import { joinLines, readPage } from '../../../src/pipeline/proofing/read-page.js';

const line = (y: number, height: number, start: number, end: number, x = 0) => ({
  x,
  y,
  width: (end - start) * 5,
  height,
  start,
  end,
});

describe('the rows of a page', () => {
  // Two cells high, four wide: six slot rows of twenty characters.
  const page = { widthPx: 112, heightPx: 56 };
  const slots = (...rows: string[]) => rows.map((row) => row.padEnd(20));

  it('go to the lines whose middle they hold, at three rows to a cell', () => {
    const lines = [line(0, 9, 0, 4), line(9, 10, 4, 8), line(28, 9, 8, 12), line(47, 9, 12, 16)];
    const read = readPage(slots('one', 'two', '', 'three', '', 'four'), { ...page, lines });
    expect(read.lines.map(({ text }) => text)).toEqual(['one', 'two', 'three', 'four']);
    expect(read.text).toBe('one\ntwo\nthree\nfour');
    expect(read.stray).toEqual([]);
  });

  it('skip slot rows at two and at one row to a cell', () => {
    const two = [line(0, 14, 0, 1), line(14, 14, 1, 2), line(28, 14, 2, 3), line(42, 14, 3, 4)];
    const atTwo = readPage(slots('a', '', 'b', 'c', '', 'd'), { ...page, lines: two });
    expect(atTwo.lines.map(({ text }) => text)).toEqual(['a', 'b', 'c', 'd']);
    const one = [line(0, 28, 0, 1), line(28, 28, 1, 2)];
    const atOne = readPage(slots('', 'a', '', '', 'b', ''), { ...page, lines: one });
    expect(atOne.lines.map(({ text }) => text)).toEqual(['a', 'b']);
    expect(atOne.text).toBe('a\nb');
  });

  it('are cut where another column begins', () => {
    const lines = [line(0, 9, 0, 4), line(0, 9, 4, 9, 56)];
    const read = readPage(slots('left      right'), { widthPx: 112, heightPx: 28 / 3, lines });
    expect(read.lines.map(({ text }) => text)).toEqual(['left', 'right']);
  });

  it('leave out what a line repeats', () => {
    const lines = [line(0, 9, 0, 4), line(9, 9, 4, 6, 11.2)];
    const read = readPage(slots('abcd', 'cdef', '', '', '', ''), { ...page, lines });
    expect(read.lines.map(({ text }) => text)).toEqual(['abcd', 'ef']);
  });

  it('that belong to no line are stray', () => {
    const read = readPage(slots('one', '', 'ghost', '', '', ''), {
      ...page,
      lines: [line(0, 9, 0, 3)],
    });
    expect(read.stray).toEqual(['ghost']);
    expect(read.text).toBe('one\nghost');
  });

  it('keep source ranges and rectangles', () => {
    const read = readPage(slots('one', '', '', '', '', ''), {
      ...page,
      lines: [line(0, 9, 7, 10)],
    });
    expect(read.lines).toEqual([
      {
        start: 7,
        end: 10,
        rect: { x: 0, y: 0, width: 15, height: 9 },
        text: 'one',
        row: 'one'.padEnd(20),
      },
    ]);
  });
});

describe('an edit script', () => {
  it('names what was changed, lost and added', () => {
    expect(editScript([...'tonnes;'], [...'tonnesc'])).toEqual([{ wanted: ';', read: 'c', at: 6 }]);
    expect(editScript([...'abc'], [...'ac'])).toEqual([{ wanted: 'b', read: null, at: 1 }]);
    expect(editScript([...'ac'], [...'abc'])).toEqual([{ wanted: null, read: 'b', at: 1 }]);
    expect(editScript([], [...'x'])).toEqual([{ wanted: null, read: 'x', at: 0 }]);
    expect(editScript([...'kitten'], [...'sitting'])).toHaveLength(3);
  });

  it('turns one text into the other, with no more edits than the longer has characters', () => {
    const text = fc.array(fc.constantFrom(...'abcd'), { maxLength: 12 });
    fc.assert(
      fc.property(text, text, (wanted, read) => {
        const edits = editScript(wanted, read);
        expect(edits.length).toBeLessThanOrEqual(Math.max(wanted.length, read.length));
        const made: string[] = [];
        let next = 0;
        for (const edit of edits) {
          made.push(...wanted.slice(next, edit.at));
          next = edit.at + (edit.wanted === null ? 0 : 1);
          if (edit.wanted !== null) expect(wanted[edit.at]).toBe(edit.wanted);
          if (edit.read !== null) made.push(edit.read);
        }
        expect([...made, ...wanted.slice(next)]).toEqual(read);
        expect(editScript(read, wanted)).toHaveLength(edits.length);
      }),
    );
  });
});

describe('a line proof-read', () => {
  const source = 'The  north\ngate is 7F2A-91. Next';
  it('counts white space as one space, at the ends as none', () => {
    expect(proofLine(source, 0, 28, ' The north gate is 7F2A-91.')).toEqual({
      characters: 26,
      edits: [],
      wrong: null,
    });
  });
  it('tells the stretch of the source that is read wrong, to whole words', () => {
    const { wrong, edits } = proofLine(source, 0, 28, 'The north gate is 7F2A-9l.');
    expect(edits).toEqual([{ wanted: '1', read: 'l', at: 24 }]);
    expect(source.slice(wrong!.start, wrong!.end)).toBe('7F2A-91.');
    const wide = proofLine(source, 0, 28, 'The nerth gaie is 7F2A-91.').wrong!;
    expect(source.slice(wide.start, wide.end)).toBe('north\ngate');
  });
  it('that is not read at all is wrong in every character', () => {
    const { edits, wrong } = proofLine(source, 0, 28, '');
    expect(edits).toHaveLength(26);
    expect(wrong).toEqual({ start: 0, end: 27 });
  });
  it('stays within its range for any text', () => {
    const any = fc.string({ unit: 'binary', maxLength: 20 });
    fc.assert(
      fc.property(any, any, any, (before, text, read) => {
        const { wrong, edits } = proofLine(
          before + text,
          before.length,
          before.length + text.length,
          read,
        );
        if (!wrong) return;
        expect(edits.length).toBeGreaterThan(0);
        expect(wrong.start).toBeGreaterThanOrEqual(before.length);
        expect(wrong.end).toBeGreaterThan(wrong.start);
        expect(wrong.end).toBeLessThanOrEqual(before.length + text.length);
      }),
    );
  });
});

describe('running text', () => {
  const page = { widthPx: 28, heightPx: 28 };
  // "one two" broken anywhere at five columns, then a hard line break (one character) and "end".
  const { lines } = readPage(['one t', 'wo', 'end'], {
    ...page,
    lines: [line(0, 9, 0, 5), line(9, 9, 5, 7), line(19, 9, 8, 11)],
  });

  it('goes on where a line was broken anywhere', () => {
    expect(joinLines(lines, 'anywhere')).toBe('one two\nend');
  });

  it('keeps a space that ends or starts a broken line', () => {
    const spaced = readPage(['ab   ', ' cd  ', ''], {
      ...page,
      lines: [line(0, 9, 0, 5), line(9, 9, 5, 8)],
    });
    expect(joinLines(spaced.lines, 'anywhere')).toBe('ab    cd');
  });

  it('is parted where lines break between words', () => {
    expect(joinLines(lines, 'word')).toBe('one t\nwo\nend');
  });
});

describe('a tally', () => {
  const source = 'abcd efgh ijkl';
  const lines = [line(0, 9, 0, 5), line(9, 9, 5, 10), line(18, 9, 10, 14)];
  const reading = (...texts: string[]) => ({
    lines: lines.map(({ start, end, x, y, width, height }, n) => ({
      start,
      end,
      rect: { x, y, width, height },
      text: texts[n]!,
      row: texts[n]!,
    })),
    stray: [],
  });
  const pageOf = (index: number) => ({ index, lines, png: Buffer.from([index]) });

  it('adds up pages, ranks places, counts confusions', () => {
    const tally = new Tally(source, 2);
    tally.add(pageOf(0), reading('abcd', 'efgx', 'iyyl'), true);
    tally.add(pageOf(1), reading('abcd', 'efgh', 'ijkl'), true);
    tally.add(pageOf(2), reading('xxxx', 'efgh', 'ijkl'), true);
    expect(tally.pages.map(({ page, edits, characters }) => [page, edits, characters])).toEqual([
      [1, 3, 12],
      [2, 0, 12],
      [3, 4, 12],
    ]);
    expect(tally.worst.map(({ page, edits, shown, read }) => [page, edits, shown, read])).toEqual([
      [3, 4, 'abcd', 'xxxx'],
      [1, 2, 'ijkl', 'iyyl'],
    ]);
    // Pages without one of the worst places are let go.
    expect([...tally.kept.keys()]).toEqual([1, 3]);
    expect(tally.confusions(3)).toEqual([
      { shown: 'a', read: 'x', count: 1 },
      { shown: 'b', read: 'x', count: 1 },
      { shown: 'c', read: 'x', count: 1 },
    ]);
  });

  it('counts what is seen where nothing stands', () => {
    const tally = new Tally(source, 2);
    tally.add(pageOf(0), { ...reading('abcd', 'efgh', 'ijkl'), stray: ['no thing'] });
    expect(tally.pages[0]).toMatchObject({ edits: 7, characterErrorRate: 7 / 12 });
    expect(tally.worst).toEqual([]);
  });

  it('tells of no place where none is wanted', () => {
    const tally = new Tally(source, 0);
    tally.add(pageOf(0), reading('', '', ''), true);
    expect(tally.worst).toEqual([]);
    expect(tally.kept.size).toBe(0);
  });
});
