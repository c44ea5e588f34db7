/** The report as a table for people. */

import type { EvalReport, Figure, PassageCounts, TableRow } from './report.js';

export function reportTable(report: EvalReport): string {
  const rows = report.table.map((row) => [
    row.label,
    Number.isInteger(row.pages) ? String(row.pages) : row.pages.toFixed(1),
    times(row.renderRatio),
    times(row.stackedRatio),
    measureOf(row),
    percent(row.value, row.measure),
    interval(row),
    row.failed > 0 ? `${row.questions} (${row.failed} failed)` : String(row.questions),
  ]);
  const lines = [
    `suite ${report.suite}: ${report.answered} of ${report.questions} questions answered${report.failed > 0 ? `, ${report.failed} failed` : ''}`,
    '',
    ...columns([
      ['', 'pages', 'render', 'stacked', 'measure', 'value', '95 % interval', 'questions'],
      ...rows,
    ]),
    '',
    '↑ higher is better, ↓ lower is better',
    ...report.notes,
    ...passageLines(report.passages),
    '',
    ...columns([
      ['rendering', 'id', 'pages', 'text tokens', 'visual tokens', 'render', 'prune', 'stacked'],
      ...report.renderings.map((row) => [
        row.name,
        row.renderConfigId,
        String(row.pages),
        String(row.textTokens),
        String(row.visualTokens),
        times(row.renderRatio),
        times(row.pruneRatio),
        times(row.stackedRatio),
      ]),
    ]),
  ];
  const errors = Object.entries(report.errors).sort(([a], [b]) => (a < b ? -1 : 1));
  if (errors.length > 0)
    lines.push('', `errors: ${errors.map(([code, count]) => `${code} (${count})`).join(', ')}`);
  return lines.join('\n');
}

/** How passages were read: what stands in the column of the pages may have nothing of them. */
export function passageLines(passages: PassageCounts | null): string[] {
  if (!passages) return [];
  const { answers, withoutPages } = passages;
  if (withoutPages === 0)
    return [`${answers} answers were given passages of the source beside the pages`];
  const all = withoutPages === answers ? 'all ' : '';
  return [
    `passages were read alone, without the pages, for ${all}${withoutPages} of ${answers} answers that were given some: their ratios count the passages only`,
  ];
}

/** What the value of a row is, and which way is better. */
function measureOf({ measure, kind }: TableRow): string {
  if (measure === 'characterErrorRate') return 'error ↓';
  if (measure === 'score') return 'score ↑';
  return kind === 'absent' ? 'rate ↑' : 'rate ↓';
}

export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}

function percent(value: number | null, measure: TableRow['measure']): string {
  if (value === null) return '–';
  return `${(value * 100).toFixed(measure === 'characterErrorRate' ? 2 : 1)} %`;
}

function interval({ low, high, value }: Figure): string {
  return value === null ? '–' : `${(low * 100).toFixed(1)} – ${(high * 100).toFixed(1)}`;
}

const times = (ratio: number) => (ratio === 0 ? '–' : `${ratio.toFixed(2)}×`);
