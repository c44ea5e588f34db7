import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  LegibilityProbe,
  PROBE_FILE,
  SafetensorsFile,
  writeSafetensors,
} from '../../src/vlm/index.js';
import { codeOf } from '../prune/thrown-code.js';
import { temporaryFolder } from '../support/folders.js';
import { READER_PROBE } from '../support/models.js';

const HIDDEN = 384;

/** A folder whose probe holds these codes. */
async function probeFolder(codes: Float32Array, shape: number[]): Promise<string> {
  const folder = temporaryFolder();
  mkdirSync(path.join(folder, 'probe'));
  await writeSafetensors(path.join(folder, PROBE_FILE), [
    { name: 'codes', dtype: 'F32', shape, data: () => [codes] },
  ]);
  return folder;
}

function readerFolder(): string {
  const folder = temporaryFolder();
  cpSync(READER_PROBE, path.join(folder, 'probe'), { recursive: true });
  return folder;
}

/** Tokens as training writes them: block p holds the code of the character at place p of the window. */
function write(rows: readonly string[], cols: number): Float32Array {
  const file = SafetensorsFile.open(path.join(READER_PROBE, 'model.safetensors'));
  const codes = file.readFloat32('codes');
  file.close();
  const cells = (rows.length / 3) * cols;
  const tokens = new Float32Array(cells * HIDDEN);
  rows.forEach((row, r) => {
    [...row].forEach((character, c) => {
      const cell = Math.floor(r / 3) * cols + Math.floor(c / 5);
      const place = (r % 3) * 15 + 10 + (c % 5);
      const code = (character.charCodeAt(0) - 32) * 8;
      tokens.set(codes.subarray(code, code + 8), cell * HIDDEN + place * 8);
    });
  });
  return tokens;
}

describe('the legibility probe', () => {
  it('reads what was written in the code, every character of it', () => {
    const probe = LegibilityProbe.open(readerFolder(), HIDDEN);
    const text = fc
      .string({ unit: 'binary-ascii', minLength: 90, maxLength: 90 })
      .map((raw) => raw.replace(/[^ -~]/g, ' '));
    fc.assert(
      fc.property(text, (characters) => {
        // Two rows of three cells: six rows of fifteen characters.
        const rows = Array.from({ length: 6 }, (_, n) => characters.slice(n * 15, n * 15 + 15));
        const tokens = write(rows, 3);
        expect(probe.read({ tokens, tokenGrid: { rows: 2, cols: 3 } })).toEqual(rows);
      }),
    );
  });

  it('takes the nearest character where the code is off', () => {
    const probe = LegibilityProbe.open(readerFolder(), HIDDEN);
    const rows = ['north', 'gate ', '7F2A '];
    const tokens = write(rows, 1).map((value, n) => 0.7 * value + 0.4 * Math.sin(n));
    expect(probe.read({ tokens, tokenGrid: { rows: 1, cols: 1 } })).toEqual(rows);
  });

  it('that is missing is an error that says what to do', () => {
    const folder = temporaryFolder();
    expect(() => LegibilityProbe.open(folder, HIDDEN)).toThrow(/has no legibility probe/);
    expect(codeOf(() => LegibilityProbe.open(folder, HIDDEN))).toBe('GP_CHECKPOINT');
  });

  it('of another shape, or of a model with other tokens, is an error', async () => {
    const wrong = await probeFolder(new Float32Array(94 * 8), [94, 8]);
    expect(() => LegibilityProbe.open(wrong, HIDDEN)).toThrow('shape [94, 8], expected [95, 8]');
    expect(() => LegibilityProbe.open(readerFolder(), 128)).toThrow(
      /reads 360 dimensions of a visual token, those of .* have 128/,
    );
    expect(codeOf(() => LegibilityProbe.open(readerFolder(), 128))).toBe('GP_CHECKPOINT');
  });
});
