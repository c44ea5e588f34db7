/**
 * The fonts that pages are drawn with: bundled by package, or one file of the user's. Output never
 * depends on the fonts of the machine.
 */

import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type * as Fontkit from 'fontkit';
import { GlyphpressError } from '../errors.js';
import type { RenderConfig } from './config-schema.js';

const require = createRequire(import.meta.url);

/** One font file, with the code points that it is consulted for. */
export interface FontFace {
  family: string;
  file: string;
  /** CSS unicode-range, or null for all. */
  unicodeRange: string | null;
}

export interface FontSubstitution {
  wanted: string;
  used: string;
}

const DEJAVU_FILES: Readonly<Record<string, string>> = {
  'DejaVu Sans': 'DejaVuSans.ttf',
  'DejaVu Sans Condensed': 'DejaVuSansCondensed.ttf',
  'DejaVu Sans Mono': 'DejaVuSansMono.ttf',
  'DejaVu Serif': 'DejaVuSerif.ttf',
  'DejaVu Serif Condensed': 'DejaVuSerifCondensed.ttf',
};
/** Faces that their package cuts into slices: family → package, and the stem of its file names. */
const SLICED_PACKAGES: Readonly<Record<string, { packageName: string; stem: string }>> = {
  'Noto Sans SC': { packageName: '@fontsource-variable/noto-sans-sc', stem: 'noto-sans-sc' },
  'Noto Sans KR': { packageName: '@fontsource-variable/noto-sans-kr', stem: 'noto-sans-kr' },
};
/** Where characters look after the config's own font: European and Semitic scripts, Chinese and Japanese, Korean. */
const FALLBACK_FAMILIES = ['DejaVu Sans', 'Noto Sans SC', 'Noto Sans KR'] as const;

export const BUNDLED_FAMILIES: readonly string[] = [
  ...Object.keys(DEJAVU_FILES),
  ...Object.keys(SLICED_PACKAGES),
];

/**
 * Names that configs use for fonts that cannot be shipped, and the bundled family that stands in.
 * Verdana and DejaVu Sans share their ancestor's widths (Bitstream Vera was drawn beside Verdana);
 * Source Han Sans and Noto Sans CJK are one design under two names.
 */
const STAND_INS: ReadonlyArray<[RegExp, string]> = [
  [/^(verdana|tahoma|bitstream vera sans)$/i, 'DejaVu Sans'],
  [/^(bitstream vera sans mono|consolas|courier( new)?|menlo|monospace)$/i, 'DejaVu Sans Mono'],
  [/^(times( new roman)?|georgia|bitstream vera serif|serif)$/i, 'DejaVu Serif'],
  [/^(arial|helvetica|sans-serif|sans)$/i, 'DejaVu Sans'],
  [/^(source ?han ?sans.*|noto ?sans ?(cjk ?)?sc.*)$/i, 'Noto Sans SC'],
];

/** The faces for one config, in the order in which a character looks for its glyph. */
export class FontStack {
  /** Faces whose glyphs were asked for so far come from these candidates. */
  readonly #candidates: { face: FontFace; ranges: CodePointRanges | null }[];
  readonly #coverage = new Map<string, ReadonlySet<number>>();
  readonly #glyphCache = new Map<number, FontFace | null>();
  readonly substitution: FontSubstitution | null;
  readonly primary: FontFace;

  constructor(candidates: FontFace[], substitution: FontSubstitution | null) {
    this.#candidates = candidates.map((face) => ({
      face,
      ranges: parseUnicodeRange(face.unicodeRange),
    }));
    this.primary = candidates[0]!;
    this.substitution = substitution;
  }

  /** CSS family list, primary first. */
  get families(): string[] {
    return [...new Set(this.#candidates.map(({ face }) => face.family))];
  }

  /** The face that draws a code point, or null when none has a glyph. */
  faceFor(codePoint: number): FontFace | null {
    let face = this.#glyphCache.get(codePoint);
    if (face === undefined) {
      face =
        this.#candidates.find(
          (candidate) =>
            (!candidate.ranges || candidate.ranges.has(codePoint)) &&
            this.#characterSet(candidate.face.file).has(codePoint),
        )?.face ?? null;
      this.#glyphCache.set(codePoint, face);
    }
    return face;
  }

  /** The faces that a text needs: the primary always, others only where a character asks for them. */
  facesFor(text: string): FontFace[] {
    const used = new Set<FontFace>([this.primary]);
    const seen = new Set<number>();
    // Printable ASCII is looked up once, not per character.
    for (const match of text.matchAll(/[^\x20-\x7e]/gu)) seen.add(match[0].codePointAt(0)!);
    for (let codePoint = 0x20; codePoint < 0x7f; codePoint++) seen.add(codePoint);
    for (const codePoint of seen) {
      const face = this.faceFor(codePoint);
      if (face) used.add(face);
    }
    return this.#candidates.map(({ face }) => face).filter((face) => used.has(face));
  }

  #characterSet(file: string): ReadonlySet<number> {
    let set = this.#coverage.get(file);
    if (!set) {
      set = readCharacterSet(file);
      this.#coverage.set(file, set);
    }
    return set;
  }
}

