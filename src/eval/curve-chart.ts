/** Accuracy against context tokens or stacked ratio as an SVG line chart with confidence bands. */

import { UNPRUNED, UNPRUNED_QUESTION_FIRST } from './curve-conditions.js';
import type { CurvePoint, CurveReport } from './curve-report.js';
import { escapeXml, svgText } from './svg.js';

export const CHART_AXES = ['stackedRatio', 'contextTokens'] as const;
export type ChartAxis = (typeof CHART_AXES)[number];

const AXIS_TITLES: Record<ChartAxis, string> = {
  stackedRatio: 'text tokens ÷ context tokens (log)',
  contextTokens: 'context tokens a text (log)',
};

const PLOT = { left: 64, top: 44, width: 560, height: 340 };
/** Names stand here, each joined to the last point of its series. */
const LABELS_LEFT = PLOT.left + PLOT.width + 28;
const LABEL_ROW = 18;
/** Wider than a letter of a label is in the mean, whatever the typeface. */
const LETTER = 7;

/** Okabe and Ito's colours, which the colour-blind can tell apart. */
const COLOURS = '#000000 #0072b2 #d55e00 #009e73 #cc79a7 #56b4e9 #e69f00'.split(' ');

/** Beyond them, hues as far as possible from all before: each a golden angle further. */
const colourOf = (i: number) =>
  COLOURS[i] ?? `hsl(${Math.round((i * 137.5) % 360)} 70% ${[30, 45, 38][i % 3]}%)`;

interface Series {
  name: string;
  colour: string;
  /** Ascending on the axis. */
  points: CurvePoint[];
  dashed: boolean;
  /** Points that no line should join: named plans differ in kind. */
  joined: boolean;
}

