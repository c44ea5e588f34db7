/** Accuracy against stacked ratio as an inline SVG: trials, the front, and the named presets. */

import { escapeHtml } from './escape-html.js';
import { GLYPH_CONFIG_EN } from './references.js';
import type { Figure, SearchSummary, TrialSummary } from './summary.js';

const WIDTH = 880;
const HEIGHT = 470;
const PLOT = { left: 64, top: 20, width: 790, height: 360 };
const TICKS = [0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32];
/** Labels that are nearer to each other than this move up. */
const LABEL_HEIGHT = 13;
/** Of a bold character, in the mean. */
const CHARACTER_WIDTH = 7.2;

export function paretoPlot({ trials, front, references, minRatio }: SearchSummary): string {
  const shown = trials.filter(({ train, outside }) => train && !outside);
  const ratios = [...shown, ...references]
    .map(({ stackedRatio }) => stackedRatio ?? 0)
    .filter((ratio) => ratio > 0);
  const low = Math.min(1, ...ratios) / 1.1;
  const high = Math.max(2, ...ratios) * 1.1;
  const x = (ratio: number) =>
    PLOT.left + (Math.log(ratio / low) / Math.log(high / low)) * PLOT.width;
  const y = (share: number) => PLOT.top + (1 - share) * PLOT.height;
  const labels = new Labels();
  const parts = [
    ...grid(x, y, low, high),
    ...(minRatio > 1
      ? [
          `<path d="M${fix(x(minRatio))} ${PLOT.top}V${PLOT.top + PLOT.height}" stroke="#b45309" stroke-dasharray="4 4"><title>least ratio ${minRatio}</title></path>`,
        ]
      : []),
    ...shown
      .filter(({ name }) => name === null)
      .map(
        (one) =>
          `<g>${title(one)}<circle cx="${fix(x(one.stackedRatio!))}" cy="${fix(y(one.train!.accuracy))}" r="3.5" fill="#94a3b8" fill-opacity="0.6"/></g>`,
      ),
    ...references.map((one) => reference(one, x, y, labels)),
    staircase(front, x, y),
    ...front.map((one) => {
      const figure = one.heldOut ?? one.train!;
      const [cx, cy] = [x(figure.stackedRatio), y(figure.accuracy)];
      return `<g>${title(one)}${whisker(figure, cx, y, '#0072b2')}<circle cx="${fix(cx)}" cy="${fix(cy)}" r="6" fill="#0072b2"/>${labels.put(cx, cy, String(one.point), '#0072b2')}</g>`;
    }),
    ...legend(),
  ];
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="accuracy by stacked ratio">${parts.join('')}</svg>`;
}

type Scale = (value: number) => number;

function grid(x: Scale, y: Scale, low: number, high: number): string[] {
  const { left, top, width, height } = PLOT;
  return [
    ...[0, 0.25, 0.5, 0.75, 1].map(
      (share) =>
        `<path d="M${left} ${fix(y(share))}H${left + width}" stroke="#e2e8f0"/><text x="${left - 8}" y="${fix(y(share) + 4)}" text-anchor="end">${share * 100} %</text>`,
    ),
    ...TICKS.filter((tick) => tick >= low && tick <= high).map(
      (tick) =>
        `<path d="M${fix(x(tick))} ${top}V${top + height}" stroke="#f1f5f9"/><text x="${fix(x(tick))}" y="${top + height + 18}" text-anchor="middle">${tick}×</text>`,
    ),
    `<text x="${left + width / 2}" y="${top + height + 38}" text-anchor="middle">text tokens ÷ context tokens (log)</text>`,
  ];
}

/** What the front's points dominate together. */
function staircase(front: SearchSummary['front'], x: Scale, y: Scale): string {
  const points = front
    .map(({ heldOut, train }) => heldOut ?? train!)
    .sort((a, b) => b.accuracy - a.accuracy || b.stackedRatio - a.stackedRatio);
  let path = '';
  let reached = 0;
  for (const { accuracy, stackedRatio } of points) {
    if (stackedRatio <= reached) continue;
    path += path === '' ? `M${PLOT.left} ${fix(y(accuracy))}` : `V${fix(y(accuracy))}`;
    path += `H${fix(x(stackedRatio))}`;
    reached = stackedRatio;
  }
  return (
    path &&
    `<path d="${path}V${fix(y(0))}" fill="none" stroke="#0072b2" stroke-opacity="0.5" stroke-width="1.5"/>`
  );
}

function reference(one: TrialSummary, x: Scale, y: Scale, labels: Labels): string {
  if (one.stackedRatio === null) return '';
  const figure = one.heldOut ?? one.train;
  const isGlyph = one.name === GLYPH_CONFIG_EN;
  const colour = isGlyph ? '#d55e00' : '#475569';
  const [cx, cy] = [x(figure?.stackedRatio ?? one.stackedRatio), y(figure?.accuracy ?? 0)];
  const name = isGlyph ? `${one.name} (Glyph's config_en)` : one.name!;
  const mark = `<path d="M${fix(cx)} ${fix(cy - 6)}l6 6-6 6-6-6z" fill="#fff" stroke="${colour}" stroke-width="2"/>`;
  return `<g>${title(one)}${one.heldOut ? whisker(one.heldOut, cx, y, colour) : ''}${mark}${labels.put(cx, cy, name, colour)}</g>`;
}

const whisker = ({ low, high }: Figure, cx: number, y: Scale, colour: string) =>
  `<path d="M${fix(cx)} ${fix(y(low))}V${fix(y(high))}" stroke="${colour}" stroke-opacity="0.35" stroke-width="2"/>`;

/** Places labels beside their points, above others that stand there already. */
class Labels {
  readonly #taken: { left: number; right: number; y: number }[] = [];

  put(x: number, y: number, text: string, colour: string): string {
    const width = text.length * CHARACTER_WIDTH;
    const isRight = x + 10 + width <= PLOT.left + PLOT.width;
    const [left, right] = isRight ? [x + 10, x + 10 + width] : [x - 10 - width, x - 10];
    let at = y + 4;
    const isTaken = () =>
      this.#taken.some(
        (other) =>
          other.left < right && left < other.right && Math.abs(other.y - at) < LABEL_HEIGHT,
      );
    while (isTaken()) at -= LABEL_HEIGHT;
    this.#taken.push({ left, right, y: at });
    const [anchor, from] = isRight ? ['start', left] : ['end', right];
    return `<text x="${fix(from)}" y="${fix(at)}" text-anchor="${anchor}" fill="${colour}" font-weight="600">${escapeHtml(text)}</text>`;
  }
}

