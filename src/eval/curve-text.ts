/** A pruning curve as a table for people, and as a page of documentation. */

import type { CurvePoint, CurveReport } from './curve-report.js';
import { CURVE_TASKS } from './curve-tasks.js';
import type { Figure } from './report.js';

const HEADINGS = [
  'condition',
  'visual',
  'context',
  'stacked',
  'accuracy',
  '95 % interval',
  ...CURVE_TASKS,
  'questions',
];

export function curveTable(report: CurveReport): string {
  const rows = [HEADINGS, ...report.points.map(rowOf)];
  const widths = HEADINGS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
  return [
    `${report.model.name}: ${report.answered} of ${report.questions} questions answered${report.failed > 0 ? `, ${report.failed} failed` : ''}`,
    '',
    ...lines,
    '',
    ...report.verdict.words,
  ].join('\n');
}

/**
 * A section for docs/results: the command, the figures, the verdict. Charts lie beside it.
 *
 * @param charts file names of the charts, by what they show
 */
export function curveMarkdown(
  report: CurveReport,
  { command, charts }: { command: string; charts: readonly { title: string; file: string }[] },
): string {
  const { model, settings } = report;
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    '# Pruning against denser renderings',
    '',
    `Model: ${model.name} (${(model.parameters / 1e6).toFixed(1)} M parameters, checkpoint ${model.checkpointHash.slice(0, 12)}${model.trained ? '' : ', **untrained: all figures are noise**'}). Settings: ${Object.entries(
      settings,
    )
      .map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(', ') : String(value)}`)
      .join('; ')}.`,
    '',
    '```sh',
    command,
    '```',
    '',
    'The same texts and questions under every condition. Accuracy is the mean over the tasks: values looked up (`lookup`), 12-digit hex strings (`hex`), 1 − character error rate of continued quotations (`transcribe`; English that has nothing to do with the page still gets about 20 %). `context` is the mean of visual tokens over the decoder layers, `stacked` text tokens (o200k_base for readers) ÷ context tokens. Intervals: Wilson for each task, joined by squares of their distances; questions about one text are not independent, so true intervals are wider.',
    '',
    ...charts.flatMap(({ title, file }) => [`![${title}](${file})`, '']),
    '## Verdict',
    '',
    ...report.verdict.words.map((sentence) => `- ${sentence}`),
    '',
    '## Figures',
    '',
    row(HEADINGS),
    row(HEADINGS.map((_, i) => (i === 0 ? '---' : '---:'))),
    ...report.points.map((point) => row(rowOf(point))),
    '',
    '## Plans',
    '',
    ...plansOf(report.points),
    '',
  ].join('\n');
}

function plansOf(points: readonly CurvePoint[]): string[] {
  return points
    .filter(({ kind }) => kind !== 'rendering')
    .map(({ name, plan, planId }) => `- **${name}**: ${plan} (\`${planId}\`)`);
}

function rowOf(point: CurvePoint): string[] {
  const { accuracy } = point;
  const isMeasured = point.contextTokens > 0;
  return [
    point.name,
    isMeasured ? String(Math.round(point.visualTokens)) : '–',
    isMeasured ? String(Math.round(point.contextTokens)) : '–',
    isMeasured ? `${point.stackedRatio.toFixed(2)}×` : '–',
    percent(accuracy),
    accuracy.value === null
      ? '–'
      : `${(accuracy.low * 100).toFixed(1)} – ${(accuracy.high * 100).toFixed(1)}`,
    ...CURVE_TASKS.map((task) => percent(point.tasks[task])),
    accuracy.failed > 0
      ? `${accuracy.questions} (${accuracy.failed} failed)`
      : String(accuracy.questions),
  ];
}

const percent = ({ value }: Figure) => (value === null ? '–' : `${(value * 100).toFixed(1)} %`);