export function curveChart(report: CurveReport, axis: ChartAxis): string {
  const points = report.points.filter((point) => point.accuracy.value !== null && point[axis] > 0);
  const series = seriesOf(points, axis);
  const x = logScale(points.map((point) => point[axis]));
  const y = (share: number) => PLOT.top + (1 - share) * PLOT.height;
  const height = Math.max(PLOT.top + PLOT.height + 64, PLOT.top + (series.length + 1) * LABEL_ROW);
  const longest = Math.max(0, ...series.map(({ name }) => name.length));
  const width = LABELS_LEFT + longest * LETTER + 8;
  const parts = [
    text(
      PLOT.left,
      24,
      `${report.model.name}: accuracy by ${AXIS_TITLES[axis].replace(' (log)', '')}`,
      'font-size="15" font-weight="600"',
    ),
    ...grid(x, y, axis),
    ...series.filter(({ joined }) => joined).map((one) => band(one, axis, x.at, y)),
    ...series.map((one) => line(one, axis, x.at, y)),
    ...labels(series, axis, x.at, y),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function seriesOf(points: readonly CurvePoint[], axis: ChartAxis): Series[] {
  const names = [...new Set(points.map(({ series }) => series))];
  names.sort((a, b) => Number(b === UNPRUNED) - Number(a === UNPRUNED));
  const unpruned = (name: string) => points.find((point) => point.name === name);
  return names.map((name, i) => {
    const own = points.filter((point) => point.series === name);
    // What drops a share begins where nothing is dropped.
    const { kind, questionFirstOf } = own[0]!;
    const isShare = kind === 'method' || kind === 'control';
    const whole = unpruned(questionFirstOf === null ? UNPRUNED : UNPRUNED_QUESTION_FIRST);
    if (whole && isShare) own.push(whole);
    return {
      name,
      colour: colourOf(i),
      points: own.sort((a, b) => a[axis] - b[axis]),
      dashed: kind === 'control',
      joined: kind !== 'named' && own.length > 1,
    };
  });
}

interface Scale {
  at: (value: number) => number;
  ticks: number[];
}

function logScale(values: readonly number[]): Scale {
  const low = Math.min(...values, Number.POSITIVE_INFINITY) / 1.08;
  const high = Math.max(...values, 0) * 1.08;
  if (!(high > low)) return { at: () => PLOT.left + PLOT.width / 2, ticks: [] };
  const at = (value: number) =>
    PLOT.left + (Math.log(value / low) / Math.log(high / low)) * PLOT.width;
  const steps = high / low > 12 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const ticks: number[] = [];
  for (let decade = 10 ** Math.floor(Math.log10(low)); decade <= high; decade *= 10)
    for (const step of steps)
      if (decade * step >= low && decade * step <= high) ticks.push(decade * step);
  return { at, ticks };
}

function grid(x: Scale, y: (share: number) => number, axis: ChartAxis): string[] {
  const { left, top, width, height } = PLOT;
  const shares = [0, 0.2, 0.4, 0.6, 0.8, 1];
  return [
    ...shares.map(
      (share) =>
        `<path d="M${left} ${fix(y(share))}H${left + width}" stroke="#ddd"/>${text(left - 8, y(share) + 4, `${Math.round(share * 100)} %`, 'text-anchor="end" fill="#444"')}`,
    ),
    ...x.ticks.map(
      (tick) =>
        `<path d="M${fix(x.at(tick))} ${top}V${top + height}" stroke="#eee"/>${text(x.at(tick), top + height + 18, tickLabel(tick, axis), 'text-anchor="middle" fill="#444"')}`,
    ),
    text(
      left + width / 2,
      top + height + 40,
      AXIS_TITLES[axis],
      'text-anchor="middle" fill="#444"',
    ),
  ];
}

function tickLabel(value: number, axis: ChartAxis): string {
  const rounded = String(Number(value.toPrecision(3)));
  return axis === 'stackedRatio' ? `${rounded}×` : rounded;
}

function band(
  { points, colour }: Series,
  axis: ChartAxis,
  x: (value: number) => number,
  y: (share: number) => number,
): string {
  const upper = points.map((point) => `${fix(x(point[axis]))},${fix(y(point.accuracy.high))}`);
  const lower = points.map((point) => `${fix(x(point[axis]))},${fix(y(point.accuracy.low))}`);
  return `<polygon points="${[...upper, ...lower.reverse()].join(' ')}" fill="${colour}" fill-opacity="0.08"/>`;
}

function line(
  { points, colour, dashed, joined }: Series,
  axis: ChartAxis,
  x: (value: number) => number,
  y: (share: number) => number,
): string {
  const path = points
    .map(
      (point, i) => `${i === 0 ? 'M' : 'L'}${fix(x(point[axis]))} ${fix(y(point.accuracy.value!))}`,
    )
    .join('');
  const stroke = joined
    ? `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"${dashed ? ' stroke-dasharray="5 4"' : ''}/>`
    : '';
  const marks = points.map((point) => {
    const [cx, cy] = [fix(x(point[axis])), fix(y(point.accuracy.value!))];
    const whisker = joined
      ? ''
      : `<path d="M${cx} ${fix(y(point.accuracy.low))}V${fix(y(point.accuracy.high))}" stroke="${colour}" stroke-opacity="0.35"/>`;
    return `<g>${title(point)}${whisker}<circle cx="${cx}" cy="${cy}" r="4" fill="${colour}"/></g>`;
  });
  return `${stroke}${marks.join('')}`;
}

function title({ name, accuracy, stackedRatio, contextTokens }: CurvePoint): string {
  const percent = (share: number) => (share * 100).toFixed(1);
  return `<title>${escapeXml(`${name}: ${percent(accuracy.value!)} % of ${accuracy.questions} (95 %: ${percent(accuracy.low)} to ${percent(accuracy.high)}), ${stackedRatio.toFixed(2)}×, ${Math.round(contextTokens)} context tokens`)}</title>`;
}

/**
 * The names beside the plot, from the top down as their lines end, so that leaders do not cross.
 *
 * Each stands at the height of its last point where there is room, else below the one above it.
 */
function labels(
  series: readonly Series[],
  axis: ChartAxis,
  x: (value: number) => number,
  y: (share: number) => number,
): string[] {
  const ends = series
    .map((one) => ({ one, end: one.points.at(-1)! }))
    .map(({ one, end }) => ({ one, fromX: x(end[axis]), fromY: y(end.accuracy.value!) }))
    .sort((a, b) => a.fromY - b.fromY);
  const heights = spread(ends.map(({ fromY }) => fromY));
  return ends.map(({ one: { name, colour, dashed }, fromX, fromY }, i) => {
    const at = heights[i]!;
    const leader = `M${fix(fromX + 6)} ${fix(fromY)}L${LABELS_LEFT - 4} ${fix(at)}`;
    return `<path d="${leader}" stroke="${colour}" stroke-opacity="0.35" fill="none"${dashed ? ' stroke-dasharray="2 3"' : ''}/>${text(LABELS_LEFT, at + 4, name, `fill="${colour}"`)}`;
  });
}

/** Heights that are a row apart, in the order given, none above the plot. */
function spread(wanted: readonly number[]): number[] {
  const bottom = PLOT.top + Math.max(PLOT.height, wanted.length * LABEL_ROW);
  const placed: number[] = [];
  for (const [i, height] of wanted.entries()) {
    const free = (placed[i - 1] ?? PLOT.top - LABEL_ROW) + LABEL_ROW;
    // Those below need their rows too.
    const last = bottom - (wanted.length - 1 - i) * LABEL_ROW;
    placed.push(Math.min(Math.max(height, free), last));
  }
  return placed;
}

const fix = (value: number) => Number(value.toFixed(1));

const text = (x: number, y: number, content: string, attributes: string) =>
  svgText(fix(x), fix(y), content, attributes);
