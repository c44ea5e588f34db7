/** Results of the natural suite → figures: pages beside text, by kind, length and origin; confidence. */

import type { Calibrations } from '../../vlm/index.js';
import type { Interval } from '../interval.js';
import type { EvalPlan, Measure } from '../plan.js';
import { type Asked, askedOf, type Figure, figureOf, passageCounts } from '../report.js';
import type { ResultLine } from '../results-log.js';
import { SeededRandom } from '../seeded-random.js';
import { type ConfidenceFigures, confidenceFigures } from './confidence-figures.js';
import { lengthClass, TEXT_GROUP, TEXT_MARK } from './natural-plan.js';
import type { NaturalText } from './natural-suite.js';

/** Text tokens up to which a document belongs to a class, and its name. */
const LENGTHS = [
  [2_000, 'under 2,000 text tokens'],
  [4_000, '2,000 to 4,000'],
  [9_000, '4,000 to 9,000'],
  [Number.POSITIVE_INFINITY, 'over 9,000'],
] as const;

const ORIGINS = {
  written: 'written for the suite',
  made: 'made by a script',
  package: 'files of packages',
} as const;

export interface NaturalRow {
  section: 'all' | 'kind' | 'length' | 'pages' | 'origin';
  label: string;
  measure: Measure;
  pages: Figure;
  /** The same questions with the text read as text; null where this was not asked. */
  text: Figure | null;
  /**
   * Share right from pages ÷ share right from text, of questions that were answered both ways; null
   * without them or with none right from text. The interval is a bootstrap over documents.
   */
  kept: ({ value: number; questions: number } & Interval) | null;
}

/** What stands under `pages` was read so; passages that were read alone leave the pages out. */
export type NaturalReading = 'pages' | 'pages and passages' | 'passages';

export interface NaturalReport {
  documents: number;
  /** What the figures under `pages` are of. */
  reading: NaturalReading;
  rows: NaturalRow[];
  /** Of answers whose tokens are known; null without any. */
  confidence: { pages: ConfidenceFigures | null; text: ConfidenceFigures | null };
}

interface Pair {
  pages: Asked;
  text: Asked | null;
}

/** @param calibrations the model's curves from log-probabilities to chances */
export function makeNaturalReport(
  plan: EvalPlan,
  results: ReadonlyMap<string, ResultLine>,
  suite: readonly NaturalText[],
  calibrations: Calibrations | null,
): NaturalReport {
  const asked = askedOf(plan, results);
  const asText = new Map(
    asked
      .filter(({ document }) => document.group === TEXT_GROUP)
      .map((one) => [one.question.id, one]),
  );
  const pairs = asked
    .filter(({ document }) => document.group !== TEXT_GROUP)
    .map((pages): Pair => ({ pages, text: asText.get(pages.question.id + TEXT_MARK) ?? null }));
  const about = new Map(suite.map((one) => [one.document, one]));
  const aboutOf = ({ pages }: Pair) => about.get(pages.document.id)!;
  const isAbsent = ({ pages }: Pair) => pages.question.metric === 'notFound';
  const answerable = pairs.filter((pair) => !isAbsent(pair));

  const rows: NaturalRow[] = [];
  const add = (
    section: NaturalRow['section'],
    label: string,
    these: readonly Pair[],
    measure: Measure = 'score',
  ) => {
    if (these.length > 0) rows.push(rowOf(section, label, these, measure));
  };
  add('all', 'all questions', pairs);
  add('all', 'answered by the text', answerable);
  add('all', 'absent recognised', pairs.filter(isAbsent));
  add('all', 'false "not found"', answerable, 'saidNotFound');
  for (const { kind } of plan.headlines ?? [])
    add(
      'kind',
      kind,
      pairs.filter(({ pages }) => pages.question.kind === kind),
    );
  LENGTHS.forEach(([max, label], i) => {
    const min = LENGTHS[i - 1]?.[0] ?? 0;
    const inside = (pair: Pair) => {
      const { textTokens } = aboutOf(pair);
      return textTokens >= min && textTokens < max;
    };
    add('length', label, answerable.filter(inside));
  });
  for (const pages of [1, 2, 4, 8, 16, 32]) {
    const label =
      pages <= 2
        ? `${pages} ${pages === 1 ? 'page' : 'pages'}`
        : `${pages / 2 + 1} to ${pages} pages`;
    add(
      'pages',
      label,
      answerable.filter((pair) => pagesOf(pair) === pages),
    );
  }
  for (const [origin, label] of Object.entries(ORIGINS))
    add(
      'origin',
      label,
      answerable.filter((pair) => aboutOf(pair).origin === origin),
    );
  const reading = readingOf(pairs.map(({ pages }) => pages));
  return {
    reading,
    documents: new Set(pairs.map(({ pages }) => pages.document.id)).size,
    rows,
    confidence: {
      pages: confidenceFigures(
        pairs.map(({ pages }) => pages),
        calibrations,
      ),
      text: confidenceFigures([...asText.values()], calibrations),
    },
  };
}

function pagesOf({ pages: { result } }: Pair): number | null {
  return result && 'account' in result ? lengthClass(result.account.pages) : null;
}

function rowOf(
  section: NaturalRow['section'],
  label: string,
  pairs: readonly Pair[],
  measure: Measure,
): NaturalRow {
  const texts = pairs.map(({ text }) => text).filter((text) => text !== null);
  const asked = pairs.map(({ pages }) => pages);
  return {
    section,
    label,
    measure,
    pages: figureOf(asked, measure),
    text: texts.length === 0 ? null : figureOf(texts, measure),
    kept: measure === 'score' ? keptOf(pairs) : null,
  };
}

const RESAMPLES = 1_000;

/** What could not be asked one way or the other says nothing about what pages keep. */
function keptOf(pairs: readonly Pair[]): NaturalRow['kept'] {
  const byDocument = new Map<string, { pages: number; text: number }[]>();
  for (const { pages, text } of pairs) {
    const [a, b] = [scoreOf(pages), scoreOf(text)];
    if (a === null || b === null) continue;
    const of = byDocument.get(pages.document.id) ?? [];
    byDocument.set(pages.document.id, [...of, { pages: a, text: b }]);
  }
  const documents = [...byDocument.values()];
  const value = ratioOf(documents.flat());
  if (value === null) return null;
  const random = new SeededRandom('natural kept');
  const ratios = Array.from({ length: RESAMPLES }, () =>
    ratioOf(documents.flatMap(() => random.pick(documents))),
  )
    .filter((ratio) => ratio !== null)
    .sort((a, b) => a - b);
  const at = (share: number) => ratios[Math.round((ratios.length - 1) * share)] ?? value;
  return { value, questions: documents.flat().length, low: at(0.025), high: at(0.975) };
}

function ratioOf(scores: readonly { pages: number; text: number }[]): number | null {
  const sum = (as: 'pages' | 'text') => scores.reduce((total, score) => total + score[as], 0);
  return sum('text') === 0 ? null : sum('pages') / sum('text');
}

function scoreOf(asked: Asked | null): number | null {
  const result = asked?.result;
  return result && 'score' in result ? result.score.value : null;
}

function readingOf(asked: readonly Asked[]): NaturalReading {
  const counts = passageCounts(asked);
  if (!counts) return 'pages';
  return counts.withoutPages === counts.answers ? 'passages' : 'pages and passages';
}
