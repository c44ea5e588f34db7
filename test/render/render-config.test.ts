import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GlyphpressError } from '../../src/errors.js';
import {
  CONFIG_KEYS,
  type ConfigKey,
  loadRenderConfig,
  PRESETS,
  parseOverrides,
  parseRenderConfig,
  renderConfigId,
} from '../../src/render/index.js';
import { newlineMark } from '../../src/render/newline-markup.js';
import { SHIPPED_READER } from '../support/models.js';

const fixture = (name: string) => new URL(`../fixtures/render/${name}`, import.meta.url).pathname;

function failure(run: () => unknown): GlyphpressError {
  try {
    run();
  } catch (error) {
    if (error instanceof GlyphpressError) return error;
    throw error;
  }
  throw new Error('expected a GlyphpressError');
}

describe("Glyph's published configs", () => {
  it.each(['glyph-config-en.json', 'glyph-config-zh.json'])('%s loads as it is', (name) => {
    const raw = JSON.parse(readFileSync(fixture(name), 'utf8')) as Record<string, unknown>;
    const config = loadRenderConfig(fixture(name));
    expect(config).toMatchObject({
      pageWidthPt: 595,
      pageHeightPt: 842,
      dpi: raw.dpi,
      fontSizePt: 9,
      lineHeightPt: 10,
      marginXPt: 10,
      marginYPt: 10,
      alignment: 'LEFT',
      autoCropWidth: true,
      autoCropLastPage: true,
      newlineMarkup: '<br/>',
      gridLock: false,
    });
    expect(config.fontPath).toBe(
      path.resolve(path.dirname(fixture(name)), raw['font-path'] as string),
    );
  });

  it('takes its defaults for what a file leaves out', () => {
    const config = parseRenderConfig({ 'font-size': 11 });
    expect(config).toMatchObject({
      lineHeightPt: 12,
      marginXPt: 20,
      alignment: 'JUSTIFY',
      dpi: 72,
    });
  });

  it('offers them as presets at three densities', () => {
    for (const dpi of [72, 96, 120]) expect(loadRenderConfig(`glyph-${dpi}`).dpi).toBe(dpi);
  });
});

