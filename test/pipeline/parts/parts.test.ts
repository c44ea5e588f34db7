import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { joinFiles } from '../../../src/pipeline/inputs/document-files.js';
import { askParts } from '../../../src/pipeline/parts/ask-parts.js';
import { rankAnswers } from '../../../src/pipeline/parts/merge-answers.js';
import { partCapacity } from '../../../src/pipeline/parts/part-capacity.js';
import { documentOfPart, planParts } from '../../../src/pipeline/parts/plan-parts.js';
import { rankParts } from '../../../src/pipeline/parts/rank-parts.js';
import { type MeasuredPage, splitDocument } from '../../../src/pipeline/parts/split-document.js';
import { BorderStrength, bestBorder } from '../../../src/pipeline/parts/text-borders.js';

const LINES = 5;
const TOKENS = 20;
/** A layout of pages of five lines, form feeds obeyed: what the renderer does, without fonts. */
async function measure(text: string): Promise<MeasuredPage[]> {
  const pages: MeasuredPage[] = [];
  let lines = 0;
  let start = 0;
  for (const { 0: line, index } of text.matchAll(/[^\n\f]*(?:[\n\f]|$)/g)) {
    const end = index + line.length;
    lines++;
    if (lines < LINES && !line.endsWith('\f') && end < text.length) continue;
    if (end > start) pages.push({ start, end, visualTokens: TOKENS });
    [lines, start] = [0, end];
    if (end === text.length) break;
  }
  return pages;
}
const documentOf = (text: string) => ({ id: 'doc', hash: 'hash', text });

describe('a border', () => {
  const text =
    'one\ntwo\n\nthree\nfour\n\n## Five\nsix\n\nChapter 7\nseven\n\nplain words\n\feight\nnine';
  const at = (line: string) => text.indexOf(line);
  it.each([
    ['a form feed, before anything else', 0, text.length - 1, at('eight'), 'Page'],
    ['the nearest heading', 0, at('seven'), at('Chapter'), 'Heading'],
    ['a marked heading', 0, at('six'), at('## Five'), 'Heading'],
    ['a paragraph', 0, at('four'), at('three'), 'Paragraph'],
    ['a line', 0, at('two') + 3, at('two'), 'Line'],
    ['a character, where no line starts', 1, 3, 3, 'Character'],
  ] as const)('is %s', (_, from, to, expected, strength) => {
    expect(bestBorder(text, from, to)).toEqual({
      at: expected,
      strength: BorderStrength[strength],
    });
  });

  it('between files goes before all others', () => {
    expect(bestBorder(text, 0, text.length - 1, 0, new Set([at('four')]))).toEqual({
      at: at('four'),
      strength: BorderStrength.File,
    });
  });

  it('cuts no character in two', () => {
    expect(bestBorder('🔥🔥🔥', 1, 3).at).toBe(2);
  });
});

describe('the parts of a document', () => {
  const line = fc.stringMatching(/^[a-z ]{0,20}$/);
  const texts = fc
    .array(line, { minLength: 1, maxLength: 120 })
    .map((lines) => lines.join('\n'))
    .filter((text) => text.trim() !== '');

  it('cover it without gaps, and each fits by itself', async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: TOKENS, max: 8 * TOKENS }), async (text, limit) => {
        const { parts, visualTokens } = await planParts(documentOf(text), limit, measure);
        expect(parts.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
        for (const part of parts) expect(part.visualTokens).toBeLessThanOrEqual(limit);
        expect(parts.length > 1).toBe(visualTokens > limit);
        expect(parts.map(({ pagesBefore }) => pagesBefore)).toEqual(
          parts.map((_, n) => parts.slice(0, n).reduce((sum, { pages }) => sum + pages, 0)),
        );
      }),
      { numRuns: 60 },
    );
  });

  it('count pages as each part has them by itself, with the blank lines at its end', async () => {
    const ending = fc.constantFrom('', '\n', '\n\n', '\n\n\n');
    await fc.assert(
      fc.asyncProperty(texts, ending, async (lines, end) => {
        const text = `${lines}${end}`;
        const { parts } = await planParts(documentOf(text), 2 * TOKENS, measure);
        for (const { start, end, pages } of parts)
          expect([start, pages]).toEqual([start, (await measure(text.slice(start, end))).length]);
      }),
      { numRuns: 60 },
    );
  });

  it('are about equally large', async () => {
    const text = Array.from({ length: 500 }, (_, n) => `line ${n}`).join('\n');
    const { parts } = await planParts(documentOf(text), 30 * TOKENS, measure);
    expect(parts.map(({ visualTokens }) => visualTokens / TOKENS)).toEqual([25, 25, 25, 25]);
  });

  it('begin where files begin', async () => {
    const lines = (n: number) => 'some words\n'.repeat(n);
    const { text, files } = joinFiles(
      [40, 35, 45].map((n) => ({ name: `${n}.txt`, text: lines(n), mediaType: 'text/plain' })),
    );
    const { parts } = await planParts({ ...documentOf(text), files }, 10 * TOKENS, measure);
    expect(parts.map(({ start }) => text.slice(start).split('\n')[0])).toEqual([
      '===== 40.txt =====',
      '===== 35.txt =====',
      '===== 45.txt =====',
    ]);
  });

  it('of a single line without end are cut between characters', () => {
    const text = 'x'.repeat(1_000);
    const pages = [{ start: 0, end: 1_000, visualTokens: 100 }];
    const parts = splitDocument(text, pages, { start: 0, end: 1_000 }, 40);
    expect(parts.map(({ start, end }) => end - start)).toEqual([333, 333, 334]);
  });

  it('are one where all fits, and that is the document itself', async () => {
    const document = documentOf('one\ntwo');
    const { parts } = await planParts(document, 100, measure);
    expect(documentOfPart(document, parts[0]!)).toBe(document);
  });

  it('may be a piece: pages as drawn, or those of the file', async () => {
    const text = Array.from({ length: 50 }, (_, n) => `line ${n}`).join('\n');
    const drawn = await planParts(documentOf(text), 100 * TOKENS, measure, {
      first: 3,
      last: 4,
      of: 'drawing',
    });
    expect(drawn.parts).toMatchObject([{ pagesBefore: 2, pages: 2 }]);
    expect(text.slice(drawn.parts[0]!.start, drawn.parts[0]!.end)).toMatch(
      /^line 10\n[\s\S]*line 19\n$/,
    );
    const file = {
      name: 'a.pdf',
      start: 0,
      end: text.length,
      mediaType: '',
      pageStarts: [0, 70, 90],
    };
    const ofFile = await planParts({ ...documentOf(text), files: [file] }, 1e9, measure, {
      first: 2,
      last: 2,
      of: 'file',
    });
    expect(ofFile.parts).toMatchObject([{ start: 70, end: 90 }]);
  });

  it('that cannot be are an error', async () => {
    const document = documentOf('one\ntwo');
    await expect(planParts(document, TOKENS - 1, measure)).rejects.toMatchObject({
      code: 'GP_CONTEXT_LENGTH',
      details: { visualTokens: TOKENS, limit: TOKENS - 1 },
    });
    const piece = { first: 2, last: 3, of: 'drawing' } as const;
    await expect(planParts(document, 1e9, measure, piece)).rejects.toMatchObject({
      code: 'GP_USAGE',
      details: { pages: 1 },
    });
  });
});

