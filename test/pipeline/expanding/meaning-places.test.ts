import { describe, expect, it } from 'vitest';
import { blend, MeaningPlaces } from '../../../src/pipeline/expanding/meaning-places.js';
import { unitsOf } from '../../../src/pipeline/expanding/text-units.js';
import { WordVectors } from '../../../src/vlm/index.js';

/** Directions that words of a kind share; all words share the first one. */
const KINDS: Record<string, number> = { price: 1, cost: 1, gate: 2, door: 2, ferry: 3, boat: 3 };
const WIDTH = 8;

async function vectorsOf(words: readonly string[]): Promise<Float32Array[]> {
  return words.map((word) => {
    const vector = new Float32Array(WIDTH);
    vector[0] = 0.6;
    vector[KINDS[word] ?? 4 + (word.length % 4)]! += 0.8;
    return vector;
  });
}

const TEXT = [
  'The gate is of oak.',
  'It was cheap: the cost was low.',
  'A boat goes at nine.',
].join('\n\n');

describe('places by what words mean', () => {
  it('are those that say it in other words', async () => {
    const places = await MeaningPlaces.of(TEXT, unitsOf(TEXT), vectorsOf);
    const bestFor = async (question: string) => {
      const [best] = (await places.find(question)).sort((a, b) => b.score - a.score);
      return TEXT.slice(best!.start, best!.end);
    };
    expect(await bestFor('price?')).toContain('cost');
    expect(await bestFor('ferry?')).toContain('boat');
    expect(await bestFor('door?')).toContain('gate');
  });

  it('are none where nothing was asked, or nothing stands', async () => {
    const places = await MeaningPlaces.of(TEXT, unitsOf(TEXT), vectorsOf);
    expect(await places.find('?!')).toEqual([]);
    expect(await (await MeaningPlaces.of('', [], vectorsOf)).find('gate?')).toEqual([]);
    const signs = '***\n\n---';
    const none = await MeaningPlaces.of(signs, unitsOf(signs), vectorsOf);
    expect(await none.find('gate?')).toEqual([]);
  });

  it('join those by words: either may bring a place, both bring it up', () => {
    const place = (start: number, score: number) => ({ start, end: start + 1, score });
    const blended = blend([place(0, 10), place(2, 5)], [place(2, 0.8), place(4, 0.4)]);
    expect(blended.sort((a, b) => a.start - b.start)).toEqual([
      place(0, 1),
      place(2, 1),
      place(4, 0.25),
    ]);
    expect(blend([], [])).toEqual([]);
  });
});

describe('vectors of words', () => {
  /** Three rows: tokens a and b, and one that is in no word. */
  const ROWS = [
    [3, 1],
    [1, 3],
    [2, 2],
  ];
  const asked: number[][] = [];
  const words = new WordVectors(
    (text) => [...text.trim()].map((letter) => 'ab'.indexOf(letter)),
    ROWS.length,
    async (ids) => {
      asked.push(ids);
      return Float32Array.from(ids.flatMap((id) => ROWS[id]!));
    },
  );

  it('are sums of their tokens, less the mean of the vocabulary, at length 1', async () => {
    const [a, b, both] = await words.of(['a', 'b', 'ab']);
    const half = Math.SQRT1_2;
    expect([...a!]).toEqual([expect.closeTo(half), expect.closeTo(-half)]);
    expect([...b!]).toEqual([expect.closeTo(-half), expect.closeTo(half)]);
    expect(Math.hypot(...both!)).toBeLessThan(1e-6);
    // Each row once, whatever words share it.
    expect(asked).toEqual([
      [0, 1, 2],
      [0, 1],
    ]);
  });
});