function legend(): string[] {
  const y = HEIGHT - 14;
  const items: [mark: string, text: string][] = [
    ['<circle cx="6" cy="-4" r="6" fill="#0072b2"/>', 'front, on held-out texts (95 % interval)'],
    [
      '<path d="M6 -10l6 6-6 6-6-6z" fill="#fff" stroke="#475569" stroke-width="2"/>',
      'named presets and plans',
    ],
    ['<circle cx="6" cy="-4" r="3.5" fill="#94a3b8"/>', 'other trials, on train texts'],
  ];
  return items.map(
    ([mark, text], i) =>
      `<g transform="translate(${PLOT.left + i * 280} ${y})">${mark}<text x="20">${text}</text></g>`,
  );
}

function title({ trial, name, plan, stackedRatio, train, heldOut }: TrialSummary): string {
  const figures = [
    ...(train ? [`train ${percent(train)} of ${train.questions}`] : []),
    ...(heldOut ? [`held-out ${percent(heldOut)} of ${heldOut.questions}`] : []),
  ];
  const words = `trial ${trial}${name ? ` (${name})` : ''}, ${stackedRatio?.toFixed(2)}×, ${figures.join(', ')}; ${plan}`;
  return `<title>${escapeHtml(words)}</title>`;
}

const percent = ({ accuracy }: Figure) => `${(accuracy * 100).toFixed(1)} %`;
const fix = (value: number) => Number(value.toFixed(1));
