import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { ProofReport } from '../../src/pipeline/proofing/proofread.js';
import type { Transcription } from '../../src/pipeline/proofing/transcribe.js';
import { glyphpress } from '../support/cli.js';
import { namesIn, sharedFolder, temporaryFolder } from '../support/folders.js';
import { LOOK_UP_READER, READER_PROBE, TINY_MODEL } from '../support/models.js';
import { ROOT } from '../support/repository.js';

const folder = sharedFolder();
const env = { GLYPHPRESS_CACHE: path.join(folder, 'cache') };
const sample = path.join(ROOT, 'samples/gate-notes.txt');
const source = readFileSync(sample, 'utf8');

/** A reader whose tower is trained, with its probe beside it. */
const reader = path.join(folder, 'reader');
cpSync(LOOK_UP_READER, reader, { recursive: true });
cpSync(READER_PROBE, path.join(reader, 'probe'), { recursive: true });
const MODEL = ['--model', reader];

const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await glyphpress([...args, '--json'], { env });
  // On a busy machine there is a line of progress.
  expect(stderr).not.toContain('error');
  expect(code).toBe(0);
  return JSON.parse(stdout);
};

describe('glyphpress transcribe', () => {
  it('prints a page much as it stands there', async () => {
    const second: Transcription = await run('transcribe', sample, '--page', '2', ...MODEL);
    expect(second).toMatchObject({ page: 2, model: 'reader', widthPx: 588 });
    expect(second.lines.length).toBeGreaterThan(50);
    const right = second.lines.filter(
      ({ start, end, text }) => source.slice(start, end).replace(/\s+/g, ' ').trim() === text,
    );
    expect(right.length / second.lines.length).toBeGreaterThan(0.9);
    // Empty lines are in the span map, not in the text.
    const filled = second.lines.filter(({ text }) => text !== '').length;
    expect(filled).toBeLessThan(second.lines.length);
    expect(second.text.split('\n')).toHaveLength(filled);

    const plain = await glyphpress(['transcribe', sample, '--page', '2', ...MODEL], { env });
    expect(plain).toMatchObject({ code: 0, stdout: `${second.text}\n`, stderr: '' });
  });

  it.each([
    [['transcribe', sample, '--page', '99', ...MODEL], 2, 'GP_USAGE', 'ends before page 99'],
    [['transcribe', sample, '--page', '0', ...MODEL], 2, 'GP_USAGE', 'whole number'],
    [['transcribe', sample, '--model', TINY_MODEL], 1, 'GP_CHECKPOINT', 'no legibility probe'],
    [['proofread', sample, '--model', TINY_MODEL], 1, 'GP_CHECKPOINT', 'no legibility probe'],
    [['proofread', sample, '--max-error', '2', ...MODEL], 2, 'GP_USAGE', 'from 0 to 1'],
    [['proofread', 'nowhere.txt', ...MODEL], 1, 'GP_INPUT_NOT_FOUND', 'nowhere.txt'],
  ])('%j ends with %i and %s', async (args, status, expected, message) => {
    const { code, stdout } = await glyphpress([...args, '--json'], { env });
    expect(JSON.parse(stdout).error).toMatchObject({
      code: expected,
      message: expect.stringContaining(message),
    });
    expect(code).toBe(status);
  });
});

describe('glyphpress proofread', () => {
  const garbled = path.join(folder, 'signs.txt');
  // Signs beyond ASCII are drawn, and are nothing that the probe can name.
  writeFileSync(
    garbled,
    `${source.slice(0, 2000)}\nThe pressure is ΔΩΨΦ today.\n${source.slice(2000, 4000)}`,
  );

  it('tells page by page how much is read wrong, and where most', async () => {
    const out = path.join(temporaryFolder(), 'proof');
    const said = await run('proofread', garbled, '-o', out, '--worst', '1', ...MODEL);
    const { documents, skipped, ...rest } = said;
    const report: ProofReport = rest;
    expect(documents).toMatchObject([{ name: 'signs.txt', mediaType: 'text/plain' }]);
    expect(skipped).toEqual([]);
    expect(report.pages.map(({ page }) => page)).toEqual([1]);
    expect(report.characterErrorRate).toBeLessThan(0.05);
    expect(report.edits).toBe(report.pages.reduce((sum, { edits }) => sum + edits, 0));
    expect(report.characters).toBeGreaterThan(3900);
    const [worst] = report.worst;
    const text = readFileSync(garbled, 'utf8');
    expect(text.slice(worst!.start, worst!.end)).toContain('ΔΩΨΦ');
    expect(worst).toMatchObject({ page: 1, shown: 'The pressure is ΔΩΨΦ today.' });
    expect(report.confusions.map(({ shown }) => shown)).toContain('Δ');

    expect(namesIn(out)).toEqual(['page-0001.proof.png', 'proofread.json']);
    expect(JSON.parse(readFileSync(path.join(out, 'proofread.json'), 'utf8'))).toEqual(report);
    // The place is marked in red, where the report says that it is.
    const picture = sharp(path.join(out, 'page-0001.proof.png'));
    const { data, info } = await picture.raw().toBuffer({ resolveWithObject: true });
    const at = (x: number, y: number) => {
      const pixel = (Math.round(y) * info.width + Math.round(x)) * info.channels;
      return [...data.subarray(pixel, pixel + 3)];
    };
    const { x, y, height } = worst!.rect;
    const [red, green] = at(Math.max(1, 2 * x - 2), 2 * y + height);
    expect(red! - green!).toBeGreaterThan(100);
    const [paper, other] = at(info.width - 3, 3);
    expect(paper).toBe(other);

    // The same folder takes the next proof; another one does not.
    await run('proofread', garbled, '-o', out, '--worst', '0', ...MODEL);
    expect(namesIn(out)).toEqual(['proofread.json']);
    const foreign = temporaryFolder();
    writeFileSync(path.join(foreign, 'letter.txt'), 'mine');
    const refused = await glyphpress(['proofread', garbled, '-o', foreign, ...MODEL], { env });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^error GP_OUTPUT_EXISTS: .*letter\.txt/);
    expect(namesIn(foreign)).toEqual(['letter.txt']);
  });

  it('fails on request when too much is wrong, and still reports', async () => {
    const strict = await glyphpress(['proofread', garbled, '--max-error', '0', ...MODEL], { env });
    expect(strict.code).toBe(1);
    expect(strict.stdout).toMatch(/^page {3}lines/);
    expect(strict.stdout).toContain('worst places');
    expect(strict.stderr).toMatch(/% of the characters are wrong, more than 0\.00 %/);
    const lenient = await glyphpress(['proofread', garbled, '--max-error', '0.5', ...MODEL], {
      env,
    });
    expect(lenient.code).toBe(0);
    expect(lenient.stderr).not.toContain('wrong');
  });

  it('sees that a rendering is not the one that the reader knows', async () => {
    const report: ProofReport = await run('proofread', garbled, '--config', 'glyph-72', ...MODEL);
    expect(report.characterErrorRate).toBeGreaterThan(0.5);
    expect(report.worst).toHaveLength(10);
  });
});
