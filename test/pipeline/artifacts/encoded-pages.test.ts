import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, describe, expect, it } from 'vitest';
import { ensureEncodedPage } from '../../../src/pipeline/artifacts/encoded-pages.js';
import type { VisionLanguageModel } from '../../../src/vlm/index.js';

const base = mkdtempSync(path.join(os.tmpdir(), 'glyphpress-tokens-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const CELLS = 4;
const WIDTH = 250;

/** Encodes every page to these tokens, and counts how often. */
function modelOf(tokens: Float32Array) {
  let calls = 0;
  const encodeImage = async () => {
    calls++;
    return { gridThw: [1, 4, 4], tokenGrid: { rows: 2, cols: 2 }, tokens };
  };
  return { calls: () => calls, model: { encodeImage } as unknown as VisionLanguageModel };
}

async function page() {
  const create = { width: 56, height: 56, channels: 3 as const, background: 'white' };
  return { index: 0, png: await sharp({ create }).png().toBuffer() };
}

describe('visual tokens', () => {
  it('take two bytes a number, and are the same whether they are made or read', async () => {
    const made = Float32Array.from({ length: CELLS * WIDTH }, (_, n) => Math.sin(n) * 2 ** (n % 9));
    const folder = path.join(base, 'halves');
    const { model, calls } = modelOf(made);
    const first = await ensureEncodedPage(model, folder, await page());
    const second = await ensureEncodedPage(model, folder, await page());
    expect([first.encoded, second.encoded, calls()]).toEqual([true, false, 1]);
    expect(second.image).toEqual(first.image);
    for (const [n, value] of first.image.tokens.entries())
      expect(Math.abs(value - made[n]!)).toBeLessThanOrEqual(Math.abs(made[n]!) / 2_048);
    const [file] = readdirSync(folder);
    const { size } = statSync(path.join(folder, file!));
    expect(size).toBeLessThan(made.length * 2 + 1_000);
  });

  it('that are too large for two bytes stay as they are', async () => {
    const made = Float32Array.from({ length: CELLS * WIDTH }, (_, n) => (n === 7 ? 1e6 : n / 3));
    const folder = path.join(base, 'floats');
    const { model } = modelOf(made);
    const first = await ensureEncodedPage(model, folder, await page());
    const second = await ensureEncodedPage(model, folder, await page());
    expect(first.image.tokens).toEqual(made);
    expect(second.image.tokens).toEqual(made);
  });
});
