import { cpSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { namedPlan, planId } from '../../src/prune/index.js';
import { inspectModel } from '../../src/vlm/index.js';
import { glyphpress } from '../support/cli.js';
import { sharedFolder, temporaryFolder } from '../support/folders.js';
import { TINY_MODEL } from '../support/models.js';

const env = { GLYPHPRESS_CACHE: sharedFolder() };

describe('glyphpress plans', () => {
  it('tells what every plan leaves, and that nothing was measured', async () => {
    const { code, stdout } = await glyphpress(
      ['plans', '--model', TINY_MODEL, '--tokens', '1000', '--json'],
      { env },
    );
    expect(code).toBe(0);
    const { layers, plans } = JSON.parse(stdout);
    expect(layers).toBe(4);
    expect(plans.map(({ name }: { name: string }) => name)).toEqual([
      'lossless',
      'balanced',
      'v2drop-paper',
      'apet-paper',
      'stacked-4x',
    ]);
    expect(plans[0]).toMatchObject({
      dependsOnPages: true,
      measured: null,
      expected: { contextTokens: 1000, pruneRatio: 1 },
    });
    expect(plans[2]).toMatchObject({
      dependsOnPages: false,
      expected: { layerTokens: [1000, 500, 150, 1] },
    });
  });

  it('says the same in words', async () => {
    const { code, stdout } = await glyphpress(['plans', '--model', TINY_MODEL], { env });
    expect(code).toBe(0);
    expect(stdout).toContain('4 decoder layers\n\nlossless\n');
    expect(stdout.match(/accuracy {2}not measured/g)).toHaveLength(5);
  });

  it('shows figures of the very plan only, not of one that had its name before', async () => {
    const dir = temporaryFolder();
    cpSync(TINY_MODEL, dir, { recursive: true });
    const { checkpointHash, layers } = inspectModel(dir);
    const figures = {
      accuracy: 0.5,
      low: 0.4,
      high: 0.6,
      questions: 9,
      stackedRatio: 3,
      unpruned: 1,
    };
    const record = {
      version: 1,
      model: { checkpointHash },
      plans: {
        lossless: { ...figures, planId: planId(namedPlan('lossless', layers)!) },
        balanced: { ...figures, planId: planId(namedPlan('lossless', layers)!) },
        'stacked-4x': figures,
      },
    };
    writeFileSync(path.join(dir, 'plans.json'), JSON.stringify(record));
    const { stdout } = await glyphpress(['plans', '--model', dir, '--json'], { env });
    const { plans } = JSON.parse(stdout) as { plans: { name: string; measured: unknown }[] };
    expect(plans.filter(({ measured }) => measured !== null).map(({ name }) => name)).toEqual([
      'lossless',
    ]);
  });
});

describe('--plan and --sidecar', () => {
  const folder = sharedFolder();
  const file = path.join(folder, 'note.txt');
  writeFileSync(
    file,
    'The access code of the north gate is 7F2A-91.\n\nThe hall was paid with $1,250.00 on 2026-03-12.\n',
  );
  const compress = async (out: string, ...more: string[]) => {
    const { code, stdout, stderr } = await glyphpress(
      [
        ...['compress', file, '-o', path.join(folder, out), '--model', TINY_MODEL, '--json'],
        ...['--config', 'reader', '--browsers', '1', '--threads', '1', ...more],
      ],
      { env },
    );
    // A slow machine shows progress.
    expect(stderr).toMatch(/^(\w+: \d+ (pages|rows)\n)*$/);
    expect(code).toBe(0);
    return JSON.parse(stdout);
  };

  it('take plans by name, and count blank cells and the sidecar', async () => {
    const whole = await compress('whole');
    expect(whole.blankTokens).toBeGreaterThan(0);
    expect(whole).toMatchObject({ sidecarTokens: 0, repeatedTokens: null, pruneRatio: 1 });

    const lossless = await compress('lossless', '--plan', 'lossless');
    expect(lossless.encodedTokens).toBe(whole.visualTokens - whole.blankTokens);
    expect(lossless.contextTokens).toBe(lossless.encodedTokens);

    const sidecar = await compress('sidecar', '--plan', 'lossless', '--sidecar', '200');
    expect(sidecar.sidecarTokens).toBeGreaterThan(20);
    expect(sidecar.sidecarTokens).toBeLessThanOrEqual(200);
    expect(sidecar.contextTokens).toBe(lossless.contextTokens + sidecar.sidecarTokens);
    expect(sidecar.finalTokens).toBe(lossless.finalTokens + sidecar.sidecarTokens);
    expect(sidecar.layerTokens).toEqual(lossless.layerTokens);
    expect(sidecar.stackedRatio).toBeCloseTo(sidecar.textTokens / sidecar.contextTokens, 10);
    expect(sidecar.stackedRatio).toBeLessThan(lossless.stackedRatio);
    // Its rows are in the cache of every layer.
    expect(sidecar.kvBytes / lossless.kvBytes).toBeGreaterThan(1.3);
  });

  it('name the plans when one is meant that does not exist', async () => {
    const { code, stdout } = await glyphpress(
      ['ask', file, 'What?', '--model', TINY_MODEL, '--plan', 'best', '--json'],
      { env },
    );
    const { error } = JSON.parse(stdout);
    expect(error.code).toBe('GP_INPUT_NOT_FOUND');
    expect(error.message).toContain('lossless, balanced');
    expect(code).toBe(1);
  });
});
