import { cpSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { glyphpress } from '../support/cli.js';
import { namesIn, sharedFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';

const folder = sharedFolder();
const env = { GLYPHPRESS_CACHE: path.join(folder, 'cache') };
const model = path.join(folder, 'tiny');
cpSync(TINY_MODEL, model, { recursive: true });
const config = () => JSON.parse(readFileSync(path.join(model, 'config.json'), 'utf8'));

const out = path.join(folder, 'run');
const small = ['--set', 'page-size=280,280', '--browsers', '1', '--max-tokens', '4'];
const calibrate = (...args: string[]) =>
  glyphpress(
    ['model', 'calibrate', model, ...small, '--pages', '1', '--samples', '1', '-o', out, ...args],
    { env },
  );

describe('glyphpress model calibrate', () => {
  it('measures on a dry run, then writes the curve from the same answers', async () => {
    const before = config();
    const dry = await calibrate('--dry-run', '--json');
    expect(dry.stderr).not.toContain('error');
    expect(dry.code).toBe(0);
    const result = JSON.parse(dry.stdout);
    expect(result).toMatchObject({ stored: false, folder: out });
    expect(result.calibration.questions).toBeGreaterThanOrEqual(25);
    expect(result.calibrated.expectedCalibrationError).toBe(
      result.calibration.expectedCalibrationError,
    );
    expect(config()).toEqual(before);
    expect(namesIn(out)).toEqual([
      'calibration.json',
      'reliability.svg',
      'results.jsonl',
      'run.json',
    ]);
    expect(readFileSync(path.join(out, 'reliability.svg'), 'utf8')).toMatch(/^<svg.*<\/svg>\n$/s);
    const results = readFileSync(path.join(out, 'results.jsonl'), 'utf8');
    for (const line of results.trim().split('\n'))
      expect(JSON.parse(line).logProb.mean).toBeLessThanOrEqual(0);

    const stored = await calibrate();
    expect(stored.code).toBe(0);
    expect(stored.stdout).toMatch(
      /^answers +\d+ of \d+ right\ncalibration error +0\.\d+ on held-out/,
    );
    expect(stored.stdout).toContain(path.join(model, 'config.json'));
    // Nothing was asked again.
    expect(readFileSync(path.join(out, 'results.jsonl'), 'utf8')).toBe(results);
    expect(config().glyphpress.calibration).toMatchObject({
      method: 'platt',
      intercept: result.calibration.intercept,
      questions: result.calibration.questions,
    });

    const inspected = await glyphpress(['model', 'inspect', model], { env });
    expect(inspected.stdout).toMatch(
      new RegExp(
        `confidence, pages +calibrated on ${result.calibration.questions} answers, off by 0`,
      ),
    );
  });

  it('refuses another run in the same folder', async () => {
    const { code, stdout } = await calibrate('--seed', '5', '--json');
    expect(JSON.parse(stdout).error.code).toBe('GP_ARTIFACT_MISMATCH');
    expect(code).toBe(1);
  });
});
