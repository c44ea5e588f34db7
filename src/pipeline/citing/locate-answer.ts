/**
 * Where an answer stands in the source: a search for text that is like it, which works for any model.
 *
 * Two linear scans over the source look for short pieces of the answer (rare ones count more, and pieces
 * of the question around them a little); the best places are then aligned character by character. What
 * the question does not say, the value, decides; the rest only helps to choose among places.
 */
import { COMMON_WORDS } from '../english-words.js';
import { likelyPlaces, preciselyAlike, windowOf } from './likely-places.js';
import { alignLocally, glyphsOf, type Part } from './local-alignment.js';
import { foldWord, isWordCode, SEPARATOR } from './text-folding.js';

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
  const aligned = (ends: readonly number[]) => alignAt(ends, unit, fresh !== null, context, source);
  const found = aligned(likelyPlaces(unit, context, source, CONTEXT_CHARACTERS));
  if (found.some(({ similarity }) => similarity === 1)) return bestOf(found);
  // Where a text has few words, too many places hold the answer's pieces; longer ones tell them apart.
  return bestOf([...found, ...aligned(preciselyAlike(unit, source))]);
}

function alignAt(
  ends: readonly number[],
  unit: Part,
  isFresh: boolean,
  context: readonly string[],
  source: string,
): (Located & { similarity: number })[] {
  const found: (Located & { similarity: number })[] = [];
  for (const end of ends) {
    const reach = windowOf(unit.glyphs) + CONTEXT_CHARACTERS;
    const from = Math.max(0, end - reach);
    const place = alignLocally(unit, glyphsOf(source, from, Math.min(source.length, end + reach)));
    if (!place) continue;
    const start = wordStart(source, place.start);
    const stop = wordEnd(source, place.end);
    const whole = place.matched / unit.glyphs.codes.filter((code) => code !== SEPARATOR).length;
    const near = contextShare(source, start, stop, context, CONTEXT_CHARACTERS);
    const similarity = (place.newsMatched - place.newsInterrupted) / unit.news;
    if (!isFresh && similarity < 1) continue;
    if (!isAccepted(unit.news, similarity, near, wholeWords(source, place))) continue;
    found.push({
      start,
      end: stop,
      score: Math.round(1000 * (0.7 * similarity + 0.1 * whole + 0.2 * near)) / 1000,
      similarity,
    });
  }
  return found;
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
  const sorted = found
    .map(({ start, end, score }) => ({ start, end, score }))
    .sort((a, b) => b.score - a.score || a.start - b.start);
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
