/** A search as a table for the terminal. */

import { optionsOf } from './best.js';
import { GLYPH_CONFIG_EN } from './references.js';
import type { Figure, FrontPoint, SearchSummary, TrialSummary } from './summary.js';

export function summaryText(summary: SearchSummary, folder: string): string {
  const { counts, hypervolume, front, references, probe, llm, timings } = summary;
  const rows = [
    ['', 'trial', 'ratio', 'train', 'validation', 'held-out', 'by'],
    ...front.map((one) => row(String(one.point), one)),
    ...references.map((one) => row(one.name!, one)),
  ];
  return [
    `${summary.proposer}, seed ${summary.seed}: ${counts.trials} trials (${counts.askedAll} asked everything, ${counts.infeasible} below the ratio, ${counts.failed} failed), ended by ${summary.stoppedBy}`,
    `hypervolume: train ${hypervolume.train.toFixed(3)}, front on held-out texts ${hypervolume.heldOut.toFixed(3)}`,
    ...(probe.spearman === null
      ? []
      : [
          `rank correlation of probe and answers: ${probe.spearman.toFixed(2)} (${probe.trials} trials)`,
        ]),
    ...(summary.expand ? [expansionText(summary.expand)] : []),
    ...(llm
      ? [
          `language model: ${llm.rounds} rounds, evolution stood in for ${llm.fallbacks}, ${llm.unusable} proposals unusable`,
        ]
      : []),
    `${(timings.wallMs / 1000).toFixed(0)} s, ${(timings.workShare * 100).toFixed(0)} % of it rendering and inference`,
    '',
    table(rows),
    '',
    ...front.map((one) => `${one.point}: ${optionsOf(folder, one, summary)}`),
    ...(front.length === 0 ? ['No trial answered a question rightly: nothing to choose.'] : []),
    ...versus(front, references),
  ].join('\n');
}

/** What every question of the search was asked with. */
export function expansionText({
  method,
  budget,
  tokens,
}: NonNullable<SearchSummary['expand']>): string {
  const read = tokens === null ? '' : `, ${Math.round(tokens)} a question in the mean`;
  return `passages of the source beside the pages: ${method}, at most ${budget} text tokens${read}, counted in the ratios`;
}

function row(label: string, one: TrialSummary): string[] {
  return [
    label,
    String(one.trial),
    one.stackedRatio === null ? '–' : `${one.stackedRatio.toFixed(2)}×`,
    accuracy(one.train),
    accuracy(one.validation),
    interval(one.heldOut),
    one.failure?.code ?? (one.infeasible ? 'below the ratio' : one.by),
  ];
}

const percent = (share: number) => (share * 100).toFixed(0);
const accuracy = (figure: Figure | null) => (figure ? `${percent(figure.accuracy)} %` : '–');
const interval = (figure: Figure | null) =>
  figure ? `${accuracy(figure)} (${percent(figure.low)}–${percent(figure.high)})` : '–';

/** The densest comparison that matters: the best point at 3× and more against Glyph's own config. */
function versus(front: readonly FrontPoint[], references: readonly TrialSummary[]): string[] {
  const glyph = references.find(({ name }) => name === GLYPH_CONFIG_EN)?.heldOut;
  const dense = front.filter(({ heldOut }) => heldOut && heldOut.stackedRatio >= 3);
  const best = dense.sort((a, b) => b.heldOut!.accuracy - a.heldOut!.accuracy)[0]?.heldOut;
  if (!glyph || !best) return [];
  const points = (best.accuracy - glyph.accuracy) * 100;
  return [
    `best at 3× and more against Glyph's config_en, held-out: ${points >= 0 ? '+' : ''}${points.toFixed(1)} points (${accuracy(best)} at ${best.stackedRatio.toFixed(2)}× against ${accuracy(glyph)} at ${glyph.stackedRatio.toFixed(2)}×, ${best.questions} questions)`,
  ];
}

function table(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) =>
          i === 0 || i === row.length - 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
