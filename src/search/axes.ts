/**
 * The axes of the search: everything that a rendering and a prune plan can vary in, with the ranges
 * that values are drawn from.
 *
 * Source of the rendering's ranges: Glyph, arXiv:2510.17800, table 8 (its rendering vector); the
 * weights inside an axis are ours wherever the table only says which values are favoured. Axes with
 * origin `glyphpress` are additions: the cell grid, columns, fonts that are bundled, line breaking,
 * reflow, and the prune plan.
 */

import { BUNDLED_FAMILIES } from '../render/index.js';
import { type Domain, oneOf, steps, weighted } from './domain.js';
import type { AxisValue } from './point.js';

export interface Axis {
  domain: Domain;
  /** Taken where a point leaves the axis out, and where it has no effect. */
  defaultValue: AxisValue;
  about: string;
  part: 'rendering' | 'plan' | 'sidecar';
  origin: 'glyph' | 'glyphpress';
}

/** Drops between decoder layers that a point can ask for. */
export const DECODER_DROPS = [1, 2, 3] as const;

/** The page has the sides of `page-width` and `page-height`. */
export const FREE_PAGE = 'free';

/**
 * DejaVu Sans Mono advances 1233/2048 em: at these sizes and 72 dpi a 28-px cell holds exactly 6, 5
 * and 4 characters.
 */
const GRID_TYPE_PT = [7.7513, 9.3015, 11.6269];

/** Glyph's five themes as text, page and paragraph colours; `artistic-pixel` needs fonts we lack. */
export const PALETTES: Readonly<
  Record<string, readonly [text: string, page: string, para: string]>
> = {
  document: ['#000000', '#FFFFFF', '#FFFFFF'],
  web: ['#333333', '#F5F5F5', '#FFFFFF'],
  dark: ['#E6E6E6', '#1E1E1E', '#1E1E1E'],
  code: ['#24292E', '#FFFFFF', '#F6F8FA'],
  sepia: ['#5B4636', '#F4ECD8', '#F4ECD8'],
};

/** Name → em of the first line's indent, and of the whole paragraph's. */
export const INDENTS: Readonly<Record<string, readonly [first: number, left: number]>> = {
  none: [0, 0],
  'first 1 em': [1, 0],
  'first 1.5 em': [1.5, 0],
  'first 2 em': [2, 0],
  'first 2.5 em': [2.5, 0],
  'block 1 em': [0, 1],
  'hanging 1 em': [-1, 1],
  'hanging 2 em': [-2, 2],
};

const glyph = (defaultValue: AxisValue, domain: Domain, about: string): Axis => ({
  domain,
  defaultValue,
  about,
  part: 'rendering',
  origin: 'glyph',
});
const own = (defaultValue: AxisValue, domain: Domain, about: string, part: Axis['part']): Axis => ({
  domain,
  defaultValue,
  about,
  part,
  origin: 'glyphpress',
});
const drawn = (defaultValue: AxisValue, domain: Domain, about: string) =>
  own(defaultValue, domain, about, 'rendering');

/** Glyph's list of ordinary resolutions; those above 300 dpi are a band of their own. */
const COMMON_DPI = [72, 80, 96, 100, 110, 120, 144, 150, 300];

const MARGIN_PT: Domain = {
  bands: [
    { weight: 0.5, min: 0, max: 9, step: 1 },
    { weight: 0.5, min: 10, max: 40, step: 2 },
  ],
  ordered: true,
};

/** A share of tokens to keep: often all, else from `min` up. */
const keepFrom = (min: number): Domain => ({
  bands: [
    { weight: 0.7, values: [1] },
    { weight: 0.3, min, max: 0.95, step: 0.05 },
  ],
  ordered: true,
});

const depths: Record<(typeof DECODER_DROPS)[number], number> = { 1: 0.1, 2: 0.55, 3: 0.7 };

const decoderDrops = Object.fromEntries(
  DECODER_DROPS.flatMap((n): [string, Axis][] => [
    [
      `v2drop-${n}-keep`,
      own(1, keepFrom(0.2), `share that V²Drop ${n} keeps; 1 is no drop`, 'plan'),
    ],
    [
      `v2drop-${n}-depth`,
      own(
        depths[n],
        steps(0.05, 0.95, 0.05),
        `where V²Drop ${n} drops, as a share of the decoder's layers`,
        'plan',
      ),
    ],
  ]),
);

