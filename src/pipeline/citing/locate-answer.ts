/**
 * Where an answer stands in the source: a search for text that is like it, which works for any model.
 *
 * Two linear scans over the source look for short pieces of the answer (rare ones count more, and pieces
 * of the question around them a little); the best places are then aligned character by character. What
 * the question does not say, the value, decides; the rest only helps to choose among places.
 */
import { COMMON_WORDS } from '../english-words.js';
import { alignLocally, type Glyphs, glyphsOf, type Part } from './local-alignment.js';
import { foldCode, foldWord, isWordCode, SEPARATOR } from './text-folding.js';

export interface Located {
  /** Source range, UTF-16 offsets. */
  start: number;
  end: number;
  /** 0 to 1: 0.7 × the value, 0.1 × the whole answer, 0.2 × the question's words near by. */
  score: number;
}

/** More of an answer is not looked for. */
const LONGEST_ANSWER = 4_000;
const LONGEST_UNIT = 300;
const MAX_UNITS = 12;
/** Characters of source that the units of one answer are looked for in, all together. */
const MAX_SCANNED_CHARACTERS = 40_000_000;
/** Places of one unit that are aligned. */
const CANDIDATES = 24;
/** Places that are equally like the answer and told. */
const MAX_PLACES = 3;
const EQUALLY_GOOD = 0.05;
/** How far from the value words of the question count. */
const CONTEXT_CHARACTERS = 200;
/** For a tiny value: in the same sentence, not on the same page. */
const BESIDE_CHARACTERS = 60;
/** Of a tiny value; more are not looked at. */
const MAX_OCCURRENCES = 20_000;

/** Of the characters of the value, at least this share must be there in order. */
const MIN_SIMILARITY = 0.75;
/** Shorter values occur by chance: they must be exact, or stand by words of the question. */
const SHORT_VALUE = 8;
const TINY_VALUE = 4;
const NEAR_THE_QUESTION = 0.5;

/** @returns the best places, best first within each part of the answer; empty when nothing is like it */
export function locateAnswer(answer: string, question: string, source: string): Located[] {
  const asked = new Set(wordsOf(question).map(({ folded }) => folded));
  const context = [...asked].filter((word) => !COMMON_WORDS.has(word));
  const whole = answer.slice(0, LONGEST_ANSWER);
  if (whole.length <= LONGEST_UNIT) {
    const found = locateUnit(whole, asked, context, source);
    if (found.length > 0) return found;
  }
  const affordable = Math.max(1, Math.floor(MAX_SCANNED_CHARACTERS / Math.max(1, source.length)));
  return withoutOverlaps(
    unitsOf(whole)
      .slice(0, Math.min(MAX_UNITS, affordable))
      .flatMap((unit) => locateUnit(unit.slice(0, LONGEST_UNIT), asked, context, source)),
  );
}

/** Parts that may stand in different places: sentences of a long answer, else the items of a list. */
function unitsOf(answer: string): string[] {
  const sentences = split(answer, /(?<=[.!?])\s+|\n+/);
  if (answer.length > LONGEST_UNIT && sentences.length > 1) return sentences;
  const items = split(answer, /[,;\n]|\band\b|(?<=[.!?])\s/);
  return items.length > 1 || answer.length > LONGEST_UNIT ? items : [];
}

const split = (text: string, between: RegExp) =>
  text.split(between).filter((part) => part.trim() !== '');

interface Word {
  folded: string;
  start: number;
  end: number;
}

function wordsOf(text: string): Word[] {
  return [...text.matchAll(/[\p{L}\p{N}]+/gu)].map((match) => ({
    folded: foldWord(match[0]),
    start: match.index,
    end: match.index + match[0].length,
  }));
}

