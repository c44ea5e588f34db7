/** The compression report for people. */

import type { CompressionReport } from '../pipeline/report.js';

export function reportText(report: CompressionReport): string {
  const { timings } = report;
  const rows: [string, string][] = [
    ['document', `${report.documentId}, ${whole(report.characters)} characters`],
    ['text tokens', `${whole(report.textTokens)} (${report.tokenizer})`],
    ['pages', `${report.pages}, drawn by ${report.browser}`],
    [
      'visual tokens',
      `${whole(report.visualTokens)}   rendering ${times(report.renderRatio)}${contentOf(report)}`,
    ],
    [
      'context tokens',
      `${whole(report.contextTokens)}${report.sidecarTokens > 0 ? `, ${whole(report.sidecarTokens)} of them text of the sidecar;` : ''} mean over ${report.layerTokens.length} layers (${report.layerTokens.map(whole).join(' ')})   pruning ${times(report.pruneRatio)}`,
    ],
    ['stacked', times(report.stackedRatio)],
  ];
  if (report.kvBytes !== null && report.textKvBytes !== null) {
    rows.push([
      'key-value cache',
      `${bytes(report.kvBytes)}, as plain text ${bytes(report.textKvBytes)}`,
    ]);
  }
  if (report.missingGlyphs > 0) {
    rows.push([
      'missing glyphs',
      `${report.missingGlyphs}, drawn as escapes: ${report.missingSample.join(' ')}`,
    ]);
  }
  if (report.fontSubstitution) {
    rows.push([
      'font',
      `${report.fontSubstitution.wanted} is drawn with ${report.fontSubstitution.used}`,
    ]);
  }
  rows.push([
    'time',
    `${seconds(timings.totalMs)}: render ${seconds(timings.renderMs)}, encode ${seconds(timings.encodeMs)}, prune ${seconds(timings.pruneMs)}, prefill ${seconds(timings.prefillMs)}`,
  ]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

function contentOf({ blankTokens, repeatedTokens }: CompressionReport): string {
  const parts = [
    ...(blankTokens ? [`${whole(blankTokens)} without ink`] : []),
    ...(repeatedTokens ? [`${whole(repeatedTokens)} repetitions`] : []),
  ];
  return parts.length > 0 ? `   ${parts.join(', ')}` : '';
}

const whole = (n: number) => Math.round(n).toLocaleString('en-US');
const times = (ratio: number) => `${ratio.toFixed(2)}×`;
const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;

function bytes(n: number): string {
  return n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`;
}
