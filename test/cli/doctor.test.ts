import { describe, expect, it } from 'vitest';
import { glyphpress } from '../support/cli.js';
import { namesIn, temporaryFolder } from '../support/folders.js';

describe('glyphpress doctor', () => {
  it('reports as JSON, and exits by the result', async () => {
    const { code, stdout, stderr } = await glyphpress(['doctor', '--json']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ ok: true, platform: `${process.platform}-${process.arch}` });
    expect(report.checks.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['node', 'chromium', 'onnxruntime', 'sharp', 'fonts', 'models']),
    );
  });

  it('fails when the main job cannot run, with the way out', async () => {
    const cache = temporaryFolder();
    const env = { GLYPHPRESS_CHROME: '/nonexistent/chrome', GLYPHPRESS_CACHE: cache };
    const { code, stdout } = await glyphpress(['doctor', '--json'], { env });
    expect(code).toBe(1);
    const { ok, checks } = JSON.parse(stdout);
    expect(ok).toBe(false);
    const chromium = checks.find(({ name }: { name: string }) => name === 'chromium');
    expect(chromium).toMatchObject({
      status: 'missing',
      fix: expect.stringContaining('GLYPHPRESS_CHROME'),
    });
    expect(namesIn(cache)).toEqual([]);
    const table = await glyphpress(['doctor'], { env });
    expect(table.code).toBe(1);
    expect(table.stdout).toContain('Not ready: chromium.');
  });
});