describe('a bad config', () => {
  it('names an unknown key', () => {
    const error = failure(() => parseRenderConfig({ 'font-szie': 9 }));
    expect(error.code).toBe('GP_CONFIG_UNKNOWN_KEY');
    expect(error.message).toContain('font-szie');
    expect(error.hint).toContain('font-size');
  });

  it('is not confused by keys of Object.prototype', () => {
    expect(
      failure(() => parseRenderConfig(JSON.parse('{"__proto__": 1, "constructor": 2}'))).code,
    ).toBe('GP_CONFIG_UNKNOWN_KEY');
  });

  const wrong: [ConfigKey, unknown][] = [
    ['dpi', 0],
    ['dpi', 601],
    ['dpi', '72'],
    ['dpi', Number.NaN],
    ['page-size', '595'],
    ['page-size', '595,'],
    ['page-size', '1e9,842'],
    ['page-size', 'A17'],
    ['margin-x', -1],
    ['font-size', 1],
    ['line-height', null],
    ['alignment', 'left'],
    ['font-color', 'red'],
    ['page-bg-color', '#12345'],
    ['horizontal-scale', 0],
    ['columns', 1.5],
    ['grid-lock', 1],
    ['newline-markup', '<script>alert(1)</script>'],
    ['newline-markup', '<font color="red">x</font>'],
    ['newline-markup', ''],
    ['tab-size', 0],
    ['crop-multiple', 0],
  ];
  it.each(wrong)('%s = %j is refused with key, value and range', (key, value) => {
    const error = failure(() => parseRenderConfig({ [key]: value }));
    expect(error.code).toBe('GP_CONFIG_VALUE');
    expect(error.message).toContain(key);
    expect(error.details).toMatchObject({ key, allowed: expect.any(String) });
  });

  const clashes: [string, Record<string, unknown>, string][] = [
    ['lines that overlap', { 'font-size': 12, 'line-height': 11 }, 'line-height'],
    ['no room for a line', { 'margin-x': 290 }, 'margin-x'],
    ['no room for a row', { 'margin-y': 418 }, 'margin-y'],
    ['two fonts', { 'font-path': 'a.ttf', 'font-family': 'DejaVu Sans' }, 'font-path'],
    [
      'a grid that the page does not keep',
      { 'page-size': '595,842', 'grid-lock': true },
      'grid-lock',
    ],
    [
      'an indent wider than the line',
      { 'first-line-indent': 400, 'margin-x': 100 },
      'first-line-indent',
    ],
  ];
  it.each(clashes)('%s is a conflict that names its keys', (_, raw, key) => {
    const error = failure(() => parseRenderConfig(raw));
    expect(error.code).toBe('GP_CONFIG_CONFLICT');
    expect(error.details.keys).toContain(key);
  });

  it('never gets anything but a config or a typed error, whatever the JSON', () => {
    const keys = fc.constantFrom(...(Object.keys(CONFIG_KEYS) as ConfigKey[]), 'x', '__proto__');
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(keys, fc.jsonValue())), (raw) => {
        try {
          expect(parseRenderConfig(raw).dpi).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(GlyphpressError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('says which file is no JSON', () => {
    const file = path.join(mkdtempSync(path.join(os.tmpdir(), 'gp-')), 'broken.json');
    writeFileSync(file, '{"dpi": 72,');
    expect(failure(() => loadRenderConfig(file))).toMatchObject({ code: 'GP_CONFIG_SYNTAX' });
    expect(failure(() => loadRenderConfig('/nowhere/config.json'))).toMatchObject({
      code: 'GP_INPUT_NOT_FOUND',
    });
  });
});

describe('overrides and ids', () => {
  it('reads JSON values and plain text', () => {
    expect(
      parseOverrides(['dpi=96', 'reflow=true', 'font-family=DejaVu Serif', 'newline-markup=true']),
    ).toEqual({
      dpi: 96,
      reflow: true,
      'font-family': 'DejaVu Serif',
      'newline-markup': 'true',
    });
    expect(failure(() => parseOverrides(['dpi'])).code).toBe('GP_USAGE');
  });

  it('lets a font override replace the other way of naming one', () => {
    const config = loadRenderConfig(fixture('glyph-config-en.json'), {
      'font-family': 'DejaVu Serif',
    });
    expect(config).toMatchObject({ fontPath: null, fontFamily: 'DejaVu Serif' });
  });

  it('gives equal settings equal ids, and others other ids', () => {
    const id = renderConfigId(parseRenderConfig({ dpi: 96, 'font-size': 9 }));
    expect(renderConfigId(parseRenderConfig({ 'font-size': 9, dpi: 96 }))).toBe(id);
    expect(renderConfigId(parseRenderConfig({ 'font-size': 9, dpi: 97 }))).not.toBe(id);
    expect(id).toMatch(/^[0-9a-f]{16}$/);
  });

  it('knows what the shipped reader was trained to read', () => {
    const { glyphpress } = JSON.parse(
      readFileSync(path.join(SHIPPED_READER, 'config.json'), 'utf8'),
    );
    expect(renderConfigId(loadRenderConfig(glyphpress.render))).toBe(
      renderConfigId(loadRenderConfig('reader')),
    );
  });

  it('parses every preset', () => {
    for (const name of Object.keys(PRESETS))
      expect([9, 11]).toContain(loadRenderConfig(name).fontSizePt);
  });
});

describe('newline markup', () => {
  it.each([
    ['<br/>', null],
    ['<BR />', null],
    [' ↵ ', { text: ' ↵ ', color: null }],
    ['<font color="#FF0000"> \\n </font>', { text: ' \\n ', color: '#ff0000' }],
    ['<font color="#F00">\\n</font>', { text: '\\n', color: '#ff0000' }],
  ])('%j', (markup, mark) => expect(newlineMark(markup)).toEqual(mark));
});

describe('what a page must hold', () => {
  it('keeps hanging first lines on the page', () => {
    const hang = (raw: Record<string, unknown>) => () =>
      parseRenderConfig({ 'margin-x': 10, 'first-line-indent': -30, ...raw });
    expect(failure(hang({}))).toMatchObject({ code: 'GP_CONFIG_CONFLICT' });
    expect(failure(hang({ columns: 2, 'column-gap': 5, 'left-indent': 20 })).code).toBe(
      'GP_CONFIG_CONFLICT',
    );
    expect(hang({ 'left-indent': 20 })().firstLineIndentPt).toBe(-30);
  });

  it('has pixels that a canvas can hold', () => {
    expect(
      failure(() => parseRenderConfig({ 'page-size': '4000,4000', dpi: 600 })).message,
    ).toContain('million');
  });

  it('is cropped to whole cells on the grid', () => {
    const grid = { 'page-size': '588,840', 'grid-lock': true };
    expect(parseRenderConfig(grid).cropMultiplePx).toBe(28);
    expect(failure(() => parseRenderConfig({ ...grid, 'crop-multiple': 14 })).code).toBe(
      'GP_CONFIG_CONFLICT',
    );
  });
});
