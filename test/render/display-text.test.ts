import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type DisplayItem,
  type DisplayOptions,
  DisplayText,
} from '../../src/render/display-text.js';
import { resolveFonts } from '../../src/render/fonts.js';
import { OffsetMap } from '../../src/render/offset-map.js';
import { isSoftBreak, sourceLines, wrapWidth } from '../../src/render/source-lines.js';
import { oddText } from './odd-text.js';

const fonts = resolveFonts({ fontPath: null, fontFamily: 'DejaVu Sans' });
const plain: DisplayOptions = {
  fonts,
  newlineMark: null,
  reflow: false,
  tabSize: 4,
  paragraphLines: 1,
};

function display(source: string, options: Partial<DisplayOptions> = {}) {
  const text = new DisplayText(source, { ...plain, ...options });
  const items = [...text.items()];
  return {
    items,
    text,
    shown: items
      .map((item) => (item.kind === 'break' ? (item.page ? '⇟' : '⏎') : item.text))
      .join(''),
  };
}

describe('what is drawn for a text', () => {
  it.each([
    ['a\nb', 'a⏎b⏎'],
    ['a\r\nb\rc\u2028d\u0085e', 'a⏎b⏎c⏎d[U+0085]e⏎'],
    ['one\n\n\ntwo', 'one⏎⏎⏎two⏎'],
    ['page\fnext', 'page⇟next⏎'],
    ['end\n', 'end⏎'],
    ['a\tb\tcd\te', 'a   b   cd  e⏎'],
    ['nul\0esc\x1b[0m', 'nul[U+0000]esc[U+001B][0m⏎'],
    ['\u202Egnp.exe', '[U+202E]gnp.exe⏎'],
    ['fire 🔥!', 'fire [U+1F525]!⏎'],
    ['lone \ud800 half', 'lone [U+D800] half⏎'],
    ['soft\u00adhyphen zero\u200bwidth \ufefffe0f ❤\ufe0f', 'softhyphen zerowidth fe0f ❤⏎'],
    ['e\u0301 ü', 'e\u0301 ü⏎'],
    ['سلام\u200cها', 'سلام\u200cها⏎'],
    ['<b>&amp;</b>', '<b>&amp;</b>⏎'],
    ['中文 한국어 かな', '中文 한국어 かな⏎'],
  ])('%j → %j', (source, shown) => expect(display(source).shown).toBe(shown));

  it('bounds the marks on one letter', () => {
    const { shown } = display(`a${'\u0301'.repeat(34)}b${'\u0301'.repeat(2)}`);
    expect(shown).toBe(`a${'\u0301'.repeat(32)}[U+0301][U+0301]b${'\u0301'.repeat(2)}⏎`);
  });

  it('counts what it does not draw as it stands', () => {
    const { text } = display('🔥🔥 \0\u202e a\u200b\u00ad');
    expect(text.counts).toEqual({ missingGlyphs: 2, controlCharacters: 2, invisibleCharacters: 2 });
    expect([...text.missingSample]).toEqual([0x1f525]);
  });

  it('draws marks for line breaks, and keeps page breaks', () => {
    const newlineMark = { text: ' \\n ', color: '#ff0000' };
    expect(display('a\nb\n\nc\fd', { newlineMark, paragraphLines: 30 }).shown).toBe(
      'a \\n b \\n  \\n c⇟d⏎',
    );
    expect(display('a\nb\nc', { newlineMark, paragraphLines: 2 }).shown).toBe('a \\n b \\n ⏎c⏎');
  });

  it('joins hard-wrapped lines when asked', () => {
    const wrapped = `${'word '.repeat(13)}word
${'next '.repeat(13)}ends.

  Heading
${'more '.repeat(13)}text
- a list item
${'last '.repeat(13)}line`;
    const lines = display(wrapped, { reflow: true }).shown.split('⏎');
    expect(lines[0]).toMatch(/^word .* word next .*ends\.$/);
    expect(lines).toContain('  Heading');
    expect(lines).toContain('- a list item');
  });
});

/** Every item leads back to a part of the source; the parts follow each other and leave out terminators only. */
function ranges(items: DisplayItem[]) {
  return items.flatMap((item) =>
    item.kind === 'break'
      ? []
      : [{ start: item.map.sourceStart, end: item.map.toSource(item.text.length) }],
  );
}

describe('the way back to the source', () => {
  it('gives back every visible character, in order, for any text and any mode', () => {
    const mode = fc.record({
      newlineMark: fc.constantFrom(null, { text: ' ¶ ', color: null }),
      reflow: fc.boolean(),
      tabSize: fc.integer({ min: 1, max: 8 }),
      paragraphLines: fc.integer({ min: 1, max: 5 }),
    });
    fc.assert(
      fc.property(oddText, mode, (source, options) => {
        const found = ranges(display(source, options).items);
        const joined = found.map(({ start, end }) => source.slice(start, end)).join('');
        expect(joined.replace(/\s/g, '')).toBe(source.replace(/\s/g, ''));
        for (let i = 1; i < found.length; i++)
          expect(found[i]!.start).toBeGreaterThanOrEqual(found[i - 1]!.end);
      }),
      { numRuns: 500 },
    );
  });

  it('maps offsets around replacements', () => {
    // source  a 🔥 b  →  display  a [U+1F525] b
    const map = new OffsetMap(10);
    map.replace(1, 10, 11, 13);
    expect([0, 1, 2, 9, 10, 11].map((at) => map.toSource(at))).toEqual([10, 11, 13, 13, 13, 14]);
  });

  it('gives a dropped character to what stands before it', () => {
    const map = new OffsetMap(0);
    map.replace(2, 2, 2, 3);
    expect([1, 2, 3].map((at) => map.toSource(at))).toEqual([1, 3, 4]);
  });
});

describe('source lines', () => {
  it('cover the source without gaps', () => {
    fc.assert(
      fc.property(oddText, (source) => {
        let at = 0;
        for (const line of sourceLines(source)) {
          expect(line.start).toBe(at);
          expect(line.end).toBeLessThanOrEqual(line.next);
          at = line.next;
        }
        expect(at).toBe(source.length);
      }),
    );
  });

  it('finds the width of a hard-wrapped text, and none where lines run free or are short', () => {
    const wrapped = Array.from({ length: 50 }, (_, i) => 'x'.repeat(60 + (i % 13))).join('\n');
    expect(wrapWidth(wrapped)).toBe(72);
    expect(wrapWidth('x'.repeat(5000))).toBeNull();
    expect(wrapWidth('apple\nbanana\ncherry')).toBeNull();
  });

  it.each([
    ['a line that is full', 'x'.repeat(70), 'word', true],
    ['a short line', 'short', 'word', false],
    ['a blank line', 'x'.repeat(70), '', false],
    ['a list item', 'x'.repeat(70), '- item', false],
    ['a numbered item', 'x'.repeat(70), '12. item', false],
    ['a deeper indent', 'x'.repeat(70), '    new paragraph', false],
    ['the second line of a list item', `- ${'x'.repeat(68)}`, '  word', true],
  ])('%s', (_, line, next, soft) => expect(isSoftBreak(line, next, 72)).toBe(soft));
});
