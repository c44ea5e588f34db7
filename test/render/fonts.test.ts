import { mkdtempSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BUNDLED_FAMILIES, fontsHash, resolveFonts } from '../../src/render/fonts.js';

const dejavu = createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSansMono.ttf');
const byFamily = (fontFamily: string) => resolveFonts({ fontPath: null, fontFamily });
const byPath = (fontPath: string) => resolveFonts({ fontPath, fontFamily: 'DejaVu Sans' });

describe('fonts', () => {
  it.each(BUNDLED_FAMILIES)('%s is bundled and covers what its script needs', (family) => {
    const stack = byFamily(family);
    expect(stack.substitution).toBeNull();
    for (const character of 'Az09é')
      expect(stack.faceFor(character.codePointAt(0)!)).not.toBeNull();
  });

  it.each([
    ['Verdana', 'DejaVu Sans'],
    ['Courier New', 'DejaVu Sans Mono'],
    ['Times New Roman', 'DejaVu Serif'],
  ])('%s has a stand-in, and says so', (wanted, used) => {
    expect(byFamily(wanted).substitution).toEqual({ wanted, used });
  });

  it("knows the fonts of Glyph's configs by their file names", () => {
    expect(byPath('/nowhere/Verdana.ttf').substitution).toEqual({
      wanted: 'Verdana',
      used: 'DejaVu Sans',
    });
    expect(byPath('/nowhere/SourceHanSansHWSC-VF.ttf').substitution?.used).toBe('Noto Sans SC');
  });

  it("takes a file of the user's", () => {
    const stack = byPath(dejavu);
    expect(stack.primary.file).toBe(dejavu);
    expect(stack.substitution).toBeNull();
  });

  it('refuses unknown names and files that are no fonts', () => {
    const junk = path.join(mkdtempSync(path.join(os.tmpdir(), 'gp-')), 'junk.ttf');
    writeFileSync(junk, 'not a font');
    expect(() => byFamily('Comic Sans MS')).toThrowError(/Comic Sans MS/);
    expect(() => byPath('/nowhere/x.ttf')).toThrowError(/x\.ttf/);
    expect(() => byPath(junk)).toThrowError(/junk\.ttf is not a readable font/);
  });

  it('tells what no font has', () => {
    const stack = byFamily('DejaVu Sans');
    expect(stack.faceFor(0x1f525)).toBeNull();
    // Its package lists this flag letter for a slice whose font lacks it.
    expect(byFamily('Noto Sans SC').faceFor(0x1f1e9)).toBeNull();
    expect(stack.faceFor(0x4e2d)?.family).toBe('Noto Sans SC');
    expect(stack.faceFor(0xd55c)?.family).toBe('Noto Sans KR');
  });

  it('loads only the slices that a text needs', () => {
    const stack = byFamily('DejaVu Sans');
    expect(stack.facesFor('plain text')).toHaveLength(1);
    const few = stack.facesFor('中文');
    expect(few.length).toBeGreaterThan(1);
    expect(few.length).toBeLessThan(4);
    expect(fontsHash(few)).not.toBe(fontsHash(stack.facesFor('plain text')));
  });
});
