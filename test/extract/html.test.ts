import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { htmlToText } from '../../src/extract/html.js';
import { decodeHtml } from '../../src/extract/html-encoding.js';
import { rawCharacters } from '../../src/extract/raw-characters.js';

describe('HTML', () => {
  it.each([
    ['<p>one\n  two</p><p>three</p>', 'one two\n\nthree'],
    ['a <b>bold</b> <i>word</i>, no space<b>s</b>', 'a bold word, no spaces'],
    ['line<br>break<hr>rule', 'line\nbreak\nrule'],
    [
      '<h1>Title</h1>text<ul><li>a</li><li>b <ul><li>c</li></ul></li></ul>',
      'Title\n\ntext\n\n- a\n- b\n\n- c',
    ],
    [
      '<ol><li><p>a</p><p>b</p></li><li>c<ul><li><div>d</div></li></ul></li></ol><ul><li>e</ul>',
      '1. a\n\nb\n\n2. c\n\n- d\n\n- e',
    ],
    ['<pre>  x =\n    1</pre>', 'x =\n    1'],
    ['5 &lt; 6 &amp; caf&eacute; &#128640;', '5 < 6 & café 🚀'],
    ['<img alt="a chart"> <script>alert(1)</script><style>p{}</style>', 'a chart'],
    ['<html><head><title>t</title></head><body>b</body></html>', 'b'],
    [
      'seen<p hidden>1</p><p style="DISPLAY : none">2</p><p style="font-size:0">3</p><span style="opacity: 0;">4</span>',
      'seen',
    ],
    ['<p style="font-size:0.9em">small</p>', 'small'],
    ['<p>one<p>two<ul><li>a<li>b</ul>', 'one\n\ntwo\n\n- a\n- b'],
    ['<a href=x/>link</a> and 5 < 6', 'link and 5 < 6'],
    ['<p>a</p></div></table>b</body>c', 'a\n\nbc'],
    ['', ''],
  ])('%j is read as %j', (html, text) => {
    expect(htmlToText(html)).toBe(text);
  });

  it('in the encoding that it states, else in the one that it is in', () => {
    const latin = (html: string) => decodeHtml(Buffer.from(html, 'latin1'));
    expect(latin('<meta charset="iso-8859-1"><p>caf\u00e9</p>')).toContain('café');
    expect(latin('<?xml version="1.0" encoding="iso-8859-1"?><p>caf\u00e9</p>')).toContain('café');
    expect(latin('<p>Das Caf\u00e9 f\u00fchrt \u00fcber die Stra\u00dfe</p>')).toContain(
      'Das Café führt',
    );
    expect(decodeHtml(Buffer.from('<meta charset="utf-16"><p>café</p>'))).toContain('café');
  });
});

describe('a table', () => {
  it.each([
    [
      'a row a line',
      '<table><thead><tr><th>k</th><th>v</th></tr></thead><tr><td>1</td><td> 2\n3 </td></tr></table>',
      'k | v\n1 | 2 3',
    ],
    ['without end tags', 'a<table><tr><td>1<td>2<tr><td>3<td>4</table>b', 'a\n\n1 | 2\n3 | 4\n\nb'],
    [
      'empty cells stay, empty rows do not',
      '<table><tr><td></td><td>b</td><td></td><td>d</td></tr><tr><td></td></tr></table>',
      '| b |  | d',
    ],
    [
      'blocks in a cell are one line',
      '<table><tr><td><p>a</p><p>b</p></td><td>c<br>d</td></tr></table>',
      'a b | c d',
    ],
    [
      'spans keep columns in place',
      '<table><tr><td colspan=2>wide</td><td>c</td></tr><tr><td rowspan=2>tall</td><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr></table>',
      'wide |  | c\ntall | 1 | 2\n| 3 | 4',
    ],
    [
      'that lays out a page is paragraphs',
      '<table><tr><td><h1>News</h1><p>one</p><p>two</p></td><td>menu</td></tr></table>',
      'News\n\none\n\ntwo\n\nmenu',
    ],
    [
      'in a table',
      '<table><tr><td>left</td><td><table><tr><td>1</td><td>2</td></tr></table></td></tr></table>',
      'left\n\n1 | 2',
    ],
    ['of one column is lines', '<table><tr><td>a</td></tr><tr><td>b</td></tr></table>', 'a\nb'],
    [
      'with a caption',
      '<table><caption>Prices</caption><tr><td>a</td><td>1</td></tr></table>',
      'Prices\n\na | 1',
    ],
    ['cells without a table', '<tr><td>a</td><td>b</td></tr>', 'a\nb'],
  ])('%s', (_, html, text) => {
    expect(htmlToText(html)).toBe(text);
  });
});

describe('any markup', () => {
  const word = fc.stringMatching(/^[a-z]{1,8}$/);
  const tag = fc.constantFrom('p', 'div', 'b', 'table', 'tr', 'td', 'li', 'pre', 'h2', 'br', 'a');
  const piece = fc.oneof(
    word.map((text) => ({ html: ` ${text} `, text })),
    tag.map((name) => ({ html: `<${name}>`, text: '' })),
    tag.map((name) => ({ html: `</${name}>`, text: '' })),
    tag.map((name) => ({ html: `<${name}/>`, text: '' })),
  );

  it('keeps every word, in order, however tags are nested', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const words = pieces.map(({ text }) => text).filter((text) => text !== '');
        const found = htmlToText(pieces.map(({ html }) => html).join(''))
          .split(/[\s|]+|^- | - /)
          .filter((text) => /^[a-z]+$/.test(text));
        expect([...found].sort()).toEqual([...words].sort());
      }),
      { numRuns: 300 },
    );
  });

  it('is counted as what stands between the tags', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const letters = pieces.reduce((sum, { text }) => sum + text.length, 0);
        expect(rawCharacters(pieces.map(({ html }) => html).join(''))).toBe(letters);
      }),
    );
  });
});
