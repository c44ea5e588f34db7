/**
 * The sidecar: exact values of the source as text beside the visual tokens, under a budget of text
 * tokens. Each stands with a few words of what comes before it, so that it can be used.
 */
import { type ExactValue, type ExactValueKind, exactValues } from './exact-values.js';

/** Raised when the same text and budget give another sidecar: stored contexts are then made again. */
export const SIDECAR_VERSION = 1;

export interface Sidecar {
  /** What stands in the prompt, behind the pages; empty where no value fits. */
  text: string;
  /** Text tokens of {@link text} in the tokenizer that counted. */
  tokens: number;
  /** Different values found in the source, and those of them that are in the text. */
  found: number;
  kept: number;
  kinds: Partial<Record<ExactValueKind, number>>;
}

const HEADING = 'Exact values from the pages:\n';

/** Characters before a value that go with it, at most. */
const CONTEXT_CHARACTERS = 56;

/** However a day is written, it is one of the days of a century. */
const MAX_BITS: Partial<Record<ExactValueKind, number>> = { date: Math.log2(36_525) };

/** This many candidates in a row that do not fit: smaller ones are not worth looking for. */
const MAX_CONSECUTIVE_MISSES = 64;

interface Candidate extends ExactValue {
  /** Where its context begins. */
  from: number;
  bits: number;
}

/**
 * Choose the values with the most information that fit the budget.
 *
 * Information is what a reader could not have guessed: characters of words count little, digits and
 * scrambled letters count fully, and a value that stands in the text again and again counts less.
 * Values are taken once, at their first place, and stand in the order of the document; neighbours in
 * one sentence share a line.
 *
 * @param budget text tokens that the whole sidecar may take, headings included; 0 gives none
 * @param countTokens in the tokenizer of the model that reads it
 */
export function makeSidecar(
  text: string,
  budget: number,
  countTokens: (text: string) => number,
): Sidecar {
  const candidates = rank(text);
  const none: Sidecar = { text: '', tokens: 0, found: candidates.length, kept: 0, kinds: {} };
  let left = budget - countTokens(`${HEADING}\n`);
  if (left <= 0) return none;
  const chosen: Candidate[] = [];
  let misses = 0;
  for (const candidate of candidates) {
    const cost = countTokens(lineOf(text, [candidate]));
    if (cost > left) {
      if (++misses >= MAX_CONSECUTIVE_MISSES) break;
      continue;
    }
    misses = 0;
    left -= cost;
    chosen.push(candidate);
  }
  // Tokens of lines need not add up to tokens of the whole: the last word is the count of the whole.
  for (;;) {
    if (chosen.length === 0) return none;
    const written = write(text, chosen);
    const tokens = countTokens(written);
    if (tokens <= budget) {
      const kinds: Sidecar['kinds'] = {};
      for (const { kind } of chosen) kinds[kind] = (kinds[kind] ?? 0) + 1;
      return { text: written, tokens, found: candidates.length, kept: chosen.length, kinds };
    }
    chosen.pop();
  }
}

/** Different values, the most informative first; of equal ones the earlier in the text. */
function rank(text: string): Candidate[] {
  const first = new Map<string, { value: ExactValue; count: number }>();
  for (const value of exactValues(text)) {
    const known = first.get(value.value);
    if (known) known.count++;
    else first.set(value.value, { value, count: 1 });
  }
  const all = [...first.values()].map(
    ({ value, count }): Candidate => ({
      ...value,
      from: contextStart(text, value),
      bits:
        Math.min(information(value.value), MAX_BITS[value.kind] ?? Infinity) - 4 * Math.log2(count),
    }),
  );
  return all.sort((a, b) => b.bits - a.bits || a.start - b.start);
}

/** Bits that cannot be guessed, roughly: words by their letters, digits and scrambled letters fully. */
export function information(value: string): number {
  let bits = 0;
  for (const [run] of value.matchAll(/[A-Za-z]+|\d+|[^A-Za-z\d]+/g)) {
    if (/^\d/.test(run)) bits += run.length * Math.log2(10);
    else if (/^[A-Z]?[a-z]{2,}$/.test(run)) bits += run.length * 1.5;
    else if (/^[A-Za-z]/.test(run)) bits += run.length * Math.log2(26);
  }
  return bits;
}

/**
 * The start of what goes before a value: within its sentence and paragraph, a whole word, at most
 * {@link CONTEXT_CHARACTERS} away. A line that begins with no letter is an item or a record of its own;
 * one that does may go on with a hard-wrapped sentence.
 */
function contextStart(text: string, { start, kind }: ExactValue): number {
  const earliest = Math.max(0, start - CONTEXT_CHARACTERS);
  const window = text.slice(earliest, start);
  let from = 0;
  // A date that begins a line begins a record; other values there go on with what stands before.
  const seen = kind === 'date' ? start + 1 : start;
  for (const border of text
    .slice(earliest, seen)
    .matchAll(/[.!?:;][)"'\]]?\s|\n[ \t]*\n|\n(?=[ \t]*[^\sA-Za-z])/g)) {
    // A colon or semicolon ends a sentence only where enough stands behind it.
    const soft = /^[:;]/.test(border[0]);
    const after = border.index + border[0].length;
    if (soft && window.length - after < 8) continue;
    from = after;
  }
  if (from === 0 && earliest > 0) {
    // The window begins within a word: the next one is whole.
    const space = window.search(/\s/);
    if (!/\s/.test(text[earliest - 1]!)) from = space < 0 ? window.length : space + 1;
  }
  while (from < window.length && /\s/.test(window[from]!)) from++;
  return earliest + from;
}

function write(text: string, chosen: readonly Candidate[]): string {
  const inOrder = [...chosen].sort((a, b) => a.start - b.start);
  const lines: Candidate[][] = [];
  for (const candidate of inOrder) {
    const last = lines.at(-1)?.at(-1);
    if (last && candidate.from <= last.end) lines.at(-1)!.push(candidate);
    else lines.push([candidate]);
  }
  return `${HEADING}${lines.map((line) => lineOf(text, line)).join('')}\n`;
}

function lineOf(text: string, values: readonly Candidate[]): string {
  const from = Math.min(...values.map((value) => value.from));
  const line = text.slice(from, values.at(-1)!.end).replace(/\s+/g, ' ').trim();
  return `- ${line}\n`;
}
