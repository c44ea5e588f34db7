/** Several searches over the same texts, side by side. */

import { GLYPH_CONFIG_EN } from './references.js';
import type { Figure, SearchSummary } from './summary.js';

export interface ComparedSearch {
  proposer: string;
  seed: number;
  trials: number;
  askedAll: number;
  train: number;
  heldOut: number;
  /** The most accurate point of the front at 3× and more, on held-out texts. */
  best: Figure | null;
  /** Glyph's own English config on the same questions. */
  glyph: Figure | null;
  wallMs: number;
  workShare: number;
}

export interface Comparison {
  searches: ComparedSearch[];
  /** Means over the seeds. */
  proposers: { proposer: string; train: number; heldOut: number; timesRandom: number | null }[];
}

const MIN_RATIO = 3;

export function compareSearches(summaries: readonly SearchSummary[]): Comparison {
  const searches = summaries.map((summary): ComparedSearch => {
    const { proposer, seed, counts, hypervolume, front, references, timings } = summary;
    const dense = front.flatMap(({ heldOut }) =>
      heldOut && heldOut.stackedRatio >= MIN_RATIO ? [heldOut] : [],
    );
    return {
      proposer: proposer.split(' ')[0]!,
      seed,
      trials: counts.trials,
      askedAll: counts.askedAll,
      ...hypervolume,
      best: dense.sort((a, b) => b.accuracy - a.accuracy)[0] ?? null,
      glyph: references.find(({ name }) => name === GLYPH_CONFIG_EN)?.heldOut ?? null,
      wallMs: timings.wallMs,
      workShare: timings.workShare,
    };
  });
  const names = [...new Set(searches.map(({ proposer }) => proposer))];
  const mean = (name: string, field: 'train' | 'heldOut') => {
    const own = searches.filter(({ proposer }) => proposer === name);
    return own.reduce((sum, search) => sum + search[field], 0) / own.length;
  };
  const random = names.includes('random') ? mean('random', 'train') : 0;
  return {
    searches,
    proposers: names.map((proposer) => ({
      proposer,
      train: mean(proposer, 'train'),
      heldOut: mean(proposer, 'heldOut'),
      timesRandom: random > 0 ? mean(proposer, 'train') / random : null,
    })),
  };
}

export function comparisonMarkdown({ searches, proposers }: Comparison): string {
  const figure = (one: Figure | null) =>
    one
      ? `${(one.accuracy * 100).toFixed(1)} % (${(one.low * 100).toFixed(0)}–${(one.high * 100).toFixed(0)}) at ${one.stackedRatio.toFixed(2)}×`
      : '–';
  return [
    '| proposer | seed | trials | asked everything | hypervolume, train | hypervolume of the front, held-out | best at 3× and more, held-out | Glyph’s config_en | minutes | rendering and inference |',
    '|---|---:|---:|---:|---:|---:|---|---|---:|---:|',
    ...searches.map(
      (one) =>
        `| ${one.proposer} | ${one.seed} | ${one.trials} | ${one.askedAll} | ${one.train.toFixed(3)} | ${one.heldOut.toFixed(3)} | ${figure(one.best)} | ${figure(one.glyph)} | ${(one.wallMs / 60_000).toFixed(1)} | ${(one.workShare * 100).toFixed(0)} % |`,
    ),
    '',
    '| proposer, mean over the seeds | hypervolume, train | of random’s | hypervolume of the front, held-out |',
    '|---|---:|---:|---:|',
    ...proposers.map(
      ({ proposer, train, heldOut, timesRandom }) =>
        `| ${proposer} | ${train.toFixed(3)} | ${timesRandom === null ? '–' : `${timesRandom.toFixed(2)}×`} | ${heldOut.toFixed(3)} |`,
    ),
    '',
  ].join('\n');
}