it('a part leaves room for question, answer and sidecar, after the drop behind the encoder', () => {
  const none = { decoder: [] };
  const half = { encoder: { method: 'apet' as const, keepRatio: 0.5 }, decoder: [] };
  expect(partCapacity(32_768, none, 0)).toBe(30_720);
  expect(partCapacity(32_768, none, 500)).toBe(30_220);
  expect(partCapacity(800, none, 0)).toBe(700);
  expect(partCapacity(32_768, half, 0)).toBe(61_441);
});

describe('a question', () => {
  const texts = [
    'The harbour master keeps the tide tables in a tin box. '.repeat(40),
    `${'Rain fell on the moor all night. '.repeat(60)}The pump in shed four costs 40 crowns. ${'Rain fell. '.repeat(60)}`,
    'The north gate is shut at dusk by the warden. '.repeat(40),
  ];
  const source = texts.join('');
  let at = 0;
  const parts = texts.map((text, n) => {
    const start = at;
    at += text.length;
    return { start, end: at, pagesBefore: 10 * n, pages: 10, visualTokens: 1 };
  });

  it.each([
    ['What does the pump in shed four cost?', 1],
    ['When is the NORTH gate shut?', 2],
    ['Where are the tide tables?', 0],
  ])('%s goes to the part that speaks of it', async (question, expected) => {
    expect((await rankParts(source, parts, question))[0]!.index).toBe(expected);
  });

  it('without a known word goes to the parts in their order', async () => {
    expect((await rankParts(source, parts, 'Wer?')).map(({ index }) => index)).toEqual([0, 1, 2]);
  });

  const citation = { start: 5, end: 9, text: '', page: 1, score: 0.9 };
  const rect = { x: 0, y: 0, width: 1, height: 1 };
  const said = (answer: string, found: boolean, confidence: number | null, score = 0.9) => ({
    answer,
    found,
    confidence,
    citations: found ? [{ ...citation, rect, score }] : [],
  });

  it('is asked of all parts or of some; the surest that was found wins, cited in the whole', async () => {
    const replies = [
      said('not in the text', false, 0.99),
      said('40 crowns', true, 0.6),
      said('7', true, 0.4),
    ];
    const asked: number[] = [];
    const ask = async ({ text }: { text: string }) => {
      asked.push(texts.indexOf(text));
      return replies[asked.at(-1)!]!;
    };
    const question = 'What does the pump cost?';
    const { best, ranked } = await askParts(documentOf(source), parts, question, 'all', ask);
    expect([...asked].sort()).toEqual([0, 1, 2]);
    expect(asked[0]).toBe(1);
    expect(ranked.map(({ reply }) => reply.answer)).toEqual(['40 crowns', '7', 'not in the text']);
    const { start } = parts[1]!;
    expect(best).toMatchObject({
      answer: '40 crowns',
      citations: [{ start: start + 5, end: start + 9, page: 11 }],
    });
    asked.length = 0;
    await askParts(documentOf(source), parts, question, 1, ask);
    expect(asked).toEqual([1]);
  });

  it('is decided by the place where nobody tells how sure he is', () => {
    const answer = (text: string, score: number, lexicalScore: number) => ({
      part: parts[0]!,
      lexicalScore,
      reply: said(text, true, null, score),
    });
    const ranked = rankAnswers([answer('a', 0.5, 9), answer('b', 0.8, 1), answer('c', 0.8, 2)]);
    expect(ranked.map(({ reply }) => reply.answer)).toEqual(['c', 'b', 'a']);
  });
});
