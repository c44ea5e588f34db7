/** A search as one page that opens offline: no script, no address, everything in the file. */

import type { AxisContribution } from './axis-contributions.js';
import { escapeHtml } from './escape-html.js';
import type { PagePicture } from './page-pictures.js';
import { paretoPlot } from './pareto-plot.js';
import type { Figure, FrontPoint, SearchSummary, TrialSummary } from './summary.js';
import { expansionText } from './summary-text.js';

/** Even what slipped through all escaping could load and run nothing. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

const STYLE = `
body{font:15px/1.5 system-ui,sans-serif;color:#1e293b;background:#fff;max-width:920px;margin:32px auto;padding:0 16px;overflow-wrap:anywhere}
h1{font-size:24px;margin:0}h2{font-size:18px;margin:36px 0 8px}p{margin:8px 0}.muted{color:#64748b}
svg{width:100%;min-width:640px;height:auto;font:12px system-ui,sans-serif}svg text:not([fill]){fill:#334155}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;overflow-wrap:normal;padding:5px 8px;border-bottom:1px solid #e2e8f0;vertical-align:top}th{font-weight:600}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:12px ui-monospace,monospace;background:#f1f5f9;padding:1px 4px;border-radius:3px;overflow-wrap:anywhere}
figure{margin:16px 0}figure img{max-width:100%;height:auto;border:1px solid #cbd5e1}
.bar{display:inline-block;height:9px;background:#0072b2;border-radius:2px;vertical-align:middle}
blockquote{margin:8px 0;padding:4px 12px;border-left:3px solid #cbd5e1;white-space:pre-wrap;overflow-wrap:anywhere}
details{margin:6px 0}`;

export interface ReportParts {
  summary: SearchSummary;
  pictures: readonly PagePicture[];
  contributions: readonly AxisContribution[];
}

export function searchReport({ summary, pictures, contributions }: ReportParts): string {
  const sections = [
    heading(summary),
    section('Front', `<div class="wide">${paretoPlot(summary)}</div>${frontTable(summary)}`),
    ...(pictures.length > 0 ? [section('Pages of the front', pages(summary, pictures))] : []),
    section('Named presets and plans', referenceTable(summary)),
    section('What goes with what', contributionTable(contributions)),
    section('Generations', generations(summary)),
    ...(summary.llm ? [section('Notes of the language model', critiques(summary))] : []),
    section('All trials', allTrials(summary)),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>glyphpress search</title><style>${STYLE}</style></head>
<body>${sections.join('\n')}</body></html>
`;
}

const section = (title: string, body: string) => `<h2>${title}</h2>\n${body}`;
const t = escapeHtml;

function heading(summary: SearchSummary): string {
  const { proposer, seed, tasks, counts, budget, stoppedBy, hypervolume, probe, timings } = summary;
  const correlation =
    probe.spearman === null
      ? ''
      : ` What the probe reads and what is answered rightly correlate by ${probe.spearman.toFixed(2)} (Spearman, ${probe.trials} trials).`;
  return `<h1>Search over rendering and pruning</h1>
<p class="muted">${t(proposer)}, seed ${seed}, ${t(tasks)}, model ${t(summary.key.model ?? '')}</p>
<p>${counts.trials} of ${budget} trials, ended by ${stoppedBy}: ${counts.askedAll} were asked everything, ${counts.asked - counts.askedAll} were given up early, ${counts.infeasible} were below ratio ${summary.minRatio}, ${counts.failed} failed.${correlation}${summary.expand ? ` Questions were asked with ${t(expansionText(summary.expand))}.` : ''}</p>
<p>Hypervolume (accuracy × log₂ of the ratio): ${hypervolume.train.toFixed(3)} on the texts that were searched with, ${hypervolume.heldOut.toFixed(3)} of the front on held-out texts. The difference is what the search read into chance.</p>
<p class="muted">${(timings.wallMs / 1000).toFixed(0)} s, ${(timings.workShare * 100).toFixed(0)} % of it rendering (${(timings.renderMs / 1000).toFixed(0)} s) and inference (${(timings.inferenceMs / 1000).toFixed(0)} s).</p>`;
}

function frontTable({ front }: SearchSummary): string {
  if (front.length === 0)
    return '<p>No trial answered a question rightly on validation texts: there is nothing to choose.</p>';
  const rows = front.map((one) => [
    n(String(one.point)),
    n(ratio(one)),
    n(figure(one.heldOut, true)),
    n(figure(one.validation)),
    n(figure(one.train)),
    cell(
      `${rendering(one)}<br>${t(one.plan)}${one.settings.sidecar > 0 ? `<br>sidecar of ${one.settings.sidecar} tokens` : ''}`,
    ),
    cell(origin(one)),
  ]);
  return table(
    ['point', 'ratio', 'held-out', 'validation', 'train', 'configuration', 'from'],
    rows,
    5,
  );
}

function referenceTable({ references }: SearchSummary): string {
  const rows = references.map((one) => [
    cell(t(one.name!)),
    n(ratio(one)),
    n(one.characterErrorRate === null ? '–' : `${(one.characterErrorRate * 100).toFixed(1)} %`),
    n(figure(one.heldOut, true)),
    n(figure(one.train)),
    cell(one.outside ? 'outside the space: compared with, never chosen' : state(one)),
  ]);
  return `${table(['name', 'ratio', 'misread', 'held-out', 'train', ''], rows, 5, 1)}<p class="muted">“misread” is the character error rate of the legibility probe. Presets that it cannot read were asked about fewer texts.</p>`;
}

function pages({ front }: SearchSummary, pictures: readonly PagePicture[]): string {
  return pictures
    .map(({ point, uri, widthPx, heightPx }) => {
      const one = front.find((candidate) => candidate.point === point)!;
      return `<figure><figcaption>Point ${point}: ${ratio(one)}, ${figure(one.heldOut, true)} on held-out texts; ${widthPx} × ${heightPx} px</figcaption><img src="${t(uri)}" width="${widthPx}" height="${heightPx}" alt="first page under point ${point}"></figure>`;
    })
    .join('\n');
}

function contributionTable(contributions: readonly AxisContribution[]): string {
  const bar = (share: number | null) =>
    share === null
      ? '–'
      : `<span class="bar" style="width:${Math.round(share * 80)}px"></span> ${(share * 100).toFixed(0)} %`;
  const rows = contributions.map(({ axis, explained }) => [
    cell(t(axis)),
    cell(bar(explained.legibility)),
    cell(bar(explained.accuracy)),
    cell(bar(explained.stackedRatio)),
  ]);
  return `<p>Share of the variance between the values of an axis (ε²), over the trials that were made. Axes that change together share the credit: it says where to look, not what works by itself.</p>${table(['axis', 'read by the probe', 'accuracy', 'ratio'], rows)}`;
}

function generations({ generations }: SearchSummary): string {
  const rows = generations.map(({ generation, trials, hypervolume, front, notes }) => [
    n(String(generation)),
    n(String(trials.length)),
    n(hypervolume.toFixed(3)),
    cell(front.map((id) => `#${id}`).join(' ')),
    cell(
      notes
        ? `${notes.attempts} ${notes.attempts === 1 ? 'request' : 'requests'}, ${notes.promptTokens} + ${notes.replyTokens} tokens, ${notes.unusable} unusable${notes.failure ? `; evolution stood in: ${t(notes.failure)}` : ''}`
        : '',
    ),
  ]);
  return table(['generation', 'trials', 'hypervolume', 'front on train texts', ''], rows, 3);
}

function critiques({ generations }: SearchSummary): string {
  return generations
    .filter(({ notes }) => notes && (notes.analysis || notes.critique))
    .map(
      ({ generation, notes }) =>
        `<details open><summary>Generation ${generation}</summary><blockquote>${t(notes!.analysis)}</blockquote><blockquote>${t(notes!.critique)}</blockquote></details>`,
    )
    .join('\n');
}

function allTrials({ trials }: SearchSummary): string {
  const rows = trials.map((one) => [
    n(String(one.trial)),
    n(ratio(one)),
    n(one.characterErrorRate === null ? '–' : `${(one.characterErrorRate * 100).toFixed(1)} %`),
    n(figure(one.train)),
    cell(origin(one)),
    cell(state(one)),
    cell(`${rendering(one)}; ${t(one.plan)}`),
  ]);
  return `<details><summary>${trials.length} trials</summary>${table(['trial', 'ratio', 'misread', 'train', 'from', '', 'configuration'], rows, 4)}</details>`;
}

function rendering({ settings: { config } }: TrialSummary): string {
  const parts = [
    `${config['font-family']} ${config['font-size']}/${config['line-height']} pt`,
    `page ${config['page-size']} at ${config.dpi} dpi`,
    `margins ${config['margin-x']}/${config['margin-y']}`,
    ...(config['grid-lock'] ? ['grid lock'] : []),
    ...(config.columns ? [`${config.columns} columns`] : []),
    ...(config.reflow ? ['reflow'] : []),
    ...(config['line-breaking'] === 'anywhere' ? ['broken anywhere'] : []),
    ...(config['line-overlap'] ? ['lines overlap'] : []),
    ...(config['newline-markup'] && config['newline-markup'] !== '<br/>' ? ['newline marks'] : []),
  ];
  return parts.map((part) => t(part)).join(', ');
}

function origin({ name, by, parents, why }: TrialSummary): string {
  const from = parents.length > 0 ? ` of ${parents.map((id) => `#${id}`).join(' and ')}` : '';
  return `${t(name ?? by)}${from}${why ? `<br><span class="muted">${t(why)}</span>` : ''}`;
}

function state({ failure, infeasible, outside, train }: TrialSummary): string {
  if (failure) return `<code>${t(failure.code)}</code> ${t(failure.message)}`;
  if (infeasible) return 'below the ratio';
  if (outside) return 'outside the space';
  return train ? '' : 'given up before any question';
}

const ratio = ({ stackedRatio }: TrialSummary | FrontPoint) =>
  stackedRatio === null ? '–' : `${stackedRatio.toFixed(2)}×`;

function figure(one: Figure | null, hasInterval = false): string {
  if (!one) return '–';
  const percent = (share: number) => (share * 100).toFixed(0);
  const interval = hasInterval ? ` (${percent(one.low)}–${percent(one.high)})` : '';
  return `${percent(one.accuracy)} %${interval} of ${one.questions}`;
}

const cell = (html: string) => `<td>${html}</td>`;
const n = (html: string) => `<td class="n">${html}</td>`;

/** @param numbers columns of numbers, from `first` on */
function table(
  names: readonly string[],
  rows: readonly string[][],
  numbers = 0,
  first = 0,
): string {
  const head = names.map((name, i) =>
    i >= first && i < numbers ? `<th class="n">${name}</th>` : `<th>${name}</th>`,
  );
  return `<div class="wide"><table><thead><tr>${head.join('')}</tr></thead><tbody>${rows.map((row) => `<tr>${row.join('')}</tr>`).join('\n')}</tbody></table></div>`;
}
