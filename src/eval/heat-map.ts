/** Accuracy by depth (down) and length (across) as an SVG picture: one panel a group and kind. */

import type { DepthCell, EvalReport } from './report.js';
import { escapeXml, svgText } from './svg.js';

const CELL_WIDTH = 64;
const CELL_HEIGHT = 30;
const LEFT = 76;
const TOP = 46;
const PANEL_GAP = 30;
const TITLE_HEIGHT = 34;
const LEGEND_HEIGHT = 40;

interface Panel {
  title: string;
  cells: DepthCell[];
  pages: number[];
  depths: (number | null)[];
}

export function heatMap(report: EvalReport): string {
  const panels = panelsOf(report.cells);
  const widest = Math.max(3, ...panels.map(({ pages }) => pages.length));
  const width = Math.max(360, LEFT + widest * CELL_WIDTH + 24);
  const parts: string[] = [];
  let y = TITLE_HEIGHT;
  for (const panel of panels) {
    parts.push(`<g transform="translate(0 ${y})">${drawPanel(panel)}</g>`);
    y += TOP + panel.depths.length * CELL_HEIGHT + PANEL_GAP;
  }
  parts.push(`<g transform="translate(${LEFT} ${y})">${drawLegend()}</g>`);
  const height = y + LEGEND_HEIGHT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    svgText(
      12,
      22,
      `${report.suite}: accuracy by depth and length`,
      'font-size="15" font-weight="600"',
    ),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function panelsOf(cells: readonly DepthCell[]): Panel[] {
  const groups = new Map<string, DepthCell[]>();
  for (const cell of cells) {
    const title = cell.kind === cell.group ? cell.kind : `${cell.group}: ${cell.kind}`;
    groups.set(title, [...(groups.get(title) ?? []), cell]);
  }
  return [...groups].map(([title, cells]) => ({
    title,
    cells,
    pages: [...new Set(cells.map(({ pages }) => pages))].sort((a, b) => a - b),
    depths: [...new Set(cells.map(({ depth }) => depth))].sort((a, b) => (a ?? 2) - (b ?? 2)),
  }));
}

function drawPanel({ title, cells, pages, depths }: Panel): string {
  const parts = [svgText(12, 14, title, 'font-weight="600"')];
  pages.forEach((count, column) => {
    const label = `${count} ${count === 1 ? 'page' : 'pages'}`;
    parts.push(svgText(LEFT + (column + 0.5) * CELL_WIDTH, TOP - 8, label, 'text-anchor="middle"'));
  });
  depths.forEach((depth, row) => {
    const label = depth === null ? 'anywhere' : `${Math.round(depth * 100)} %`;
    parts.push(
      svgText(
        LEFT - 8,
        TOP + (row + 0.5) * CELL_HEIGHT + 4,
        label,
        'text-anchor="end" fill="#444"',
      ),
    );
  });
  for (const cell of cells) {
    const x = LEFT + pages.indexOf(cell.pages) * CELL_WIDTH;
    const y = TOP + depths.indexOf(cell.depth) * CELL_HEIGHT;
    parts.push(drawCell(cell, x, y));
  }
  return parts.join('');
}

function drawCell(
  { value, low, high, questions, failed }: DepthCell,
  x: number,
  y: number,
): string {
  const box = `x="${x + 1}" y="${y + 1}" width="${CELL_WIDTH - 2}" height="${CELL_HEIGHT - 2}" rx="2"`;
  if (value === null) return `<rect ${box} fill="none" stroke="#ccc"/>`;
  const percent = (share: number) => `${Math.round(share * 100)}`;
  const note = `${percent(value)} % of ${questions} (95 %: ${percent(low)} to ${percent(high)})${failed > 0 ? `, ${failed} failed` : ''}`;
  const label = svgText(
    x + CELL_WIDTH / 2,
    y + CELL_HEIGHT / 2 + 4,
    percent(value),
    `text-anchor="middle" fill="${value > 0.55 ? '#fff' : '#111'}"`,
  );
  return `<g><title>${escapeXml(note)}</title><rect ${box} fill="${colourOf(value)}"/>${label}</g>`;
}

function drawLegend(): string {
  const steps = 11;
  const width = 14;
  const boxes = Array.from({ length: steps }, (_, i) => {
    const share = i / (steps - 1);
    return `<rect x="${i * width}" y="0" width="${width}" height="10" fill="${colourOf(share)}"/>`;
  });
  return `${boxes.join('')}${svgText(0, 24, '0 %', 'fill="#444"')}${svgText(steps * width, 24, '100 %', 'text-anchor="end" fill="#444"')}`;
}

/** One hue from light to dark, so that it also reads in grey and to the colour-blind. */
const STOPS = [
  [247, 244, 236],
  [168, 205, 190],
  [58, 142, 140],
  [12, 62, 92],
] as const;

function colourOf(share: number): string {
  const at = Math.min(1, Math.max(0, share)) * (STOPS.length - 1);
  const from = STOPS[Math.min(STOPS.length - 2, Math.floor(at))]!;
  const to = STOPS[Math.min(STOPS.length - 1, Math.floor(at) + 1)]!;
  const part = at - Math.min(STOPS.length - 2, Math.floor(at));
  const mixed = from.map((value, i) => Math.round(value + (to[i]! - value) * part));
  return `rgb(${mixed.join(' ')})`;
}
