import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { glyphpress } from '../support/cli.js';
import { startHub } from '../support/hub-server.js';
import { TINY_MODEL } from '../support/models.js';

const scratch = mkdtempSync(path.join(tmpdir(), 'glyphpress-model-cli-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const env = { GLYPHPRESS_CACHE: path.join(scratch, 'cache') };

describe('glyphpress model', () => {
  it('compiles to a dtype, into the cache folder', async () => {
    const compiled = await glyphpress(
      ['model', 'compile', TINY_MODEL, '--dtype', 'int4', '--json'],
      {
        env,
      },
    );
    expect(compiled).toMatchObject({ code: 0, stderr: '' });
    const manifest = JSON.parse(compiled.stdout);
    expect(manifest).toMatchObject({ family: 'glm4v', dtype: 'int4' });
    expect(manifest.weightsFile.startsWith(env.GLYPHPRESS_CACHE)).toBe(true);
    expect(statSync(manifest.weightsFile).size).toBeLessThan(
      statSync(path.join(TINY_MODEL, 'model.safetensors')).size / 2,
    );
  });

  it('writes a quantised folder that is a model of its own', async () => {
    const out = path.join(scratch, 'shipped');
    const args = ['model', 'quantise', TINY_MODEL, '-o', out, '--dtype', 'int8'];
    const written = await glyphpress(args, { env });
    expect(written.code).toBe(0);
    expect(written.stdout).toMatch(
      /shipped: 0\.\d M parameters in int8, vision tower in (int8|fp16) \(in 8 bits its rows are off by \d\.\d\d %\), \d\.\d MB in 1 files\n$/,
    );
    expect(readdirSync(out)).toEqual(
      expect.arrayContaining(['config.json', 'tokenizer.json', 'model.safetensors.index.json']),
    );
    const { stdout } = await glyphpress(['model', 'inspect', out, '--json'], { env });
    expect(JSON.parse(stdout)).toMatchObject({ dtype: 'int8', dtypeReason: null });

    const again = await glyphpress(args, { env });
    expect(again.code).not.toBe(0);
    expect(again.stderr).toContain('GP_OUTPUT_EXISTS');
  });

  it('pulls a model from a hub, lists it, and takes it by its name', async () => {
    const hub = await startHub({ 'tiny/glm': { folder: TINY_MODEL } });
    const own = { ...env, HF_HOME: path.join(scratch, 'hf'), HF_ENDPOINT: hub.url, HF_TOKEN: '' };
    try {
      const pulled = await glyphpress(['model', 'pull', 'tiny/glm'], { env: own });
      expect(pulled.code).toBe(0);
      expect(pulled.stdout).toMatch(/^tiny\/glm at c0ffee000000: 7 files, \d\.\d MB, of which/);
    } finally {
      await hub.close();
    }
    const list = await glyphpress(['model', 'list'], { env: own });
    expect(list.stdout).toMatch(/^tiny\/glm +\d\.\d MB/);
    const inspected = await glyphpress(['model', 'inspect', 'tiny/glm'], { env: own });
    expect(inspected.stdout).toContain('glm4v');
    const unknown = await glyphpress(['model', 'inspect', 'tiny/other'], { env: own });
    expect(unknown.stderr).toContain('glyphpress model pull tiny/other');
    const removed = await glyphpress(['model', 'rm', 'tiny/glm'], { env: own });
    expect(removed.stdout).toMatch(/^removed \d\.\d MB: /);
    expect((await glyphpress(['model', 'list', '--json'], { env: own })).stdout).toBe('[]\n');
  });

  it('knows no other types', async () => {
    const { code, stderr } = await glyphpress(['model', 'compile', TINY_MODEL, '--dtype', 'q4'], {
      env,
    });
    expect(code).toBe(2);
    expect(stderr).toContain('fp32, fp16, int8, int4');
  });
});
