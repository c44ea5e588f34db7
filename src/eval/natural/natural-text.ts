/** The natural suite's figures as a table for people, and as a page of documentation. */

import type { Interval } from '../interval.js';
import type { EvalReport, Figure } from '../report.js';
import { columns, passageLines } from '../report-table.js';
import type { ConfidenceFigures } from './confidence-figures.js';
import type { NaturalReading, NaturalReport, NaturalRow } from './natural-report.js';

const SECTIONS = {
  all: 'all',
  kind: 'by kind of question',
  length: 'answered by the text, by length',
  pages: 'answered by the text, by pages',
  origin: 'answered by the text, by origin',
} as const satisfies Record<NaturalRow['section'], string>;

const headingsOf = (reading: NaturalReading) => [
  reading,
  '95 % interval',
  'text',
  '95 % interval',
  'kept',
  '95 % interval',
  'questions',
];

export function naturalTable({ rows, confidence, reading }: NaturalReport): string {
  const headings = headingsOf(reading);
  const table = columns([
    ['', ...headings],
    ...Object.entries(SECTIONS).flatMap(([section, title]) => {
      const these = rows.filter((row) => row.section === section);
      if (these.length === 0) return [];
      return [
        [title, ...headings.map(() => '')],
        ...these.map((row) => [`  ${row.label}`, ...cellsOf(row)]),
      ];
    }),
  ]);
  return [...table, '', ...confidenceLines(confidence, reading)].join('\n');
}

/** A section for docs/results. */
export function naturalMarkdown(
  report: EvalReport & { natural: NaturalReport },
  { command, model }: { command: string; model: string },
): string {
  const { natural, settings } = report;
  const { reading } = natural;
  const headings = headingsOf(reading);
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rendering = report.renderings[0]!;
  return [
    '# Questions of people about real documents',
    '',
    `Model: ${model}. ${report.questions} questions${natural.confidence.text ? ', those of the text as well' : ''} about ${natural.documents} documents (${report.answered} answered, ${report.failed} failed); ${Object.entries(
      settings,
    )
      .map(([key, value]) => `${key} ${String(value)}`)
      .join(
        ', ',
      )}. Rendering ${rendering.renderConfigId}: ${rendering.pages} pages, ${rendering.textTokens} text tokens, ${rendering.renderRatio.toFixed(2)}× rendered, ${rendering.stackedRatio.toFixed(2)}× ${reading === 'pages' ? 'with the prune plan' : `of ${reading}`}.`,
    '',
    '```sh',
    command,
    '```',
    '',
    `\`${reading}\` and \`text\` are shares of right answers with Wilson's interval; \`kept\` is ${reading} ÷ text over questions that were answered both ways, its interval a bootstrap over documents. What the rules of "right" are: [evaluation](../evaluation.md#natural).`,
    '',
    ...passageLines(report.passages).flatMap((text) => [
      `${text[0]!.toUpperCase()}${text.slice(1)}.`,
      '',
    ]),
    ...Object.entries(SECTIONS).flatMap(([section, title]) => {
      const rows = natural.rows.filter((row) => row.section === section);
      if (rows.length === 0) return [];
      return [
        line([title, ...headings]),
        line(['---', ...headings.map(() => '---:')]),
        ...rows.map((row) => line([row.label, ...cellsOf(row)])),
        '',
      ];
    }),
    '## Confidence',
    '',
    ...confidenceLines(natural.confidence, reading).map((text) => `- ${text}`),
    '',
  ].join('\n');
}

function cellsOf({ pages, text, kept }: NaturalRow): string[] {
  return [
    percent(pages.value),
    interval(pages.value, pages),
    percent(text?.value ?? null),
    interval(text?.value ?? null, text),
    percent(kept?.value ?? null),
    interval(kept?.value ?? null, kept),
    countOf(pages),
  ];
}

function confidenceLines(
  { pages, text }: NaturalReport['confidence'],
  reading: NaturalReading,
): string[] {
  const figuresOf: [string, ConfidenceFigures | null][] = [
    [reading, pages],
    ['text', text],
  ];
  return figuresOf.map(([as, figures]) => {
    if (!figures) return `${as}: not known`;
    const { answers, calibrated, expectedCalibrationError, areaUnderRoc, intervals } = figures;
    const error = withRange(expectedCalibrationError, intervals.expectedCalibrationError);
    const roc = withRange(areaUnderRoc, intervals.areaUnderRoc);
    return `${as}: calibration error ${error}, area under the ROC curve ${roc}, of ${answers} answers${calibrated ? '' : ', not calibrated'}`;
  });
}

const withRange = (value: number | null, range: Interval | null) =>
  value === null || !range
    ? '–'
    : `${value.toFixed(3)} (${range.low.toFixed(3)} – ${range.high.toFixed(3)})`;

const percent = (value: number | null) => (value === null ? '–' : `${(value * 100).toFixed(1)} %`);

const interval = (value: number | null, range: Interval | null) =>
  value === null || !range
    ? '–'
    : `${(range.low * 100).toFixed(1)} – ${(range.high * 100).toFixed(1)}`;

const countOf = ({ questions, failed }: Figure) =>
  failed > 0 ? `${questions} (${failed} failed)` : String(questions);