function locateUnit(
  text: string,
  asked: ReadonlySet<string>,
  context: readonly string[],
  source: string,
): Located[] {
  // An answer that only repeats words of the question ("open or shut?") must stand there as it is.
  const fresh = markNews(text, (word) => !asked.has(word));
  const unit = fresh ?? markNews(text, () => true);
  if (!unit) return [];
  if (unit.news < TINY_VALUE) return locateTinyValue(tellingSpan(text, unit), context, source);
  const found: Located[] = [];
  for (const end of likelyPlaces(unit, context, source)) {
    const reach = windowOf(unit.glyphs) + CONTEXT_CHARACTERS;
    const from = Math.max(0, end - reach);
    const place = alignLocally(unit, glyphsOf(source, from, Math.min(source.length, end + reach)));
    if (!place) continue;
    const start = wordStart(source, place.start);
    const stop = wordEnd(source, place.end);
    const whole = place.matched / unit.glyphs.codes.filter((code) => code !== SEPARATOR).length;
    const near = contextShare(source, start, stop, context, CONTEXT_CHARACTERS);
    const similarity = (place.newsMatched - place.newsInterrupted) / unit.news;
    if (!fresh && similarity < 1) continue;
    if (!isAccepted(unit.news, similarity, near, wholeWords(source, place))) continue;
    found.push({
      start,
      end: stop,
      score: Math.round(1000 * (0.7 * similarity + 0.1 * whole + 0.2 * near)) / 1000,
    });
  }
  return bestOf(found);
}

/**
 * A value such as "17" stands in many places. It is cited where it is a word of its own and at least half
 * of the question's telling words are beside it; a question without any cannot say which place is meant.
 */
function locateTinyValue(value: string, context: readonly string[], source: string): Located[] {
  if (context.length === 0) return [];
  const found: Located[] = [];
  let occurrences = 0;
  for (const { index: start } of source.matchAll(wholeWordPattern(value))) {
    if (++occurrences > MAX_OCCURRENCES) break;
    const end = start + value.length;
    const beside = contextShare(source, start, end, context, BESIDE_CHARACTERS);
    if (beside < NEAR_THE_QUESTION) continue;
    found.push({ start, end, score: Math.round(1000 * (0.8 + 0.2 * beside)) / 1000 });
  }
  return bestOf(found);
}

/** From the first telling character of the answer to the last. */
function tellingSpan(text: string, { glyphs, isNews }: Part): string {
  const [first, last] = [isNews.indexOf(1), isNews.lastIndexOf(1)];
  return text.slice(glyphs.offsets[first], glyphs.offsets[last]! + 1);
}

function wholeWordPattern(value: string): RegExp {
  const literal = value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  return new RegExp(`(?<![\\p{L}\\p{N}])${literal}(?![\\p{L}\\p{N}])`, 'giu');
}

/** The best places, without those that are clearly worse. */
function bestOf(found: readonly Located[]): Located[] {
  const sorted = found.toSorted((a, b) => b.score - a.score || a.start - b.start);
  const best = sorted[0]?.score ?? 0;
  return withoutOverlaps(sorted.filter(({ score }) => score >= best - EQUALLY_GOOD)).slice(
    0,
    MAX_PLACES,
  );
}

/** The value: telling words that are news. Null if there are none. */
function markNews(text: string, isNew: (word: string) => boolean): Part | null {
  const words = wordsOf(text).filter(({ folded }) => !COMMON_WORDS.has(folded) && isNew(folded));
  const glyphs = glyphsOf(text, 0, text.length);
  const isNews = new Uint8Array(glyphs.codes.length);
  let news = 0;
  glyphs.codes.forEach((code, n) => {
    const at = glyphs.offsets[n]!;
    if (code === SEPARATOR || !words.some(({ start, end }) => at >= start && at < end)) return;
    isNews[n] = 1;
    news += 1;
  });
  return news === 0 ? null : { glyphs, isNews, news };
}

function isAccepted(news: number, similarity: number, near: number, whole: boolean): boolean {
  if (similarity === 1) return news >= SHORT_VALUE || whole;
  return (
    similarity >= MIN_SIMILARITY &&
    (news >= SHORT_VALUE || (news > TINY_VALUE && near >= NEAR_THE_QUESTION))
  );
}

/** Characters of source that are looked at together. */
const windowOf = ({ codes }: Glyphs) => Math.ceil(codes.length * 1.5) + 32;

const LONG_GONE = 4096;

