/** Whether a model can be expected to read a rendering, judged by what it was trained to read. */

import { loadRenderConfig, type RenderConfig } from '../render/index.js';
import type { ModelInfo } from '../vlm/index.js';

/** Sizes may differ by so much before the type counts as another one. */
const SIZE_TOLERANCE = 0.03;

const px = (pt: number, { dpi }: RenderConfig) => (pt * dpi) / 72;

/** What makes letters look as they do; the paper around them and the breaks of lines do not. */
const TYPE: readonly [name: string, of: (config: RenderConfig) => string | number][] = [
  ['font', ({ fontPath, fontFamily }) => fontPath ?? fontFamily],
  ['type size in px', (config) => px(config.fontSizePt, config)],
  ['line pitch in px', (config) => px(config.lineHeightPt, config)],
  ['horizontal scale', ({ horizontalScale }) => horizontalScale],
  ['text colour', ({ fontColor }) => fontColor],
  ['background', ({ pageBgColor }) => pageBgColor],
  ['columns', ({ columns }) => columns],
];

/**
 * In which the type of a rendering differs from another one.
 *
 * @returns for example `type size in px 12.0 for 9.3`; nothing where letters look the same
 */
export function typeDifferences(config: RenderConfig, reference: RenderConfig): string[] {
  return TYPE.flatMap(([name, of]) => {
    const [is, was] = [of(config), of(reference)];
    return isClose(is, was) ? [] : [`${name} ${shown(is)} for ${shown(was)}`];
  });
}

/** To be called before anything is drawn. Says nothing where the model does not say what it reads. */
export function warnIfUnreadable({ rendering, dir }: ModelInfo, config: RenderConfig): void {
  if (rendering === null) return;
  const differences = typeDifferences(config, loadRenderConfig(rendering));
  if (differences.length === 0) return;
  process.stderr.write(
    `warning: the model in ${dir} was not trained to read pages like these (${differences.join(', ')}): its answers may mean nothing. Leave --config and --set out, or measure what it reads: glyphpress proofread FILE with the same options.\n`,
  );
}

function isClose(a: string | number, b: string | number): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return Math.abs(a - b) <= SIZE_TOLERANCE * Math.max(a, b);
}

const shown = (value: string | number) =>
  typeof value === 'number' ? String(Number(value.toFixed(1))) : value;
