import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseBytes, parseSpan, spanText } from '../../src/cli/amounts.js';
import { glyphpress } from '../support/cli.js';
import { namesIn, temporaryFolder } from '../support/folders.js';

/** A cache with one context of 3 kB, last used two days ago, and one of 1 kB of an hour ago. */
function cache(): string {
  const root = temporaryFolder();
  for (const [name, bytes, hours] of [
    ['old', 3_000, 48],
    ['new', 1_000, 1],
  ] as const) {
    const folder = path.join(root, 'contexts', name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'data'), Buffer.alloc(bytes));
    const used = new Date(Date.now() - hours * 3_600_000);
    utimesSync(folder, used, used);
  }
  return root;
}

describe('glyphpress cache', () => {
  it('lists what is stored, its sizes and the bound', async () => {
    const root = cache();
    const env = { GLYPHPRESS_CACHE: root, GLYPHPRESS_CACHE_MAX_BYTES: '2GB' };
    const { stdout } = await glyphpress(['cache', 'ls', '--json'], { env });
    expect(JSON.parse(stdout)).toMatchObject({
      folder: root,
      bound: 2e9,
      bytes: 4_000,
      entries: [
        { kind: 'contexts', name: 'new', bytes: 1_000 },
        { kind: 'contexts', name: 'old', bytes: 3_000 },
      ],
    });
    const table = await glyphpress(['cache', 'ls'], { env });
    expect(table.stdout).toMatch(/^contexts +old +3\.0 kB +used 2 d ago$/m);
    expect(table.stdout).toContain('contexts and pages take 4.0 kB of 2.00 GB');
  });

  it('removes what was used longest ago, down to the bound, a size or an age', async () => {
    for (const [args, env] of [
      [[], { GLYPHPRESS_CACHE_MAX_BYTES: '2kB' }],
      [['--max-bytes', '2kB'], {}],
      [['--older-than', '1d'], {}],
    ] as const) {
      const root = cache();
      const result = await glyphpress(['cache', 'prune', '--json', ...args], {
        env: { GLYPHPRESS_CACHE: root, ...env },
      });
      expect(JSON.parse(result.stdout)).toMatchObject({ bytes: 3_000, removed: [{ name: 'old' }] });
      expect(namesIn(path.join(root, 'contexts'))).toEqual(['new']);
    }
  });

  it('refuses a size that is none', async () => {
    const { code, stderr } = await glyphpress(['cache', 'prune', '--max-bytes', 'much']);
    expect(code).toBe(2);
    expect(stderr).toContain('500MB');
  });
});

describe('amounts', () => {
  it('are read with their units', () => {
    expect(['5GB', '2GiB', '1.5 kB', '10', 'x', '-1'].map(parseBytes)).toEqual([
      5e9,
      2 ** 31,
      1_500,
      10,
      null,
      null,
    ]);
    expect(['12h', '2w', '3', 'soon'].map(parseSpan)).toEqual([
      43_200_000,
      14 * 86_400_000,
      3 * 86_400_000,
      null,
    ]);
    expect([5_000, 5_400_000, 40 * 86_400_000].map(spanText)).toEqual(['5 s', '1.5 h', '40 d']);
  });
});
