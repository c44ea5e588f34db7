import { describe, expect, it } from 'vitest';
import { supportOf, withSupport } from '../../../src/pipeline/expanding/answer-support.js';
import { attendedPages, attendedPlaces } from '../../../src/pipeline/expanding/attended-places.js';
import { Expander } from '../../../src/pipeline/expanding/expander.js';
import { ExpansionSource } from '../../../src/pipeline/expanding/expansion-source.js';

const LINES = ['The north gate is oak.', 'The pump is blue.', 'Ferries leave at nine.'];
const TEXT = LINES.join('\n\n');
const CELL = 28;

/** One line of text in each of two pages' rows of cells. */
const pages = [LINES.slice(0, 2), LINES.slice(2)].map((lines) => {
  const boxes = lines.map((line, row) => {
    const start = TEXT.indexOf(line);
    return { x: 0, y: row * CELL, width: 4 * CELL, height: CELL, start, end: start + line.length };
  });
  return {
    widthPx: 4 * CELL,
    heightPx: 2 * CELL,
    start: boxes[0]!.start,
    end: boxes.at(-1)!.end,
    lines: boxes,
  };
});
const sources = [{ text: async () => TEXT, pages: async () => pages }];
const grid = { rows: 2, cols: 4 };

const cells = (image: number[], cell: number[], share: number[]) => ({
  image: Int32Array.from(image),
  cell: Int32Array.from(cell),
  share: Float32Array.from(share),
});

describe('places that a model attends to', () => {
  it('are the sentences under the cells, the most attended first', async () => {
    const source = await ExpansionSource.of(sources);
    // Two heads, one of which gives little to the pages at all: both count alike.
    const heads = [
      cells([0, 0, 1], [1, 5, 0], [0.1, 0.6, 0.1]),
      cells([0, 0, 1], [1, 5, 0], [0, 0.001, 0.0005]),
    ];
    const attended = attendedPages(heads, [grid, grid]);
    const total = attended.flatMap(({ share }) => [...share]).reduce((sum, n) => sum + n, 0);
    expect(total).toBeCloseTo(1);
    const places = attendedPlaces(source, attended).sort((a, b) => b.score - a.score);
    expect(places.map(({ start, end }) => TEXT.slice(start, end))).toEqual([
      LINES[1],
      LINES[2],
      LINES[0],
    ]);
  });

  it('are what a model here is asked with, where its heads are known', async () => {
    const share = new Float32Array(8);
    const asked: (string | undefined)[] = [];
    const opened = (attended: boolean) => ({
      sources,
      report: {} as never,
      ask: async (_: string, options: { passages?: string | undefined } = {}) => {
        asked.push(options.passages);
        return { answer: 'nine', found: true, confidence: 0.5 } as never;
      },
      attend: async () =>
        attended
          ? [
              { grid, share },
              { grid, share: share.map((_, n) => (n < 2 ? 0.5 : 0)) },
            ]
          : null,
    });
    const settings = {
      method: 'attention' as const,
      budget: 8,
      countTokens: (text: string) => text.split(' ').length,
    };
    const { expansion } = await new Expander(opened(true)).ask('When?', {}, settings);
    expect(asked).toEqual([LINES[2]]);
    expect(expansion).toMatchObject({ method: 'attention', tokens: 4, support: null });
    await expect(new Expander(opened(false)).ask('When?', {}, settings)).rejects.toMatchObject({
      code: 'GP_USAGE',
    });
  });
});

describe('the support of an answer', () => {
  const source = 'The code is 7F3A-99C1. The pump cost 14,250 kroner. It holds 14,2501 litres.';
  const read = 'The code is 7F3A-99C1.';
  const of = (answer: string, question = 'Which?') => supportOf(answer, question, read, source);

  it('is what was read, the rest of the document, or nothing, by its exact values', () => {
    expect(of('The code is 7F3A-99C1.')).toBe('read');
    expect(of('It cost 14,250 kroner.')).toBe('elsewhere');
    expect(of('The code is 7F3A-99C2.')).toBe('none');
    expect(of('7f3a-99c1')).toBe('none');
    expect(supportOf('4,250 kroner', 'Which?', read, source)).toBe('none');
  });

  it('is unknown where no exact value was to be copied', () => {
    expect(of('Yes, there are 2 gates.')).toBeNull();
    expect(of('Pump 77-1234-XY is blue', 'What colour is pump 77-1234-XY?')).toBeNull();
  });

  it('takes an answer back that nothing supports, and no other', () => {
    const answer = { found: true, confidence: 0.8 };
    expect(withSupport(answer, 'none')).toEqual({ found: false, confidence: expect.closeTo(0.08) });
    expect(withSupport(answer, 'elsewhere')).toBe(answer);
    expect(withSupport({ found: true, confidence: null }, 'none').confidence).toBeNull();
  });
});