/** Ends of the windows of the source that hold most of the unit's pieces, best first. */
function likelyPlaces(unit: Part, context: readonly string[], source: string): number[] {
  const grams = new GramTable(unit, context);
  grams.weigh(source);
  const window = windowOf(unit.glyphs) + CONTEXT_CHARACTERS;
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
    .slice(0, CANDIDATES)
    .map((block) => ends[block]!);
}

const GRAM = 3;
const NEWS_WEIGHT = 1;
const OTHER_WEIGHT = 0.15;
const CONTEXT_WEIGHT = 0.1;

/** Three characters each, by a hash; two that share one are told apart by the alignment. */
class GramTable {
  readonly #ids = new Map<number, number>();
  /** By the low bits of the hash: most of the source needs no look into the map. */
  readonly #known = new Uint8Array(1 << 16);
  readonly weights: number[] = [];

  constructor({ glyphs, isNews }: Part, context: readonly string[]) {
    const codes = [SEPARATOR, ...glyphs.codes, SEPARATOR];
    const news = [0, ...isNews, 0];
    for (let n = GRAM - 1; n < codes.length; n += 1) {
      const share = (news[n]! + news[n - 1]! + news[n - 2]!) / GRAM;
      this.#add(
        hashOf(codes[n - 2]!, codes[n - 1]!, codes[n]!),
        OTHER_WEIGHT + share * (NEWS_WEIGHT - OTHER_WEIGHT),
      );
    }
    for (const word of context) {
      const padded = [
        SEPARATOR,
        ...[...word].map((character) => character.charCodeAt(0)),
        SEPARATOR,
      ];
      for (let n = GRAM - 1; n < padded.length; n += 1)
        this.#add(hashOf(padded[n - 2]!, padded[n - 1]!, padded[n]!), CONTEXT_WEIGHT);
    }
  }

  get count(): number {
    return this.weights.length;
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
    let [first, second] = [0, SEPARATOR];
    for (let at = 0; at < source.length; at += 1) {
      const code = foldCode(source.charCodeAt(at));
      // A run of spaces and signs is one separator.
      if (code === SEPARATOR && second === SEPARATOR) continue;
      const hash = hashOf(first, second, code);
      if (this.#known[hash & 0xffff] === 1) {
        const gram = this.#ids.get(hash);
        if (gram !== undefined) take(gram, at);
      }
      first = second;
      second = code;
    }
  }

  #add(hash: number, weight: number): void {
    const id = this.#ids.get(hash);
    if (id !== undefined) this.weights[id] = Math.max(this.weights[id]!, weight);
    else {
      this.#ids.set(hash, this.weights.length);
      this.#known[hash & 0xffff] = 1;
      this.weights.push(weight);
    }
  }
}

function hashOf(a: number, b: number, c: number): number {
  return (Math.imul(Math.imul(a, 0x9e37) + b, 0x85eb) + c) | 0;
}

/** Share of the question's telling words that stand by the place; 1 if it has none. */
function contextShare(
  source: string,
  start: number,
  end: number,
  context: readonly string[],
  reach: number,
) {
  if (context.length === 0) return 1;
  const around = source.slice(Math.max(0, start - reach), end + reach);
  const words = new Set(wordsOf(around).map(({ folded }) => folded));
  return context.filter((word) => words.has(word)).length / context.length;
}

function wordStart(source: string, at: number): number {
  let start = at;
  while (
    start > 0 &&
    isWordCode(source.charCodeAt(start - 1)) &&
    isWordCode(source.charCodeAt(start))
  )
    start -= 1;
  return start;
}

function wordEnd(source: string, at: number): number {
  let end = at;
  while (
    end < source.length &&
    isWordCode(source.charCodeAt(end)) &&
    isWordCode(source.charCodeAt(end - 1))
  )
    end += 1;
  return end;
}

const wholeWords = (source: string, { start, end }: { start: number; end: number }) =>
  wordStart(source, start) === start && wordEnd(source, end) === end;

/** Of places that overlap the first stays. */
function withoutOverlaps(places: readonly Located[]): Located[] {
  const kept: Located[] = [];
  for (const place of places) {
    if (kept.every(({ start, end }) => place.end <= start || place.start >= end)) kept.push(place);
  }
  return kept;
}
