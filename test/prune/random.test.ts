import { expect, it } from 'vitest';
import { deriveSeed, seededRandom, selectAtRandom } from '../../src/prune/index.js';
import { randomBelow } from '../../src/prune/random.js';
import { testPrunerContract } from './pruner-contract.js';

testPrunerContract('selectAtRandom', (n, options) => selectAtRandom(n, { ...options, seed: 3 }));

it('repeats for a seed and differs between seeds', () => {
  const rows = (seed: number) => [...selectAtRandom(200, { keepRatio: 0.5, seed })];
  expect(rows(7)).toEqual(rows(7));
  expect(rows(7)).not.toEqual(rows(8));
  expect([...selectAtRandom(200, { keepRatio: 0.5 })]).toEqual(rows(0));
});

it('draws the same words on every machine', () => {
  const words = seededRandom(1);
  expect([words(), words(), words()]).toMatchInlineSnapshot(`
    [
      393288148,
      2174103013,
      3814759091,
    ]
  `);
});

it('draws every row equally often', () => {
  const n = 20;
  const draws = 4000;
  const times = new Array<number>(n).fill(0);
  for (let seed = 0; seed < draws; seed++) {
    for (const row of selectAtRandom(n, { keepRatio: 0.25, seed })) times[row]!++;
  }
  // Binomial with mean 1,000 and standard deviation 27.4: five of them either way.
  for (const count of times) expect(Math.abs(count - draws * 0.25)).toBeLessThan(137);
});

it('draws pairs independently', () => {
  let both = 0;
  for (let seed = 0; seed < 4000; seed++) {
    const kept = selectAtRandom(10, { keepRatio: 0.5, seed });
    if (kept.includes(0) && kept.includes(1)) both++;
  }
  // P = 5·4 / (10·9) = 0.222…: mean 889, standard deviation 26.3.
  expect(Math.abs(both - 889)).toBeLessThan(132);
});

it('draws integers below a bound evenly', () => {
  const words = seededRandom(5);
  const times = [0, 0, 0];
  for (let i = 0; i < 9000; i++) times[randomBelow(words, 3)]!++;
  for (const count of times) expect(Math.abs(count - 3000)).toBeLessThan(225);
});

it('derives seeds that differ by part', () => {
  const seeds = [
    deriveSeed(0),
    deriveSeed(0, 0),
    deriveSeed(0, 1),
    deriveSeed(1, 0),
    deriveSeed(0, 0, 1),
    deriveSeed(0, 1, 0),
  ];
  expect(new Set(seeds).size).toBe(seeds.length);
  expect(deriveSeed(4, 2)).toBe(deriveSeed(4, 2));
});
