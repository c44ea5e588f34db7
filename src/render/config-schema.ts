/**
 * The render config as people write it: the keys of Glyph's config files (kebab-case, points),
 * plus glyphpress's own. One table states each key's form, range and default; the parser, the
 * documentation and the search space read it.
 *
 * Source of keys and defaults: thu-coai/Glyph @61afa7f, scripts/word2png_function.py
 * (`text_to_images`). Departures: `alignment` outside the four words is an error (there: JUSTIFY),
 * and a font that is not given falls back to a bundled one (there: an assertion).
 */

export type Alignment = 'LEFT' | 'RIGHT' | 'CENTER' | 'JUSTIFY';
export type LineBreaking = 'word' | 'anywhere';

export type KeyForm =
  | { kind: 'number'; min: number; max: number; unit: string; integer?: boolean }
  | { kind: 'boolean' }
  | { kind: 'choice'; values: readonly string[] }
  | { kind: 'color' }
  | { kind: 'string'; maxLength: number }
  | { kind: 'page-size'; minPt: number; maxPt: number };

export interface KeySpec {
  form: KeyForm;
  /** What it does, for `--help` and error hints. */
  about: string;
  /** Who defined the key: Glyph's renderer, or glyphpress. */
  origin: 'glyph' | 'glyphpress';
}

const pt = (min: number, max: number): KeyForm => ({ kind: 'number', min, max, unit: 'pt' });
const glyph = (form: KeyForm, about: string): KeySpec => ({ form, about, origin: 'glyph' });
const own = (form: KeyForm, about: string): KeySpec => ({ form, about, origin: 'glyphpress' });

export const CONFIG_KEYS = {
  'page-size': glyph({ kind: 'page-size', minPt: 28, maxPt: 4000 }, 'width,height or a paper name'),
  dpi: glyph(
    { kind: 'number', min: 20, max: 600, unit: 'dots per inch' },
    'pixels = points × dpi / 72',
  ),
  'margin-x': glyph(pt(0, 1000), 'left and right margin'),
  'margin-y': glyph(pt(0, 1000), 'top and bottom margin'),
  'font-path': glyph(
    { kind: 'string', maxLength: 4096 },
    'a font file, relative to the config file',
  ),
  'font-family': own({ kind: 'string', maxLength: 200 }, 'a bundled family instead of a file'),
  'font-size': glyph(pt(2, 144), 'type size'),
  'line-height': glyph(pt(2, 400), 'baseline to baseline'),
  'font-color': glyph({ kind: 'color' }, 'text colour'),
  alignment: glyph(
    { kind: 'choice', values: ['LEFT', 'RIGHT', 'CENTER', 'JUSTIFY'] },
    'how lines sit between the margins',
  ),
  'horizontal-scale': glyph(
    { kind: 'number', min: 0.3, max: 2, unit: '×' },
    'narrows page and type',
  ),
  'first-line-indent': glyph(pt(-200, 400), 'first line of a paragraph; negative hangs'),
  'left-indent': glyph(pt(0, 1000), 'whole paragraph, left'),
  'right-indent': glyph(pt(0, 1000), 'whole paragraph, right'),
  'space-before': glyph(pt(0, 400), 'above a paragraph'),
  'space-after': glyph(pt(0, 400), 'below a paragraph'),
  'border-width': glyph(pt(0, 40), 'paragraph border, 0 is none'),
  'border-padding': glyph(pt(0, 100), 'between paragraph and its border or background'),
  'para-border-color': glyph({ kind: 'color' }, 'border colour'),
  'page-bg-color': glyph({ kind: 'color' }, 'page colour'),
  'para-bg-color': glyph({ kind: 'color' }, 'paragraph background colour'),
  'newline-markup': glyph(
    { kind: 'string', maxLength: 80 },
    '<br/> breaks the line; other text is drawn in its place, e.g. <font color="#FF0000"> \\n </font>',
  ),
  'auto-crop-width': glyph({ kind: 'boolean' }, 'cut the empty right side of each page'),
  'auto-crop-last-page': glyph({ kind: 'boolean' }, 'cut the empty end of the last page'),
  'crop-multiple': own(
    { kind: 'number', min: 1, max: 112, unit: 'px', integer: true },
    'cropped sides are rounded up to a multiple of this, so that a page keeps whole visual tokens',
  ),
  'visual-token-size': own(
    { kind: 'number', min: 8, max: 112, unit: 'px', integer: true },
    'side of a visual token of the model that reads the pages, default 28; a local model sets it itself',
  ),
  'grid-lock': own(
    { kind: 'boolean' },
    'line pitch becomes a whole fraction of a visual token (28, 14, 28/3 or 7 px of 28), so that no text row straddles two rows of them',
  ),
  columns: own(
    { kind: 'number', min: 1, max: 12, unit: 'columns', integer: true },
    'columns a page',
  ),
  'column-gap': own(pt(0, 200), 'between columns'),
  reflow: own({ kind: 'boolean' }, 'joins the lines of hard-wrapped paragraphs'),
  'line-breaking': own(
    { kind: 'choice', values: ['word', 'anywhere'] },
    'break lines between words, or at any character (denser)',
  ),
  'line-overlap': own(
    pt(0, 400),
    'a line that goes on first repeats so much of the end of the line before; for readers that see a few characters at a time',
  ),
  'line-numbers': own(
    { kind: 'boolean' },
    'numbers every line of a page in the margin before it, from 1, for readers that ask for lines by their number',
  ),
  'tab-size': own(
    { kind: 'number', min: 1, max: 32, unit: 'characters', integer: true },
    'tab stops',
  ),
  'paragraph-lines': own(
    { kind: 'number', min: 1, max: 100000, unit: 'lines', integer: true },
    'source lines that make one paragraph for indents, spacing and borders (Glyph joins 30)',
  ),
} as const satisfies Record<string, KeySpec>;

export type ConfigKey = keyof typeof CONFIG_KEYS;

/** Paper sizes in points, portrait. */
export const PAPER_SIZES_PT: Readonly<Record<string, readonly [number, number]>> = {
  A3: [842, 1191],
  A4: [595, 842],
  A5: [420, 595],
  B4: [709, 1001],
  B5: [499, 709],
  Letter: [612, 792],
  Legal: [612, 1008],
  Tabloid: [792, 1224],
};

/** A render config with every value present, as parsed; lengths in points, names in camelCase. */
export interface RenderConfig {
  pageWidthPt: number;
  pageHeightPt: number;
  dpi: number;
  marginXPt: number;
  marginYPt: number;
  /** Path of a font file (resolved against the config file), or null for `fontFamily`. */
  fontPath: string | null;
  fontFamily: string;
  fontSizePt: number;
  lineHeightPt: number;
  fontColor: string;
  alignment: Alignment;
  horizontalScale: number;
  firstLineIndentPt: number;
  leftIndentPt: number;
  rightIndentPt: number;
  spaceBeforePt: number;
  spaceAfterPt: number;
  borderWidthPt: number;
  borderPaddingPt: number;
  paraBorderColor: string;
  pageBgColor: string;
  paraBgColor: string;
  newlineMarkup: string;
  autoCropWidth: boolean;
  autoCropLastPage: boolean;
  cropMultiplePx: number;
  /** Side of the square that becomes one visual token, in px. */
  visualTokenPx: number;
  gridLock: boolean;
  columns: number;
  columnGapPt: number;
  reflow: boolean;
  lineBreaking: LineBreaking;
  lineOverlapPt: number;
  /** Absent in configs that were stored before there was the choice. */
  lineNumbers?: boolean;
  tabSize: number;
  paragraphLines: number;
}
