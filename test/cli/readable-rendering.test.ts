import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { typeDifferences } from '../../src/cli/readable-rendering.js';
import { loadRenderConfig, renderConfigId } from '../../src/render/index.js';
import { renderingOf } from '../../src/vlm/index.js';
import { glyphpress } from '../support/cli.js';
import { sharedFolder } from '../support/folders.js';
import { LOOK_UP_READER } from '../support/models.js';

const folder = sharedFolder();
const file = path.join(folder, 'text.txt');
writeFileSync(file, 'The north gate is shut.');
/** Nothing here gets as far as drawing. */
const noBrowser = { GLYPHPRESS_CACHE: folder, GLYPHPRESS_CHROME: '/nonexistent/chrome' };

describe('the type of two renderings', () => {
  const config = loadRenderConfig('glyph-72');

  it('is told apart by what letters look like', () => {
    expect(typeDifferences(config, config)).toEqual([]);
    expect(typeDifferences(loadRenderConfig('glyph-72', { dpi: 144 }), config)).toEqual([
      expect.stringMatching(/^type size in px [\d.]+ for [\d.]+$/),
      expect.stringMatching(/^line pitch in px/),
    ]);
    const mono = loadRenderConfig('glyph-72', { 'font-family': 'DejaVu Sans Mono' });
    expect(typeDifferences(mono, config)).toEqual([
      expect.stringMatching(/^font DejaVu Sans Mono for /),
    ]);
  });

  it('is the same on another paper, with other breaks', () => {
    const paper = {
      'page-size': '400,300',
      'margin-x': 9,
      reflow: true,
      'line-breaking': 'anywhere',
    };
    expect(typeDifferences(loadRenderConfig('glyph-72', paper), config)).toEqual([]);
  });
});

describe('a rendering that the shipped reader was not trained to read', () => {
  it.each([
    ['ask', file, 'Which gate?'],
    ['compress', file, '-o', path.join(folder, 'out')],
  ])('is warned about before anything is drawn: %s', async (...args) => {
    const { stderr } = await glyphpress([...args, '--config', 'glyph-72'], { env: noBrowser });
    expect(stderr).toMatch(
      /^warning: the model in .* was not trained to read pages like these \(/m,
    );
    expect(stderr).toMatch(/error GP_BROWSER_NOT_FOUND/);
    const usual = await glyphpress(args, { env: noBrowser });
    expect(usual.stderr).not.toContain('was not trained');
  });
});

describe('glyphpress render without --config', () => {
  it('draws what compress draws', async () => {
    const out = path.join(folder, 'pages');
    const { code, stdout } = await glyphpress(['render', file, '-o', out, '--json']);
    expect(code).toBe(0);
    const expected = renderConfigId(loadRenderConfig(renderingOf(LOOK_UP_READER)!));
    expect(JSON.parse(stdout).renderConfigId).toBe(expected);
    const { render } = JSON.parse(readFileSync(path.join(out, 'pages.json'), 'utf8'));
    expect(render.renderConfigId).toBe(expected);
  });
});
