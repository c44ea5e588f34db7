/** How true stated chances are, as an SVG picture: share right over chance given; on the diagonal they are true. */

import type { CalibrationResult, Reliability } from './calibrate.js';
import { escapeXml, svgText } from './svg.js';

const SIDE = 300;
const LEFT = 56;
const TOP = 48;
const WIDTH = LEFT + SIDE + 30;
const HEIGHT = TOP + SIDE + 92;

const CALIBRATED = '#0c3e5c';
const UNCALIBRATED = '#c46a2d';

export function reliabilityPlot(name: string, result: CalibrationResult): string {
  const { calibrated, uncalibrated, calibration } = result;
  const ticks = [0, 0.25, 0.5, 0.75, 1];
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    svgText(12, 22, `${name}: how true its confidence is`, 'font-size="15" font-weight="600"'),
    `<rect x="${LEFT}" y="${TOP}" width="${SIDE}" height="${SIDE}" fill="none" stroke="#bbb"/>`,
    `<line x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}" stroke="#bbb" stroke-dasharray="4 4"/>`,
    ...ticks.flatMap((share) => [
      svgText(x(share), TOP + SIDE + 16, String(share), 'text-anchor="middle" fill="#444"'),
      svgText(LEFT - 8, y(share) + 4, String(share), 'text-anchor="end" fill="#444"'),
    ]),
    svgText(x(0.5), TOP + SIDE + 34, 'confidence', 'text-anchor="middle"'),
    `<g transform="translate(16 ${y(0.5)}) rotate(-90)">${svgText(0, 0, 'share right', 'text-anchor="middle"')}</g>`,
    curve(uncalibrated, UNCALIBRATED),
    curve(calibrated, CALIBRATED),
    legend(TOP + SIDE + 56, CALIBRATED, 'calibrated, held-out documents', calibrated),
    legend(TOP + SIDE + 74, UNCALIBRATED, 'exp(mean log-probability)', uncalibrated),
    svgText(
      x(1),
      TOP - 8,
      `${calibration.right} of ${calibration.questions} right`,
      'text-anchor="end" fill="#444"',
    ),
    '</svg>',
    '',
  ];
  return parts.join('\n');
}

const x = (share: number) => LEFT + share * SIDE;
const y = (share: number) => TOP + (1 - share) * SIDE;

function curve({ bins }: Reliability, colour: string): string {
  const filled = bins.filter(({ answers }) => answers > 0);
  const total = filled.reduce((sum, { answers }) => sum + answers, 0);
  const points = filled.map(({ confidence, accuracy }) => `${x(confidence!)},${y(accuracy!)}`);
  const marks = filled.map(({ confidence, accuracy, answers, low, high }) => {
    const [cx, cy] = [x(confidence!), y(accuracy!)];
    const note = `${percent(accuracy!)} right of ${answers} at ${percent(confidence!)} (95 %: ${percent(low)} to ${percent(high)})`;
    const radius = 3 + 6 * Math.sqrt(answers / total);
    return `<g><title>${escapeXml(note)}</title><line x1="${cx}" y1="${y(low)}" x2="${cx}" y2="${y(high)}" stroke="${colour}" opacity="0.4"/><circle cx="${cx}" cy="${cy}" r="${radius.toFixed(1)}" fill="${colour}" fill-opacity="0.8"/></g>`;
  });
  return `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}"/>${marks.join('')}`;
}

function legend(
  at: number,
  colour: string,
  name: string,
  { expectedCalibrationError }: Reliability,
) {
  const label = `${name}: off by ${expectedCalibrationError.toFixed(3)}`;
  return `<circle cx="${LEFT + 6}" cy="${at - 4}" r="5" fill="${colour}"/>${svgText(LEFT + 18, at, label)}`;
}

const percent = (share: number) => `${Math.round(share * 100)} %`;
