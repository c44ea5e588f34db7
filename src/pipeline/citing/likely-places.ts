/**
 * Places of a source that may be like a piece of an answer: linear scans for short runs of its characters.
 * What is found is aligned afterwards, so that a place too many costs time and no more.
 */

import type { Glyphs, Part } from './local-alignment.js';
import { foldCode, SEPARATOR } from './text-folding.js';

/** Places of one scan that are worth an alignment; long pieces leave fewer in doubt. */
const CANDIDATES = 24;
const PRECISE_CANDIDATES = 8;

/** Characters of source that are looked at together. */
export const windowOf = ({ codes }: Glyphs) => Math.ceil(codes.length * 1.5) + 32;

const GRAM = 3;
const NEWS_WEIGHT = 1;
const OTHER_WEIGHT = 0.15;
const CONTEXT_WEIGHT = 0.1;

/** Longer than a word: a run of so many characters says in which order words stand. */
const LONG_GRAM = 8;

/**
 * Ends of the windows of the source that hold most of the unit's pieces, rare ones counting more and those
 * of the question around them a little; best first.
 */
export function likelyPlaces(
  { glyphs, isNews }: Part,
  context: readonly string[],
  source: string,
  reach: number,
): number[] {
  const grams = new GramTable(GRAM);
  const codes = [SEPARATOR, ...glyphs.codes, SEPARATOR];
  const news = [0, ...isNews, 0];
  grams.add(codes, (n) => {
    const share = (news[n]! + news[n - 1]! + news[n - 2]!) / GRAM;
    return OTHER_WEIGHT + share * (NEWS_WEIGHT - OTHER_WEIGHT);
  });
  for (const word of context) {
    const letters = [...word].map((character) => character.charCodeAt(0));
    grams.add([SEPARATOR, ...letters, SEPARATOR], () => CONTEXT_WEIGHT);
  }
  return bestWindows(grams, source, windowOf(glyphs) + reach, CANDIDATES);
}

/** As {@link likelyPlaces}, by long pieces of the unit alone, in a window no wider than it. */
export function preciselyAlike({ glyphs }: Part, source: string): number[] {
  const grams = new GramTable(LONG_GRAM);
  grams.add([SEPARATOR, ...glyphs.codes, SEPARATOR], () => 1);
  if (grams.count === 0) return [];
  return bestWindows(grams, source, glyphs.codes.length + LONG_GRAM, PRECISE_CANDIDATES);
}

const LONG_GONE = 4096;

function bestWindows(grams: GramTable, source: string, window: number, count: number): number[] {
  grams.weigh(source);
  const blocks = Math.floor(source.length / window) + 1;
  const best = new Float32Array(blocks);
  const ends = new Int32Array(blocks);
  const present = new Int32Array(grams.count);
  const hits: { gram: number; at: number }[] = [];
  let oldest = 0;
  let score = 0;
  grams.scan(source, (gram, at) => {
    hits.push({ gram, at });
    if (present[gram]!++ === 0) score += grams.weights[gram]!;
    for (; hits[oldest]!.at < at - window; oldest += 1) {
      const { gram: gone } = hits[oldest]!;
      if (--present[gone]! === 0) score -= grams.weights[gone]!;
    }
    // The list must not grow with the document.
    if (oldest > LONG_GONE) {
      hits.splice(0, oldest);
      oldest = 0;
    }
    const block = Math.floor(at / window);
    if (score <= best[block]!) return;
    best[block] = score;
    ends[block] = at;
  });
  return [...ends.keys()]
    .filter((block) => best[block]! > 0)
    .sort((a, b) => best[b]! - best[a]! || a - b)
    .slice(0, count)
    .map((block) => ends[block]!);
}

/** Odd, so that no character of a run is lost in it. */
const HASH_BASE = 0x9e3779b1;

/** Runs of characters, by a hash; two that share one are told apart by the alignment. */
class GramTable {
  readonly #ids = new Map<number, number>();
  /** By the low bits of the hash: most of the source needs no look into the map. */
  readonly #known = new Uint8Array(1 << 16);
  readonly weights: number[] = [];
  /** What the first character of a run is multiplied with when the next one comes. */
  readonly #leading: number;

  /** @param size characters of a run */
  constructor(private readonly size: number) {
    let leading = 1;
    for (let n = 0; n < size; n += 1) leading = Math.imul(leading, HASH_BASE);
    this.#leading = leading;
  }

  get count(): number {
    return this.weights.length;
  }

  /** All runs of some folded characters. @param weightOf the run that ends at a place; the largest counts */
  add(codes: readonly number[], weightOf: (end: number) => number): void {
    let hash = 0;
    for (const [at, code] of codes.entries()) {
      hash = this.#next(hash, code, at >= this.size ? codes[at - this.size]! : 0);
      if (at >= this.size - 1) this.#put(hash, weightOf(at));
    }
  }

  /** Rare pieces tell more: weights are divided by the logarithm of how often each occurs. */
  weigh(source: string): void {
    const frequency = new Float64Array(this.count);
    this.scan(source, (gram) => {
      frequency[gram]! += 1;
    });
    frequency.forEach((times, gram) => {
      this.weights[gram]! /= 1 + Math.log2(1 + times);
    });
  }

  /** Cost: O(|source|) time, no memory. */
  scan(source: string, take: (gram: number, at: number) => void): void {
    const { size } = this;
    const last = new Int32Array(size);
    // As if a separator stood before the text.
    last[size - 1] = SEPARATOR;
    let hash = SEPARATOR;
    let slot = 0;
    let previous = SEPARATOR;
    for (let at = 0; at < source.length; at += 1) {
      const code = foldCode(source.charCodeAt(at));
      // A run of spaces and signs is one separator.
      if (code === SEPARATOR && previous === SEPARATOR) continue;
      hash = this.#next(hash, code, last[slot]!);
      last[slot] = code;
      slot = slot + 1 === size ? 0 : slot + 1;
      previous = code;
      if (this.#known[hash & 0xffff] === 1) {
        const gram = this.#ids.get(hash);
        if (gram !== undefined) take(gram, at);
      }
    }
  }

  /** Rolls a polynomial hash on by one character. */
  #next(hash: number, code: number, gone: number): number {
    return (Math.imul(hash, HASH_BASE) + code - Math.imul(gone, this.#leading)) | 0;
  }

  #put(hash: number, weight: number): void {
    const id = this.#ids.get(hash);
    if (id !== undefined) this.weights[id] = Math.max(this.weights[id]!, weight);
    else {
      this.#ids.set(hash, this.weights.length);
      this.#known[hash & 0xffff] = 1;
      this.weights.push(weight);
    }
  }
}