/** @throws {GlyphpressError} GP_FONT for a font that is neither a file nor known by name */
export function resolveFonts(config: Pick<RenderConfig, 'fontPath' | 'fontFamily'>): FontStack {
  if (config.fontPath && isFile(config.fontPath)) {
    const own: FontFace = { family: 'User Font', file: config.fontPath, unicodeRange: null };
    readCharacterSet(own.file); // a file that is no font fails here, with its name
    return new FontStack([own, ...FALLBACK_FAMILIES.flatMap(bundledFaces)], null);
  }
  const wanted = config.fontPath ? fontNameOf(config.fontPath) : config.fontFamily;
  const family = bundledFamily(wanted);
  if (!family) {
    throw new GlyphpressError('GP_FONT', {
      message: config.fontPath
        ? `No font file at ${config.fontPath}`
        : `No bundled font "${wanted}"`,
      hint: `Give a TTF, OTF, WOFF or WOFF2 file as font-path, or a bundled font-family: ${BUNDLED_FAMILIES.join(', ')}.`,
      details: { wanted },
    });
  }
  const rest = FALLBACK_FAMILIES.filter((fallback) => fallback !== family);
  const substitution = family === wanted ? null : { wanted, used: family };
  return new FontStack([family, ...rest].flatMap(bundledFaces), substitution);
}

/** Whether a config's font-path names a file that is there. */
export function isFile(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

/** Hash over the bytes of the fonts in use: part of what makes two renderings the same. */
export function fontsHash(faces: readonly FontFace[]): string {
  const hash = createHash('sha256');
  for (const face of faces) hash.update(face.family).update('\0').update(readFileSync(face.file));
  return hash.digest('hex').slice(0, 16);
}

function bundledFamily(wanted: string): string | null {
  const exact = BUNDLED_FAMILIES.find((family) => family.toLowerCase() === wanted.toLowerCase());
  return exact ?? STAND_INS.find(([pattern]) => pattern.test(wanted))?.[1] ?? null;
}

/** `../config/SourceHanSansHWSC-VF.ttf` → `SourceHanSansHWSC-VF` */
function fontNameOf(file: string): string {
  return path.basename(file, path.extname(file));
}

function bundledFaces(family: string): FontFace[] {
  const sliced = SLICED_PACKAGES[family];
  if (sliced) return slicedFaces(family, sliced.packageName, sliced.stem);
  const file = path.join(packageFolder('dejavu-fonts-ttf'), 'ttf', DEJAVU_FILES[family]!);
  return [{ family, file, unicodeRange: null }];
}

/** `unicode.json` of a sliced package says which slice serves which code points. */
function slicedFaces(family: string, packageName: string, stem: string): FontFace[] {
  const folder = packageFolder(packageName);
  const ranges = JSON.parse(readFileSync(path.join(folder, 'unicode.json'), 'utf8')) as Record<
    string,
    string
  >;
  return Object.entries(ranges).map(([slice, unicodeRange]) => ({
    family,
    file: path.join(folder, 'files', `${stem}-${slice.replace(/[[\]]/g, '')}-wght-normal.woff2`),
    unicodeRange,
  }));
}

function packageFolder(packageName: string): string {
  return path.dirname(require.resolve(`${packageName}/package.json`));
}

/**
 * The code points that a font file really has. (Sliced packages also list code points
 * that none of their fonts holds, so their unicode-range alone cannot be trusted.)
 */
function readCharacterSet(file: string): ReadonlySet<number> {
  try {
    // Loaded late: a stored context needs no fonts.
    const fontkit = require('fontkit') as typeof Fontkit;
    const font = fontkit.openSync(file);
    if (!('characterSet' in font)) throw new Error('a font collection; extract one face');
    return new Set(font.characterSet);
  } catch (cause) {
    throw new GlyphpressError('GP_FONT', {
      message: `${file} is not a readable font: ${(cause as Error).message}`,
      hint: 'Give a TTF, OTF, WOFF or WOFF2 file with one face.',
      details: { file },
      cause,
    });
  }
}

class CodePointRanges {
  readonly #bounds: [number, number][];
  constructor(bounds: [number, number][]) {
    this.#bounds = bounds;
  }
  has(codePoint: number): boolean {
    return this.#bounds.some(([low, high]) => codePoint >= low && codePoint <= high);
  }
}

function parseUnicodeRange(range: string | null): CodePointRanges | null {
  if (range === null) return null;
  return new CodePointRanges(
    range.split(',').map((part) => {
      const [low, high] = part.trim().replace(/^U\+/i, '').split('-');
      return [parseInt(low!, 16), parseInt(high ?? low!, 16)];
    }),
  );
}
