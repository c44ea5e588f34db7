import { keepHighestKeys, type ScopeOptions } from './contract.js';
import { type Budget, budgetedCount } from './retained-count.js';

/** Draws uint32 words; the same seed gives the same words on every machine. */
export type RandomWords = () => number;

/**
 * xoshiro128** 1.1 (Blackman and Vigna, public domain), its state filled by splitmix32.
 *
 * @param seed uint32; other numbers are taken modulo 2³²
 */
export function seededRandom(seed: number): RandomWords {
  let mix = seed >>> 0;
  const splitmix = () => {
    mix = (mix + 0x9e3779b9) | 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return z ^ (z >>> 15);
  };
  let a = splitmix();
  let b = splitmix();
  let c = splitmix();
  let d = splitmix();
  return () => {
    const rotated = Math.imul(b, 5);
    const result = Math.imul((rotated << 7) | (rotated >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  };
}

/** A uniform integer in [0, bound), without modulo bias. 1 ≤ bound ≤ 2³². */
export function randomBelow(words: RandomWords, bound: number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound);
  let word = words();
  while (word >= limit) word = words();
  return word % bound;
}

/**
 * A seed of its own for one part of a plan, so that parts draw independently and the draw of one
 * does not depend on whether another exists.
 *
 * @param parts small integers that name the part: a decoder layer, a page number, …
 */
export function deriveSeed(seed: number, ...parts: number[]): number {
  return parts.reduce(
    (mixed, part) => seededRandom(mixed ^ Math.imul(part + 1, 0x85ebca6b))(),
    seed >>> 0,
  );
}

export type RandomOptions = ScopeOptions &
  Budget & {
    /** uint32. @defaultValue 0 */
    seed?: number;
  };

/**
 * Keep rows drawn uniformly without replacement: the control that every other method must beat at
 * equal counts.
 *
 * @param n rows
 * @returns row indices [budgetedCount(n, options)], ascending
 * @throws {GlyphpressError} GP_PRUNE_PLAN for a bad ratio, count or floor
 * @throws {ShapeError} if n is no row count or pageOfRow does not fit it
 */
export function selectAtRandom(n: number, options: RandomOptions): Int32Array {
  const count = budgetedCount(n, options);
  const words = seededRandom(options.seed ?? 0);
  const keys = new Uint32Array(n);
  for (let row = 0; row < n; row++) keys[row] = words();
  // The rows with the highest of N independent words are a uniform draw, within any scope.
  return keepHighestKeys(keys, { ...options, count });
}