export const AXES: Readonly<Record<string, Axis>> = {
  page: glyph(
    '588,840',
    weighted(
      [0.35, 'A4', 'Letter', 'Legal', 'A5', 'B5', 'A3', 'B4', 'Tabloid'],
      // Width 595 pt by the table's aspect ratios.
      [0.15, '595,841', '595,793', '595,893', '595,1058'],
      [0.3, '588,840', '588,588', '392,560', '784,1120', '840,588'],
      [0.2, FREE_PAGE],
    ),
    'page size',
  ),
  'page-width': glyph(595, steps(280, 900, 7), 'width in pt of a free page'),
  'page-height': glyph(840, steps(280, 1200, 7), 'height in pt of a free page'),
  dpi: glyph(
    72,
    {
      bands: [
        { weight: 0.05, min: 45, max: 59, step: 1 },
        { weight: 0.15, min: 60, max: 71, step: 1 },
        { weight: 0.25, min: 72, max: 119, step: 1 },
        { weight: 0.53, values: COMMON_DPI },
        { weight: 0.02, values: [360, 400, 600] },
      ],
      ordered: true,
    },
    'resolution',
  ),
  'margin-x': glyph(0, MARGIN_PT, 'left and right margin in pt (Glyph: 10 to 40)'),
  'margin-y': glyph(0, MARGIN_PT, 'top and bottom margin in pt (Glyph: 10 to 40)'),
  'font-family': glyph('DejaVu Sans', oneOf(...BUNDLED_FAMILIES), 'typeface'),
  'font-size': glyph(
    9,
    weighted([0.7, 7, 7.5, 8, 9, 9.5, 10, 11, 12, 14], [0.3, ...GRID_TYPE_PT]),
    'type size in pt; 7.7513, 9.3015 and 11.6269 fit 6, 5 and 4 monospaced characters into a cell',
  ),
  leading: glyph(1, weighted([0.8, 0, 1], [0.2, 2, 3]), 'line height less type size, in pt'),
  alignment: glyph(
    'LEFT',
    weighted([0.9, 'LEFT', 'JUSTIFY'], [0.1, 'RIGHT', 'CENTER']),
    'how lines sit between the margins',
  ),
  indent: glyph(
    'none',
    weighted([0.7, 'none'], [0.3, ...Object.keys(INDENTS).filter((name) => name !== 'none')]),
    'indent of paragraphs',
  ),
  'space-before': glyph(0, weighted([0.8, 0], [0.2, 2, 4, 6, 10]), 'above a paragraph, in pt'),
  'space-after': glyph(0, weighted([0.8, 0], [0.2, 2, 4, 6, 10]), 'below a paragraph, in pt'),
  'horizontal-scale': glyph(
    1,
    weighted([0.6, 1], [0.4, 0.75, 0.8, 0.85, 0.9, 0.95]),
    'narrows page and type',
  ),
  palette: glyph(
    'document',
    weighted([0.7, 'document'], [0.3, 'web', 'dark', 'code', 'sepia']),
    'colours of text, page and paragraph',
  ),
  border: glyph(0, weighted([0.92, 0], [0.08, 0.5, 1, 2]), 'paragraph border in pt'),
  'newline-markup': glyph(
    '<br/>',
    weighted([0.5, '<br/>'], [0.5, '<font color="#FF0000"> \\n </font>', ' \\n ', ' ¶ ', ' | ']),
    'what a line break of the source becomes',
  ),
  'auto-crop-width': glyph(true, oneOf(true, false), 'cut the empty right side of pages'),
  'auto-crop-last-page': glyph(true, weighted([0.8, true], [0.2, false]), 'cut the empty end'),
  'grid-lock': drawn(
    false,
    oneOf(true, false),
    'line pitch and page sides in whole fractions of a cell',
  ),
  columns: drawn(1, weighted([0.7, 1], [0.3, 2, 3, 4]), 'columns a page'),
  'column-gap': drawn(8, oneOf(4, 8, 14, 28), 'between columns, in pt'),
  reflow: drawn(false, weighted([0.6, false], [0.4, true]), 'join hard-wrapped lines'),
  'line-breaking': drawn('word', oneOf('word', 'anywhere'), 'where lines may break'),
  'line-overlap': drawn(
    0,
    weighted([0.8, 0], [0.2, 22.4, 44.8]),
    'how much a line repeats of the line before, in pt',
  ),
  blank: own(false, oneOf(true, false), 'drop visual tokens of cells without ink', 'plan'),
  'encoder-keep': own(
    1,
    keepFrom(0.4),
    'share of visual tokens kept behind the encoder; 1 is no drop',
    'plan',
  ),
  'encoder-method': own(
    'apet',
    weighted([0.6, 'apet'], [0.4, 'norm', 'edges']),
    'what ranks them: ApET, token norm, edge density',
    'plan',
  ),
  'encoder-text-aware': own(
    false,
    oneOf(true, false),
    'no text line loses all its cells, and kept ones bring those beside them along',
    'plan',
  ),
  ...decoderDrops,
  sidecar: own(
    0,
    weighted([0.7, 0], [0.3, 50, 100, 200, 400]),
    'text tokens for exact values beside the pages',
    'sidecar',
  ),
};
