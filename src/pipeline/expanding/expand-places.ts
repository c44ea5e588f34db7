/**
 * The second look: places of a document that matter to a question, as the text that stands there.
 *
 * Pages hold the gist of a text and lose exact values; the source holds both. Whoever knows *where* to
 * look (attention, words of the question, a tool call) gives places; this gives their text, whole
 * sentences and lines of it, in the order of the document, within a budget of text tokens.
 */
import { type TextRange, unitsOf, unitsTouched } from './text-units.js';

/** A place worth reading; of two, the one with the higher score first. Scores need no scale. */
export interface ScoredPlace extends TextRange {
  score: number;
}

export interface Passage extends TextRange {
  text: string;
}

export interface Expansion {
  /** In the order of the document; none touches another. */
  passages: Passage[];
  /** The passages as they stand in the prompt; empty for none. */
  text: string;
  /** Text tokens of {@link text}. */
  tokens: number;
}

export interface ExpansionOptions {
  /** Text tokens that the expansion may take, at most; 0 gives none. */
  budget: number;
  /** In the tokenizer of the model that reads it. */
  countTokens: (text: string) => number;
  /** @defaultValue those of the source */
  units?: readonly TextRange[];
}

/** Stands between passages that are not neighbours. */
export const PASSAGE_GAP = '\n…\n';

/** So many places in a row that do not fit: smaller ones are not looked for. */
const MAX_CONSECUTIVE_MISSES = 16;

export function expandPlaces(
  source: string,
  places: readonly ScoredPlace[],
  { budget, countTokens, units = unitsOf(source) }: ExpansionOptions,
): Expansion {
  const chosen: number[][] = [];
  const taken = new Set<number>();
  let left = budget;
  let misses = 0;
  for (const place of [...places].sort((a, b) => b.score - a.score || a.start - b.start)) {
    if (misses === MAX_CONSECUTIVE_MISSES || left <= 0) break;
    const added = newUnits(units, place, taken);
    if (added.length === 0) continue;
    const cost = countTokens(write(source, units, new Set(added)).text + PASSAGE_GAP);
    if (cost > left) {
      misses++;
      continue;
    }
    misses = 0;
    left -= cost;
    chosen.push(added);
    for (const unit of added) taken.add(unit);
  }
  // Tokens of parts need not add up to those of the whole: the last word is the count of the whole.
  for (; chosen.length > 0; chosen.pop()) {
    const written = write(source, units, new Set(chosen.flat()));
    const tokens = countTokens(written.text);
    if (tokens <= budget) return { ...written, tokens };
  }
  return { passages: [], text: '', tokens: 0 };
}

function newUnits(
  units: readonly TextRange[],
  place: TextRange,
  chosen: ReadonlySet<number>,
): number[] {
  const touched = unitsTouched(units, place);
  if (!touched) return [];
  const { first, last } = touched;
  return Array.from({ length: last - first + 1 }, (_, n) => first + n).filter(
    (unit) => !chosen.has(unit),
  );
}

function write(
  source: string,
  units: readonly TextRange[],
  chosen: ReadonlySet<number>,
): Pick<Expansion, 'passages' | 'text'> {
  const ranges: TextRange[] = [];
  let previous = Number.NaN;
  for (const unit of [...chosen].sort((a, b) => a - b)) {
    const { start, end } = units[unit]!;
    if (unit === previous + 1) ranges.at(-1)!.end = end;
    else ranges.push({ start, end });
    previous = unit;
  }
  const passages = ranges.map(({ start, end }) => ({ start, end, text: source.slice(start, end) }));
  return { passages, text: passages.map(({ text }) => text).join(PASSAGE_GAP) };
}
